"""Key Object Selection documents as imaging manifests: written for a study of the index, read where one is handed in.

Source: DICOM PS3.3: A.35.4 (Key Object Selection Document IOD), C.17.6; PS3.16: TID 2010; IHE RAD TF-2: 4.68.4.1.2
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from uuid import NAMESPACE_OID, uuid5

from adapters.dicom.data_sets import read_data_set, write_data_set
from adapters.dicom.dicom_json import Json, attributes
from adapters.dicom.dictionary import tag_of
from adapters.dicom.elements import DataSet
from adapters.dicom.file_head import data_set_of, file_head
from adapters.dicom.header_values import uid
from adapters.dicom.mado import image_library, retrieve_url
from adapters.dicom.part10 import file_meta
from adapters.dicom.sources import WHAT
from registry.documents import Attachment
from registry.errors import Unreadable
from registry.manifests import DICOM_FILE, MANIFEST_SOP_CLASS, Manifest, entry_of, manifest_uuid, uid_of
from registry.people import Demographics
from registry.studies import Instance, Series, Study

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
MOST_OBJECTS = 50_000
"""Objects that one manifest may list."""
_IMAGES = {
    "1": "CR", "1.1": "DX", "1.2": "MG", "2": "CT", "2.1": "CT", "2.2": "CT", "3.1": "US", "4": "MR", "4.1": "MR",
    "4.2": "MR", "4.4": "MR", "6.1": "US", "6.2": "US", "11.1": "PR", "11.2": "PR", "11.3": "PR", "11.4": "PR",
    "12.1": "XA", "12.1.1": "XA", "12.2": "RF", "12.2.1": "RF", "13.1.3": "MG", "20": "NM", "66.4": "SEG",
    "88.11": "SR", "88.22": "SR", "88.33": "SR", "88.59": "KO", "88.67": "SR", "104.1": "DOC", "128": "PT",
    "130": "PT", "481.1": "RTIMAGE", "481.2": "RTDOSE", "481.3": "RTSTRUCT", "481.5": "RTPLAN",
}  # fmt: skip
MODALITIES = {f"1.2.840.10008.5.1.4.1.1.{number}": modality for number, modality in _IMAGES.items()}
"""Of the SOP classes that only one modality makes; a manifest does not say it. Source: DICOM PS3.3: C.7.3.1.1.1."""
_GENDERS = {"male": "M", "female": "F", "other": "O"}
_TITLE = {"CodeValue": "113030", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Manifest"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where the objects of a manifest are had from.

    repository  repositoryUniqueId, for RAD-69
    ae_title    of the DICOM port
    dicomweb    the DICOMweb service; where it is given, the manifest is one of IHE MADO as well
    """

    repository: str
    ae_title: str
    dicomweb: str = ""


def write_manifest(study: Study, of: Demographics, source: Source) -> Manifest:
    """The manifest of a study; the same bytes for the same study of the same person."""
    said = _attributes(study, of, source)
    uuid = manifest_uuid(study.study_instance_uid, write_data_set(said))
    own = uid_of(uuid)
    content = file_head(MANIFEST_SOP_CLASS, own, EXPLICIT_LITTLE) + write_data_set(
        {**said, **attributes(SOPInstanceUID=own)}
    )
    created = study.updated or study.started
    attachment = Attachment(
        DICOM_FILE,
        len(content),
        sha1(content, usedforsecurity=False).hexdigest(),
        "",
        creation=created.isoformat(timespec="seconds") if created else None,
    )
    return Manifest(entry_of(study, uuid, attachment), content)


def _attributes(study: Study, of: Demographics, source: Source) -> Json:
    created = study.updated or study.started
    family, _, given = (of.name.text if of.name else "").partition(" ")
    return attributes(
        InstanceCreationDate=_day(created),
        InstanceCreationTime=_clock(created),
        SOPClassUID=MANIFEST_SOP_CLASS,
        StudyDate=_day(study.started),
        ContentDate=_day(created),
        StudyTime=_clock(study.started),
        ContentTime=_clock(created),
        AccessionNumber=study.accession_number or "",
        Modality="KO",
        Manufacturer="",
        ReferringPhysicianName=study.referrer or "",
        StudyDescription=study.description,
        ReferencedPerformedProcedureStepSequence=[],
        PatientName=f"{family}^{given}" if family else "",
        PatientID=study.patient.value,
        IssuerOfPatientID=study.patient.system,
        PatientBirthDate=str(of.birth_date).replace("-", "") if of.birth_date and len(str(of.birth_date)) == 10 else "",
        PatientSex=_GENDERS.get(of.gender, ""),
        StudyInstanceUID=study.study_instance_uid,
        SeriesInstanceUID=uid_of(uuid5(NAMESPACE_OID, f"{study.study_instance_uid} manifest")),
        StudyID="",
        SeriesNumber="1",
        InstanceNumber="1",
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[attributes(**_TITLE)],
        ContinuityOfContent="SEPARATE",
        ReferencedRequestSequence=_requests(study),
        CurrentRequestedProcedureEvidenceSequence=[_evidence(study, source)],
        ContentTemplateSequence=[attributes(MappingResource="DCMR", TemplateIdentifier="2010")],
        ContentSequence=_content(study, source),
    )


