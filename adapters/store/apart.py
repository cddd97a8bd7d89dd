"""What somebody decided for good: two records of two people, whatever the matcher says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import kept_apart
from registry.people import KeptApart

_APART = select(kept_apart.c.other_id).where(kept_apart.c.record_id == bindparam("record_id"))


class StoredApart(Part):
    """The part of `registry.ports.Patients` about such decisions."""

    __slots__ = ()

    def keep_apart(self, record_id: str, other_ids: Iterable[str], *, now: datetime, author: str) -> None:
        """Two people for good: remembered between records, so that it outlives every link."""
        for other_id in other_ids:
            for one, other in ((record_id, other_id), (other_id, record_id)):
                values = {"record_id": one, "other_id": other, "decided": moment(now), "author": author}
                insert_once(self._connection, kept_apart, values)

    def let_together(self, record_id: str, other_ids: Iterable[str]) -> tuple[KeptApart, ...]:
        """Take such decisions back; gives those that there were."""
        others = list(other_ids)
        decided = select(kept_apart).where(kept_apart.c.record_id == record_id, kept_apart.c.other_id.in_(others))
        found = tuple(
            KeptApart(row.record_id, row.other_id, datetime.fromisoformat(row.decided), row.author)
            for row in self._connection.execute(decided.order_by(kept_apart.c.other_id))
        )
        for one, other in (
            (kept_apart.c.record_id, kept_apart.c.other_id),
            (kept_apart.c.other_id, kept_apart.c.record_id),
        ):
            statement = delete(kept_apart).where(one == record_id, other.in_(others))
            self._connection.execute(statement)
        return found

    def apart_from(self, record_id: str) -> frozenset[str]:
        """The records that somebody decided are of another person."""
        return frozenset(self._connection.execute(_APART, {"record_id": record_id}).scalars())
