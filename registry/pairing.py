"""A report and the study it describes find each other where the data allow it, and say so where they do not.

An accession number that only one study carries decides. Otherwise: same patient, same modality, compatible region
and contrast, performed within two hours of each other, and exactly one such study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from registry.examinations import Examination
from registry.studies import Study

WINDOW = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What a report tells about the examination it describes."""

    examination: Examination | None
    performed: datetime | None
    accession_number: str | None = None
    study_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """The study of a report, or the reason why none was chosen."""

    study_id: str | None
    reason: str


def pair(report: ReportFacts, studies: Sequence[Study]) -> Pairing:
    """Choose among the studies of the same patient that have no report yet."""
    for study in studies:
        if report.study_instance_uid == study.study_instance_uid:
            return Pairing(study.id, "the report names the study")
    if report.accession_number:
        same = [study for study in studies if study.accession_number == report.accession_number]
        if len(same) == 1:
            return Pairing(same[0].id, "same accession number")
    if report.examination is None or report.performed is None:
        return Pairing(None, "the report does not say which examination it is, or when it was performed")
    fitting = [study for study in studies if _fits(study, report.examination, report.performed)]
    if len(fitting) == 1:
        return Pairing(fitting[0].id, "same patient, examination and time")
    if not fitting:
        return Pairing(None, "no study of this examination around this time is here yet")
    return Pairing(None, f"{len(fitting)} studies of this examination around this time; a person has to choose")


def _fits(study: Study, examination: Examination, performed: datetime) -> bool:
    if study.started is None or abs(study.started - performed) > WINDOW:
        return False
    if examination.modality not in study.modalities:
        return False
    known = parse_examination(study.examination)
    return known is None or known.may_be(examination)


def parse_examination(key: str | None) -> Examination | None:
    """An examination from its key, `CT/brain/plain`."""
    if not key or key.count("/") != 2:
        return None
    modality, region, contrast = key.split("/")
    return Examination(modality, region, {"contrast": True, "plain": False}.get(contrast))
