"""Who is signed in at the pages, and how often a password was tried: shared by all processes of a node."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import login_try, session

_SESSION = select(session).where(session.c.id == bindparam("key"))
_SEEN = update(session).where(session.c.id == bindparam("key"))
_END = delete(session).where(session.c.id == bindparam("key"))
_ALL = select(session).order_by(session.c.seen.desc())
_PROVED = update(session).where(session.c.id == bindparam("key")).values(proved=bindparam("now"))
_END_ALL = delete(session).where(session.c.username == bindparam("whose"))
_FORGET_SESSIONS = delete(session).where(session.c.seen < bindparam("moment"))
_TRIES = select(login_try).where(login_try.c.name == bindparam("key"))
_COUNT = update(login_try).where(login_try.c.name == bindparam("key")).values(tries=login_try.c.tries + 1)
_CLEAR = delete(login_try).where(login_try.c.name == bindparam("key"))
_FORGET_TRIES = delete(login_try).where(login_try.c.since < bindparam("moment"))


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at a browser. `seen` is when the last request came, to within a minute.

    number  what names it to an administrator; no session is opened with it
    proved  when somebody last proved who they are, and `factor` by what besides the password
    """

    username: str
    started: datetime
    seen: datetime
    number: str = ""
    proved: datetime | None = None
    factor: str = ""


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a password was tried for one name since the first of these tries."""

    count: int
    since: datetime


def _read(row: Any) -> Session:
    proved = datetime.fromisoformat(row.proved) if row.proved else None
    started, seen = datetime.fromisoformat(row.started), datetime.fromisoformat(row.seen)
    return Session(row.username, started, seen, row.id, proved, row.factor or "")


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Sessions(Part):
    """Sessions by the secret that the browser keeps; what is stored is only its hash."""

    __slots__ = ()

    def start(self, secret: str, username: str, *, now: datetime, factor: str = "") -> None:
        stamp = moment(now)
        values = {"id": _hashed(secret), "username": username, "started": stamp, "seen": stamp}
        self._connection.execute(insert(session), {**values, "proved": stamp, "factor": factor})

    def session(self, secret: str) -> Session | None:
        row = self._row(_SESSION, key=_hashed(secret))
        return None if row is None else _read(row)

    def all(self) -> tuple[Session, ...]:
        """Everybody who is signed in, the last seen first."""
        return tuple(_read(row) for row in self._connection.execute(_ALL))

    def prove(self, secret: str, *, now: datetime) -> None:
        """Somebody has just proved again who they are."""
        self._connection.execute(_PROVED, {"key": _hashed(secret), "now": moment(now)})

    def end_number(self, number: str) -> None:
        """End one session at once."""
        self._connection.execute(_END, {"key": number})

    def end_all_of(self, username: str) -> None:
        """End every session of somebody at once."""
        self._connection.execute(_END_ALL, {"whose": username})

    def saw(self, secret: str, *, now: datetime) -> None:
        self._connection.execute(_SEEN, {"key": _hashed(secret), "seen": moment(now)})

    def end(self, secret: str) -> None:
        self._connection.execute(_END, {"key": _hashed(secret)})

    def forget_idle(self, before: datetime) -> None:
        self._connection.execute(_FORGET_SESSIONS, {"moment": moment(before)})

    def another_try(self, name: str, *, now: datetime, since: datetime) -> Tries:
        """Count one more try for this name and say how many there were; what began before `since` is forgotten."""
        self._connection.execute(_FORGET_TRIES, {"moment": moment(since)})
        key = _hashed(name)
        if not insert_once(self._connection, login_try, {"name": key, "tries": 1, "since": moment(now)}):
            self._connection.execute(_COUNT, {"key": key})
        row = self._row(_TRIES, key=key)
        assert row is not None
        return Tries(row.tries, datetime.fromisoformat(row.since))

    def forget_tries(self, name: str) -> None:
        self._connection.execute(_CLEAR, {"key": _hashed(name)})
