"""Who writes when. On SQLite one unit writes at a time, and those that wait share one commit; on PostgreSQL all write.

A commit waits for the disk, and a unit takes a fraction of that. So a unit that ends while others wait leaves its
transaction open to the next, behind a savepoint of its own, and the last of them commits for all. None is acknowledged
before that commit; one that fails takes back its own savepoint only; where the commit fails, all of them have failed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from adapters.interpreter import waiting
from adapters.store.session import Session
from registry.errors import StorageUnavailable

MOST_TOGETHER = 64
LONGEST_TOGETHER_SECONDS = 0.05
"""How long the first of them may wait for the others: as long as a slow disk takes for one commit."""

Open = Callable[[], Session]


class _Batch:
    """Units that will become durable together.

    clean  no unit stands in it by half; where one does and cannot be taken back, all of them are
    """

    __slots__ = ("clean", "done", "failure", "since", "size")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.failure: str | None = None
        self.clean = True
        self.since, self.size = time.monotonic(), 0

    def has_room(self) -> bool:
        return self.clean and self.size < MOST_TOGETHER and time.monotonic() - self.since < LONGEST_TOGETHER_SECONDS

    def ended(self, failure: str | None) -> None:
        self.failure = failure
        self.done.set()


class OneWriter:
    """The one writing connection of a process to SQLite. Other processes are met by SQLite's own lock.

    A unit may wait for nothing but the database while it has its turn: all that write wait for it.
    """

    def __init__(self, opened: Callable[[], Session], *, patience: float) -> None:
        self._opened, self._patience = opened, patience
        self._turn = threading.Condition()
        self._taken, self._waiting = False, 0
        self._session: Session | None = None
        self._batch: _Batch | None = None

    @contextmanager
    def unit(self) -> Iterator[Session]:
        """Durable once the block is left. Raises StorageUnavailable where it did not become so."""
        self._take()
        batch: _Batch | None = None
        try:
            session, batch = self._joined()
            with _savepoint(session, batch):
                yield session
        finally:
            self._leave(batch)
        with waiting():
            batch.done.wait()
        if batch.failure is not None:
            raise StorageUnavailable("database", batch.failure)

    @contextmanager
    def alone(self) -> Iterator[Session]:
        """The connection outside of any transaction, while nobody writes."""
        self._take()
        try:
            self._commit()
            yield self._ready()
        finally:
            self._leave(None)

    def close(self) -> None:
        """Let go of the connection; the next unit opens another."""
        self._take()
        try:
            self._commit()
            if self._session is not None:
                self._session.end()
        finally:
            self._session = None
            self._leave(None)

    def _take(self) -> None:
        with waiting(), self._turn:
            self._waiting += 1
            try:
                if not self._turn.wait_for(lambda: not self._taken, self._patience):
                    raise StorageUnavailable("database", "earlier writers did not finish in time")
                self._taken = True
            finally:
                self._waiting -= 1

    def _leave(self, batch: _Batch | None) -> None:
        """Let the next unit into the transaction, or commit it for all.

        Whether somebody waits and that the turn is free is said in one breath: a waiter that gives up in between
        would leave a transaction that nobody commits.
        """
        with self._turn:
            if batch is not None and self._waiting and batch.has_room():
                self._free()
                return
        self._commit()
        with self._turn:
            self._free()

    def _free(self) -> None:
        self._taken = False
        self._turn.notify()

    def _ready(self) -> Session:
        if self._session is None:
            self._session = self._opened()
        return self._session

    def _joined(self) -> tuple[Session, _Batch]:
        session = self._ready()
        if self._batch is None:
            session.connection.begin()
            self._batch = _Batch()
        self._batch.size += 1
        return session, self._batch

    def _commit(self) -> None:
        """For all units of the batch; each of them learns whether it became durable."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        failure: str | None = "the transaction did not end"
        try:
            failure = self._ended(self._ready(), whole=batch.clean)
        except StorageUnavailable as error:
            failure = error.reason
        finally:
            if failure is not None:
                self._give_up()
            batch.ended(failure)

    def _ended(self, session: Session, *, whole: bool) -> str | None:
        transaction = session.connection.get_transaction()
        assert transaction is not None
        if whole and session.in_transaction:
            with waiting():
                transaction.commit()
            return None
        transaction.rollback()
        return "the transaction was given up for a unit that shared it"

    def _give_up(self) -> None:
        """A connection that failed at a commit is not used again; closing it takes back what it has not committed."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(SQLAlchemyError, StorageUnavailable):
                session.connection.invalidate()
            with suppress(SQLAlchemyError, StorageUnavailable):
                session.connection.close()


@contextmanager
def _savepoint(session: Session, batch: _Batch) -> Iterator[None]:
    """One unit among others in a transaction: it can be taken back alone."""
    session.command("SAVEPOINT unit")
    batch.clean = False
    try:
        yield
        if session.doomed:
            raise StorageUnavailable("database", "a statement of this unit had failed")
    except BaseException:
        if session.in_transaction:
            session.command("ROLLBACK TO unit")
            session.command("RELEASE unit")
            batch.clean = True
        raise
    finally:
        session.absolve()
    session.command("RELEASE unit")
    batch.clean = True
