"""What this hospital remembers of the answers of others: the last list of each, and when each last answered.

Kept so that a card can be shown at once when a doctor orders; shown only under the decisions that hold at that moment,
with its age, and replaced by every new answer. Nothing of an emergency access is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from registry.answers import CommunityOutcome, OutcomeKind
from registry.documents import DocumentEntry
from registry.earlier import ListedStudy, listed
from registry.identifiers import HomeCommunityId
from registry.studies import Study

Kind = Literal["documents", "studies"]
MOST = 300
"""Entries of one hospital; who has more is asked again."""
_SAYS_NOTHING_NEW = frozenset({OutcomeKind.SILENT, OutcomeKind.BROKEN, OutcomeKind.DEFERRED})


@dataclass(frozen=True, slots=True)
class Heard:
    """One hospital's part.

    kind      what became of the last question to it
    asked     when that was, and `asker` for whom: what a holder lets one person see it need not let another
    listed    when the entries below were listed; None for never
    """

    home: HomeCommunityId
    kind: OutcomeKind
    asked: datetime
    seconds: float = 0.0
    detail: str = ""
    asker: str = ""
    listed: datetime | None = None
    documents: tuple[DocumentEntry, ...] = ()
    studies: tuple[ListedStudy, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """The last answers of all hospitals to one kind of question about one patient.

    record_ids  the source records whose numbers were in the question: where one of them has become somebody else,
                nothing of this may be shown
    """

    record_id: str
    kind: Kind
    asked: datetime
    record_ids: frozenset[str]
    heard: tuple[Heard, ...] = ()

    def of(self, home: HomeCommunityId) -> Heard | None:
        return next((one for one in self.heard if one.home == home), None)


def remembered(
    before: Memory | None,
    outcomes: Iterable[CommunityOutcome],
    found: Iterable[DocumentEntry | Study],
    *,
    record_id: str,
    kind: Kind,
    record_ids: frozenset[str],
    asker: str,
    now: datetime,
) -> Memory:
    """The memory after one more question. Who answered is remembered anew; of whom nothing was heard the last list
    stays, with its age; who shows nothing any more is remembered with nothing."""
    listed_by = _by_home(found)
    heard = {one.home: one for one in before.heard} if before and before.record_ids == record_ids else {}
    for outcome in outcomes:
        home = outcome.community.home
        heard[home] = _heard(heard.get(home), outcome, listed_by.get(home, ()), asker, now)
    return Memory(record_id, kind, now, record_ids, tuple(heard.values()))


def _by_home(found: Iterable[DocumentEntry | Study]) -> Mapping[HomeCommunityId, list[DocumentEntry | Study]]:
    by_home: dict[HomeCommunityId, list[DocumentEntry | Study]] = {}
    for item in found:
        if item.home is not None:
            by_home.setdefault(item.home, []).append(item)
    return by_home


def _heard(
    before: Heard | None,
    outcome: CommunityOutcome,
    found: Iterable[DocumentEntry | Study],
    asker: str,
    now: datetime,
) -> Heard:
    last = Heard(outcome.community.home, outcome.kind, now, outcome.seconds, outcome.detail, asker)
    if outcome.kind in _SAYS_NOTHING_NEW:
        return (
            replace(last, listed=before.listed, documents=before.documents, studies=before.studies) if before else last
        )
    items = list(found)[:MOST]
    return replace(
        last,
        listed=now,
        documents=tuple(_bare(one) for one in items if isinstance(one, DocumentEntry)),
        studies=tuple(listed(one) for one in items if isinstance(one, Study)),
    )


def _bare(entry: DocumentEntry) -> DocumentEntry:
    """Without what no list shows."""
    return replace(entry, source_demographics=None, extra={})
