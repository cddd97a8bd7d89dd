"""Killed, crowded, locked out: what was acknowledged is there, nothing is half there, and trouble has its name."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from registry.errors import InvalidValue, NotFound, StorageUnavailable
from registry.searches import DocumentSearch
from tests.adapters.store.samples import LATER, NOW, disclosure, entry, patient
from tests.databases import PostgresCluster

# publishes one document after the other, with its disclosure, and says so only once each is durable
PUBLISHES = """
import sys
from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from tests.adapters.store.samples import disclosure, entry
storage = Storage(make_engine(sys.argv[1]))
for number in range(int(sys.argv[3])):
    key = f"{sys.argv[2]}{number}"
    with storage.begin() as unit:
        unit.documents.add(entry(key))
        unit.disclosures.add(disclosure(key))
    print(key, flush=True)
"""
SPENDS = """
import sys
from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from consent.errors import TokenReplayed
from tests.adapters.store.samples import LATER
storage = Storage(make_engine(sys.argv[1]))
won = 0
for number in range(40):
    try:
        with storage.begin() as unit:
            unit.tokens.spend("bach-mai", str(number), expires=LATER)
        won += 1
    except TokenReplayed:
        pass
print(won)
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def keep_patient(url: str) -> Storage:
    storage = Storage(make_engine(url), patience=5)
    with storage.begin() as unit:
        unit.patients.save(patient())
    return storage


@pytest.mark.parametrize("acknowledged_before_death", [1, 17])
def test_a_killed_writer_loses_nothing_it_acknowledged(database_url: str, acknowledged_before_death: int) -> None:
    storage = keep_patient(database_url)
    writer = started(PUBLISHES, database_url, "k", "100000")
    assert writer.stdout is not None
    seen = [writer.stdout.readline().strip() for _ in range(acknowledged_before_death)]
    writer.kill()
    seen += writer.stdout.read().split()
    writer.stdout.close()
    writer.wait(30)
    with storage.read() as unit:
        documents = {found.id for found in unit.documents.find(DocumentSearch())}
        recorded = {found.exchange for found in unit.disclosures.search(limit=100_000)}
    assert {entry(key).id for key in seen} <= documents
    assert {entry(key).id for key in recorded} == documents
    with storage.begin() as unit:
        unit.documents.add(entry("after"))
    storage.close()


