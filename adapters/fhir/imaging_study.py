"""An imaging study of the index as an ImagingStudy, and back.

Source: HL7 FHIR R4, ImagingStudy, https://hl7.org/fhir/R4/imagingstudy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.acquisition import acquisition, read_acquisition
from adapters.fhir.elements import (
    Element,
    coding,
    concept,
    filled,
    first,
    identifier,
    instant,
    organization_reference,
    read_coding,
    read_concept,
    read_moment,
    reference,
)
from adapters.fhir.kept import drop_unreferenced, give_back, keep, without
from adapters.fhir.writing import meta
from registry.coded import DCM, CodedValue
from registry.errors import InvalidValue
from registry.identifiers import DICOM_UID, URI_SYSTEM, HomeCommunityId, PatientIdentifier
from registry.studies import Instance, Series, Study

ACCESSION = "ACSN"
ENDPOINT_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
BODY_PART = "urn:dicom:body-part-examined"
"""System of DICOM's own words for a body part (0018,0015), where no code is known."""
LATERALITY = "urn:dicom:laterality"

NO_NAMES: Mapping[HomeCommunityId, str] = {}
_GOVERNED = ("resourceType", "id", "status", "subject", "series", "endpoint", "modality", "identifier", "contained")
_COUNTED = ("numberOfSeries", "numberOfInstances", "note")


def imaging_study(
    study: Study, *, base: str, home: HomeCommunityId, names: Mapping[HomeCommunityId, str] = NO_NAMES
) -> Resource:
    """What this node tells of a study. Its images are behind the contained endpoint, through this node."""
    is_remote = study.home is not None and study.home != home
    custodian = study.home or home
    known = filled(
        resourceType="ImagingStudy",
        id=study.id,
        meta=_meta(study),
        contained=[_endpoint(base, custodian, names.get(custodian))],
        identifier=_identifiers(study),
        status="available",
        modality=[_dcm(each) for each in study.modalities],
        subject=reference(None if is_remote else f"Patient/{study.record_id}", to_identifier=identifier(study.patient)),
        started=instant(study.started),
        referrer=reference(display=study.referrer),
        endpoint=[reference("#wado-rs")],
        numberOfSeries=len(study.series),
        numberOfInstances=study.instance_count,
        procedureCode=[concept(study.procedure)] if study.procedure else None,
        location=reference(display=study.institution),
        note=[{"text": study.pairing}] if study.pairing else None,
        description=study.description,
        series=[_series(each) for each in study.series],
    )
    return drop_unreferenced(give_back(known, _of_fhir(study.extra)))


