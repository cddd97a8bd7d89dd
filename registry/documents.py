"""What the registry knows of documents: entries, the submission that brought them, folders, and how they relate.

Source: IHE ITI TF-3: 4.2 (metadata), MHD 4.2.3 (the same attributes as FHIR).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from registry.clinical import Result
from registry.coded import EPISODE_SUMMARY, STAYS_HERE, CodedValue
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId, PatientIdentifier, check_unique_id
from registry.people import Demographics

_SHA1 = re.compile(r"[0-9a-f]{40}")
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;.*)?", re.ASCII)


class DocumentStatus(StrEnum):
    """availabilityStatus, in the words of FHIR (Approved, Deprecated in XDS)."""

    CURRENT = "current"
    SUPERSEDED = "superseded"


class RelationKind(StrEnum):
    """How one document relates to an earlier one. Source: IHE ITI TF-3: 4.2.2.2, MHD 2:3.65 map of associations."""

    REPLACES = "replaces"
    TRANSFORMS = "transforms"
    APPENDS = "appends"
    SIGNS = "signs"


@dataclass(frozen=True, slots=True)
class Relation:
    """This document `kind` the document with the registry id `target`."""

    kind: RelationKind
    target: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote it. Source: IHE ITI TF-3: 4.2.3.2.1."""

    person: str | None = None
    institution: str | None = None
    role: str | None = None
    specialty: str | None = None
    identifier: PatientIdentifier | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """The bytes of a document as the index knows them.

    content_type   media type, with charset where it matters
    size           bytes
    hash           SHA-1, 40 hex digits, as IHE prescribes
    content_hash   SHA-256, 64 hex digits: the name under which the store keeps them
    """

    content_type: str
    size: int
    hash: str
    content_hash: str
    language: str | None = None
    title: str | None = None
    creation: str | None = None

    def __post_init__(self) -> None:
        if not _MIME.fullmatch(self.content_type):
            raise InvalidValue("contentType", expected="a media type")
        if self.size < 0:
            raise InvalidValue("size", expected="a number of bytes")
        if not _SHA1.fullmatch(self.hash):
            raise InvalidValue("hash", expected="40 lower-case hex digits")


