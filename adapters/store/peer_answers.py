"""How each hospital answered lately: a row for each question to it, of which the newest stay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from adapters.store.rows import Part, moment
from adapters.store.schema import peer_answer
from registry.answered import Answered
from registry.answers import OutcomeKind
from registry.identifiers import HomeCommunityId

_ADD = insert(peer_answer).inline()
_NEWEST = (
    select(peer_answer)
    .where(peer_answer.c.home == bindparam("home"))
    .order_by(peer_answer.c.number.desc())
    .limit(bindparam("size"))
)
_HOMES = select(peer_answer.c.home).distinct()
_AFTER = (
    select(peer_answer.c.number)
    .where(peer_answer.c.home == bindparam("home"))
    .order_by(peer_answer.c.number.desc())
    .offset(bindparam("size"))
    .limit(1)
)
_OLDER = delete(peer_answer).where(
    peer_answer.c.home == bindparam("which"), peer_answer.c.number <= bindparam("last")
)  # fmt: skip


class PeerAnswers(Part):
    """Only added, so that questions asked at the same time do not wait for each other."""

    __slots__ = ()

    def add(self, answers: Iterable[Answered]) -> None:
        rows = [
            {
                "home": str(one.home),
                "kind": one.kind.value,
                "at": moment(one.at),
                "milliseconds": round(one.seconds * 1000),
            }
            for one in answers
        ]
        if rows:
            self._connection.execute(_ADD, rows)

    def newest(self, home: HomeCommunityId, size: int) -> tuple[Answered, ...]:
        """Of one hospital, the newest first."""
        rows = self._connection.execute(_NEWEST, {"home": str(home), "size": size})
        return tuple(
            Answered(home, OutcomeKind(row.kind), datetime.fromisoformat(row.at), row.milliseconds / 1000)
            for row in rows
        )

    def keep(self, size: int) -> None:
        """Forget all but the newest of each hospital."""
        for home in list(self._connection.execute(_HOMES).scalars()):
            last = self._connection.execute(_AFTER, {"home": home, "size": size}).scalar()
            if last is not None:
                self._connection.execute(_OLDER, {"which": home, "last": last})
