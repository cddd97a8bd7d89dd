"""What a question about studies asks for, the same for QIDO-RS and C-FIND: keys, levels, and what fits them.

Sources: DICOM PS3.4: C.2.2.2 (matching), C.6 (levels and keys), PS3.18: 10.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from adapters.dicom.errors import BadParameter
from adapters.dicom.header_values import issuer_system
from adapters.dicom.matching import Matches, date_range, like, name_like, time_range
from registry.errors import InvalidValue
from registry.identifiers import PatientIdentifier, check_uid
from registry.people import PatientInQuestion
from registry.searches import ANYBODY, PatientSelector, StudySearch
from registry.studies import Instance, Series, Study

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
Row = tuple[Study, Series | None, Instance | None]

# the keys that are text, how they match, and where the index keeps what they are compared with
_TEXTS: dict[str, tuple[Callable[[str], Matches], Callable[[Study], str | None]]] = {
    "AccessionNumber": (like, lambda study: study.accession_number),
    "PatientName": (name_like, lambda study: study.extra.get("PatientName")),
    "PatientSex": (like, lambda study: study.extra.get("PatientSex")),
    "ReferringPhysicianName": (name_like, lambda study: study.referrer),
    "StudyDescription": (name_like, lambda study: study.description),
    "StudyID": (like, lambda study: study.extra.get("StudyID")),
}
_SERIES: dict[str, Callable[[Series], object]] = {
    "SeriesInstanceUID": lambda series: series.series_instance_uid,
    "Modality": lambda series: series.modality,
    "SeriesNumber": lambda series: series.number,
    "SeriesDescription": lambda series: series.description or "",
    "BodyPartExamined": lambda series: series.body_part or "",
}
_INSTANCES: dict[str, Callable[[Instance], object]] = {
    "SOPInstanceUID": lambda instance: instance.sop_instance_uid,
    "SOPClassUID": lambda instance: instance.sop_class_uid,
    "InstanceNumber": lambda instance: instance.number,
}
_UIDS = frozenset({"SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"})
LISTS = _UIDS | {"StudyInstanceUID"}
"""Keys of which several values may be given. Source: DICOM PS3.4: C.2.2.2.2 (list of UID matching)."""
_STUDY_KEYS = frozenset(_TEXTS) | {
    "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyTime",
    "ModalitiesInStudy",
}  # fmt: skip
KEYS: Mapping[str, frozenset[str]] = {
    "PATIENT": _STUDY_KEYS,
    "STUDY": _STUDY_KEYS,
    "SERIES": frozenset(_SERIES),
    "IMAGE": frozenset(_INSTANCES),
}
"""The keys of each level; a question may use those of the levels above it too."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question at one level; `asked` are its keys by keyword. Raises BadParameter for a value of the wrong form."""

    level: str
    asked: Mapping[str, str] = field(default_factory=dict)

    def search(self, own_system: str, *, limit: int) -> StudySearch:
        """The search of the index behind it. A patient id without an issuer is of `own_system`; without that either it
        means another patient at each hospital, and is refused."""
        where = tuple(self._conditions())
        if self.level in ("SERIES", "IMAGE") and "StudyInstanceUID" not in self.asked:
            where += (lambda study: next(self.rows(study), None) is not None,)
        for keyword in _UIDS & self.asked.keys():
            self._uids(keyword)
        uids = self._uids("StudyInstanceUID")
        return StudySearch(patient=self._patient(own_system), study_instance_uids=uids, where=where, limit=limit)

    def rows(self, study: Study) -> Iterator[Row]:
        """What of a study fits, in its order."""
        if self.level in ("PATIENT", "STUDY"):
            yield study, None, None
            return
        for series in study.series:
            if not self._fits(_SERIES, series):
                continue
            if self.level == "SERIES":
                yield study, series, None
            else:
                yield from ((study, series, one) for one in series.instances if self._fits(_INSTANCES, one))

    def _fits(self, readers: Mapping[str, Callable[[Any], object]], one: object) -> bool:
        return all(
            like(*_listed(self.asked[name]))(str(read(one))) for name, read in readers.items() if name in self.asked
        )

    def _patient(self, own_system: str) -> PatientSelector:
        number, issuer = self.asked.get("PatientID"), self.asked.get("IssuerOfPatientID")
        if number is None:
            if issuer is not None:
                raise BadParameter("IssuerOfPatientID", "needs PatientID beside it")
            return ANYBODY
        system = issuer_system(issuer) if issuer else own_system
        if not system:
            raise BadParameter("IssuerOfPatientID", "is needed beside PatientID")
        if "*" in number or "?" in number:
            raise BadParameter("PatientID", "one whole number, without wildcards")
        return PatientSelector(described=PatientInQuestion((PatientIdentifier(system, number),)))

    def _uids(self, keyword: str) -> tuple[str, ...] | None:
        if keyword not in self.asked:
            return None
        try:
            return tuple(check_uid(uid) for uid in _listed(self.asked[keyword]))
        except InvalidValue as error:
            raise BadParameter(keyword, error.expected) from error

    def _conditions(self) -> Iterator[Callable[[Study], bool]]:
        asked = self.asked
        if "StudyDate" in asked:
            yield _performed_within(*date_range("StudyDate", asked["StudyDate"]))
        if "StudyTime" in asked:
            yield _performed_between(*time_range("StudyTime", asked["StudyTime"]))
        if "PatientBirthDate" in asked:
            yield _born_within(*date_range("PatientBirthDate", asked["PatientBirthDate"]))
        if "ModalitiesInStudy" in asked:
            wanted = like(*_listed(asked["ModalitiesInStudy"]))
            yield lambda study: any(wanted(modality) for modality in study.modalities)
        for keyword, (matching, read) in _TEXTS.items():
            if keyword in asked:
                yield _said(matching(asked[keyword]), read)


def _said(matches: Matches, read: Callable[[Study], str | None]) -> Callable[[Study], bool]:
    return lambda study: matches(read(study) or "")


def _performed_within(first: date, last: date) -> Callable[[Study], bool]:
    return lambda study: study.started is not None and first <= study.started.date() <= last


def _performed_between(first: str, last: str) -> Callable[[Study], bool]:
    return lambda study: study.started is not None and first <= study.started.strftime("%H%M%S.%f") <= last


def _born_within(first: date, last: date) -> Callable[[Study], bool]:
    """A birth date as the header wrote it; one that is not a whole day is within nothing."""
    low, high = first.strftime("%Y%m%d").zfill(8), last.strftime("%Y%m%d")
    return lambda study: low <= str(study.extra.get("PatientBirthDate", "")) <= high


def _listed(value: str) -> list[str]:
    return re.split(r"[,\\]", value)
