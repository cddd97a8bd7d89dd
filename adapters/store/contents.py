"""The bytes of documents and images: named by hash, encrypted under a key of their patient.

What is small stands in the database, where it becomes durable with the entry that names it and by the same commit: a
report is a few kilobytes, and a file for each would cost three waits for the disk. What is larger is a file. It appears
under its name only when its bytes are on the disk: written beside, fsync, rename, fsync of the folder. What a killed
process leaves lies in `incoming` and is removed at the next start.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cryptography.exceptions import InvalidTag

from adapters.store.journal import Journal
from adapters.store.keys import PatientKey, PatientKeys
from adapters.store.sealed_file import (
    CHUNK,
    HEADER,
    ContentDamaged,
    Header,
    chunk_count,
    chunk_span,
    cut,
    new_prefix,
    read_header,
    seal_chunks,
)
from registry.errors import NotFound, StorageUnavailable
from registry.ports import StoredContent

if TYPE_CHECKING:  # a unit of work holds the table of small contents
    from adapters.store.unit import UnitOfWork

_HASH = re.compile(r"[0-9a-f]{64}")
_SYNCING_THREADS = 8
_KEY_ID, _NONCE = 8, 12


SMALL = 64 << 10
"""Bytes up to which content stands in the database."""

ReadAt = Callable[[int, int], bytes]
"""Bytes of sealed content: from an offset, so many or fewer."""


@dataclass(frozen=True, slots=True)
class SmallContent:
    """Content in memory, measured and not stored yet."""

    stored: StoredContent
    body: bytes = field(repr=False)


def small(chunks: Iterable[bytes]) -> SmallContent | None:
    """The content, where it is small enough for the database; else None, and most of it was not read."""
    body = bytearray()
    for piece in chunks:
        body += piece
        if len(body) > SMALL:
            return None
    sha1 = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    return SmallContent(StoredContent(hashlib.sha256(body).hexdigest(), sha1, len(body)), bytes(body))


class FolderContentStore:
    """Implements `registry.ports.ContentStore` in one folder and, for what is small, in the database.

    The owner of content is its patient's source record.

    Several processes may share the folder. A batch belongs to the thread that opened it.
    """

    def __init__(self, folder: Path, keys: PatientKeys) -> None:
        self._folder, self._keys = folder, keys
        self._mine = threading.local()
        with _trouble():
            self._incoming, held = _private_corner(folder / "incoming")
        self._let_go = weakref.finalize(self, os.close, held)

    def put(self, owner: str, chunks: Iterable[bytes], *, sha1: bool = True) -> StoredContent:
        """Write content; durable when it returns, or once the batch ends in which it was put."""
        batch = self._running()
        of_batch = batch.key if batch is not None else None
        key = of_batch if of_batch is not None and of_batch.owner == owner else self._keys.for_writing(owner)
        path = self._incoming / secrets.token_hex(16)
        try:
            stored = _write(path, key, chunks, with_sha1=sha1)
            place = self._place(owner, stored.content_hash)
            if self._sound(key, place, stored.content_hash):
                path.unlink()
            elif batch is not None:
                batch.add(path, place)
            else:
                with _trouble():
                    _sync_file(path)
                    self._name({path: place})
        except BaseException:
            with suppress(OSError):  # where the folder is away, what kept it from being written is what is told
                path.unlink(missing_ok=True)
            raise
        return stored

    def keep(self, unit: UnitOfWork, owner: str, contents: Sequence[SmallContent]) -> None:
        """Store small contents with the unit: durable once that is, and absent if it is not."""
        if contents:
            key = self._keys.within(unit, owner)
            unit.small_contents.put(owner, {each.stored.content_hash: _sealed(key, each) for each in contents})

    @contextmanager
    def batch(self, *, of: str = "") -> Iterator[None]:
        """What is put inside becomes durable together at the end, and is not there at all after an exception.

        A batch inside another of the same thread is part of it, and durable when that one ends.

        of  whose contents they are: the key is looked up once for all. Whoever names them in the index asks `holds`
            in the same unit, as the key may have been destroyed meanwhile
        """
        if self._running() is not None:
            yield
            return
        self._mine.batch = batch = _Batch(self._keys.for_writing(of) if of else None)
        try:
            yield
            self.sync()
        finally:
            self._mine.batch = None
            batch.give_up()

    def journal(self) -> Journal:
        """A journal of this process for what arrives faster than it is indexed."""
        return Journal(self._folder / "arrived", self._keys)

    def seal(self, owner: str, value: bytes) -> bytes:
        """Small bytes that live in a row, packed and under the key of their owner: erased with it."""
        key, nonce = self._keys.for_writing(owner), os.urandom(_NONCE)
        return key.id + nonce + key.cipher.encrypt(nonce, zlib.compress(value, 1), owner.encode())

    def unseal(self, owner: str, sealed: bytes) -> bytes:
        """Raises Gone when the key was destroyed, ContentDamaged for other bytes than were sealed."""
        key = self._keys.for_reading(owner, sealed[:_KEY_ID])
        nonce, rest = sealed[_KEY_ID : _KEY_ID + _NONCE], sealed[_KEY_ID + _NONCE :]
        try:
            return zlib.decompress(key.cipher.decrypt(nonce, rest, owner.encode()))
        except InvalidTag:
            raise ContentDamaged(owner) from None

    def sync(self) -> None:
        """Make durable what this thread's batch holds so far; without a batch everything is already."""
        if (batch := self._running()) is not None:
            with _trouble():
                self._name(batch.synced())
            batch.named()

    def open(self, owner: str, content_hash: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` on, verified piece by piece. Raises NotFound, Gone or ContentDamaged, at once where
        the header tells, else in place of the first wrong piece."""
        reading = self._reading(owner, content_hash, start, length)
        next(reading)  # opens and checks now, not when the answer is on its way
        return reading

    def exists(self, owner: str, content_hash: str) -> bool:
        if _HASH.fullmatch(content_hash) is None:
            return False
        return self._place(owner, content_hash).is_file() or self._small(owner, content_hash) is not None

    def holds(self, unit: UnitOfWork, owner: str, hashes: Iterable[str]) -> bool:
        """Whether all are here, under the key that the unit sees, or will be when this thread's batch ends."""
        key = self._keys.standing(unit, owner)
        return key is not None and all(self._holds(unit, key, each) for each in hashes)

    def _holds(self, unit: UnitOfWork, key: PatientKey, content_hash: str) -> bool:
        batch, place = self._running(), self._place(key.owner, content_hash)
        pending = batch.path_of(place) if batch is not None else None
        if pending is not None and self._sound(key, pending, content_hash):
            return True
        if self._sound(key, place, content_hash):
            return True
        return unit.small_contents.sealed(key.owner, content_hash) is not None

    def remove(self, unit: UnitOfWork, owner: str, content_hash: str) -> None:
        """One content of an owner; a small one with the unit, a file at once. That nothing names it is the caller's."""
        unit.small_contents.remove(owner, content_hash)
        if _HASH.fullmatch(content_hash):
            with _trouble():
                self._place(owner, content_hash).unlink(missing_ok=True)

    def erase(self, owner: str) -> None:
        """Everything of an owner, at once."""
        with self._keys.storage.begin() as unit:
            self.destroy(unit, owner)
        self.sweep(owner)

    def destroy(self, unit: UnitOfWork, owner: str) -> None:
        """With the unit the owner's key, which makes every copy unreadable, also in backups. Afterwards `sweep`."""
        unit.wrapped_keys.destroy(owner)
        unit.small_contents.erase(owner)

    def sweep(self, owner: str) -> None:
        """Remove what a destroyed key had sealed. What was put under a new key since then stays."""
        self._keys.let_go(owner)
        home = self._home(owner)
        with _trouble(), suppress(FileNotFoundError), _turn(self._folder / "incoming"):
            for place in list(home.iterdir()):
                key = self._keys.now(owner)
                if key is None or not self._sound(key, place, place.name):
                    place.unlink()
            with suppress(OSError):  # somebody has put something
                home.rmdir()

    def _home(self, owner: str) -> Path:
        # names on disk are our own hash, never input
        name = hashlib.sha256(owner.encode()).hexdigest()
        return self._folder / name[:2] / name[2:34]

    def _place(self, owner: str, content_hash: str) -> Path:
        return self._home(owner) / content_hash

    def _running(self) -> _Batch | None:
        batch: _Batch | None = getattr(self._mine, "batch", None)
        return batch

    def _name(self, pending: dict[Path, Path]) -> None:
        """Give files that are on the disk their names, then make the names durable."""
        homes = {place.parent for place in pending.values()}
        with _turn(self._folder / "incoming"):
            for home in homes:
                _make_folder(home, below=self._folder)
            for path, place in pending.items():
                path.replace(place)
        for home in homes:
            _sync_folder(home)

    def _sound(self, key: PatientKey, place: Path, content_hash: str) -> bool:
        """Whether the same content is here already, complete and under this key."""
        try:
            with place.open("rb") as file:
                _header(*_file(file), key, content_hash)
        except (FileNotFoundError, ContentDamaged):
            return False
        except OSError as error:
            raise _unavailable(error) from error
        return True

    def _reading(self, owner: str, content_hash: str, start: int, length: int | None) -> Iterator[bytes]:
        if _HASH.fullmatch(content_hash) is None:
            raise NotFound("content")
        with self._opened(owner, content_hash) as (read_at, size):
            found = read_header(read_at(0, HEADER))
            if found is None:
                raise ContentDamaged(content_hash)
            key = self._keys.for_reading(owner, found[0].key_id)
            header = _header(read_at, size, key, content_hash)
            yield b""
            yield from _range(read_at, key, header, start=start, length=length)

    @contextmanager
    def _opened(self, owner: str, content_hash: str) -> Iterator[tuple[ReadAt, int]]:
        """The sealed content and its size, from the folder or the database. Raises NotFound."""
        try:
            file = self._place(owner, content_hash).open("rb", buffering=0)
        except FileNotFoundError:
            sealed = self._small(owner, content_hash)
            if sealed is None:
                raise NotFound("content") from None
            yield (lambda offset, size: sealed[offset : offset + size]), len(sealed)
            return
        except OSError as error:
            raise _unavailable(error) from error
        with file:
            yield _file(file)

    def _small(self, owner: str, content_hash: str) -> bytes | None:
        with self._keys.storage.read() as unit:
            return unit.small_contents.sealed(owner, content_hash)


class _Batch:
    """Files on their way to the disk while the next are being written.

    They are synced side by side, so that the file system can gather them into few commits of its journal.

    key  what seals the contents of the batch's owner, where it has one
    """

    def __init__(self, key: PatientKey | None = None) -> None:
        self.key = key
        self._pending: dict[Path, Path] = {}
        self._paths: dict[str, Path] = {}
        self._syncing: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(_SYNCING_THREADS)

    def add(self, path: Path, place: Path) -> None:
        self._pending[path] = place
        self._paths[str(place)] = path
        self._syncing.append(self._pool.submit(_sync_file, path))

    def synced(self) -> dict[Path, Path]:
        """Waits for all; raises OSError where one could not be made durable."""
        for one in self._syncing:
            one.result()
        self._syncing.clear()
        return self._pending

    def path_of(self, place: Path) -> Path | None:
        """The file that waits to be named so."""
        return self._paths.get(str(place))

    def named(self) -> None:
        """All that waited have their names."""
        self._pending.clear()
        self._paths.clear()

    def give_up(self) -> None:
        """Ends the threads and removes what got no name."""
        self._pool.shutdown(cancel_futures=True)
        for path in self._pending:
            path.unlink(missing_ok=True)


def _sealed(key: PatientKey, content: SmallContent) -> bytes:
    header = Header(key.id, new_prefix(), content.stored.content_hash, content.stored.size)
    return header.sealed(key) + b"".join(seal_chunks(key, header.prefix, ((content.body, True),)))


def _write(path: Path, key: PatientKey, chunks: Iterable[bytes], *, with_sha1: bool) -> StoredContent:
    """An encrypted file whose header is written last. The passes over each chunk run while it is in the cache."""
    sha256, size, prefix = hashlib.sha256(), 0, new_prefix()
    sha1 = hashlib.sha1(usedforsecurity=False) if with_sha1 else None
    with _trouble():
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0)

    def measured() -> Iterator[bytes]:
        nonlocal size
        for piece in chunks:
            sha256.update(piece)
            if sha1 is not None:
                sha1.update(piece)
            size += len(piece)
            yield piece

    with file:
        with _trouble():
            _write_all(file, bytes(HEADER))
        for sealed in seal_chunks(key, prefix, cut(measured())):
            with _trouble():
                _write_all(file, sealed)
        header = Header(key.id, prefix, sha256.hexdigest(), size)
        with _trouble():
            file.seek(0)
            _write_all(file, header.sealed(key))
    return StoredContent(sha256.hexdigest(), "" if sha1 is None else sha1.hexdigest(), size)


def _write_all(file: BinaryIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _header(read_at: ReadAt, size: int, key: PatientKey, content_hash: str) -> Header:
    """The header, verified: of this key, of this content, and the whole as long as it says."""
    found = read_header(read_at(0, HEADER))
    if found is not None:
        header, tag = found
        if (
            header.key_id == key.id
            and header.content_hash == content_hash
            and header.file_size == size
            and header.verify(key, tag)
        ):
            return header
    raise ContentDamaged(content_hash)


def _range(read_at: ReadAt, key: PatientKey, header: Header, *, start: int, length: int | None) -> Iterator[bytes]:
    end = header.size if length is None else min(header.size, start + length)
    # an empty range still proves the file: its one chunk is read, so damage is never served as silence
    for number in range(start // CHUNK, min(chunk_count(header.size), max(1, -(-end // CHUNK)))):
        offset, size = chunk_span(number)
        block = header.open_chunk(key, number, read_at(offset, size))
        first = max(0, start - number * CHUNK)
        last = min(len(block), end - number * CHUNK)
        if first < last:
            yield block if (first, last) == (0, len(block)) else block[first:last]


def _file(file: BinaryIO) -> tuple[ReadAt, int]:
    """A file as sealed content, and its size."""

    def read_at(offset: int, size: int) -> bytes:
        with _trouble():
            return os.pread(file.fileno(), size, offset)

    return read_at, os.fstat(file.fileno()).st_size


@contextmanager
def _trouble() -> Iterator[None]:
    """What the file system cannot do now."""
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> StorageUnavailable:
    return StorageUnavailable("content store", errno.errorcode.get(error.errno or 0, "input/output error"))


def _sync_file(path: Path) -> None:
    _sync(path, os.O_RDONLY | os.O_CLOEXEC)


def _sync_folder(path: Path) -> None:
    _sync(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(path: Path, *, below: Path) -> None:
    """The folder, and the entries that lead to it, durable."""
    if path.is_dir():
        return
    if path.parent != below:
        _make_folder(path.parent, below=below)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(path.parent)


def _private_corner(incoming: Path) -> tuple[Path, int]:
    """A folder of this process for files on their way, held by a lock; corners that nobody holds are swept out."""
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _turn(incoming):
        for corner in incoming.iterdir():
            if corner.is_dir() and _abandoned(corner):
                shutil.rmtree(corner)
        mine = incoming / secrets.token_hex(8)
        mine.mkdir(mode=0o700)
        held = os.open(mine / ".held", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
    return mine, held


@contextmanager
def _turn(incoming: Path) -> Iterator[None]:
    """One thread of one process at a time, so that nobody relies on a folder whose entry is not on the disk yet."""
    with (incoming / ".turn").open("wb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _abandoned(corner: Path) -> bool:
    try:
        with (corner / ".held").open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True