def test_two_processes_and_many_threads_write_at_once_without_an_error(database_url: str) -> None:
    storage = keep_patient(database_url)
    others = [started(PUBLISHES, database_url, name, "40") for name in ("a", "b")]

    def publish(number: int) -> None:
        with storage.begin() as unit:
            unit.documents.add(entry(f"t{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(40)))
    for other in others:
        acknowledged, _ = other.communicate(timeout=60)
        assert other.returncode == 0
        assert len(acknowledged.split()) == 40
    with storage.read() as unit:
        assert sum(unit.documents.counts(DocumentSearch()).values()) == 120
    storage.close()


def test_a_process_that_ends_does_not_take_the_log_from_under_one_that_serves(
    tmp_path: Path, sqlite_template: Path
) -> None:
    file = tmp_path / "node.db"
    file.write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{file}"
    storage = keep_patient(url)
    with storage.read(), storage.read():
        pass
    publisher = started(PUBLISHES, url, "k", "5")
    assert len(publisher.communicate(timeout=60)[0].split()) == 5
    assert file.with_name("node.db-wal").exists()
    with storage.begin() as unit:
        unit.documents.add(entry("after"))
    storage.close()
    with make_engine(url).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_token_is_spent_in_one_process_only(database_url: str) -> None:
    both = [started(SPENDS, database_url) for _ in range(2)]
    won = [int(process.communicate(timeout=60)[0]) for process in both]
    assert sum(won) == 40


def test_a_reader_sees_one_moment_and_does_not_hold_up_writers(database_url: str) -> None:
    storage = keep_patient(database_url)
    with storage.read() as reading:
        assert list(reading.documents.find(DocumentSearch())) == []
        with storage.begin() as writing:
            writing.documents.add(entry())
        assert list(reading.documents.find(DocumentSearch())) == []
    with storage.read() as reading:
        assert list(reading.documents.find(DocumentSearch())) == [entry()]
    storage.close()


def test_all_threads_read_at_once(sqlite_storage: Storage) -> None:
    for _ in range(2):
        with ExitStack() as held:
            units = [held.enter_context(sqlite_storage.read()) for _ in range(64)]
            assert [list(unit.documents.find(DocumentSearch())) for unit in units] == [[]] * 64


def test_a_failed_unit_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.begin() as unit:
        unit.patients.save(patient())
        raise ZeroDivisionError
    with storage.read() as unit:
        assert unit.patients.record(patient().identifier) is None
        assert unit.patients.systems() == frozenset()


def test_a_unit_in_which_a_statement_failed_is_never_acknowledged(storage: Storage) -> None:
    with pytest.raises(StorageUnavailable), storage.begin() as unit:
        unit.disclosures.add(disclosure("1"))
        with pytest.raises(IntegrityError):
            unit.documents.add(entry())
    with storage.begin() as unit:
        assert unit.disclosures.count() == 0
        unit.patients.save(patient())


def test_a_reading_unit_cannot_write(storage: Storage) -> None:
    with pytest.raises((StorageUnavailable, SQLAlchemyError)), storage.read() as unit:
        unit.tokens.spend("bach-mai", "t", expires=LATER)
    with storage.begin() as unit:
        unit.tokens.spend("bach-mai", "t", expires=LATER)


def test_a_writing_unit_inside_another_is_a_mistake_that_shows_at_once(storage: Storage) -> None:
    with storage.begin(), pytest.raises(RuntimeError), storage.begin():
        pass
    with storage.begin() as unit:
        unit.patients.save(patient())


def test_what_one_unit_reads_to_change_another_waits_for(database_url: str) -> None:
    storage = keep_patient(database_url)
    with storage.begin() as unit:
        unit.documents.add(entry(version=1))

    def revise(_: int) -> None:
        with storage.begin() as unit:
            known = unit.documents.entry(entry().id)
            assert known is not None
            unit.documents.replace(entry(version=known.version + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(revise, range(20)))
    with storage.read() as unit:
        last = unit.documents.entry(entry().id)
        assert last is not None and last.version == 21
    storage.close()


def test_a_writer_that_does_not_finish_is_named_and_not_waited_for(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "node.db").write_bytes(sqlite_template.read_bytes())
    storage = Storage(make_engine(f"sqlite:///{tmp_path / 'node.db'}"), patience=0.01)
    ready, end = threading.Event(), threading.Event()

    def hold() -> None:
        with storage.begin():
            ready.set()
            end.wait(30)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        ready.wait(30)
        with pytest.raises(StorageUnavailable), storage.begin():
            pass
        with storage.read() as unit:
            assert unit.disclosures.count() == 0
        end.set()
        held.result(30)
    storage.close()


def test_a_full_disk_is_named_and_reading_goes_on(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "node.db").write_bytes(sqlite_template.read_bytes())
    storage = keep_patient(f"sqlite:///{tmp_path / 'node.db'}")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageUnavailable), storage.begin() as unit:
            for number in range(200):
                unit.documents.add(entry(str(number)))
        with storage.read() as unit:
            assert unit.patients.record(patient().identifier) == patient()
            assert list(unit.documents.find(DocumentSearch())) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with storage.begin() as unit:
        unit.documents.add(entry())
    storage.close()


def test_a_damaged_or_missing_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"this is not a database" * 100)
    for name in ("node.db", "no such folder/node.db"):
        storage = Storage(make_engine(f"sqlite:///{tmp_path / name}"))
        with pytest.raises(StorageUnavailable), storage.read() as unit:
            unit.disclosures.count()
        storage.close()


def read_once(storage: Storage) -> None:
    with storage.read() as unit:
        assert unit.patients.record(patient().identifier) == patient()


def test_a_lost_connection_is_unavailable_and_the_next_unit_works(postgres: PostgresCluster) -> None:
    database_url = postgres.migrated()
    storage = keep_patient(database_url)
    with pytest.raises(StorageUnavailable), storage.begin() as unit:
        unit.documents.add(entry())
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        unit.documents.add(entry("second"))
    with storage.begin() as unit:
        assert unit.documents.entry(entry().id) is None
        unit.documents.add(entry())
    storage.close()


def test_a_unit_that_outlives_the_others_leaves_no_connection_behind_though_it_fails(postgres: PostgresCluster) -> None:
    database_url = postgres.migrated()
    storage = keep_patient(database_url)
    with pytest.raises(NotFound), storage.read() as unit:
        assert unit.patients.record(patient().identifier) == patient()
        storage.close()
        with ThreadPoolExecutor() as pool:
            pool.submit(read_once, storage).result()
        raise NotFound("whatever the unit did not find")
    storage.close()
    with psycopg.connect(database_url) as other:
        found = other.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert found == (1,)


def test_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'node.db'}")
    with engine.connect() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    engine.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert (tmp_path / "node.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y"])
def test_only_databases_that_keep_what_they_acknowledge_are_opened(url: str) -> None:
    with pytest.raises(InvalidValue):
        make_engine(url)


def test_moments_sort_whatever_their_offset(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.disclosures.add(disclosure("late", recorded=LATER))
        unit.disclosures.add(disclosure("early", recorded=NOW))
        assert [one.exchange for one in unit.disclosures.search()] == ["late", "early"]
