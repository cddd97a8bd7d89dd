"""What all hospitals hold of one patient as a doctor reads it: CT and MRI foremost, by examination, newest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.answers import CommunityOutcome, OutcomeKind
from registry.coded import SERVICE_CODE
from registry.documents import DocumentEntry
from registry.examinations import Examination, by_service_code, from_header
from registry.identifiers import DICOM_UID, HomeCommunityId
from registry.pairing import parse_examination
from registry.studies import Study

FOREMOST = frozenset({"CT", "MR"})
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
class Entry:
    """One examination as it was performed once, or one other document: images and reports that belong together."""

    performed: datetime | None
    home: HomeCommunityId
    examination: Examination | None
    study: Study | None = None
    reports: tuple[DocumentEntry, ...] = ()

    @property
    def title(self) -> str:
        """As its hospital calls it."""
        for report in self.reports:
            if report.attachment.title or report.type:
                return report.attachment.title or (report.type.display if report.type else "") or ""
        return (self.study.description if self.study else "") or ""

    @property
    def kind(self) -> str:
        """Which heading it belongs under."""
        if self.study is not None:
            return "images"
        codes = {code.code for report in self.reports for code in (report.type, *report.categories) if code}
        return next((name for name, known in KINDS if codes & known), "others")

    @property
    def is_foremost(self) -> bool:
        if self.examination is not None:
            return self.examination.modality in FOREMOST
        return self.study is not None and bool(FOREMOST & set(self.study.modalities))


@dataclass(frozen=True, slots=True)
class Group:
    """The same examination over time; `examination` is None where no header or code tells which."""

    examination: Examination | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Newest first in each part."""

    imaging: tuple[Group, ...]
    others: tuple[Entry, ...]

    @property
    def kinds(self) -> tuple[tuple[str, tuple[Entry, ...]], ...]:
        """What is not foremost, under the heading that a doctor looks for; the rest under `others`."""
        names = (*(name for name, _ in KINDS), "others")
        sorted_out = ((name, tuple(one for one in self.others if one.kind == name)) for name in names)
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
    entries = sorted(_entries(documents, studies, here), key=lambda e: e.performed or _LONG_AGO, reverse=True)
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.is_foremost:
            groups[_kind(entry)].append(entry)
    imaging = tuple(Group(_spoken_of(each), tuple(each)) for each in groups.values())
    return Timeline(imaging, tuple(entry for entry in entries if not entry.is_foremost))


def _kind(entry: Entry) -> tuple[str, str]:
    if entry.examination is None:
        return "?", entry.title
    return entry.examination.modality, entry.examination.region


def _spoken_of(entries: Sequence[Entry]) -> Examination | None:
    return entries[0].examination


def _entries(documents: Iterable[DocumentEntry], studies: Iterable[Study], here: HomeCommunityId) -> Iterable[Entry]:
    """A report goes with the study that it names, at the hospital that holds both."""
    reports: dict[tuple[HomeCommunityId, str], list[DocumentEntry]] = defaultdict(list)
    alone: list[DocumentEntry] = []
    listed = list(studies)
    known = {(study.home or here, study.study_instance_uid) for study in listed}
    for document in documents:
        places = [(document.home or here, r.value) for r in document.references if r.system == DICOM_UID]
        place = next((one for one in places if _bare(one) in known), None)
        if place is None:
            alone.append(document)
        else:
            reports[_bare(place)].append(document)
    for study in listed:
        mine = reports[(study.home or here, study.study_instance_uid)]
        yield Entry(study.started, study.home or here, _examined(study, mine), study, tuple(mine))
    for document in alone:
        yield Entry(document.performed, document.home or here, _named(document), None, (document,))


def _bare(place: tuple[HomeCommunityId, str]) -> tuple[HomeCommunityId, str]:
    return place[0], place[1].removeprefix("urn:oid:")


def _examined(study: Study, reports: Sequence[DocumentEntry]) -> Examination | None:
    """The report's service code says more than the header, which is silent about contrast that was not given."""
    for report in reports:
        found = _named(report)
        if found is not None:
            return found
    if study.examination:
        return parse_examination(study.examination)
    series = study.series[0] if study.series else None
    modality = next((m for m in study.modalities if m in FOREMOST), "")
    return from_header(modality, series.body_part if series else None, study.description)


def _named(document: DocumentEntry) -> Examination | None:
    if document.examination:
        return parse_examination(document.examination)
    for event in document.events:
        service = by_service_code(event.code) if event.system == SERVICE_CODE else None
        if service is not None:
            return service.examination
    return None


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
