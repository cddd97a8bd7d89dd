"""The answers of many hospitals to one question, and how they become one.

Every community that was asked has exactly one outcome, whatever became of it: none is silently absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from registry.documents import DocumentEntry
from registry.earlier import ListedStudy
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.studies import Study

Found = TypeVar("Found", DocumentEntry, Study)


class OutcomeKind(StrEnum):
    """What became of one community in one question.

    ANSWERED       it answered; `count` entries are in the result
    WITHHELD       nothing can be shown without the patient's request; says nothing about what is there
    NOT_UNIQUE     the description fits several people there; ask for one more detail
    SILENT         no answer within the deadline, or not reachable
    BROKEN         an answer that cannot be used: wrong form, wrong patient, too much, refused by its own rules
    INCOMPLETE     answered, but more is there than was brought
    DEFERRED       it took the question for the patient and answers it later; until then nothing can be asked for
    """

    ANSWERED = "answered"
    WITHHELD = "withheld"
    NOT_UNIQUE = "not-unique"
    SILENT = "silent"
    BROKEN = "broken"
    INCOMPLETE = "incomplete"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Community:
    """A hospital of the network as a question names it."""

    home: HomeCommunityId
    facility: FacilityCode
    name: str


@dataclass(frozen=True, slots=True)
class LastKnown:
    """What a hospital of which nothing is heard now listed at its last answer; it may have changed since.

    listed  when that was, `age` ago
    found   as far as the permission under which it was received still stands; newest first
    """

    listed: datetime
    age: timedelta
    found: tuple[DocumentEntry | ListedStudy, ...] = ()


@dataclass(frozen=True, slots=True)
class CommunityOutcome:
    """One line of the answer. `seconds` is how long it took; `detail` is for people and holds nothing personal.

    last  of a community that is silent or broken; never among what was found now
    """

    community: Community
    kind: OutcomeKind
    count: int = 0
    detail: str = ""
    seconds: float = 0.0
    last: LastKnown | None = None


@dataclass(frozen=True, slots=True)
class PeerAnswer(Generic[Found]):
    """What one community gave, own records included."""

    outcome: CommunityOutcome
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkAnswer(Generic[Found]):
    """All of it: newest first, with one outcome for each community that was asked."""

    found: tuple[Found, ...]
    outcomes: tuple[CommunityOutcome, ...]

    @property
    def complete(self) -> bool:
        """Everybody answered, and with all that they may show."""
        return all(outcome.kind is OutcomeKind.ANSWERED for outcome in self.outcomes)


_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def merge(answers: Sequence[PeerAnswer[Found]]) -> NetworkAnswer[Found]:
    """Newest first; the same thing from two communities stays twice, since each holder answers for its own copy."""
    found = [item for answer in answers for item in answer.found]
    found.sort(key=lambda item: (_performed(item) or _LONG_AGO, item.id), reverse=True)
    return NetworkAnswer(tuple(found), tuple(answer.outcome for answer in answers))


def _performed(item: DocumentEntry | Study) -> datetime | None:
    return item.performed if isinstance(item, DocumentEntry) else item.started
