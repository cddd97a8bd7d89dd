"""What a hospital's system hands in, decoded from any language, for the publish flow to judge, store and index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from registry.clinical import Medication, Problem, Result, Service
from registry.coded import CodedValue
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.people import NOTHING_KNOWN, Demographics, PatientInQuestion
from registry.searches import DocumentSearch
from registry.studies import ReadInstance


class Content(Protocol):
    """Bytes that can be read once or more, in pieces, without being in memory as a whole."""

    def chunks(self) -> Iterable[bytes]: ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content that is small enough to be in memory."""

    value: bytes

    def chunks(self) -> Iterable[bytes]:
        yield self.value


@dataclass(frozen=True, slots=True)
class FilePart:
    """Content that lies in a file: `length` bytes from `offset`, read in pieces of 1 MiB."""

    path: str
    offset: int
    length: int

    def chunks(self) -> Iterable[bytes]:
        return self.part()

    def part(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` on, of a length or to the end."""
        with open(self.path, "rb") as file:  # noqa: PTH123 (the path is ours, and may be /dev/fd/N)
            file.seek(self.offset + start)
            left = max(0, self.length - start if length is None else min(length, self.length - start))
            while left and (piece := file.read(min(left, 1 << 20))):
                left -= len(piece)
                yield piece


@dataclass(frozen=True, slots=True)
class Headed:
    """A file with what was missing before its first byte."""

    head: bytes
    rest: FilePart

    def chunks(self) -> Iterable[bytes]:
        yield self.head
        yield from self.rest.chunks()


OWN_RECORD = "urn:hie-node:record"
"""System of the registry's own record ids, for a message that names its patient by nothing else."""


@dataclass(frozen=True, slots=True)
class PatientMention:
    """The patient as a message names them; demographics may be empty."""

    identifier: PatientIdentifier
    numbers: tuple[PatientIdentifier, ...] = ()
    demographics: Demographics = NOTHING_KNOWN

    @property
    def record_id(self) -> str | None:
        """The registry's own id of the patient, where the message gives that instead of a number."""
        return self.identifier.value if self.identifier.system == OWN_RECORD else None


@dataclass(frozen=True, slots=True)
class SubmittedDocument:
    """One document of a submission.

    entry          metadata; its `attachment.content_hash` and `record_id` are filled in by the publish flow
    announced_hash SHA-1 hex, and
    announced_size bytes, as the sender gave them; None where it gave none
    source_key     the sender's own key of this document: sent again with other bytes, it replaces the earlier one
    texts          readable text for the check against closed lists; not kept
    codes          diagnosis, service and medicine codes that belong to it, for the same check
    unless         it is only made where none fits this that the caller may see
    content        None for a document whose bytes another repository of this hospital keeps
    """

    entry: DocumentEntry
    content: Content | None
    announced_hash: str | None = None
    announced_size: int | None = None
    source_key: str | None = None
    texts: tuple[str, ...] = ()
    codes: tuple[CodedValue, ...] = ()
    unless: DocumentSearch | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything of one patient in one message; stored whole or not at all.

    supersede   registry ids of documents that are current no longer
    withdrawn   the sender's own keys (`source_key`) of documents that it takes back; one that never came is no fault
    additions   folders that are here already, by entryUUID, each with a document that joins it, by id or entryUUID
    set_is_made  its submission set is told from its document: where that brings nothing new, there is none
    new_folders  its folders must not be here already; else one that is known is continued
    """

    patient: PatientMention
    documents: tuple[SubmittedDocument, ...] = ()
    submission_set: SubmissionSet | None = None
    folders: tuple[Folder, ...] = ()
    visit: Visit | None = None
    referral: Referral | None = None
    supersede: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    additions: tuple[tuple[str, str], ...] = ()
    new_folders: bool = False
    set_is_made: bool = False


@dataclass(frozen=True, slots=True)
class StudySubmission:
    """Instances handed in together, each with its file; they may belong to several studies of several patients."""

    instances: tuple[tuple[ReadInstance, Content], ...]


WHOLE_VISIT = "*"
"""What is composed of a whole visit, as if it were a part: a message that has less does not replace it."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay or consultation, keyed by the hospital's own episode key (MA_LK, PV1-19).

    kind         `ambulatory`, `inpatient`, `emergency`; empty where it is not said
    cancelled    it never took place
    sensitivity  what closes all of it to others
    kept         tables of the message that are kept but not read yet: name to number of rows
    published    keys (`source_key`) of the documents that came of it, each with the part of the message it came of
    parts        parts that the message had; what came of a part that it has, and is no longer in it, is taken back
    unsaid       fields that the message does not speak of: they stay as they were
    source       the message as it came, to be read again by a later version
    """

    key: str
    facility: FacilityCode
    admitted: datetime | None = None
    discharged: datetime | None = None
    diagnoses: tuple[CodedValue, ...] = ()
    diagnosis_text: str | None = None
    kept: dict[str, int] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    source: bytes = b""
    kind: str = ""
    cancelled: bool = False
    medications: tuple[Medication, ...] = ()
    services: tuple[Service, ...] = ()
    results: tuple[Result, ...] = ()
    sensitivity: tuple[CodedValue, ...] = ()
    published: dict[str, str] = field(default_factory=dict)
    parts: frozenset[str] = frozenset()
    unsaid: frozenset[str] = frozenset()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Its diagnoses; the words belong to the first, or stand alone."""
        text, when = self.diagnosis_text or "", self.discharged or self.admitted
        if not self.diagnoses:
            return (Problem(None, text, when),) if text else ()
        first, *others = self.diagnoses
        return (Problem(first, text, when), *(Problem(code, "", when) for code in others))

    def following(self, earlier: Visit) -> Visit:
        """As it stands after this message: what the message does not speak of is as it was, and closed stays closed."""
        standing = {key: part for key, part in earlier.published.items() if part not in self.parts}
        return replace(
            self,
            **{name: getattr(earlier, name) for name in self.unsaid},
            published=standing | self.published,
            parts=self.parts | earlier.parts,
            sensitivity=tuple(dict.fromkeys((*self.sensitivity, *earlier.sensitivity))),
            source=self.source or earlier.source,
        )

    def taken_back(self, earlier: Visit) -> tuple[str, ...]:
        """Keys of documents that the earlier message gave and this one, which has the same part, does not."""
        return tuple(key for key, part in earlier.published.items() if part in self.parts and key not in self.published)

    def is_less_than(self, earlier: Visit) -> bool:
        """Whether the earlier message had parts that this one does not have."""
        return not earlier.parts <= self.parts


class Told(StrEnum):
    """Whether the receiving hospital knows of a referral."""

    NOT_YET = "not-yet"
    WITHHELD = "withheld"
    ANNOUNCED = "announced"
    UNREACHABLE = "unreachable"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Referral:
    """A patient is sent from one hospital to another (TT 01/2025, form PL VI; insurance table 13).

    opened  when this node heard of it
    told    whether the receiving hospital knows: without the patient's request it must not (Law 91/2025 Art. 26)
    """

    number: str
    sender: FacilityCode
    receiver: FacilityCode
    signed: datetime | None = None
    diagnoses: tuple[CodedValue, ...] = ()
    reason: str | None = None
    opened: datetime | None = None
    told: Told = Told.NOT_YET

    def following(self, earlier: Referral | None) -> Referral:
        """The same slip told again: who was told stays told, unless it now goes elsewhere."""
        if earlier is None or earlier.receiver != self.receiver:
            return self
        return replace(self, opened=earlier.opened, told=earlier.told)


@dataclass(frozen=True, slots=True)
class ReferredDocument:
    """A document that its holder would show the receiving hospital, by the holder's own id."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class ExpectedPatient:
    """Who is on the way to this hospital, as the sending one announced it at the patient's request.

    consents  the sender's ids of what the patient signed there: it names one when that is taken back
    """

    sender: HomeCommunityId
    referral: Referral
    patient: PatientInQuestion
    received: datetime | None = None
    documents: tuple[ReferredDocument, ...] = ()
    consents: tuple[str, ...] = ()
