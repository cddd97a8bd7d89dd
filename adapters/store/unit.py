"""A unit of work: what happens in it is durable as a whole once the block is left, or absent.

with storage.begin() as unit:
    unit.documents.add(entry)
    unit.disclosures.add(disclosure)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TypeVar, cast

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolExhausted

from adapters.store.ahead import BroughtAhead
from adapters.store.alarms import Breadths, Deliveries, StoredAlarms
from adapters.store.changes import DocumentChanges
from adapters.store.consents import StoredConsents
from adapters.store.deferred import StoredDeferredQuestions
from adapters.store.disclosures import StoredDisclosures
from adapters.store.documents import StoredDocuments
from adapters.store.emergencies import StoredEmergencies
from adapters.store.erasing import Erasing
from adapters.store.feeds import FeedLog
from adapters.store.file_decisions import FileDecisions
from adapters.store.heads import StoredHeads
from adapters.store.identities import StoredIdentities
from adapters.store.jobs import Jobs
from adapters.store.keys import WrappedKeys
from adapters.store.messages import ReceivedMessages
from adapters.store.open_queries import OpenQueries
from adapters.store.orders import Orders
from adapters.store.pairs import StoredPairs
from adapters.store.patients import StoredPatients
from adapters.store.peer_answers import PeerAnswers
from adapters.store.people import PeopleOfTheHouse
from adapters.store.quarantine import StoredQuarantine
from adapters.store.receipts import StoredReceipts
from adapters.store.record_checks import RecordChecks
from adapters.store.remote import StoredCorrelations, StoredRemoteEntries
from adapters.store.restores import Restores
from adapters.store.rows import take_turns
from adapters.store.session import Session, Statements
from adapters.store.sessions import Sessions
from adapters.store.small_contents import SmallContents
from adapters.store.studies import StoredStudies
from adapters.store.subscriptions import Subscriptions
from adapters.store.text_readings import TextReadings
from adapters.store.tokens import StoredTokens
from adapters.store.writing import OneWriter
from consent.ports import Consents, Disclosures, Receipts, SpentTokens
from registry.errors import StorageUnavailable
from registry.identity_changes import Identities
from registry.ports import Correlations, DeferredQuestions, Documents, Patients, Quarantine, RemoteEntries, Studies

One = TypeVar("One")
WRITER_PATIENCE_SECONDS = 30.0


def _part(made: Callable[..., One]) -> One:
    """A part of the unit of work, made when it is first asked for: most units touch a few of them."""
    return cast(One, cached_property(lambda unit: made(unit._connection, writing=unit._writing)))


class UnitOfWork:
    """Everything that is stored, seen and changed in one transaction."""

    def __init__(self, connection: Session, *, writing: bool) -> None:
        self._connection, self._writing = connection, writing

    def takes_turns(self, about: str) -> None:
        """Units that say the same come one after the other, each after the end of the one before: for what is decided
        on what is not there yet, which no row can be locked for. On SQLite they do so anyway."""
        take_turns(self._connection, about)

    patients: Patients = _part(StoredPatients)
    documents: Documents = _part(StoredDocuments)
    changes = _part(DocumentChanges)
    studies: Studies = _part(StoredStudies)
    quarantine: Quarantine = _part(StoredQuarantine)
    remote: RemoteEntries = _part(StoredRemoteEntries)
    correlations: Correlations = _part(StoredCorrelations)
    deferred: DeferredQuestions = _part(StoredDeferredQuestions)
    identities: Identities = _part(StoredIdentities)
    consents: Consents = _part(StoredConsents)
    receipts: Receipts = _part(StoredReceipts)
    disclosures: Disclosures = _part(StoredDisclosures)
    tokens: SpentTokens = _part(StoredTokens)
    text_readings = _part(TextReadings)
    ahead = _part(BroughtAhead)
    emergencies = _part(StoredEmergencies)
    erasing = _part(Erasing)
    heads = _part(StoredHeads)
    restores = _part(Restores)
    alarms = _part(StoredAlarms)
    breadths = _part(Breadths)
    deliveries = _part(Deliveries)
    feeds = _part(FeedLog)
    file_decisions = _part(FileDecisions)
    messages = _part(ReceivedMessages)
    open_queries = _part(OpenQueries)
    orders = _part(Orders)
    pairs = _part(StoredPairs)
    jobs = _part(Jobs)
    peer_answers = _part(PeerAnswers)
    record_checks = _part(RecordChecks)
    subscriptions = _part(Subscriptions)
    people_of_the_house = _part(PeopleOfTheHouse)
    sessions = _part(Sessions)
    small_contents = _part(SmallContents)
    wrapped_keys = _part(WrappedKeys)


class Storage:
    """The database of a node, shared by the threads of a process.

    On SQLite one unit writes at a time and those that wait share a commit (`adapters/store/writing.py`). On PostgreSQL
    units run side by side (read committed); what they read by id is locked, and a deadlock or a serialization failure
    is StorageUnavailable: the caller may retry.
    """

    def __init__(self, engine: Engine, *, patience: float = WRITER_PATIENCE_SECONDS) -> None:
        is_sqlite = engine.dialect.name == "sqlite"
        snapshot = {} if is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._writing = engine.execution_options(hie_writing=True)
        self._reading = engine.execution_options(hie_writing=False, **snapshot)
        self._statements = Statements(engine.dialect)
        self._writer = OneWriter(lambda: self._opened(self._writing), patience=patience) if is_sqlite else None
        self._readers: list[Session] = []
        self._inside = threading.local()
        self._closings = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Many units of this thread, durable together at the end of the block: one wait for the disk instead of many.

        Each unit inside is whole or absent as ever. Nothing of what they did may be acknowledged before the block has
        ended well; where it ends with an exception, none of them happened. A group inside a group is a part of it.
        """
        outer: Session | None = getattr(self._inside, "shared", None)
        if outer is not None:
            with _inner(outer):
                yield
            return
        with self._one_at_a_time(), self._transaction() as session:
            self._inside.shared, self._inside.writing = session, False
            try:
                yield
            finally:
                self._inside.shared = None

    @property
    def is_together(self) -> bool:
        """Whether this thread is in such a block: what fails for another's sake has to be begun anew from its start."""
        return getattr(self._inside, "shared", None) is not None

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """Write: committed at the end of the block, rolled back on any exception."""
        shared: Session | None = getattr(self._inside, "shared", None)
        one = self._transaction() if shared is None else _inner(shared)
        with self._one_at_a_time(), one as session:
            yield UnitOfWork(session, writing=True)

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Read: one consistent snapshot, which neither waits for writers nor holds them up.

        Inside `together` it sees what the units before it did.
        """
        shared: Session | None = getattr(self._inside, "shared", None)
        if shared is not None:
            yield UnitOfWork(shared, writing=False)
            return
        if self._writer is None:
            with self._side_by_side(self._reading) as session:
                yield UnitOfWork(session, writing=False)
            return
        session = self._reader()
        try:
            with _transaction(session):
                yield UnitOfWork(session, writing=False)
        finally:
            self._put_back(session)

    def flush(self) -> None:
        """SQLite: empty the write-ahead log into the file, so that what was deleted is not in the log any more."""
        if self._writer is None:
            return
        with self._writer.alone() as session:
            session.command("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections; one that is still in use is closed with its unit. The next unit opens another."""
        self._closings += 1
        if self._writer is not None:
            self._writer.close()
        while self._readers:
            self._readers.pop().end()
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

    def _transaction(self) -> AbstractContextManager[Session]:
        return self._side_by_side(self._writing) if self._writer is None else self._writer.unit()

    @contextmanager
    def _side_by_side(self, engine: Engine) -> Iterator[Session]:
        closings = self._closings
        session = self._opened(engine)
        with session.connection:
            try:
                with _transaction(session):
                    yield session
            finally:
                if self._closings != closings and not session.connection.invalidated:
                    session.connection.detach()  # its pool is gone: nobody else would close it

    def _reader(self) -> Session:
        """The reader used last, which has its pages and statements at hand."""
        try:
            return self._readers.pop()
        except IndexError:
            return self._opened(self._reading)

    def _put_back(self, session: Session) -> None:
        if session.connection.in_transaction() or session.connection.invalidated:
            session.connection.close()
        else:
            self._readers.append(session)

    def _opened(self, engine: Engine) -> Session:
        try:
            return Session(engine.connect(), self._statements)
        except PoolExhausted as error:
            raise StorageUnavailable("database", "all connections are in use") from error


