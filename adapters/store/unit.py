"""A unit of work: what happens in it is durable as a whole once the block is left, or absent.

with storage.begin() as unit:
    unit.documents.add(entry)
    unit.disclosures.add(disclosure)
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolExhausted

from adapters.store.consents import StoredConsents
from adapters.store.disclosures import StoredDisclosures
from adapters.store.documents import StoredDocuments
from adapters.store.jobs import Jobs
from adapters.store.keys import WrappedKeys
from adapters.store.messages import ReceivedMessages
from adapters.store.patients import StoredPatients
from adapters.store.people import PeopleOfTheHouse
from adapters.store.receipts import StoredReceipts
from adapters.store.remote import StoredCorrelations, StoredRemoteEntries
from adapters.store.sessions import Sessions
from adapters.store.studies import StoredStudies
from adapters.store.tokens import StoredTokens
from consent.ports import Consents, Disclosures, Receipts, SpentTokens
from registry.errors import StorageUnavailable
from registry.ports import Correlations, Documents, Patients, RemoteEntries, Studies

WRITER_PATIENCE_SECONDS = 30.0


class UnitOfWork:
    """Everything that is stored, seen and changed in one transaction."""

    __slots__ = (
        "consents",
        "correlations",
        "disclosures",
        "documents",
        "jobs",
        "messages",
        "patients",
        "people_of_the_house",
        "receipts",
        "remote",
        "sessions",
        "studies",
        "tokens",
        "wrapped_keys",
    )

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self.patients: Patients = StoredPatients(connection, writing=writing)
        self.documents: Documents = StoredDocuments(connection, writing=writing)
        self.studies: Studies = StoredStudies(connection, writing=writing)
        self.remote: RemoteEntries = StoredRemoteEntries(connection, writing=writing)
        self.correlations: Correlations = StoredCorrelations(connection, writing=writing)
        self.consents: Consents = StoredConsents(connection, writing=writing)
        self.receipts: Receipts = StoredReceipts(connection, writing=writing)
        self.disclosures: Disclosures = StoredDisclosures(connection, writing=writing)
        self.tokens: SpentTokens = StoredTokens(connection, writing=writing)
        self.messages = ReceivedMessages(connection, writing=writing)
        self.jobs = Jobs(connection, writing=writing)
        self.people_of_the_house = PeopleOfTheHouse(connection, writing=writing)
        self.sessions = Sessions(connection, writing=writing)
        self.wrapped_keys = WrappedKeys(connection, writing=writing)


class Storage:
    """The database of a node, shared by the threads of a process.

    On SQLite one unit writes at a time: threads queue for their turn here, so that only other processes are met by
    SQLite's own lock, which is waited for by polling. On PostgreSQL units run side by side (read committed); what
    they read by id is locked, and a deadlock or a serialization failure is StorageUnavailable: the caller may retry.
    """

    def __init__(self, engine: Engine, *, patience: float = WRITER_PATIENCE_SECONDS) -> None:
        is_sqlite = engine.dialect.name == "sqlite"
        snapshot = {} if is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._writing = engine.execution_options(hie_writing=True)
        self._reading = engine.execution_options(hie_writing=False, **snapshot)
        self._turn = threading.Lock() if is_sqlite else None
        self._patience = patience
        self._inside = threading.local()

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """Write: committed at the end of the block, rolled back on any exception."""
        with (
            self._one_at_a_time(),
            self._queued(),
            _connected(self._writing) as connection,
            _transaction(connection),
        ):
            yield UnitOfWork(connection, writing=True)

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Read: one consistent snapshot, which neither waits for writers nor holds them up."""
        with _connected(self._reading) as connection, _transaction(connection):
            yield UnitOfWork(connection, writing=False)

    def flush(self) -> None:
        """SQLite: empty the write-ahead log into the file, so that what was deleted is not in the log any more."""
        if self._turn is None:
            return
        with _taken(self._turn, self._patience):
            connection = self._writing.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise StorageUnavailable("database", error.sqlite_errorname) from error
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._writing.dispose()

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if getattr(self._inside, "writing", False):
            raise RuntimeError("a writing unit inside another of the same thread would wait for itself")
        self._inside.writing = True
        try:
            yield
        finally:
            self._inside.writing = False

    def _queued(self) -> AbstractContextManager[object]:
        if self._turn is None:
            return nullcontext()
        return _taken(self._turn, self._patience)


@contextmanager
def _taken(turn: threading.Lock, patience: float) -> Iterator[None]:
    if not turn.acquire(timeout=patience):
        raise StorageUnavailable("database", "earlier writers did not finish in time")
    try:
        yield
    finally:
        turn.release()


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except PoolExhausted as error:
        raise StorageUnavailable("database", "all connections are in use") from error
    with connection:
        yield connection


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.info.pop("doomed", None)
    transaction = connection.begin()
    try:
        yield
        if connection.info.pop("doomed", False):
            # PostgreSQL would answer a COMMIT here with a silent ROLLBACK
            raise StorageUnavailable("database", "a statement of this unit had failed")
    except BaseException:
        transaction.rollback()
        raise
    transaction.commit()
