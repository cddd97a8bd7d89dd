"""What arrived and is not indexed yet: durable, sealed, and given back after a crash."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from adapters.store.contents import FolderContentStore
from adapters.store.journal import Entry, Journal
from adapters.store.keys import PatientKeys
from adapters.store.unit import Storage
from registry.errors import StorageUnavailable
from tests.adapters.store.conftest import KEY
from tests.processes import exit_code

LAN, DUC = "record-of-lan", "record-of-duc"


@pytest.fixture
def keys(sqlite_storage: Storage) -> PatientKeys:
    return PatientKeys(sqlite_storage, KEY)


@pytest.fixture
def arrived(tmp_path: Path) -> Path:
    return tmp_path / "arrived"


def entry(number: int, owner: str = LAN) -> Entry:
    return Entry(owner, "CT1", f"object {number} ".encode() * 500)


def crashed(folder: Path, keys: PatientKeys, *entries: Entry) -> Path:
    """The segment of a process that is no more."""
    journal = Journal(folder, keys)
    for one in entries:
        journal.add(one)
    (path,) = folder.iterdir()
    journal.close()
    return path


def given_back(folder: Path, keys: PatientKeys) -> list[Entry]:
    return [one for segment in Journal(folder, keys).left_behind() for one in segment.entries()]


def test_what_was_added_is_given_back_after_a_crash(arrived: Path, keys: PatientKeys) -> None:
    added = [entry(1), entry(2, DUC), entry(3)]
    path = crashed(arrived, keys, *added)
    assert given_back(arrived, keys) == added
    assert path.stat().st_mode & 0o777 == 0o600
    for segment in Journal(arrived, keys).left_behind():
        segment.remove()
    assert list(arrived.iterdir()) == []


def test_nothing_of_an_object_can_be_read_in_the_file(arrived: Path, keys: PatientKeys) -> None:
    assert b"object" not in crashed(arrived, keys, entry(1)).read_bytes()


@pytest.mark.parametrize("left", [1, 11, 12, 60, 3000])
def test_a_torn_end_hides_nothing_that_is_before_it(arrived: Path, keys: PatientKeys, left: int) -> None:
    path = crashed(arrived, keys, entry(1), entry(2))
    half = path.stat().st_size // 2
    os.truncate(path, half + left)
    assert given_back(arrived, keys) == [entry(1)]


def test_blocks_that_never_reached_the_disk_are_taken_for_nothing(arrived: Path, keys: PatientKeys) -> None:
    path = crashed(arrived, keys, entry(1), entry(2))
    content = bytearray(path.read_bytes())
    content[-100:] = bytes(100)
    path.write_bytes(content + bytes(4096))
    assert given_back(arrived, keys) == [entry(1)]


def test_an_erased_patient_is_not_given_back(arrived: Path, keys: PatientKeys) -> None:
    crashed(arrived, keys, entry(1), entry(2, DUC), entry(3))
    with keys.storage.begin() as unit:
        unit.wrapped_keys.destroy(LAN)
    keys.let_go(LAN)
    assert given_back(arrived, keys) == [entry(2, DUC)]


def test_the_segment_of_a_living_process_is_left_alone(arrived: Path, keys: PatientKeys) -> None:
    journal = Journal(arrived, keys)
    journal.add(entry(1))
    assert given_back(arrived, keys) == []
    journal.close()
    assert given_back(arrived, keys) == [entry(1)]


def test_what_is_cleared_does_not_come_back(arrived: Path, keys: PatientKeys) -> None:
    journal = Journal(arrived, keys)
    journal.add(entry(1))
    journal.clear()
    journal.add(entry(2))
    journal.close()
    assert given_back(arrived, keys) == [entry(2)]


def test_threads_that_add_at_once_lose_nothing(arrived: Path, keys: PatientKeys) -> None:
    journal = Journal(arrived, keys)
    threads = [
        threading.Thread(target=lambda k=k: [journal.add(entry(k * 100 + n)) for n in range(20)])  # type: ignore[misc]
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    found = sorted(one.content for one in given_back(arrived, keys))
    assert found == sorted(entry(k * 100 + n).content for k in range(4) for n in range(20))


def test_a_full_disk_is_said_and_what_was_there_stays(arrived: Path, keys: PatientKeys) -> None:
    journal = Journal(arrived, keys)
    journal.add(entry(1))
    pid = os.fork()
    if pid == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size + 100, journal.size + 100))
        try:
            journal.add(entry(2))
        except StorageUnavailable:
            os._exit(0)
        finally:
            os._exit(1)
    assert exit_code(pid) == 0
    journal.close()
    assert given_back(arrived, keys) == [entry(1)]


def test_after_a_wait_for_the_disk_has_failed_nothing_more_is_taken(
    arrived: Path, keys: PatientKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells a failure once; a later wait would succeed, and leave a gap before what it is for."""
    journal = Journal(arrived, keys)
    journal.add(entry(1))

    def fails(_file: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        with pytest.raises(StorageUnavailable):
            journal.add(entry(2))
    with pytest.raises(StorageUnavailable):
        journal.add(entry(3))
    journal.clear()
    journal.add(entry(4))
    journal.close()
    assert given_back(arrived, keys) == [entry(4)]


def test_the_content_store_keeps_it_beside_its_files(contents: FolderContentStore, tmp_path: Path) -> None:
    journal = contents.journal()
    journal.add(entry(1))
    assert len(list((tmp_path / "contents" / "arrived").iterdir())) == 1
    journal.clear()
    journal.close()
    assert list((tmp_path / "contents" / "arrived").iterdir()) == []
