"""Where the bytes of a file come from while it is walked: forward, in small pieces, never as a whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from registry.errors import TooLarge, Unreadable

WHAT = "DICOM file"
PIECE = 16 * 1024
INFLATED_LIMIT = 256 << 20  # a deflated CT slice is half a megabyte; a thousandfold deflate bomb is stopped here


class Source:
    """Bytes that are read once, from the beginning to the end. `size` is None where nobody knows it yet."""

    def __init__(self, pieces: Iterator[bytes], size: int | None = None) -> None:
        self._pieces, self._buffer, self._at = pieces, b"", 0
        self.position, self.size = 0, size

    def peek(self, count: int) -> bytes:
        """Up to `count` next bytes, which stay to be read; fewer only at the end."""
        while len(self._buffer) - self._at < count and (piece := next(self._pieces, b"")):
            self._buffer, self._at = self._buffer[self._at :] + piece, 0
        return self._buffer[self._at : self._at + count]

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; raises Unreadable where the file is cut."""
        self.check(count)
        taken = self.peek(count)
        if len(taken) < count:
            raise Unreadable(WHAT, "ends in the middle of an element")
        self._at += count
        self.position += count
        return taken

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; raises Unreadable where the file is cut."""
        self.check(count)
        while count:
            if not (taken := self.peek(min(count, PIECE))):
                raise Unreadable(WHAT, "ends in the middle of an element")
            self._at += len(taken)
            self.position += len(taken)
            count -= len(taken)

    def rest(self) -> Iterator[bytes]:
        """All bytes that were not read, as they come."""
        held, self._buffer, self._at = self._buffer[self._at :], b"", 0
        if held:
            yield held
        yield from self._pieces

    def check(self, count: int) -> None:
        """Refuse a length that goes past the end, before anything is read or reserved for it."""
        if self.size is not None and self.position + count > self.size:
            raise Unreadable(WHAT, "ends before an announced length is there")

    @property
    def at_end(self) -> bool:
        return not self.peek(1)


class FileSource(Source):
    """A part of a file; passing over pixels is a seek."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__(self._read(), size)
        self._file, self._left = file, size
        file.seek(offset)

    def _read(self) -> Iterator[bytes]:
        while self._left and (piece := self._file.read(min(PIECE, self._left))):
            self._left -= len(piece)
            yield piece

    def skip(self, count: int) -> None:
        self.check(count)
        buffered = min(count, len(self._buffer) - self._at)
        self._at += buffered
        self._file.seek(count - buffered, 1)
        self._left -= count - buffered
        self.position += count


def inflated(source: Source) -> Source:
    """What a deflated data set holds. Source: DICOM PS3.5: A.5."""
    return Source(_inflate(source))


def _inflate(source: Source) -> Iterator[bytes]:
    engine, total, check, waiting = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0, b""
    while not engine.eof:
        waiting = waiting or source.read(min(PIECE, len(source.peek(PIECE))))
        if not waiting:
            raise Unreadable(WHAT, "the deflated data set is cut")
        try:
            piece = engine.decompress(waiting, PIECE)
        except zlib.error as error:
            raise Unreadable(WHAT, "the deflated data set cannot be inflated") from error
        waiting = engine.unconsumed_tail
        total, check = total + len(piece), zlib.crc32(piece, check)
        if total > INFLATED_LIMIT:
            raise TooLarge("inflated data set", limit=INFLATED_LIMIT)
        if piece:
            yield piece
    rest = engine.unused_data + source.peek(16)
    # one null byte makes the length even (PS3.5: A.5); some writers leave the trailer of gzip there
    if rest not in (b"", b"\0", struct.pack("<LL", check, total)):
        raise Unreadable(WHAT, "bytes follow the deflated data set")