def _content(study: Study, source: Source) -> list[Json]:
    described = image_library(study) if source.dicomweb else []
    return described + [_shown(instance) for series in study.series for instance in series.instances]


def _requests(study: Study) -> list[Json] | None:
    if not study.accession_number:
        return None
    return [
        attributes(
            AccessionNumber=study.accession_number,
            StudyInstanceUID=study.study_instance_uid,
            ReferencedStudySequence=[],
            RequestedProcedureCodeSequence=[],
            RequestedProcedureID="",
            RequestedProcedureDescription=study.description or "",
            PlacerOrderNumberImagingServiceRequest="",
            FillerOrderNumberImagingServiceRequest="",
        )
    ]


def _evidence(study: Study, source: Source) -> Json:
    listed = [_series(study, series, source) for series in study.series if series.instances]
    return attributes(StudyInstanceUID=study.study_instance_uid, ReferencedSeriesSequence=listed)


def _series(study: Study, series: Series, source: Source) -> Json:
    return attributes(
        SeriesInstanceUID=series.series_instance_uid,
        RetrieveAETitle=source.ae_title or None,
        RetrieveLocationUID=source.repository,
        RetrieveURL=retrieve_url(source.dicomweb, study, series) if source.dicomweb else None,
        ReferencedSOPSequence=[_reference(instance) for instance in series.instances],
    )


def _reference(instance: Instance) -> Json:
    return attributes(ReferencedSOPClassUID=instance.sop_class_uid, ReferencedSOPInstanceUID=instance.sop_instance_uid)


def _shown(instance: Instance) -> Json:
    return attributes(RelationshipType="CONTAINS", ValueType="COMPOSITE", ReferencedSOPSequence=[_reference(instance)])


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y%m%d") if moment else ""


def _clock(moment: datetime | None) -> str:
    return moment.strftime("%H%M%S") if moment else ""


# ---- reading ----


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """What a manifest lists: which object it is itself, and studies with the SOP instances in each."""

    sop_instance_uid: str
    studies: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series as a manifest lists it. `location`: the repositoryUniqueId to ask for its objects; may be empty."""

    series: Series
    location: str


def read_manifest(content: bytes) -> ReadManifest:
    """Raises Unreadable for what is no manifest, or one with more than it may list."""
    syntax, _ = file_meta(content)
    found, _ = read_data_set(b"".join(data_set_of((content,))), syntax)
    if _uid(found, "SOPClassUID") != MANIFEST_SOP_CLASS:
        raise Unreadable(WHAT, "not a Key Object Selection Document")
    studies: dict[str, tuple[str, ...]] = {}
    for study in _items(found, "CurrentRequestedProcedureEvidenceSequence"):
        objects = tuple(
            _uid(one, "ReferencedSOPInstanceUID")
            for series in _items(study, "ReferencedSeriesSequence")
            for one in _items(series, "ReferencedSOPSequence")
        )
        name = _uid(study, "StudyInstanceUID")
        if not name or not objects or not all(objects):
            raise Unreadable(WHAT, "a study without its UID or its objects")
        studies[name] = (*studies.get(name, ()), *objects)
    if not studies or sum(map(len, studies.values())) > MOST_OBJECTS:
        raise Unreadable(WHAT, f"a manifest lists 1 to {MOST_OBJECTS} objects")
    return ReadManifest(_uid(found, "SOPInstanceUID"), studies)


def read_series(content: bytes) -> dict[str, tuple[ListedSeries, ...]]:
    """The series and objects of each study that a manifest lists. Raises Unreadable, InvalidValue."""
    read_manifest(content)
    syntax, _ = file_meta(content)
    found, _ = read_data_set(b"".join(data_set_of((content,))), syntax)
    studies: dict[str, tuple[ListedSeries, ...]] = {}
    for study in _items(found, "CurrentRequestedProcedureEvidenceSequence"):
        listed = tuple(_listed(series) for series in _items(study, "ReferencedSeriesSequence"))
        name = _uid(study, "StudyInstanceUID")
        studies[name] = (*studies.get(name, ()), *listed)
    return studies


def _listed(series: DataSet) -> ListedSeries:
    objects = tuple(
        Instance(_uid(one, "ReferencedSOPInstanceUID"), _uid(one, "ReferencedSOPClassUID"), "", "", 0, number)
        for number, one in enumerate(_items(series, "ReferencedSOPSequence"), 1)
    )
    modalities = {MODALITIES.get(one.sop_class_uid, "OT") for one in objects}
    modality = modalities.pop() if len(modalities) == 1 else "OT"
    return ListedSeries(
        Series(_uid(series, "SeriesInstanceUID"), modality, instances=objects), _uid(series, "RetrieveLocationUID")
    )


def _tag(keyword: str) -> int:
    tag = tag_of(keyword)
    assert tag is not None
    return tag


def _uid(found: DataSet, keyword: str) -> str:
    return uid(found.bytes(_tag(keyword)))


def _items(found: DataSet, keyword: str) -> tuple[DataSet, ...]:
    return found.items(_tag(keyword))
