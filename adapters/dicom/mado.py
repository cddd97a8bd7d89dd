"""What IHE MADO adds to an imaging manifest: where its series are had over the web, and what each of them is.

Whoever reads a manifest by its evidence sequence reads one in this form as before; a reader that insists on the content
items that PS3.3 A.35.4 allows a Key Object Selection (DCMTK's dsrdump) refuses the library, which MADO asks for. The
profile is a draft and may change; the switch is `mado` in node.toml. What stands here twice (a UID in the
evidence and in the library) is written from one place, since a manifest that contradicts itself counts as malformed.

Sources: IHE RAD Supplement MADO (draft 0.1.0, July 2026); DICOM PS3.16: TID 1600 (Image Library), CID 29, Annex L.
"""

from __future__ import annotations

from adapters.dicom.dicom_json import Json, attributes
from adapters.dicom.dictionary import is_image
from registry.studies import Instance, Series, Study

_MODALITY = ("121139", "Modality")
_REGION = ("123014", "Target Region")
_STUDY_UID = ("110180", "Study Instance UID")
_SERIES_UID = ("112002", "Series Instance UID")
_SERIES_COUNT = ("131565", "Number of Study Related Series")
_LIBRARY = ("111028", "Image Library")
_GROUP = ("126200", "Image Library Group")
_SNOMED = {
    "HEAD": ("69536005", "Head"),
    "BRAIN": ("12738006", "Brain"),
    "NECK": ("45048000", "Neck"),
    "CHEST": ("51185008", "Chest"),
    "ABDOMEN": ("818981001", "Abdomen"),
    "PELVIS": ("12921003", "Pelvis"),
    "SPINE": ("421060004", "Spine"),
    "CSPINE": ("122494005", "Cervical spine"),
    "TSPINE": ("122495006", "Thoracic spine"),
    "LSPINE": ("122496007", "Lumbar spine"),
    "KNEE": ("72696002", "Knee"),
}
"""Body parts as scanners write them most (0018,0015), and the codes that PS3.16 Annex L gives them."""


def retrieve_url(base: str, study: Study, series: Series) -> str:
    """Of a series over WADO-RS. `base` is the DICOMweb service of the hospital that the study is of."""
    return f"{base}/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"


def image_library(study: Study) -> list[Json]:
    """The content items that describe the study, and the library with a group for each series."""
    shown = [series for series in study.series if series.instances]
    regions = sorted({series.body_part for series in shown if series.body_part in _SNOMED})
    return [
        *(_code(_MODALITY, modality, "DCM", modality) for modality in study.modalities if modality),
        *(_region(part) for part in regions),
        _uid(_STUDY_UID, study.study_instance_uid),
        _count(_SERIES_COUNT, len(shown)),
        _container(_LIBRARY, [_group(series) for series in shown]),
    ]


def _group(series: Series) -> Json:
    told = [_code(_MODALITY, series.modality, "DCM", series.modality)] if series.modality else []
    told += [_region(series.body_part)] if series.body_part in _SNOMED else []
    told.append(_uid(_SERIES_UID, series.series_instance_uid))
    return _container(_GROUP, told + [_entry(instance) for instance in series.instances])


def _entry(instance: Instance) -> Json:
    of = attributes(ReferencedSOPClassUID=instance.sop_class_uid, ReferencedSOPInstanceUID=instance.sop_instance_uid)
    kind = "IMAGE" if is_image(instance.sop_class_uid) else "COMPOSITE"
    return attributes(RelationshipType="CONTAINS", ValueType=kind, ReferencedSOPSequence=[of])


def _region(body_part: str | None) -> Json:
    value, meaning = _SNOMED[body_part or ""]
    return _code(_REGION, value, "SCT", meaning)


def _code(name: tuple[str, str], value: str, scheme: str, meaning: str) -> Json:
    return _item("HAS ACQ CONTEXT", "CODE", name, ConceptCodeSequence=[_coded(value, scheme, meaning)])


def _uid(name: tuple[str, str], value: str) -> Json:
    return _item("HAS ACQ CONTEXT", "UIDREF", name, UID=value)


def _count(name: tuple[str, str], value: int) -> Json:
    measured = attributes(NumericValue=str(value), MeasurementUnitsCodeSequence=[_coded("{series}", "UCUM", "series")])
    return _item("HAS ACQ CONTEXT", "NUM", name, MeasuredValueSequence=[measured])


def _container(name: tuple[str, str], items: list[Json]) -> Json:
    return _item("CONTAINS", "CONTAINER", name, ContinuityOfContent="SEPARATE", ContentSequence=items)


def _item(relationship: str, kind: str, name: tuple[str, str], **value: object) -> Json:
    concept = [_coded(name[0], "DCM", name[1])]
    return attributes(RelationshipType=relationship, ValueType=kind, ConceptNameCodeSequence=concept, **value)


def _coded(value: str, scheme: str, meaning: str) -> Json:
    return attributes(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
