"""Opens a database: which settings make a commit durable, and which of its troubles mean "try again later".

Sources: sqlite.org/pragma.html (WAL with synchronous=FULL survives a power cut), PostgreSQL appendix A (error codes).
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url

from registry.errors import InvalidValue, StorageUnavailable

BUSY_SECONDS = 15
"""How long a statement waits for another process before it gives up; a commit takes a millisecond."""

_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # the key of an erased patient must not linger in a free page
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
)
_POSTGRES_OPTIONS = f"-c synchronous_commit=on -c timezone=UTC -c lock_timeout={BUSY_SECONDS}s"

_SQLITE_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_POSTGRES_OVERTAKEN = ("SQLSTATE 40001", "SQLSTATE 40P01")
"""Two units could not both have their way, or waited for each other: PostgreSQL has ended one of them."""
_POSTGRES_TROUBLE = ("08", "25006", "40", "53", "55P03", "57", "58", "XX001", "XX002")


def make_engine(url: str, *, pool_size: int = 16) -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql://…`. Opens nothing yet."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        engine = _sqlite(parsed.set(drivername="sqlite"), Path(parsed.database), pool_size)
    elif backend == "postgresql":
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,
            connect_args={"options": _POSTGRES_OPTIONS, "connect_timeout": 5},
        )
    else:
        raise InvalidValue("database", expected="sqlite:///FILE or postgresql://…")
    event.listen(engine, "handle_error", _translate)
    return engine


def _sqlite(url: Any, path: Path, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=-1,  # a reader keeps its connection (`Storage`), so that there is one for each thread at most
        pool_use_lifo=True,  # the connection used last has its pages and statements at hand
        connect_args={"isolation_level": None, "check_same_thread": False, "cached_statements": 256},
    )

    @event.listens_for(engine, "do_connect")
    def _private(*_: Any) -> None:
        """Created for its owner only; its journals take over the mode.

        A file that is there is not opened here: to close it would drop every lock that this process holds on it, and
        the next process to end would take the log away from under us. Source: sqlite.org/howtocorrupt.html, 2.2.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise StorageUnavailable("database", error.strerror or "cannot be opened") from error

    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in _PRAGMAS:
            _patiently(connection, pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        """With the driver itself: through the engine these two would cost as much as a query."""
        writing = connection.get_execution_options().get("hie_writing", True)
        driver: Any = connection.connection.driver_connection
        try:
            if connection.info.get("writing") is not writing:
                driver.execute(f"PRAGMA query_only = {'OFF' if writing else 'ON'}")
                connection.info["writing"] = writing
            driver.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        except sqlite3.Error as error:
            reason = _trouble(error)
            if reason is None:
                raise
            raise StorageUnavailable("database", reason) from error

    return engine


def _patiently(connection: sqlite3.Connection, pragma: str) -> None:
    """Two processes that open a new file at once both want to change its journal, for which SQLite does not wait."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(pragma)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _translate(context: ExceptionContext) -> None:
    """Any failed statement dooms its unit, on SQLite as on PostgreSQL; trouble of the database gets its own noun."""
    if context.connection is not None and not context.connection.invalidated and not context.is_disconnect:
        context.connection.info["doomed"] = True
    trouble = translated(context.original_exception, lost=context.is_disconnect)
    if trouble is not None:
        raise trouble from context.original_exception


def translated(error: BaseException, *, lost: bool) -> StorageUnavailable | None:
    """Why the database cannot do it now, in a code; None where the statement itself was wrong."""
    reason = "the connection was lost" if lost else _trouble(error)
    if reason is None:
        return None
    return StorageUnavailable("database", reason, overtaken=reason in _POSTGRES_OVERTAKEN)


def _trouble(error: BaseException) -> str | None:
    """A short reason where the database cannot do it now; None where the statement itself was wrong."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return error.sqlite_errorname if code is not None and code & 0xFF in _SQLITE_TROUBLE else None
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return f"SQLSTATE {state}" if str(state).startswith(_POSTGRES_TROUBLE) else None
    return "cannot be reached" if type(error).__name__ in ("OperationalError", "ConnectionTimeout") else None
