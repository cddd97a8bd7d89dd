"""Work that is done later: rows claimed with a lease, so that a killed worker's work is claimed again.

A job is enqueued in the unit that makes it necessary. It may run twice (a lease that ended), so its handler has to be
idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, case, delete, false, func, or_, select, true, update

from adapters.store.dialects import insert
from adapters.store.rows import Part, any_of, moment
from adapters.store.schema import job


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work that this worker has now. `attempts` counts this one."""

    id: int
    kind: str
    payload: dict[str, Any]
    run_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The jobs of one kind: how many, since when the oldest is due, the most tries, how many failed, an error code."""

    kind: str
    number: int
    oldest: datetime
    attempts: int
    failing: int
    error: str


_OVERVIEW = (
    select(
        job.c.kind,
        func.count().label("number"),
        func.min(job.c.run_at).label("oldest"),
        func.max(job.c.attempts).label("attempts"),
        func.count(job.c.error_code).label("failing"),
        func.max(job.c.error_code).label("error"),
    )
    .group_by(job.c.kind)
    .order_by(job.c.kind)
)
_MAY_RUN = and_(
    job.c.run_at <= bindparam("now"), or_(job.c.leased_until.is_(None), job.c.leased_until <= bindparam("now"))
)
_IS_DUE = select(job.c.id).where(job.c.kind == bindparam("kind"), _MAY_RUN).limit(1)
_due = (
    select(job.c.id)
    .where(any_of(job.c.kind, "kinds"), _MAY_RUN)
    .order_by(job.c.run_at, job.c.id)
    .limit(bindparam("size"))
    .with_for_update(skip_locked=True)
    # a table of its own, or PostgreSQL may choose the rows more than once and lease more than `size`
    .cte("due")
)
_CLAIM = (
    update(job)
    .where(job.c.id.in_(select(_due.c.id)))
    .values(leased_until=bindparam("until"), attempts=job.c.attempts + 1)
    .returning(job.c.id, job.c.kind, job.c.payload, job.c.run_at, job.c.attempts)
)
_RENEW = (
    update(job)
    .where(job.c.id == bindparam("key"), job.c.leased_until.is_not(None))
    .values(leased_until=bindparam("until"))
)
_FINISHED = delete(job).where(job.c.id == bindparam("key"), job.c.again.is_(False))
_AGAIN = (
    update(job)
    .where(job.c.id == bindparam("key"))
    .values(leased_until=None, attempts=0, again=false(), error_code=None)
)
_FAILED = (
    update(job)
    .where(job.c.id == bindparam("key"))
    .values(leased_until=None, run_at=bindparam("next"), error_code=bindparam("code"), again=false())
)


class Jobs(Part):
    """The queue."""

    __slots__ = ()

    def enqueue(self, kind: str, payload: dict[str, Any], *, run_at: datetime, dedup_key: str | None = None) -> None:
        """Add a job. One with the same `dedup_key` that still waits takes this payload and the earlier time; one that
        runs already runs once more afterwards, since it may have looked before this was there."""
        values = {
            "kind": kind,
            "payload": orjson.dumps(payload).decode(),
            "run_at": moment(run_at),
            "attempts": 0,
            "dedup_key": dedup_key,
            "again": False,
        }
        self._connection.execute(_enqueue(self._connection.dialect.name), values)

    def is_due(self, kind: str, now: datetime) -> bool:
        """Whether somebody could claim one of this kind."""
        return self._connection.execute(_IS_DUE, {"kind": kind, "now": moment(now)}).first() is not None

    def claim(self, kinds: Sequence[str], *, now: datetime, lease_seconds: float, limit: int) -> list[Job]:
        """Up to `limit` jobs that are due and that nobody else has, the longest due first."""
        until = moment(now + timedelta(seconds=lease_seconds))
        values = {"kinds": list(kinds), "now": moment(now), "until": until, "size": limit}
        found = [
            Job(row.id, row.kind, orjson.loads(row.payload), datetime.fromisoformat(row.run_at), row.attempts)
            for row in self._connection.execute(_CLAIM, values)
        ]
        return sorted(found, key=lambda one: (one.run_at, one.id))

    def renew(self, job_id: int, *, now: datetime, lease_seconds: float) -> None:
        """Whoever has it is still at work."""
        until = moment(now + timedelta(seconds=lease_seconds))
        self._connection.execute(_RENEW, {"key": job_id, "until": until})

    def done(self, job_id: int) -> None:
        """It needs not run any more, unless it was enqueued again meanwhile."""
        if self._connection.execute(_FINISHED, {"key": job_id}).rowcount == 0:
            self._connection.execute(_AGAIN, {"key": job_id})

    def failed(self, job_id: int, error_code: str, run_at: datetime) -> None:
        """It did not work; try again at `run_at`."""
        self._connection.execute(_FAILED, {"key": job_id, "code": error_code, "next": moment(run_at)})

    def overview(self) -> tuple[Waiting, ...]:
        """What waits, by kind: for the operator's eye, so without what the jobs are about."""
        found = self._connection.execute(_OVERVIEW)
        return tuple(
            Waiting(
                row.kind, row.number, datetime.fromisoformat(row.oldest), row.attempts, row.failing, row.error or ""
            )
            for row in found
        )

    def waiting(self) -> int:
        """How many jobs there are, for the operator's eye."""
        return int(self._connection.execute(select(func.count()).select_from(job)).scalar_one())


@cache
def _enqueue(dialect: str) -> Any:
    statement = insert(job, dialect)
    new, runs = statement.excluded, job.c.leased_until.is_not(None)
    sooner = and_(~runs, new.run_at < job.c.run_at)
    return statement.on_conflict_do_update(
        index_elements=["dedup_key"],
        set_={
            "payload": new.payload,
            "run_at": case((sooner, new.run_at), (runs, new.run_at), else_=job.c.run_at),
            "again": case((runs, true()), else_=job.c.again),
        },
    ).inline()
