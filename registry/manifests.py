"""Imaging manifests: a document that lists the objects of one study, so that who knows only documents finds images.

The manifest of a study of this hospital is not kept: it follows from the index, and is the same as long as that is.
Its id is made of the study's and of what it says, so that a study that has grown has another manifest.

Source: IHE RAD TF-2: 4.68 (Provide and Register Imaging Document Set), RFC 9562: 5.8 (UUID version 8), DICOM PS3.5: B.2
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from registry.coded import DCM, IMAGING_REPORT, CodedValue
from registry.documents import Attachment, DocumentEntry
from registry.identifiers import ACCESSION, DICOM_UID, PatientIdentifier
from registry.studies import Study

MANIFEST_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"
MANIFEST_FORMAT = CodedValue(MANIFEST_SOP_CLASS, "urn:oid:1.2.840.10008.2.6.1", "Key Object Selection Document")
DICOM_FILE = "application/dicom"
_KEY_BITS, _CONTENT_BITS = 60, 62


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a study: what the registry would know of it, and its bytes."""

    entry: DocumentEntry
    content: bytes


def is_manifest(entry: DocumentEntry) -> bool:
    """Whether a document lists images instead of telling about them."""
    return entry.format is not None and entry.format.means(MANIFEST_FORMAT)


def study_listed_in(entry: DocumentEntry) -> str | None:
    """The Study Instance UID that a manifest is about; None for what is none."""
    studies = (one.value.removeprefix("urn:oid:") for one in entry.references if one.system == DICOM_UID)
    return next(studies, None) if is_manifest(entry) else None


def study_key(study_instance_uid: str) -> str:
    """By what a study is found from the id of its manifest: 15 hex digits."""
    digest = hashlib.sha256(study_instance_uid.encode()).digest()
    return f"{int.from_bytes(digest[:8], 'big') >> (64 - _KEY_BITS):015x}"


def manifest_uuid(study_instance_uid: str, content: bytes) -> UUID:
    """The id of the manifest that says `content` of this study."""
    key = int(study_key(study_instance_uid), 16)
    digest = int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> (64 - _CONTENT_BITS)
    return UUID(int=(key >> 12) << 80 | 8 << 76 | (key & 0xFFF) << 64 | 2 << 62 | digest)


def key_of(identifier: str) -> str | None:
    """The key of the study behind an id of a manifest, entryUUID or uniqueId; None for what is none."""
    try:
        if identifier.startswith("urn:uuid:"):
            found = UUID(identifier)
        elif identifier.startswith("urn:oid:2.25."):
            found = UUID(int=int(identifier.removeprefix("urn:oid:2.25.")))
        else:
            return None
    except ValueError:
        return None
    if found.version != 8:
        return None
    return f"{(found.int >> 80) << 12 | found.int >> 64 & 0xFFF:015x}"


def uid_of(uuid: UUID) -> str:
    """A UUID as a DICOM UID."""
    return f"2.25.{uuid.int}"


def entry_of(study: Study, uuid: UUID, attachment: Attachment) -> DocumentEntry:
    """What the registry says of the manifest of a study. Source: IHE RAD TF-3: Table 4.68.4.1.2.3-1."""
    references = [PatientIdentifier(DICOM_UID, f"urn:oid:{study.study_instance_uid}")]
    if study.accession_number:
        references.append(PatientIdentifier(ACCESSION, study.accession_number))
    return DocumentEntry(
        id=f"manifest-{study.id}",
        entry_uuid=uuid.urn,
        unique_id=f"urn:oid:{uid_of(uuid)}",
        patient=study.patient,
        record_id=study.record_id,
        attachment=replace(attachment, title=study.description),
        type=study.procedure or IMAGING_REPORT,
        categories=(IMAGING_REPORT,),
        format=MANIFEST_FORMAT,
        events=tuple(CodedValue(modality, DCM, modality) for modality in study.modalities),
        sensitivity=study.sensitivity,
        date=study.updated or study.started,
        start=study.started,
        references=tuple(references),
        updated=study.updated,
    )