def _of_fhir(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What FHIR's own doors kept; elements of DICOM begin with a capital and are for its doors."""
    return {name: value for name, value in extra.items() if not name[:1].isupper()}


def read_imaging_study(
    resource: Resource,
    *,
    study_id: str,
    patient: PatientIdentifier,
    record_id: str,
    home: HomeCommunityId,
    community: HomeCommunityId | None = None,
) -> Study:
    """The noun in an ImagingStudy that `check` found to be in order. Raises InvalidValue."""
    study = Study(
        id=study_id,
        study_instance_uid=_study_uid(resource),
        patient=patient,
        record_id=record_id,
        started=read_moment(resource.get("started")),
        accession_number=_accession(resource),
        description=resource.get("description"),
        referrer=resource.get("referrer", {}).get("display"),
        institution=resource.get("location", {}).get("display"),
        procedure=first(map(read_concept, resource.get("procedureCode", ()))),
        pairing=first(each.get("text") for each in resource.get("note", ())),
        sensitivity=_labels(resource),
        series=tuple(_read_series(each) for each in resource.get("series", ())),
        home=community,
    )
    plain = imaging_study(study, base="", home=home)
    return replace(study, extra=keep(_described(resource), _described(plain)))


# ---- writing ----


def _meta(study: Study) -> Element:
    about = meta(study.version, study.updated)
    labels = [coding(each) for each in study.sensitivity]
    return about | ({"security": labels} if labels else {})


def _identifiers(study: Study) -> list[Element]:
    uid = {"use": "official", "system": DICOM_UID, "value": f"urn:oid:{study.study_instance_uid}"}
    if not study.accession_number:
        return [uid]
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": ACCESSION}]}
    # an accession number is only unique at its hospital: its system is that of the patient's number
    return [uid, {"type": kind, "system": study.patient.system, "value": study.accession_number}]


def _endpoint(base: str, custodian: HomeCommunityId, name: str | None) -> Resource:
    return filled(
        resourceType="Endpoint",
        id="wado-rs",
        status="active",
        connectionType={"system": ENDPOINT_TYPE, "code": "dicom-wado-rs"},
        managingOrganization=organization_reference(custodian, name),
        payloadType=[{"text": "DICOM"}],
        payloadMimeType=["application/dicom"],
        address=base.removesuffix("/fhir") + "/dicomweb",
    )


def _series(series: Series) -> Element:
    return filled(
        extension=acquisition(series),
        uid=series.series_instance_uid,
        number=_unsigned(series.number),
        modality=_dcm(series.modality),
        description=series.description,
        numberOfInstances=len(series.instances),
        bodySite={"system": BODY_PART, "code": series.body_part} if series.body_part else None,
        laterality={"system": LATERALITY, "code": series.laterality} if series.laterality else None,
        started=instant(series.started),
        instance=[_instance(each) for each in series.instances],
    )


def _instance(instance: Instance) -> Element:
    sop_class = {"system": URI_SYSTEM, "code": f"urn:oid:{instance.sop_class_uid}"}
    return filled(uid=instance.sop_instance_uid, sopClass=sop_class, number=_unsigned(instance.number))


def _dcm(modality: str) -> Element:
    return {"system": DCM, "code": modality or "OT"}


def _unsigned(number: int | None) -> int | None:
    """DICOM has negative numbers of series and instances, FHIR has none."""
    return number if number is not None and 0 <= number < 2**31 else None


# ---- reading ----


def _described(resource: Resource) -> Resource:
    rest = without(resource, *_GOVERNED, *_COUNTED)
    rest["meta"] = without(resource.get("meta", {}), "versionId", "lastUpdated", "security")
    return without(rest)


def _study_uid(resource: Resource) -> str:
    for each in resource.get("identifier", ()):
        if each.get("system") == DICOM_UID and each.get("value", "").startswith("urn:oid:"):
            value: str = each["value"].removeprefix("urn:oid:")
            return value
    raise InvalidValue("ImagingStudy.identifier", expected="a Study Instance UID in the system urn:dicom:uid")


def _accession(resource: Resource) -> str | None:
    for each in resource.get("identifier", ()):
        if any(code.get("code") == ACCESSION for code in each.get("type", {}).get("coding", ())):
            value: str | None = each.get("value")
            return value
    return None


def _labels(resource: Resource) -> tuple[CodedValue, ...]:
    return tuple(code for code in map(read_coding, resource.get("meta", {}).get("security", ())) if code)


def _read_series(element: Element) -> Series:
    instances = (_read_instance(each) for each in element.get("instance", ()))
    return Series(
        series_instance_uid=element["uid"],
        modality=element["modality"].get("code", "OT"),
        number=element.get("number"),
        description=element.get("description"),
        body_part=element.get("bodySite", {}).get("code"),
        laterality=element.get("laterality", {}).get("code"),
        started=read_moment(element.get("started")),
        instances=tuple(instances),
        **read_acquisition(element),
    )


def _read_instance(element: Element) -> Instance:
    """What a peer tells of one object; its bytes are at the holder."""
    return Instance(
        sop_instance_uid=element["uid"],
        sop_class_uid=element["sopClass"].get("code", "").removeprefix("urn:oid:"),
        transfer_syntax="",
        content_hash="",
        size=0,
        number=element.get("number"),
    )


def dicom_classes(study: Study) -> Iterable[CodedValue]:
    for series in study.series:
        for instance in series.instances:
            yield CodedValue(f"urn:oid:{instance.sop_class_uid}", URI_SYSTEM)
