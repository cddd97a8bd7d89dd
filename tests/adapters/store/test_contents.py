"""The bytes of documents: durable, encrypted, and never wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.store.contents import FolderContentStore, small
from adapters.store.keys import PatientKeys
from adapters.store.sealed_file import CHUNK, HEADER, ContentDamaged
from adapters.store.unit import Storage
from registry.errors import Gone, NotFound, StorageUnavailable
from registry.ports import ContentStore
from tests.adapters.store.conftest import KEY

LAN, DUC = "record-of-lan", "record-of-duc"
REPORT = random.Random(7).randbytes(2 * CHUNK + 1000)


def sealed_files(contents_folder: Path) -> list[Path]:
    return [path for path in contents_folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def read(contents: FolderContentStore, content_hash: str, owner: str = LAN, **part: int) -> bytes:
    return b"".join(contents.open(owner, content_hash, **part))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
@pytest.mark.parametrize("piece", [1000, CHUNK, CHUNK + 5, 10 * CHUNK])
def test_content_of_any_size_reads_back(contents: ContentStore, size: int, piece: int) -> None:
    content = (REPORT * 2)[:size]
    stored = contents.put(LAN, pieces(content, piece))
    assert stored.content_hash == hashlib.sha256(content).hexdigest()
    assert stored.sha1 == hashlib.sha1(content).hexdigest()
    assert stored.size == size
    assert b"".join(contents.open(LAN, stored.content_hash)) == content


def test_small_contents_of_one_message_are_there_with_their_unit_or_not_at_all(
    storage: Storage, tmp_path: Path
) -> None:
    contents = FolderContentStore(tmp_path / "contents", PatientKeys(storage, KEY))
    reports = [small([text]) for text in (b"first", b"second", b"first", b"")]
    kept = [one for one in reports if one is not None]
    with pytest.raises(ZeroDivisionError), storage.begin() as unit:
        contents.keep(unit, LAN, kept)
        raise ZeroDivisionError
    assert not any(contents.exists(LAN, one.stored.content_hash) for one in kept)
    for _ in range(2):  # the same message again puts the same in its place
        with storage.begin() as unit:
            contents.keep(unit, LAN, kept)
            contents.keep(unit, DUC, kept[:1])
            contents.keep(unit, DUC, [])
    assert [read(contents, one.stored.content_hash) for one in kept] == [b"first", b"second", b"first", b""]
    assert read(contents, kept[0].stored.content_hash, DUC) == b"first"
    assert not contents.exists(DUC, kept[1].stored.content_hash)


@pytest.mark.parametrize("start", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK, len(REPORT) - 1, len(REPORT), len(REPORT) + 9])
@pytest.mark.parametrize("length", [0, 1, CHUNK, CHUNK + 1, None])
def test_any_range_is_served(contents: FolderContentStore, start: int, length: int | None) -> None:
    stored = contents.put(LAN, [REPORT])
    part = b"".join(contents.open(LAN, stored.content_hash, start=start, length=length))
    assert part == REPORT[start : None if length is None else start + length]


def test_nothing_readable_lies_on_the_disk(contents: FolderContentStore, tmp_path: Path) -> None:
    stored = contents.put(LAN, [b"Nguyen Thi Lan, HIV" * 1000])
    (file,) = sealed_files(tmp_path / "contents")
    assert file.name == stored.content_hash
    assert b"Nguyen Thi Lan" not in file.read_bytes() and LAN not in str(file)
    assert file.stat().st_mode & 0o077 == 0


def test_identical_content_is_written_once_for_a_patient_and_apart_for_another(
    contents: FolderContentStore, tmp_path: Path
) -> None:
    stored = contents.put(LAN, [REPORT])
    (file,) = sealed_files(tmp_path / "contents")
    before = file.stat().st_ino
    assert contents.put(LAN, [REPORT]) == stored
    assert [path.stat().st_ino for path in sealed_files(tmp_path / "contents")] == [before]
    contents.put(DUC, [REPORT])
    assert len(sealed_files(tmp_path / "contents")) == 2
    with pytest.raises(NotFound):
        contents.open("somebody else", stored.content_hash)


def test_a_hash_from_outside_leads_nowhere(contents: FolderContentStore) -> None:
    contents.put(LAN, [REPORT])
    for name in ("../../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64):
        assert not contents.exists(LAN, name)
        with pytest.raises(NotFound):
            contents.open(LAN, name)


def test_every_flipped_bit_is_noticed(contents: FolderContentStore, tmp_path: Path) -> None:
    stored = contents.put(LAN, [REPORT])
    (file,) = sealed_files(tmp_path / "contents")
    good = file.read_bytes()
    dice = random.Random(3)
    for place in [*range(HEADER), *(dice.randrange(len(good)) for _ in range(60)), len(good) - 1]:
        file.write_bytes(good[:place] + bytes([good[place] ^ (1 << dice.randrange(8))]) + good[place + 1 :])
        served = bytearray()
        with pytest.raises((ContentDamaged, Gone)):
            for piece in contents.open(LAN, stored.content_hash):
                served += piece
        assert REPORT.startswith(served)


@pytest.mark.parametrize("left", [0, 10, HEADER, HEADER + 5, HEADER + CHUNK + 16, -16, -1])
def test_cut_off_content_is_noticed_before_any_of_it_is_served(
    contents: FolderContentStore, tmp_path: Path, left: int
) -> None:
    stored = contents.put(LAN, [REPORT])
    (file,) = sealed_files(tmp_path / "contents")
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ContentDamaged):
        contents.open(LAN, stored.content_hash)


def test_exchanged_chunks_and_exchanged_files_are_noticed(contents: FolderContentStore, tmp_path: Path) -> None:
    stored, other = contents.put(LAN, [REPORT]), contents.put(LAN, [REPORT[::-1]])
    files = {file.name: file for file in sealed_files(tmp_path / "contents")}
    file, good = files[stored.content_hash], files[stored.content_hash].read_bytes()
    size = CHUNK + 16
    first, second = good[HEADER : HEADER + size], good[HEADER + size : HEADER + 2 * size]
    file.write_bytes(good[:HEADER] + second + first + good[HEADER + 2 * size :])
    with pytest.raises(ContentDamaged):
        read(contents, stored.content_hash)
    file.write_bytes(files[other.content_hash].read_bytes())
    with pytest.raises(ContentDamaged):
        read(contents, stored.content_hash)


def test_storing_again_heals_damaged_content(contents: FolderContentStore, tmp_path: Path) -> None:
    stored = contents.put(LAN, [REPORT])
    (file,) = sealed_files(tmp_path / "contents")
    file.write_bytes(file.read_bytes()[:-1])
    contents.put(LAN, [REPORT])
    assert read(contents, stored.content_hash) == REPORT


def test_a_batch_is_there_as_a_whole_or_not_at_all(contents: FolderContentStore, tmp_path: Path) -> None:
    slices = [REPORT + bytes([number]) for number in range(20)]
    with pytest.raises(ZeroDivisionError), contents.batch():
        contents.put(LAN, [slices[0]])
        raise ZeroDivisionError
    assert sealed_files(tmp_path / "contents") == []
    with contents.batch():
        stored = [contents.put(LAN, [one]) for one in slices]
        assert not contents.exists(LAN, stored[0].content_hash)
        contents.sync()
        assert contents.exists(LAN, stored[0].content_hash)
        stored.append(contents.put(DUC, [REPORT]))
    assert [read(contents, one.content_hash) for one in stored[:-1]] == slices
    assert read(contents, stored[-1].content_hash, DUC) == REPORT


def test_an_erased_patient_cannot_be_read_even_from_a_copy(contents: FolderContentStore, tmp_path: Path) -> None:
    stored = contents.put(LAN, [REPORT])
    contents.put(DUC, [REPORT])
    (file,) = [path for path in sealed_files(tmp_path / "contents") if path.parent == contents._home(LAN)]
    backup = file.read_bytes()
    contents.erase(LAN)
    contents.erase("never seen")
    assert not contents.exists(LAN, stored.content_hash)
    file.parent.mkdir()
    file.write_bytes(backup)
    with pytest.raises(Gone):
        contents.open(LAN, stored.content_hash)
    contents.put(LAN, [REPORT])
    assert read(contents, stored.content_hash) == read(contents, stored.content_hash, DUC) == REPORT


def test_the_wrong_key_of_the_node_opens_nothing(
    contents: FolderContentStore, tmp_path: Path, sqlite_storage: Storage
) -> None:
    stored = contents.put(LAN, [REPORT])
    stranger = FolderContentStore(tmp_path / "contents", PatientKeys(sqlite_storage, bytes(32)))
    with pytest.raises(StorageUnavailable):
        stranger.open(LAN, stored.content_hash)


def test_a_broken_upload_leaves_nothing(contents: FolderContentStore, tmp_path: Path) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield REPORT
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        contents.put(LAN, breaks_off())
    assert sealed_files(tmp_path / "contents") == []


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """Files may not grow further: the kernel refuses the write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_and_reading_goes_on(contents: FolderContentStore, tmp_path: Path) -> None:
    stored = contents.put(LAN, [REPORT])
    for room in (0, 10, HEADER, CHUNK, len(REPORT)):
        with no_room_beyond(room), pytest.raises(StorageUnavailable):
            contents.put(LAN, [REPORT + b"more"])
        assert len(sealed_files(tmp_path / "contents")) == 1
    assert read(contents, stored.content_hash) == REPORT
    contents.put(LAN, [REPORT + b"more"])


