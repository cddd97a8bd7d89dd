"""What registrars said of files in the drop folder that could not be placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, select

from adapters.store.codec import dump
from adapters.store.rows import Part, Values, any_of, insert_once, moment, upsert
from adapters.store.schema import file_decision
from registry.feeds import FileDecision

_ONE = select(file_decision.c.body).where(file_decision.c.id == bindparam("id"))
_OF = select(file_decision.c.body).where(any_of(file_decision.c.id, "ids"))
_LATEST = (
    select(file_decision.c.body).order_by(file_decision.c.decided.desc(), file_decision.c.id).limit(bindparam("size"))
)


class FileDecisions(Part):
    """One for each file as it lay there: whoever comes second decides nothing."""

    __slots__ = ()

    def decide(self, decision: FileDecision) -> bool:
        """False, and nothing changed, where somebody else was quicker."""
        return insert_once(self._connection, file_decision, _values(decision))

    def save(self, decision: FileDecision) -> None:
        upsert(self._connection, file_decision, _values(decision))

    def one(self, file_id: str) -> FileDecision | None:
        return self._noun(FileDecision, _ONE, id=file_id)

    def of(self, ids: Iterable[str]) -> Mapping[str, FileDecision]:
        """Those of these files that were decided, by the id of the file."""
        return {one.id: one for one in self._nouns(FileDecision, _OF, ids=list(ids))}

    def latest(self, size: int) -> tuple[FileDecision, ...]:
        """The newest first."""
        return self._nouns(FileDecision, _LATEST, size=size)


def _values(decision: FileDecision) -> Values:
    return {
        "id": decision.id,
        "record_id": decision.record_id,
        "decided": moment(decision.decided),
        "body": dump(decision),
    }