FAST_CLOCK = timedelta(days=1)
"""How far a sender's clock, or its idea of midnight, may be before ours."""


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """What the registry knows of one document; the bytes live in the content store.

    Source: IHE ITI TF-3: 4.2.3.2, DocumentEntry metadata attributes.

    id             the registry's own id, also the FHIR logical id
    entry_uuid     `urn:uuid:…`, given by the source or by the registry; each version of the metadata has its own
    logical_id     the entry_uuid of the first version, where this is a later one (logicalID)
    unique_id      globally unique, at most 128 characters
    patient        the local identifier of the patient at this hospital (patientId)
    record_id      the source record behind `patient`
    creation       FHIR dateTime in the precision it arrived with (a day is not midnight), in the attachment
    start, stop    service start and stop time, aware; `start` is when the examination was performed
    references     accession numbers, study UIDs, orders (referenceIdList, context.related)
    encounters     the stays or consultations that it came of (referenceIdList, context.encounter)
    sensitivity    what closes the document to others: confidentiality and sensitivity labels
    extra          elements that this version does not know, kept as they came
    slots          the same for what came as XDS metadata: by the name of the attribute
    on_demand      it is made when it is retrieved: nothing is known of its bytes before
    results        values that it reports, as facts; they stand and fall with it
    has_values     the same of another hospital's report: they can be had there
    repository     repositoryUniqueId, an OID, where the bytes lie in a repository that is not this node's
    """

    id: str
    entry_uuid: str
    unique_id: str
    patient: PatientIdentifier
    record_id: str
    attachment: Attachment
    type: CodedValue | None = None
    categories: tuple[CodedValue, ...] = ()
    format: CodedValue | None = None
    facility_type: CodedValue | None = None
    practice_setting: CodedValue | None = None
    events: tuple[CodedValue, ...] = ()
    sensitivity: tuple[CodedValue, ...] = ()
    authors: tuple[Author, ...] = ()
    authenticator: Author | None = None
    description: str | None = None
    date: datetime | None = None
    start: datetime | None = None
    stop: datetime | None = None
    references: tuple[PatientIdentifier, ...] = ()
    relations: tuple[Relation, ...] = ()
    source_patient: PatientIdentifier | None = None
    source_demographics: Demographics | None = None
    status: DocumentStatus = DocumentStatus.CURRENT
    version: int = 1
    updated: datetime | None = None
    home: HomeCommunityId | None = None
    examination: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, Any] = field(default_factory=dict)
    repository: str | None = None
    encounters: tuple[PatientIdentifier, ...] = ()
    logical_id: str = ""
    on_demand: bool = False
    results: tuple[Result, ...] = ()
    has_values: bool = False

    def __post_init__(self) -> None:
        check_unique_id(self.unique_id)

    @property
    def tells_values(self) -> bool:
        """Its values can be had as facts. Whoever may not see a labelled report gets none of it."""
        return bool(self.results) or self.has_values

    @property
    def stays_here(self) -> bool:
        """A paper of the hospital's own, no part of what is exchanged."""
        return STAYS_HERE in self.sensitivity

    @property
    def performed(self) -> datetime | None:
        """When what it describes happened, as far as known: for sorting newest first.

        What lies ahead of the day it came is a slip of somebody's hand, and would stand before every true one.
        """
        return next((at for at in (self.start, self.date) if at is not None and not self._lies_ahead(at)), None)

    @property
    def is_dated_ahead(self) -> bool:
        """Whether a time of what has happened lies after the day it came."""
        return any(at is not None and self._lies_ahead(at) for at in (self.start, self.date))

    def _lies_ahead(self, at: datetime) -> bool:
        return self.updated is not None and at > self.updated + FAST_CLOCK


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """One act of publishing. Source: IHE ITI TF-3: 4.2.3.3.

    submitted  when its sender says that it was handed in
    updated    when it was stored here
    referred   members that were here before and that it only refers to
    """

    id: str
    entry_uuid: str
    unique_id: str
    source_id: str
    patient: PatientIdentifier | None
    record_id: str | None
    submitted: datetime
    content_type: CodedValue | None = None
    authors: tuple[Author, ...] = ()
    title: str | None = None
    intended_recipients: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    status: DocumentStatus = DocumentStatus.CURRENT
    version: int = 1
    updated: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, Any] = field(default_factory=dict)
    referred: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A named group of documents of one patient. Source: IHE ITI TF-3: 4.2.3.4.

    logical_id  the entry_uuid of the first version, where this is a later one
    """

    id: str
    entry_uuid: str
    unique_id: str
    patient: PatientIdentifier
    record_id: str
    title: str | None
    updated: datetime
    codes: tuple[CodedValue, ...] = ()
    members: tuple[str, ...] = ()
    status: DocumentStatus = DocumentStatus.CURRENT
    version: int = 1
    extra: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, Any] = field(default_factory=dict)
    logical_id: str = ""


def is_visit_data(entry: DocumentEntry) -> bool:
    """A whole visit as facts for programs (LOINC 34133-9 as FHIR); beside it stands the same as a page to read."""
    kind = entry.attachment.content_type.partition(";")[0].strip().lower()
    codes = (entry.type, *entry.categories)
    return kind == "application/fhir+json" and any(code and code.means(EPISODE_SUMMARY) for code in codes)


LABORATORY = frozenset({"11502-2", "26436-6", "18719-5"})


def is_laboratory_report(entry: DocumentEntry) -> bool:
    """What a laboratory found, by the LOINC code of its type or class."""
    return any(code and code.code in LABORATORY for code in (entry.type, *entry.categories))