def test_trouble_of_the_disk_is_named_without_a_path(contents: FolderContentStore) -> None:
    contents.put(LAN, [REPORT])
    with no_room_beyond(10), pytest.raises(StorageUnavailable, match=errno.errorcode[errno.EFBIG]) as refused:
        contents.put(LAN, [REPORT])
    assert "/" not in str(refused.value) and LAN not in str(refused.value)


KILLED = """
import os, sys
from pathlib import Path
from adapters.store.contents import FolderContentStore
from adapters.store.engine import make_engine
from adapters.store.keys import PatientKeys
from adapters.store.unit import Storage
contents = FolderContentStore(Path(sys.argv[2]), PatientKeys(Storage(make_engine(sys.argv[1])), bytes(range(32))))
def endless():
    yield bytes(600_000)
    os.kill(os.getpid(), 9)
contents.put("record-of-lan", endless())
"""


def test_what_a_killed_process_left_is_swept_at_the_next_start(
    contents: FolderContentStore, tmp_path: Path, sqlite_storage: Storage
) -> None:
    folder = tmp_path / "contents"
    database = f"sqlite:///{tmp_path / 'keys.db'}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, database, folder], env=environment, timeout=30, check=False)
    assert done.returncode == -9
    assert len(sealed_files(folder)) == 1
    with contents.batch():
        contents.put(LAN, [REPORT])
        FolderContentStore(folder, PatientKeys(sqlite_storage, KEY))
        assert len(sealed_files(folder)) == 1
    assert len(sealed_files(folder)) == 1
