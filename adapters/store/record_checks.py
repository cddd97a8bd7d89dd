"""Verifications of the sealed record that somebody asked for, and how far they are."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import record_check
from consent.verification import RecordCheck

_ONE = select(record_check.c.body).where(record_check.c.id == bindparam("id"))
_NEWEST = select(record_check.c.body).order_by(record_check.c.asked.desc(), record_check.c.id).limit(bindparam("size"))
KEPT = 100
_OLD = delete(record_check).where(
    record_check.c.asked < select(record_check.c.asked).order_by(record_check.c.asked.desc()).offset(KEPT).limit(1)
    .scalar_subquery()
)  # fmt: skip


class RecordChecks(Part):
    """The newest hundred stay."""

    __slots__ = ()

    def save(self, check: RecordCheck) -> None:
        upsert(self._connection, record_check, {"id": check.id, "asked": moment(check.asked), "body": dump(check)})
        self._connection.execute(_OLD)

    def check(self, check_id: str) -> RecordCheck | None:
        return self._noun(RecordCheck, _ONE, id=check_id)

    def newest(self, size: int) -> tuple[RecordCheck, ...]:
        return self._nouns(RecordCheck, _NEWEST, size=size)
