"""A report and the study it describes find each other where the data allow it, and say so where they do not.

An accession number that only one study carries decides. Otherwise: same patient, same modality, compatible region
and contrast, performed within two hours of each other, and exactly one such study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from registry.examinations import Examination
from registry.studies import Study

WINDOW = timedelta(hours=2)
_NAMES = UUID("b6d4a1f0-4a0e-5a6b-9a3c-7f2e51c07d19")


class Verdict(StrEnum):
    """What became of a doubt. `overtaken`: the report or the images were put together with something else."""

    OPEN = ""
    TOGETHER = "together"
    APART = "apart"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True)
class PairDoubt:
    """A report and images of one patient that may belong together, and what a registrar said of them.

    raised_by  who put them beside each other; empty where the data did
    """

    study_id: str
    document_id: str
    record_id: str
    raised: datetime
    raised_by: str = ""
    verdict: Verdict = Verdict.OPEN
    decided: datetime | None = None
    decided_by: str = ""

    @property
    def id(self) -> str:
        """The same for the same two, so that they are asked about once."""
        return doubt_id(self.study_id, self.document_id)


def doubt_id(study_id: str, document_id: str) -> str:
    return str(uuid5(_NAMES, f"{study_id} {document_id}"))


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What a report tells about the examination it describes."""

    examination: Examination | None
    performed: datetime | None
    accession_number: str | None = None
    study_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """The study of a report, or the reason why none was chosen; `unclear` are those that a person
    has to look at: they fit equally, or by their time alone."""

    study_id: str | None
    reason: str
    unclear: tuple[str, ...] = ()


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
        near = tuple(study.id for study in studies if _is_near(study, report.performed))
        return Pairing(None, "the report does not say which examination it is, or when it was performed", near)
    fitting = [study for study in studies if _fits(study, report.examination, report.performed)]
    if len(fitting) == 1:
        return Pairing(fitting[0].id, "same patient, examination and time")
    if not fitting:
        return Pairing(None, "no study of this examination around this time is here yet")
    reason = f"{len(fitting)} studies of this examination around this time; a person has to choose"
    return Pairing(None, reason, tuple(study.id for study in fitting))


def _fits(study: Study, examination: Examination, performed: datetime) -> bool:
    if not _is_near(study, performed):
        return False
    if examination.modality not in study.modalities:
        return False
    known = parse_examination(study.examination)
    return known is None or known.may_be(examination)


def _is_near(study: Study, performed: datetime | None) -> bool:
    return study.started is not None and performed is not None and abs(study.started - performed) <= WINDOW


def parse_examination(key: str | None) -> Examination | None:
    """An examination from its key, `CT/brain/plain`."""
    if not key or key.count("/") != 2:
        return None
    modality, region, contrast = key.split("/")
    return Examination(modality, region, {"contrast": True, "plain": False}.get(contrast))
