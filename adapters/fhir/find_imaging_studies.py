"""Find imaging studies: which scans there are of a patient, here or in the whole network.

Source: HL7 FHIR R4, ImagingStudy search parameters, https://hl7.org/fhir/R4/imagingstudy.html#search
"""

from __future__ import annotations

from typing import Any

from adapters.fhir import outcome
from adapters.fhir.imaging_study import BODY_PART, dicom_classes, imaging_study
from adapters.fhir.searching import moment, read_search, require_patient, string, token
from adapters.fhir.writing import searchset
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.coded import DCM, CodedValue
from registry.commands import FindStudies, Page
from registry.identifiers import DICOM_UID, PatientIdentifier
from registry.searches import StudySearch
from registry.studies import Study


def _identifiers(study: Study) -> list[PatientIdentifier | str]:
    """The study UID with and without its prefix, and the accession number as its hospital numbers it."""
    uid = study.study_instance_uid
    found: list[PatientIdentifier | str] = [PatientIdentifier(DICOM_UID, f"urn:oid:{uid}"), uid]
    if study.accession_number:
        found.append(PatientIdentifier(study.patient.system, study.accession_number))
    return found


def _series(study: Study) -> list[str]:
    return [each.series_instance_uid for each in study.series]


def _instances(study: Study) -> list[str]:
    return [each.sop_instance_uid for series in study.series for each in series.instances]


def _with_prefix(uids: list[str]) -> list[str]:
    return [*uids, *(f"urn:oid:{uid}" for uid in uids)]


PARAMETERS = {
    "_lastUpdated": moment(lambda s: s.updated),
    "bodysite": token(lambda s: [CodedValue(each.body_part, BODY_PART) for each in s.series if each.body_part]),
    "dicom-class": token(dicom_classes),
    "identifier": token(_identifiers),
    "instance": token(lambda s: _with_prefix(_instances(s))),
    "modality": token(lambda s: [CodedValue(each, DCM) for each in s.modalities]),
    "referrer.name": string(lambda s: [s.referrer]),
    "series": token(lambda s: _with_prefix(_series(s))),
    "started": moment(lambda s: s.started),
    "status": token(lambda s: ["available"]),
}
SEARCH_PARAMETERS = {
    "_id": "token",
    "_lastUpdated": "date",
    "bodysite": "token",
    "dicom-class": "token",
    "identifier": "token",
    "instance": "token",
    "modality": "token",
    "patient": "reference",
    "patient.identifier": "token",
    "referrer.name": "string",
    "series": "token",
    "started": "date",
    "status": "token",
}
"""For the CapabilityStatement, in the types of the standard."""


def decode(request: WireRequest) -> FindStudies:
    asked = read_search(request, PARAMETERS)
    if not any(name.partition(":")[0] == "identifier" for name, _ in asked.used):
        require_patient(asked, request)
    return FindStudies(
        StudySearch(
            patient=asked.selector,
            ids=asked.ids,
            where=asked.where,
            limit=asked.limit,
            after=asked.after,
            count_only=asked.count_only,
        )
    )


def encode(page: Page[Study], request: WireRequest) -> WireResponse:
    names = {each.community.home: each.community.name for each in page.outcomes}

    def encode_item(study: Study) -> dict[str, Any]:
        return imaging_study(study, base=request.base, home=request.home, names=names)

    return searchset(request, page, encode_item, used=request.kept["used"], warnings=request.kept["unsupported"])


TRANSACTION = Transaction(
    "ImagingStudy-search",
    "Find Imaging Studies",
    source="HL7 FHIR R4, 3.1.1",
    route=("GET", "/ImagingStudy"),
    command=FindStudies,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("ImagingStudy", "s"),
    doors=EVERYWHERE,
    form=True,
)
