"""Units that wait for the disk together: each is whole or absent, and none is acknowledged before its commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from adapters.store.engine import make_engine
from adapters.store.unit import Storage, UnitOfWork
from registry.errors import StorageUnavailable
from tests.adapters.store.samples import disclosure
from tests.lab import until


class Crowd:
    """Several units that all want to write while one has its turn."""

    def __init__(self, engine: Engine) -> None:
        self.storage = Storage(engine, patience=20)
        self.commits = 0
        self._threads = ThreadPoolExecutor(8)
        event.listen(engine, "commit", self._count)

    def _count(self, _connection: object) -> None:
        self.commits += 1

    def writes(self, *keys: str, fails: str = "", breaks: str = "") -> dict[str, Future[None]]:
        """The first has its turn until all others wait; `fails` raises in its unit, `breaks` ends the transaction."""
        going, inside = threading.Event(), threading.Event()

        def one(key: str, first: bool) -> None:
            with self.storage.begin() as unit:
                unit.disclosures.add(disclosure(key))
                if first:
                    inside.set()
                    going.wait(20)
                if key == fails:
                    raise ZeroDivisionError
                if key == breaks:
                    _rolled_back(unit)

        writing = {keys[0]: self._threads.submit(one, keys[0], True)}
        inside.wait(20)
        for number, key in enumerate(keys[1:], 1):
            writing[key] = self._threads.submit(one, key, False)
            assert until(lambda number=number: self._waiting == number)  # type: ignore[misc]
        going.set()
        for each in writing.values():
            each.exception(20)
        return writing

    @property
    def _waiting(self) -> int:
        assert self.storage._writer is not None
        return self.storage._writer._waiting

    def kept(self) -> set[str]:
        with self.storage.read() as unit:
            return {row.id for row in unit.disclosures.search()}


def _rolled_back(unit: UnitOfWork) -> None:
    """What SQLite does by itself at some errors of the disk."""
    unit.jobs._connection.command("ROLLBACK")  # type: ignore[attr-defined]


@pytest.fixture
def crowd(tmp_path: Path, sqlite_template: Path) -> Iterator[Crowd]:
    path = tmp_path / "node.db"
    path.write_bytes(sqlite_template.read_bytes())
    made = Crowd(make_engine(f"sqlite:///{path}"))
    yield made
    made.storage.close()


def test_units_that_wait_share_a_commit(crowd: Crowd) -> None:
    written = crowd.writes("a", "b", "c", "d")
    assert [each.exception() for each in written.values()] == [None] * 4
    assert crowd.kept() == {disclosure(key).id for key in "abcd"}
    assert crowd.commits < 4


def test_a_unit_that_fails_takes_back_nothing_of_the_others(crowd: Crowd) -> None:
    written = crowd.writes("a", "b", "c", fails="b")
    assert isinstance(written["b"].exception(), ZeroDivisionError)
    assert written["a"].exception() is None
    assert written["c"].exception() is None
    assert crowd.kept() == {disclosure(key).id for key in "ac"}


def test_where_the_transaction_is_lost_nobody_is_told_that_it_was_kept(crowd: Crowd) -> None:
    written = crowd.writes("a", "b", breaks="b")
    assert isinstance(written["a"].exception(), StorageUnavailable)
    assert written["b"].exception() is not None
    assert crowd.kept() == set()
    with crowd.storage.begin() as unit:
        unit.disclosures.add(disclosure("c"))
    assert crowd.kept() == {disclosure("c").id}


def test_where_the_commit_fails_all_of_them_have_failed(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_connection: object) -> None:
        raise StorageUnavailable("database", "SQLITE_FULL")

    engine = crowd.storage._writing
    event.listen(engine, "commit", full)
    written = crowd.writes("a", "b", "c")
    event.remove(engine, "commit", full)
    assert {type(each.exception()) for each in written.values()} == {StorageUnavailable}
    assert crowd.kept() == set()
    with crowd.storage.begin() as unit:
        unit.disclosures.add(disclosure("d"))
    assert crowd.kept() == {disclosure("d").id}
