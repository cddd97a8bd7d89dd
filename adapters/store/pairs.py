"""Reports and images that may belong together, and what registrars said of them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Select, bindparam, func, or_, select

from adapters.store.codec import dump
from adapters.store.rows import Part, Values, any_of, insert_once, moment, upsert
from adapters.store.schema import pair_doubt
from registry.pairing import PairDoubt, Verdict

_ONE = select(pair_doubt.c.body).where(pair_doubt.c.id == bindparam("id"))
_OPEN = (
    select(pair_doubt.c.body)
    .where(pair_doubt.c.decision == Verdict.OPEN.value)
    .order_by(pair_doubt.c.changed, pair_doubt.c.id)
    .limit(bindparam("size"))
)
_HOW_MANY = select(func.count()).select_from(pair_doubt).where(pair_doubt.c.decision == Verdict.OPEN.value)
_DECIDED = (
    select(pair_doubt.c.body)
    .where(pair_doubt.c.decision.in_([Verdict.TOGETHER.value, Verdict.APART.value]))
    .order_by(pair_doubt.c.changed.desc(), pair_doubt.c.id)
    .limit(bindparam("size"))
)
_APART = pair_doubt.c.decision == Verdict.APART.value
_OF_REPORTS = select(pair_doubt.c.body).where(_APART, any_of(pair_doubt.c.document_id, "document_ids"))
_REPORTS_APART = select(pair_doubt.c.document_id).where(_APART, pair_doubt.c.study_id == bindparam("study_id"))
_BESIDE: Select[tuple[str]] = select(pair_doubt.c.body).where(
    or_(pair_doubt.c.study_id == bindparam("study_id"), pair_doubt.c.document_id == bindparam("document_id"))
)


class StoredPairs(Part):
    """One row for each two that somebody has to look at."""

    __slots__ = ()

    def raise_doubt(self, doubt: PairDoubt) -> bool:
        """False, and nothing changed, where the two wait already or somebody has decided about them."""
        if insert_once(self._connection, pair_doubt, _values(doubt)):
            return True
        known = self.one(doubt.id)
        if known is None or known.verdict is not Verdict.OVERTAKEN:
            return False
        self.save(doubt)
        return True

    def save(self, doubt: PairDoubt) -> None:
        upsert(self._connection, pair_doubt, _values(doubt))

    def one(self, doubt_id: str) -> PairDoubt | None:
        return self._noun(PairDoubt, _ONE, id=doubt_id)

    def waiting(self, size: int) -> tuple[PairDoubt, ...]:
        """The oldest first."""
        return self._nouns(PairDoubt, _OPEN, size=size)

    def how_many_wait(self) -> int:
        return int(self._connection.execute(_HOW_MANY, {}).scalar_one())

    def decided(self, size: int) -> tuple[PairDoubt, ...]:
        """What people said last, the newest first."""
        return self._nouns(PairDoubt, _DECIDED, size=size)

    def beside(self, doubt: PairDoubt) -> tuple[PairDoubt, ...]:
        """The other doubts about the same images or the same report."""
        found = self._nouns(PairDoubt, _BESIDE, study_id=doubt.study_id, document_id=doubt.document_id)
        return tuple(one for one in found if one.id != doubt.id)

    def apart_of_reports(self, document_ids: Iterable[str]) -> tuple[PairDoubt, ...]:
        """That somebody said of one of these reports: not of those images."""
        return self._nouns(PairDoubt, _OF_REPORTS, document_ids=list(document_ids))

    def reports_apart_from(self, study_id: str) -> frozenset[str]:
        """Ids of the reports that somebody said are not of this study."""
        return frozenset(self._connection.execute(_REPORTS_APART, {"study_id": study_id}).scalars())


def _values(doubt: PairDoubt) -> Values:
    return {
        "id": doubt.id,
        "record_id": doubt.record_id,
        "study_id": doubt.study_id,
        "document_id": doubt.document_id,
        "decision": doubt.verdict.value,
        "changed": moment(doubt.decided or doubt.raised),
        "body": dump(doubt),
    }
