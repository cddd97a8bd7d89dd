"""Heads of other hospitals' records, kept for them, and the newest of ours that each of them signed for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, select

from adapters.store.rows import Part, insert_once, moment, upsert
from adapters.store.schema import cosignature, kept_head
from registry.identifiers import HomeCommunityId

_NEWEST = (
    select(kept_head)
    .where(kept_head.c.home == bindparam("home"))
    .order_by(kept_head.c.size.desc(), kept_head.c.kept.desc())
    .limit(1)
)
_OF_HOME = (
    select(kept_head.c.signature)
    .where(kept_head.c.home == bindparam("home"))
    .order_by(kept_head.c.size.desc())
    .limit(bindparam("most"))
)
_OTHER_ROOT = select(kept_head.c.signature).where(
    kept_head.c.home == bindparam("home"), kept_head.c.size == bindparam("size"), kept_head.c.root != bindparam("root")
)
_day = func.substr(kept_head.c.kept, 1, 10)
_of_day = select(kept_head.c.home, _day.label("day"), func.max(kept_head.c.size).label("size")).group_by(
    kept_head.c.home, _day
)
_days = _of_day.subquery()
_largest = select(_days.c.size).where(and_(_days.c.home == kept_head.c.home, _days.c.day == _day)).scalar_subquery()
_THIN = delete(kept_head).where(kept_head.c.kept < bindparam("before"), kept_head.c.size < _largest)
_KEEPERS = select(cosignature).order_by(cosignature.c.keeper)


@dataclass(frozen=True, slots=True)
class KeptHead:
    """One head of another hospital's record as it was told to us; the signature is that hospital's own."""

    home: HomeCommunityId
    size: int
    root: str
    kept: datetime
    signature: str


class StoredHeads(Part):
    """What is kept is never replaced: two heads of one size prove two histories, so both stay."""

    __slots__ = ()

    def keep(self, head: KeptHead) -> None:
        values = {
            "home": str(head.home),
            "size": head.size,
            "root": head.root,
            "kept": moment(head.kept),
            "signature": head.signature,
        }
        insert_once(self._connection, kept_head, values)

    def newest(self, home: HomeCommunityId) -> KeptHead | None:
        """The largest that this hospital ever told us."""
        row = self._row(_NEWEST, home=str(home))
        if row is None:
            return None
        return KeptHead(home, row.size, row.root, datetime.fromisoformat(row.kept), row.signature)

    def other_than(self, home: HomeCommunityId, *, size: int, root: str) -> str | None:
        """A head of the same size with another root, if one was told."""
        values = {"home": str(home), "size": size, "root": root}
        found: str | None = self._connection.execute(_OTHER_ROOT, values).scalar()
        return found

    def of(self, home: HomeCommunityId, *, most: int) -> tuple[str, ...]:
        """As that hospital signed them, the largest first."""
        return tuple(self._connection.execute(_OF_HOME, {"home": str(home), "most": most}).scalars())

    def thin(self, before: datetime) -> int:
        """Of each day before this moment the largest head stays; it stands for the smaller ones."""
        return int(self._connection.execute(_THIN, {"before": moment(before)}).rowcount)

    def signed_for(self, keeper: HomeCommunityId, size: int, signature: str) -> None:
        """That hospital keeps our head of this size, and signed that it does."""
        upsert(self._connection, cosignature, {"keeper": str(keeper), "size": size, "signature": signature})

    def keepers(self) -> dict[str, tuple[int, str]]:
        """By hospital: the size it signed for last, and its signature."""
        return {row.keeper: (row.size, row.signature) for row in self._connection.execute(_KEEPERS)}
