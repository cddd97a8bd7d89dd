"""An examination as it was performed once: images and reports that belong together, at the hospital that holds both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from registry.coded import SERVICE_CODE
from registry.documents import DocumentEntry
from registry.examinations import Examination, Service, by_service_code, from_header
from registry.identifiers import DICOM_UID, HomeCommunityId
from registry.ordered import spoken_of
from registry.pairing import parse_examination
from registry.studies import Study

COMPARED = frozenset({"CT", "MR"})


@dataclass(frozen=True, slots=True)
class Performed:
    """One study with its reports, or one document that stands alone.

    examination  None where neither code, title nor header tells which
    service      the row of the price list behind its code
    """

    performed: datetime | None
    home: HomeCommunityId
    examination: Examination | None
    study: Study | None = None
    reports: tuple[DocumentEntry, ...] = ()
    service: Service | None = None

    @property
    def title(self) -> str:
        """As its hospital calls it."""
        for report in self.reports:
            if report.attachment.title or (report.type and report.type.display):
                return report.attachment.title or (report.type.display if report.type else "") or ""
        return (self.study.description if self.study else "") or ""

    @property
    def is_compared(self) -> bool:
        """Whether it is a CT or an MRI."""
        if self.examination is not None:
            return self.examination.modality in COMPARED
        return self.study is not None and bool(COMPARED & set(self.study.modalities))


def as_performed(
    studies: Iterable[Study], documents: Iterable[DocumentEntry], *, here: HomeCommunityId
) -> Iterator[Performed]:
    """Studies first, then the documents that belong to none; `here` is the hospital of what names none."""
    listed = list(studies)
    reports, alone = _with_their_studies(listed, documents, here)
    for study in listed:
        home = study.home or here
        mine = tuple(reports[home, study.study_instance_uid])
        named = next((found for found in map(_named, mine) if found is not None), None)
        examination, service = named or (_from_headers(study), None)
        yield Performed(study.started, home, _completed(examination, study), study, mine, service)
    for document in alone:
        examination, service = _named(document) or (None, None)
        yield Performed(document.performed, document.home or here, examination, None, (document,), service)


_Place = tuple[HomeCommunityId, str]


def _with_their_studies(
    studies: Sequence[Study], documents: Iterable[DocumentEntry], here: HomeCommunityId
) -> tuple[defaultdict[_Place, list[DocumentEntry]], list[DocumentEntry]]:
    """Reports by the study that they name or that names them; and those that stand alone."""
    places = {(study.home or here, study.study_instance_uid) for study in studies}
    by_report = {
        (study.home or here, study.report_id): (study.home or here, study.study_instance_uid)
        for study in studies
        if study.report_id
    }
    reports: defaultdict[_Place, list[DocumentEntry]] = defaultdict(list)
    alone = []
    for document in documents:
        home = document.home or here
        named = ((home, uid) for uid in _named_studies(document))
        place = next((one for one in named if one in places), by_report.get((home, document.id)))
        if place is None:
            alone.append(document)
        else:
            reports[place].append(document)
    return reports, alone


def _named_studies(document: DocumentEntry) -> Iterator[str]:
    return (r.value.removeprefix("urn:oid:") for r in document.references if r.system == DICOM_UID)


def is_report_of_images(document: DocumentEntry) -> bool:
    """Whether a document tells of an examination whose images somebody may look for."""
    return _named(document) is not None


def _named(document: DocumentEntry) -> tuple[Examination, Service | None] | None:
    """Which examination a report is of: by its service code, by what its sender said, or by its title."""
    for event in document.events:
        service = by_service_code(event.code) if event.system == SERVICE_CODE else None
        if service is not None:
            return service.examination, service
    title = document.attachment.title or (document.type.display if document.type else "") or ""
    examination = parse_examination(document.examination) or spoken_of(title)
    return (examination, None) if examination is not None else None


def _from_headers(study: Study) -> Examination | None:
    known = parse_examination(study.examination)
    if known is not None:
        return known
    modality = next((one for one in study.modalities if one in COMPARED), "")
    part = next((series.body_part for series in study.series if series.body_part), None)
    return from_header(modality, part, study.description)


def _completed(examination: Examination | None, study: Study) -> Examination | None:
    """A contrast agent in a header says that one was given; its absence says nothing."""
    if examination is None or examination.contrast is not None:
        return examination
    given = any(series.contrast_agent for series in study.series)
    return replace(examination, contrast=True) if given else examination
