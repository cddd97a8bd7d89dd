"""What visits say over time, of one hospital or of many: each fact with the hospital that told it.

Pure. Nothing is judged: of the same diagnosis or medicine the newest word is kept, of values every reading.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from registry.clinical import Medication, Problem, Result
from registry.coded import CodedValue
from registry.identifiers import HomeCommunityId
from registry.summary import MEDICINES_SINCE
from registry.trends import Trend, trends
from registry.vietnamese import same_words

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
Fact = TypeVar("Fact", Problem, Medication)


@dataclass(frozen=True, slots=True)
class Told(Generic[Fact]):
    """A fact, and the hospital whose word it is."""

    fact: Fact
    home: HomeCommunityId


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """What one visit says, or one report of a laboratory.

    ended  when it was over, else when it began; None where it does not say
    """

    problems: tuple[Problem, ...] = ()
    medications: tuple[Medication, ...] = ()
    results: tuple[Result, ...] = ()
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """Newest first in each part.

    withheld          visits of this hospital that may not be seen, and
    withheld_reports  laboratory reports that may not
    """

    problems: tuple[Told[Problem], ...] = ()
    medications: tuple[Told[Medication], ...] = ()
    trends: tuple[Trend, ...] = ()
    withheld: int = 0
    withheld_reports: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.problems or self.medications or self.trends)


def course_of(
    visits: Iterable[tuple[HomeCommunityId, VisitFacts]], *, now: datetime, withheld: int = 0, withheld_reports: int = 0
) -> Course:
    """All of it together; medicines are those of visits of the last year."""
    known = sorted(visits, key=lambda one: one[1].ended or _LONG_AGO, reverse=True)
    recent = [(home, visit) for home, visit in known if now - (visit.ended or _LONG_AGO) <= MEDICINES_SINCE]
    problems = (Told(one, home) for home, visit in known for one in visit.problems)
    medications = (Told(one, home) for home, visit in recent for one in visit.medications)
    return Course(
        _newest(problems, lambda one: _meaning(one.code) or same_words(one.text)),
        _newest(medications, lambda one: same_words(f"{one.name} {one.strength}")),
        trends((home, one) for home, visit in known for one in visit.results),
        withheld,
        withheld_reports,
    )


def _meaning(code: CodedValue | None) -> tuple[str, str | None] | None:
    """Two hospitals may show the same code with other words."""
    return (code.code, code.system) if code else None


def _newest(told: Iterable[Told[Fact]], same: Callable[[Fact], Hashable]) -> tuple[Told[Fact], ...]:
    """The first of each kind, in their order."""
    kept: dict[Hashable, Told[Fact]] = {}
    for one in told:
        kept.setdefault(same(one.fact), one)
    return tuple(kept.values())
