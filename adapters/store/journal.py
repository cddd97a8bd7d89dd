"""Objects that are safe and not indexed yet: one file that only grows, so that one wait for the disk is enough.

A file of its own for each object costs two waits, and its row in the index a third. What is added here is durable when
`add` returns; threads that add at once wait together. After a crash `left_behind` gives it back.

    segment  entries, one behind the other; the last may be torn, and was acknowledged to nobody then
    entry    "HIEJ" | size of the rest (4) | size of the head (4) | head, JSON | id of the key (8) | nonce (12) | sealed

Each entry is sealed under the key of its patient (AES-256-GCM, the head is bound to it), so that erasing the key erases
what lies here as well.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from cryptography.exceptions import InvalidTag

from adapters.store.keys import PatientKey, PatientKeys
from registry.errors import Gone, StorageUnavailable

if TYPE_CHECKING:  # a unit of work holds the table of keys
    from adapters.store.unit import UnitOfWork

_MAGIC = b"HIEJ"
_FRAME = struct.Struct(">4sII")
_KEY_ID, _NONCE = 8, 12
_LARGEST = 64 << 20
_WHAT = "journal of arrived objects"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in the journal.

    owner    the source record whose key seals it
    sender   the AE title that it came from
    """

    owner: str
    sender: str
    content: bytes


class Journal:
    """The segment of one process. Threads may share it."""

    def __init__(self, folder: Path, keys: PatientKeys) -> None:
        self._folder, self._keys = folder, keys
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._file = -1
        self._path = folder / secrets.token_hex(8)
        self._written, self._durable, self._failed = 0, 0, False

    @property
    def size(self) -> int:
        return self._written

    def key(self, unit: UnitOfWork, owner: str) -> PatientKey | None:
        """What seals the entries of an owner, as the unit sees it; None where the owner has none yet."""
        return self._keys.standing(unit, owner)

    def add(self, entry: Entry, key: PatientKey | None = None) -> None:
        """Durable when it returns. Raises StorageUnavailable; it may be there all the same then.

        key  of the entry's owner, where the caller has just asked for it
        """
        sealed = _sealed(key or self._keys.for_writing(entry.owner), entry)
        try:
            with self._writing:
                end = self._append(sealed)
            with self._syncing:
                self._sync(end)
        except OSError as error:
            raise StorageUnavailable(_WHAT, error.strerror or "input/output error") from error

    def _sync(self, end: int) -> None:
        """Everything up to `end`, with what others have written meanwhile. Not tried again once it failed: what is
        behind a gap would never be read."""
        if self._durable >= end:
            return
        if self._failed:
            raise StorageUnavailable(_WHAT, "an earlier part of it did not reach the disk")
        reached, self._failed = self._written, True
        os.fdatasync(self._file)
        self._durable, self._failed = reached, False

    def clear(self) -> None:
        """All of it is indexed: nothing lies here any more. The caller adds nothing meanwhile."""
        with self._writing, self._syncing:
            if self._file >= 0 and self._written:
                os.ftruncate(self._file, 0)
                os.fsync(self._file)
                self._written, self._durable, self._failed = 0, 0, False

    def close(self) -> None:
        """Ends it; what is still there is found by `left_behind`."""
        with self._writing, self._syncing:
            if self._file >= 0:
                if not self._written:
                    self._path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = -1

    def left_behind(self) -> Iterator[Segment]:
        """The segments of processes that have ended."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield Segment(path, file.fileno(), self._keys)

    def _append(self, sealed: Sequence[bytes]) -> int:
        """The end of the entry. What could be written by half only is taken back."""
        if self._file < 0:
            self._begin()
        at, views = self._written, [memoryview(piece) for piece in sealed]
        try:
            while views:
                written = os.pwritev(self._file, views, at)
                at, views = at + written, _behind(views, written)
        except OSError:
            os.ftruncate(self._file, self._written)
            raise
        self._written = at
        return at

    def _begin(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        for folder in (self._folder, self._folder.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _sealed(key: PatientKey, entry: Entry) -> list[bytes]:
    """An entry in pieces: an object that is put together anew for each step is copied as often."""
    head = orjson.dumps({"owner": entry.owner, "sender": entry.sender})
    nonce = os.urandom(_NONCE)
    rest = [head, key.id, nonce, key.cipher.encrypt(nonce, entry.content, head)]
    return [_FRAME.pack(_MAGIC, sum(map(len, rest)), len(head)), *rest]


def _behind(views: list[memoryview], count: int) -> list[memoryview]:
    """What is left behind so many bytes."""
    for place, view in enumerate(views):
        if count < len(view):
            return [view[count:], *views[place + 1 :]]
        count -= len(view)
    return []


@dataclass(frozen=True, slots=True)
class Segment:
    """What a process left behind."""

    path: Path
    file: int
    keys: PatientKeys

    def entries(self) -> Iterator[Entry]:
        """Up to the end, or to what is torn."""
        at = 0
        while len(frame := os.pread(self.file, _FRAME.size, at)) == _FRAME.size:
            magic, size, head_size = _FRAME.unpack(frame)
            if magic != _MAGIC or size > _LARGEST:
                return
            rest = os.pread(self.file, size, at + _FRAME.size)
            at += _FRAME.size + size
            try:
                entry = self._opened(rest, head_size)
            except (InvalidTag, ValueError, KeyError, TypeError):
                return
            if entry is not None:
                yield entry

    def remove(self) -> None:
        """All of it is indexed."""
        self.path.unlink(missing_ok=True)

    def _opened(self, rest: bytes, head_size: int) -> Entry | None:
        """None where its patient was erased meanwhile."""
        head, sealed = rest[:head_size], rest[head_size:]
        told = orjson.loads(head)
        owner, sender = str(told["owner"]), str(told["sender"])
        try:
            key = self.keys.for_reading(owner, sealed[:_KEY_ID])
        except Gone:
            return None
        nonce, body = sealed[_KEY_ID : _KEY_ID + _NONCE], sealed[_KEY_ID + _NONCE :]
        return Entry(owner, sender, key.cipher.decrypt(nonce, body, head))