@contextmanager
def _transaction(session: Session) -> Iterator[None]:
    session.absolve()
    transaction = session.connection.begin()
    try:
        yield
        if session.doomed:
            # PostgreSQL would answer a COMMIT here with a silent ROLLBACK
            raise StorageUnavailable("database", "a statement of this unit had failed")
    except BaseException:
        transaction.rollback()
        raise
    finally:
        session.absolve()
    transaction.commit()


@contextmanager
def _inner(session: Session) -> Iterator[Session]:
    """A transaction inside another; a statement that failed in it dooms it alone."""
    session.absolve()
    with _savepoint(session) if session.dialect.name == "sqlite" else session.connection.begin_nested():
        try:
            yield session
            if session.doomed:
                raise StorageUnavailable("database", "a statement of this unit had failed")
        finally:
            session.absolve()


@contextmanager
def _savepoint(session: Session) -> Iterator[None]:
    """What SQLAlchemy says as well, in a tenth of the time."""
    session.command("SAVEPOINT inner_unit")
    try:
        yield
    except BaseException:
        if session.in_transaction:
            session.command("ROLLBACK TO SAVEPOINT inner_unit")
            session.command("RELEASE SAVEPOINT inner_unit")
        raise
    session.command("RELEASE SAVEPOINT inner_unit")
