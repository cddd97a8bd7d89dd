"""What all hospitals hold of one patient as a doctor reads it: CT and MRI foremost, by examination, newest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.answers import Community, CommunityOutcome, LastKnown, OutcomeKind
from registry.documents import LABORATORY, DocumentEntry, is_visit_data
from registry.earlier import ListedStudy
from registry.examinations import Examination
from registry.identifiers import HomeCommunityId
from registry.performed import Performed, as_performed
from registry.studies import Study

KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("discharge", frozenset({"18842-5", "11490-0", "28655-9", "34105-7"})),
    ("referral", frozenset({"57133-1", "18761-7"})),
    ("laboratory", LABORATORY),
    ("medicines", frozenset({"57833-6", "56445-0", "10160-0", "29549-3"})),
    ("images", frozenset({"18748-4", "68604-8", "18782-3"})),
    ("summary", frozenset({"60591-5", "11503-0", "34117-2", "34133-9"})),
)
"""What else a doctor looks for, in this order, by LOINC codes of the document type or class."""
HEADINGS = (*(name for name, _ in KINDS), "others", "data")
"""All headings below the foremost, in their order."""
AT_ONCE = 3
"""Of one examination: the rest is one click away, so that the next examination is seen without scrolling."""
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Group:
    """The same examination over time; `examination` is None where no header or code tells which."""

    examination: Examination | None
    entries: tuple[Performed, ...]

    @property
    def newest(self) -> tuple[Performed, ...]:
        """What stands open; a group that is hardly longer is not cut."""
        return self.entries if len(self.entries) <= AT_ONCE + 1 else self.entries[:AT_ONCE]

    @property
    def older(self) -> tuple[Performed, ...]:
        return self.entries[len(self.newest) :]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Newest first in each part."""

    imaging: tuple[Group, ...]
    others: tuple[Performed, ...]

    @property
    def kinds(self) -> tuple[tuple[str, Group], ...]:
        """What is not foremost, under the heading that a doctor looks for; the rest under `others`."""
        sorted_out: dict[str, list[Performed]] = {name: [] for name in HEADINGS}
        for one in self.others:
            sorted_out[heading(one)].append(one)
        return tuple((name, Group(None, tuple(entries))) for name, entries in sorted_out.items() if entries)

    @property
    def studies(self) -> int:
        """How many of the foremost have images that can be looked at."""
        return sum(entry.study is not None for group in self.imaging for entry in group.entries)

    @property
    def is_empty(self) -> bool:
        return not self.imaging and not self.others


def timeline(documents: Iterable[DocumentEntry], studies: Iterable[Study], *, here: HomeCommunityId) -> Timeline:
    """All of it in order; `here` is the hospital of what names none."""
    entries = sorted(as_performed(studies, documents, here=here), key=lambda e: e.performed or _LONG_AGO, reverse=True)
    groups: dict[tuple[str, str], list[Performed]] = defaultdict(list)
    for entry in entries:
        if entry.is_compared:
            groups[_kind(entry)].append(entry)
    imaging = tuple(Group(_spoken_of(each), tuple(each)) for each in groups.values())
    return Timeline(imaging, tuple(entry for entry in entries if not entry.is_compared))


def heading(entry: Performed) -> str:
    """Which heading it belongs under. What only a program reads stands below what people read."""
    if entry.study is not None:
        return "images"
    if entry.reports and all(map(is_visit_data, entry.reports)):
        return "data"
    codes = {code.code for report in entry.reports for code in (report.type, *report.categories) if code}
    return next((name for name, known in KINDS if codes & known), "others")


def _kind(entry: Performed) -> tuple[str, str]:
    if entry.examination is None:
        return "?", entry.title
    return entry.examination.modality, entry.examination.region


def _spoken_of(entries: Sequence[Performed]) -> Examination | None:
    return entries[0].examination


@dataclass(frozen=True, slots=True)
class Before:
    """What a hospital that does not answer now told at its last answer.

    listed  the older of the moments of its two lists
    images  how many each study had, by its id: the images themselves are not remembered
    copies  ids of what was brought ahead and may be opened from here
    """

    community: Community
    listed: datetime
    timeline: Timeline
    images: Mapping[str, int]
    copies: frozenset[str] = frozenset()


def before(community: Community, lasts: Sequence[LastKnown], copies: frozenset[str] = frozenset()) -> Before:
    """Its lists of documents and of studies as one."""
    found = [one for last in lasts for one in last.found]
    studies = [one for one in found if isinstance(one, ListedStudy)]
    documents = [one for one in found if isinstance(one, DocumentEntry)]
    return Before(
        community,
        min(last.listed for last in lasts),
        timeline(documents, [one.study for one in studies], here=community.home),
        {one.study.id: sum(one.images) for one in studies},
        copies,
    )


_GRAVITY = (
    OutcomeKind.BROKEN,
    OutcomeKind.SILENT,
    OutcomeKind.DEFERRED,
    OutcomeKind.NOT_UNIQUE,
    OutcomeKind.INCOMPLETE,
    OutcomeKind.WITHHELD,
    OutcomeKind.ANSWERED,
)


def together(*answers: Sequence[CommunityOutcome]) -> tuple[CommunityOutcome, ...]:
    """One line a hospital from the answers to two questions: the graver of both kinds, the sum of what was found."""
    by_home: dict[HomeCommunityId, CommunityOutcome] = {}
    for outcome in (one for answer in answers for one in answer):
        home = outcome.community.home
        before = by_home.get(home)
        by_home[home] = outcome if before is None else _graver(before, outcome)
    return tuple(by_home.values())


def _graver(one: CommunityOutcome, other: CommunityOutcome) -> CommunityOutcome:
    first = min(one, other, key=lambda outcome: _GRAVITY.index(outcome.kind))
    return CommunityOutcome(
        first.community, first.kind, one.count + other.count, first.detail, max(one.seconds, other.seconds)
    )
