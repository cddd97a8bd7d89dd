"""Imaging studies as the index knows them; pixels stay where they are.

Source: DICOM PS3.3 (Study, Series, Instance), FHIR R4 ImagingStudy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from registry.coded import CodedValue
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId, PatientIdentifier, check_uid
from registry.people import Demographics


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of a series, stored as it came.

    transfer_syntax   UID of the syntax the stored bytes are in; empty where only the archive knows
    content_hash      SHA-256, the name in the content store; empty where it lies in the archive that the study names
    size              bytes of the whole Part-10 file; 0 where only the archive knows
    position          mm along the patient's axis, of a slice
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    content_hash: str
    size: int
    number: int | None = None
    frames: int = 1
    rows: int | None = None
    columns: int | None = None
    position: float | None = None

    def __post_init__(self) -> None:
        check_uid(self.sop_instance_uid, "SOP Instance UID")
        _check_class(self.sop_class_uid)


@lru_cache(maxsize=256)
def _check_class(uid: str) -> str:
    """All objects of a series are of one or two classes."""
    return check_uid(uid, "SOP Class UID")


@dataclass(frozen=True, slots=True)
class Series:
    """One run of a device.

    slice_thickness   mm
    dose              CTDIvol in mGy, where the scanner wrote it
    extent            mm that the slices cover, as another hospital says it: the places of its slices are not known here
    """

    series_instance_uid: str
    modality: str
    number: int | None = None
    description: str | None = None
    body_part: str | None = None
    laterality: str | None = None
    started: datetime | None = None
    slice_thickness: float | None = None
    kernel: str | None = None
    contrast_agent: str | None = None
    instances: tuple[Instance, ...] = ()
    dose: float | None = None
    extent: float | None = None

    def __post_init__(self) -> None:
        check_uid(self.series_instance_uid, "Series Instance UID")

    @property
    def middle(self) -> Instance:
        """The image in the middle says most of a series, by their numbers. There has to be one."""
        ordered = sorted(self.instances, key=lambda one: one.number or 0)
        return ordered[len(ordered) // 2]

    @property
    def coverage(self) -> float | None:
        """How many mm of the patient the slices cover; None where they do not say where they are."""
        places = [instance.position for instance in self.instances if instance.position is not None]
        return max(places) - min(places) + (self.slice_thickness or 0.0) if len(places) > 1 else self.extent


@dataclass(frozen=True, slots=True)
class Study:
    """One imaging study of one patient at one hospital.

    id            the registry's own id, also the FHIR logical id
    patient       the local identifier, qualified by its issuer
    started       aware; study date and time at the hospital's clock
    examination   the grouping key of `examinations.py`, or None where the header does not tell
    description   as the scanner wrote it
    report_id     the registry id of its report, once the two have found each other
    archive       name of the hospital's PACS that objects without a content hash lie in
    """

    id: str
    study_instance_uid: str
    patient: PatientIdentifier
    record_id: str
    started: datetime | None = None
    accession_number: str | None = None
    description: str | None = None
    referrer: str | None = None
    institution: str | None = None
    procedure: CodedValue | None = None
    examination: str | None = None
    report_id: str | None = None
    pairing: str | None = None
    sensitivity: tuple[CodedValue, ...] = ()
    series: tuple[Series, ...] = ()
    version: int = 1
    updated: datetime | None = None
    home: HomeCommunityId | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    archive: str | None = None

    def __post_init__(self) -> None:
        check_uid(self.study_instance_uid, "Study Instance UID")
        if not self.record_id and self.home is None:
            raise InvalidValue("study", expected="a patient of this hospital")

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted({series.modality for series in self.series}))

    @property
    def instance_count(self) -> int:
        return sum(len(series.instances) for series in self.series)

    def selected(
        self, series_instance_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> tuple[Instance, ...]:
        """The instances of the study, of one series, or the one of this UID, in their order."""
        return tuple(
            instance
            for series in self.series
            if series_instance_uid in (None, series.series_instance_uid)
            for instance in series.instances
            if sop_instance_uid in (None, instance.sop_instance_uid)
        )

    @property
    def size(self) -> int:
        return sum(instance.size for series in self.series for instance in series.instances)

    @property
    def fingerprint(self) -> str:
        """64 hex digits that stand for exactly these objects: who has them needs them sent again only when it changes.

        Of what lies in an archive the UID alone speaks; the standard lets no other object bear it.
        """
        listed = sorted((one.sop_instance_uid, one.content_hash) for one in self.selected())
        return hashlib.sha256("".join(f"{uid} {digest}\n" for uid, digest in listed).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Objects of one study whose patient is in doubt, kept unseen until a registrar decides.

    id            also the owner of their contents, so that a rejection destroys their key and nobody else's
    patient       as the header numbers it, qualified by its issuer; `demographics` as it describes it
    reason        why it was set aside, without a value
    decision      what was decided, by `closed_by` at `closed`
    """

    id: str
    study_instance_uid: str
    patient: PatientIdentifier
    demographics: Demographics
    reason: str
    received: datetime
    instances: tuple[Instance, ...] = ()
    closed: datetime | None = None
    closed_by: str | None = None
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class ReadInstance:
    """What one Part-10 file says: of its patient, its study, its series and itself (content_hash of the instance may
    still be empty: the store names it).

    patient   None where the header names no number; the study then carries a placeholder
    numbers   personal and insurance numbers of the same patient, where the header says that they are that
    """

    patient: PatientIdentifier | None
    demographics: Demographics
    study: Study
    series: Series
    instance: Instance
    numbers: tuple[PatientIdentifier, ...] = ()


@dataclass(frozen=True, slots=True)
class PictureWish:
    """How one frame is to be drawn.

    frame     from 1
    viewport  width and height in pixels into which it has to fit; None for its own size
    window    centre and width in the unit of the rescaled values; None for what the object names
    quality   of a JPEG, from 1 to 100
    """

    frame: int = 1
    media_type: str = "image/jpeg"
    viewport: tuple[int, int] | None = None
    window: tuple[float, float] | None = None
    quality: int = 90
