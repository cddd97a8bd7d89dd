"""The form of an encrypted content file: chunks that cannot be changed, reordered, cut off or exchanged unnoticed.

    header   4 magic | 8 key id | 7 nonce prefix | 32 SHA-256 of the content | 8 size | 16 tag over all of it
    chunks   256 KiB each, the last one shorter or empty, each with its 16-byte tag

AES-256-GCM with the nonce `prefix | chunk number (4) | last (1)`: the STREAM construction (Hoang, Reyhanitabar,
Rogaway, Vizár 2015). The header's own nonce has the last byte 2. Everything is bound to the owner as well.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from adapters.store.keys import PatientKey
from registry.errors import StorageUnavailable

CHUNK = 256 * 1024
_TAG = 16
_MAGIC = b"HIE1"
_FIELDS = struct.Struct(">4s8s7s32sQ")
HEADER = _FIELDS.size + _TAG
_LAST, _NOT_LAST, _HEADER_NONCE = b"\x01", b"\x00", b"\x02"


class ContentDamaged(StorageUnavailable):
    """The bytes on disk are not those that were stored; none of the wrong ones is served."""

    def __init__(self, content_hash: str) -> None:
        self.content_hash = content_hash
        super().__init__(f"content {content_hash[:12]}…", "its bytes on disk are not those that were stored")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; to be believed only once `verify` has passed."""

    key_id: bytes
    prefix: bytes
    content_hash: str
    size: int

    @property
    def file_size(self) -> int:
        return HEADER + self.size + _TAG * chunk_count(self.size)

    def sealed(self, key: PatientKey) -> bytes:
        fields = self._fields()
        return fields + key.cipher.encrypt(self._nonce(0, _HEADER_NONCE), b"", fields + key.owner.encode())

    def verify(self, key: PatientKey, tag: bytes) -> bool:
        try:
            key.cipher.decrypt(self._nonce(0, _HEADER_NONCE), tag, self._fields() + key.owner.encode())
        except InvalidTag:
            return False
        return True

    def open_chunk(self, key: PatientKey, number: int, sealed: bytes) -> bytes:
        """Raises ContentDamaged where the chunk is not the one that was stored at this place."""
        last = _LAST if number == chunk_count(self.size) - 1 else _NOT_LAST
        try:
            return key.cipher.decrypt(self._nonce(number, last), sealed, key.owner.encode())
        except InvalidTag:
            raise ContentDamaged(self.content_hash) from None

    def _fields(self) -> bytes:
        return _FIELDS.pack(_MAGIC, self.key_id, self.prefix, bytes.fromhex(self.content_hash), self.size)

    def _nonce(self, number: int, last: bytes) -> bytes:
        return _nonce(self.prefix, number, last)


def read_header(raw: bytes) -> tuple[Header, bytes] | None:
    """Header and its tag, or None where these bytes are no header."""
    if len(raw) != HEADER or not raw.startswith(_MAGIC):
        return None
    _, key_id, prefix, digest, size = _FIELDS.unpack_from(raw)
    return Header(key_id, prefix, digest.hex(), size), raw[_FIELDS.size :]


def chunk_count(size: int) -> int:
    """At least one: empty content has one empty chunk, so that cutting everything off is noticed."""
    return max(1, -(-size // CHUNK))


def chunk_span(number: int) -> tuple[int, int]:
    """Where a chunk lies in the file: offset, and the most bytes it can have."""
    return HEADER + number * (CHUNK + _TAG), CHUNK + _TAG


def seal_chunks(key: PatientKey, prefix: bytes, blocks: Iterable[tuple[bytes | memoryview, bool]]) -> Iterator[bytes]:
    """Encrypt blocks as `cut` gives them, with whether each is the last."""
    owner = key.owner.encode()
    for number, (block, last) in enumerate(blocks):
        yield key.cipher.encrypt(_nonce(prefix, number, _LAST if last else _NOT_LAST), block, owner)


def cut(pieces: Iterable[bytes]) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Pieces of any size as blocks of CHUNK bytes, held back by one, since only then the last is known."""
    held: bytes | memoryview | None = None
    rest = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        if rest:
            missing = CHUNK - len(rest)
            rest += view[:missing]
            view = view[missing:]
            if len(rest) < CHUNK:
                continue
            if held is not None:
                yield held, False
            held, rest = bytes(rest), bytearray()
        whole = len(view) - len(view) % CHUNK
        for start in range(0, whole, CHUNK):
            if held is not None:
                yield held, False
            held = view[start : start + CHUNK]
        rest += view[whole:]
    if held is not None and not rest:
        yield held, True
        return
    if held is not None:
        yield held, False
    yield bytes(rest), True


def new_prefix() -> bytes:
    return os.urandom(7)


def _nonce(prefix: bytes, number: int, last: bytes) -> bytes:
    return prefix + number.to_bytes(4, "big") + last
