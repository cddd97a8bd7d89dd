"""What all hospitals hold of one patient as a doctor reads it: CT and MRI foremost, by examination, newest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.answers import CommunityOutcome, OutcomeKind
from registry.documents import DocumentEntry
from registry.examinations import Examination
from registry.identifiers import HomeCommunityId
from registry.performed import Performed, as_performed
from registry.studies import Study

KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("discharge", frozenset({"18842-5", "11490-0", "28655-9", "34105-7"})),
    ("referral", frozenset({"57133-1", "18761-7", "34133-9"})),
    ("laboratory", frozenset({"11502-2", "26436-6", "18719-5"})),
    ("medicines", frozenset({"57833-6", "56445-0", "10160-0", "29549-3"})),
    ("images", frozenset({"18748-4", "68604-8", "18782-3"})),
    ("summary", frozenset({"60591-5", "11503-0", "34117-2"})),
)
"""What else a doctor looks for, in this order, by LOINC codes of the document type or class."""
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Group:
    """The same examination over time; `examination` is None where no header or code tells which."""

    examination: Examination | None
    entries: tuple[Performed, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Newest first in each part."""

    imaging: tuple[Group, ...]
    others: tuple[Performed, ...]

    @property
    def kinds(self) -> tuple[tuple[str, tuple[Performed, ...]], ...]:
        """What is not foremost, under the heading that a doctor looks for; the rest under `others`."""
        names = (*(name for name, _ in KINDS), "others")
        sorted_out = ((name, tuple(one for one in self.others if heading(one) == name)) for name in names)
        return tuple((name, entries) for name, entries in sorted_out if entries)

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
    """Which heading it belongs under."""
    if entry.study is not None:
        return "images"
    codes = {code.code for report in entry.reports for code in (report.type, *report.categories) if code}
    return next((name for name, known in KINDS if codes & known), "others")


def _kind(entry: Performed) -> tuple[str, str]:
    if entry.examination is None:
        return "?", entry.title
    return entry.examination.modality, entry.examination.region


def _spoken_of(entries: Sequence[Performed]) -> Examination | None:
    return entries[0].examination


_GRAVITY = (
    OutcomeKind.BROKEN,
    OutcomeKind.SILENT,
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
