"""multipart/related as a stream: a study is never in memory as a whole, neither when it comes nor when it goes.

Source: RFC 2046 section 5.1 (boundaries), RFC 2387 (related), DICOM PS3.18: 8.7.1.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache

from adapters.dicom.errors import BrokenMultipart, MissingEndBoundary, TooManyParts, UnsupportedMedia, WrongBoundary
from registry.errors import StorageUnavailable, TooLarge
from registry.submissions import FilePart

DICOM = "application/dicom"
PARTS_LIMIT = 5_000
HEADER_LIMIT = 8 * 1024
PREAMBLE_LIMIT = 16 * 1024
TOTAL_LIMIT = 16 << 30
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PADDING = re.compile(rb"[ \t]*\r\n")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type with its parameters; names in lower case."""

    value: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its headers by lower-case name, and its content, to be read before the next part is asked for."""

    headers: dict[str, str]
    chunks: Iterator[bytes]

    @property
    def media_type(self) -> MediaType:
        return media_type(self.headers.get("content-type", ""))


def media_type(header: str) -> MediaType:
    """A Content-Type header read with its quoting; a broken one gives an empty value."""
    return _short_media_type(header) if len(header) <= 128 else _media_type(header)


def _media_type(header: str) -> MediaType:
    message = Message()
    message["Content-Type"] = header.replace("\r", " ").replace("\n", " ")
    pairs = message.get_params(failobj=[("", "")], unquote=True)
    parameters = {name.lower(): value for name, value in pairs[1:] if isinstance(value, str)}
    return MediaType(pairs[0][0].strip().lower(), parameters)


_short_media_type = lru_cache(maxsize=256)(_media_type)
"""The same few come with every request, and with every part of it."""


def boundary_of(content_type: str, root: str = DICOM) -> str:
    """The boundary of a body of related parts of type `root`; raises UnsupportedMedia for any other body."""
    kind = media_type(content_type)
    if kind.value != "multipart/related" or kind.parameters.get("type", root).lower() != root:
        raise UnsupportedMedia(f'multipart/related; type="{root}"')
    boundary = kind.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise BrokenMultipart("no usable boundary is announced")
    return boundary


def read_parts(
    chunks: Iterable[bytes], boundary: str, *, parts: int = PARTS_LIMIT, total: int = TOTAL_LIMIT
) -> Iterator[Part]:
    """The parts in order, in constant memory; what of a part was not read is passed over.

    Raises BrokenMultipart or TooLarge where the body breaks its form or a limit; a cut body is never taken for whole.
    """
    reader = _Reader(chunks, boundary, total)
    number = 0
    while reader.next_part():
        number += 1
        if number > parts:
            raise TooManyParts(parts)
        content = reader.content()
        yield Part(reader.headers(), content)
        for _ in content:
            pass
    if not number:
        raise BrokenMultipart("holds no part")


class _Reader:
    def __init__(self, chunks: Iterable[bytes], boundary: str, total: int) -> None:
        self._chunks, self._left, self._total = iter(chunks), total, total
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._buffer = b"\r\n"  # so that a boundary at the very beginning is like any other
        self._open = False

    def next_part(self) -> bool:
        """Go past the delimiter that stands next; False after the closing one."""
        if not self._open:
            self._pass_preamble()
            self._open = True
        self._want(2)
        if self._buffer.startswith(b"--"):
            return False
        end = _PADDING.match(self._buffer)
        if end is None:
            raise BrokenMultipart("a boundary line does not end")
        self._buffer = self._buffer[end.end() :]
        return True

    def headers(self) -> dict[str, str]:
        self._want(2)
        if self._buffer.startswith(b"\r\n"):
            self._buffer = self._buffer[2:]
            return {}
        while (end := self._buffer.find(b"\r\n\r\n")) < 0 and len(self._buffer) <= HEADER_LIMIT:
            self._more()
        if not 0 <= end <= HEADER_LIMIT:
            raise BrokenMultipart(f"headers of a part are longer than {HEADER_LIMIT} bytes")
        block, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return _read_headers(block)

    def content(self) -> Iterator[bytes]:
        """The bytes up to the next delimiter line, which then stands at the beginning of the buffer."""
        while True:
            at = self._buffer.find(self._delimiter)
            if at < 0:
                safe = len(self._buffer) - len(self._delimiter) + 1
                if safe > 0:
                    piece, self._buffer = self._buffer[:safe], self._buffer[safe:]
                    yield piece
                self._more()
                continue
            if at:
                piece, self._buffer = self._buffer[:at], self._buffer[at:]
                yield piece
            self._wait_for_line_end(len(self._delimiter))
            if self._is_delimiter_line():
                self._buffer = self._buffer[len(self._delimiter) :]
                return
            # content that happens to begin like the boundary
            piece, self._buffer = self._buffer[: len(self._delimiter)], self._buffer[len(self._delimiter) :]
            yield piece

    def _pass_preamble(self) -> None:
        passed = 0
        try:
            for piece in self.content():
                passed += len(piece)
                if passed > PREAMBLE_LIMIT:
                    raise WrongBoundary
        except MissingEndBoundary as error:
            raise WrongBoundary from error

    def _wait_for_line_end(self, start: int) -> None:
        self._want(start + 2)
        while self._buffer[start : start + 128].strip(b" \t") in (b"", b"\r") and len(self._buffer) < start + 128:
            self._more()

    def _is_delimiter_line(self) -> bool:
        rest = self._buffer[len(self._delimiter) :]
        return rest.startswith(b"--") or _PADDING.match(rest) is not None

    def _want(self, count: int) -> None:
        while len(self._buffer) < count:
            self._more()

    def _more(self) -> None:
        chunk = next((chunk for chunk in self._chunks if chunk), b"")
        if not chunk:
            raise MissingEndBoundary
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge("multipart body", limit=self._total)
        self._buffer += chunk


def _read_headers(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        if not colon or not re.fullmatch(r"[!#-'*+\-.0-9A-Z^_`a-z|~]+", key) or key in found:
            raise BrokenMultipart("the headers of a part are malformed")
        found[key] = value.strip().decode("latin-1")
    return found


class Spool:
    """A temporary file without a name: it is gone when its last part is, or the process."""

    def __init__(self, folder: str) -> None:
        try:
            self._file, name = tempfile.mkstemp(dir=folder)
            os.unlink(name)  # noqa: PTH108 (mkstemp speaks in strings)
        except OSError as error:
            raise StorageUnavailable("spool", error.strerror or "not writable") from error
        self.size = 0

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self._file}"

    def add(self, chunks: Iterable[bytes | memoryview]) -> tuple[int, int]:
        """Append; where it begins and how long it is."""
        start = self.size
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                written = self._write(rest)
                rest, self.size = rest[written:], self.size + written
        return start, self.size - start

    def _write(self, chunk: memoryview) -> int:
        try:
            return os.write(self._file, chunk)
        except OSError as error:
            raise StorageUnavailable("spool", error.strerror or "not writable") from error

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


@dataclass(frozen=True, slots=True)
class SpooledPart(FilePart):
    """A part of a spool, which it keeps open for as long as somebody may read it."""

    spool: Spool | None = None


def spooled(parts: Iterable[Part], folder: str) -> Iterator[tuple[Part, SpooledPart]]:
    """Each part with its content in one temporary file in `folder`."""
    spool = Spool(folder)
    for part in parts:
        offset, length = spool.add(part.chunks)
        yield part, SpooledPart(spool.path, offset, length, spool)


class Writer:
    """A multipart body on its way out: `content_type` announces it, `length` of all is known where the parts are."""

    def __init__(self, root: str = DICOM) -> None:
        self.boundary = secrets.token_hex(16)
        self.content_type = f'multipart/related; type="{root}"; boundary={self.boundary}'
        self.closing = b"--" + self.boundary.encode() + b"--\r\n"

    def head(self, headers: Iterable[tuple[str, str]]) -> bytes:
        lines = [f"--{self.boundary}", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def length(self, parts: Iterable[tuple[Iterable[tuple[str, str]], int]]) -> int:
        """Bytes of the whole body for parts of these headers and sizes."""
        return sum(len(self.head(headers)) + size + 2 for headers, size in parts) + len(self.closing)

    def body(self, parts: Iterable[tuple[Iterable[tuple[str, str]], Iterable[bytes]]]) -> Iterator[bytes]:
        for headers, chunks in parts:
            yield self.head(headers)
            yield from chunks
            yield b"\r\n"
        yield self.closing
