"""What a hospital knows of a patient, in short: from its visits, the newest word on each thing.

Pure: visits and documents in, a summary out. Whoever calls has decided what of it may be seen; what was left out is
counted, so that nobody takes the summary for everything there is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from registry.clinical import Medication, Problem, Result, Service
from registry.coded import IMAGING_REPORT
from registry.documents import DocumentEntry
from registry.submissions import Visit
from registry.vietnamese import same_words

MOST = 100
"""Lines of one section; a summary that is longer is read by nobody."""

MEDICINES_SINCE = timedelta(days=365)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Summary:
    """Newest first in each part.

    visits    how many visits it is made of
    withheld  how many visits and documents were left out, since they may not be seen
    latest    when the newest of it happened
    """

    problems: tuple[Problem, ...] = ()
    medications: tuple[Medication, ...] = ()
    results: tuple[Result, ...] = ()
    services: tuple[Service, ...] = ()
    reports: tuple[DocumentEntry, ...] = ()
    visits: int = 0
    withheld: int = 0
    latest: datetime | None = None


def compose(visits: Iterable[Visit], documents: Sequence[DocumentEntry], *, withheld: int, now: datetime) -> Summary:
    """`documents` are imaging reports and reports with values, newest first. A cancelled visit says nothing."""
    took_place = sorted((one for one in visits if not one.cancelled), key=_when, reverse=True)
    recent = [one for one in took_place if now - _when(one) <= MEDICINES_SINCE]
    measured = (*(r for v in took_place for r in v.results), *(r for d in documents for r in d.results))
    return Summary(
        problems=_newest(((p for v in took_place for p in v.problems)), lambda p: p.code or same_words(p.text)),
        medications=_newest((m for v in recent for m in v.medications), lambda m: (same_words(m.name), m.strength)),
        results=_newest(_by_time(measured), lambda r: r.codes or same_words(r.name)),
        services=_newest((s for v in took_place for s in v.services), lambda s: s.code or same_words(s.name)),
        reports=tuple([one for one in documents if IMAGING_REPORT in one.categories][:MOST]),
        visits=len(took_place),
        withheld=withheld,
        latest=max((when for v in took_place if (when := v.discharged or v.admitted)), default=None),
    )


def _when(visit: Visit) -> datetime:
    return visit.discharged or visit.admitted or _EARLIEST


def _by_time(results: Iterable[Result]) -> list[Result]:
    return sorted(results, key=lambda one: one.resulted or _EARLIEST, reverse=True)


def _newest(facts: Iterable[Fact], same: Callable[[Fact], Hashable]) -> tuple[Fact, ...]:
    """The first of each kind, in their order."""
    kept: dict[Hashable, Fact] = {}
    for fact in facts:
        kept.setdefault(same(fact), fact)
    return tuple(islice(kept.values(), MOST))
