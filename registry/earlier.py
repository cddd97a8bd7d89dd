"""An examination that was done before, wherever: its images and its report brought together, as far as they are listed.

What other hospitals listed is kept without its instances: a rule needs to know how many there are, not which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from registry.coded import SERVICE_CODE
from registry.documents import DocumentEntry
from registry.examinations import Examination, Service, by_service_code, from_header
from registry.identifiers import DICOM_UID, HomeCommunityId
from registry.ordered import spoken_of
from registry.pairing import parse_examination
from registry.studies import Series, Study

COMPARED = frozenset({"CT", "MR"})


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study without its instances; `images` says how many each series has."""

    study: Study
    images: tuple[int, ...] = ()


def listed(study: Study) -> ListedStudy:
    """The study as it is remembered."""
    bare = tuple(replace(series, instances=()) for series in study.series)
    return ListedStudy(replace(study, series=bare), tuple(len(series.instances) for series in study.series))


@dataclass(frozen=True, slots=True)
class Earlier:
    """One CT or MRI as it was performed once.

    examination  None where neither code nor header tells which
    service      the row of the price list behind its code: it tells the scanner class
    images       how many images there are; 0 where only a report is known
    conclusion   of its report, as far as it is known without opening it
    learnt       when another hospital listed it; None for this hospital's own
    """

    home: HomeCommunityId
    performed: datetime | None
    examination: Examination | None
    title: str = ""
    service: Service | None = None
    study_id: str = ""
    study_instance_uid: str = ""
    images: int = 0
    series: tuple[Series, ...] = ()
    reports: tuple[DocumentEntry, ...] = ()
    learnt: datetime | None = None
    conclusion: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Registry ids of all that it consists of."""
        return (*((self.study_id,) if self.study_id else ()), *(report.id for report in self.reports))


def bring_together(
    studies: Iterable[ListedStudy],
    documents: Iterable[DocumentEntry],
    *,
    here: HomeCommunityId,
    learnt: datetime | None = None,
) -> tuple[Earlier, ...]:
    """The examinations behind these studies and reports of one hospital; what is neither CT nor MRI is left out."""
    kept = [one for one in studies if COMPARED & set(one.study.modalities)]
    reports, alone = _with_their_studies(kept, documents)
    found = [_of_study(one, reports[one.study.study_instance_uid], here, learnt) for one in kept]
    found += [one for one in (_of_report(document, here, learnt) for document in alone) if one is not None]
    return tuple(found)


def _with_their_studies(
    studies: Sequence[ListedStudy], documents: Iterable[DocumentEntry]
) -> tuple[Mapping[str, list[DocumentEntry]], list[DocumentEntry]]:
    """Reports by the study that they name or that names them; and those that stand alone."""
    uids = {one.study.study_instance_uid for one in studies}
    by_report = {one.study.report_id: one.study.study_instance_uid for one in studies if one.study.report_id}
    reports: dict[str, list[DocumentEntry]] = defaultdict(list)
    alone = []
    for document in documents:
        uid = next((one for one in _named_studies(document) if one in uids), by_report.get(document.id))
        if uid is None:
            alone.append(document)
        else:
            reports[uid].append(document)
    return reports, alone


def _named_studies(document: DocumentEntry) -> Iterator[str]:
    return (r.value.removeprefix("urn:oid:") for r in document.references if r.system == DICOM_UID)


def _of_study(
    one: ListedStudy, reports: Sequence[DocumentEntry], here: HomeCommunityId, learnt: datetime | None
) -> Earlier:
    study = one.study
    named = [found for found in map(_named, reports) if found is not None]
    examination, service = named[0] if named else (_from_headers(study), None)
    return Earlier(
        study.home or here,
        study.started,
        _completed(examination, study),
        _title(reports) or study.description or "",
        service,
        study.id,
        study.study_instance_uid,
        sum(one.images),
        study.series,
        tuple(reports),
        learnt,
        _described(reports),
    )


def _of_report(document: DocumentEntry, here: HomeCommunityId, learnt: datetime | None) -> Earlier | None:
    named = _named(document)
    if named is None or named[0].modality not in COMPARED:
        return None
    return Earlier(
        document.home or here,
        document.performed,
        named[0],
        _title((document,)),
        named[1],
        reports=(document,),
        learnt=learnt,
        conclusion=_described((document,)),
    )


def _named(document: DocumentEntry) -> tuple[Examination, Service | None] | None:
    """Which examination a report is of: by its service code, by what its sender said, or by its title."""
    for event in document.events:
        service = by_service_code(event.code) if event.system == SERVICE_CODE else None
        if service is not None:
            return service.examination, service
    examination = parse_examination(document.examination) or spoken_of(_title((document,)))
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


def _described(reports: Sequence[DocumentEntry]) -> str:
    return next((report.description for report in reports if report.description), "")


def _title(reports: Sequence[DocumentEntry]) -> str:
    for report in reports:
        if report.attachment.title or (report.type and report.type.display):
            return report.attachment.title or (report.type.display if report.type else "") or ""
    return ""
