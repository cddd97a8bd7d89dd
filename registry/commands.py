"""What can be asked of a node, as values: each language decodes its messages into these, and flows answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from registry.answers import CommunityOutcome, OutcomeKind
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.holdings import AssociationKind, StoredQuery
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion, SourceRecord
from registry.searches import (
    ANYBODY,
    Cursor,
    DocumentSearch,
    PatientSearch,
    PatientSelector,
    StudySearch,
    SubmissionSearch,
)
from registry.studies import Instance, PictureWish, Study
from registry.submissions import ExpectedPatient, StudySubmission, Submission

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class FindDocuments:
    """ITI-67. Answered with Page[DocumentEntry]."""

    search: DocumentSearch


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """The metadata of one document, as it is now or as it was in an earlier version.

    Answered with DocumentEntry.
    """

    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class RetrieveDocument:
    """ITI-68: the bytes. Answered with Retrieved. `start` and `length` in bytes, for a range.

    values  instead of the bytes of a report, the values in it as a FHIR document
    """

    id: str
    start: int = 0
    length: int | None = None
    values: bool = False


@dataclass(frozen=True, slots=True)
class FindSubmissions:
    """ITI-66. Answered with Page[SubmissionSet | Folder]."""

    search: SubmissionSearch
    submission_sets: bool = True
    folders: bool = True


class QueryKind(StrEnum):
    """The stored queries that go beyond a search for documents. Source: IHE ITI TF-2: 3.18.4.1.2.3.7."""

    FIND_SUBMISSION_SETS = "FindSubmissionSets"
    FIND_FOLDERS = "FindFolders"
    GET_ALL = "GetAll"
    GET_DOCUMENTS = "GetDocuments"
    GET_FOLDERS = "GetFolders"
    GET_ASSOCIATIONS = "GetAssociations"
    GET_DOCUMENTS_AND_ASSOCIATIONS = "GetDocumentsAndAssociations"
    GET_SUBMISSION_SETS = "GetSubmissionSets"
    GET_SUBMISSION_SET_AND_CONTENTS = "GetSubmissionSetAndContents"
    GET_FOLDER_AND_CONTENTS = "GetFolderAndContents"
    GET_FOLDERS_FOR_DOCUMENT = "GetFoldersForDocument"
    GET_RELATED_DOCUMENTS = "GetRelatedDocuments"


@dataclass(frozen=True, slots=True)
class QueryRegistry:
    """ITI-18 and ITI-38: documents, sets and folders, and how they hang together. Answered with Holdings, over the
    network with NetworkHoldings.

    identifiers   entryUUID or uniqueId of what the query starts from; none for those that start from a patient
    documents, submission_sets, folders   which of each are wanted, at the start and of what is brought along
    kinds         for GetRelatedDocuments: by which associations
    all_versions  documents are named by their logicalID, and each version of their metadata is wanted
    home          over the network: the community whose objects are named, or which alone is asked
    as_asked      over the network: the query as it is passed on
    """

    kind: QueryKind
    patient: PatientSelector = ANYBODY
    identifiers: tuple[str, ...] = ()
    documents: tuple[Callable[[DocumentEntry], bool], ...] = ()
    submission_sets: tuple[Callable[[SubmissionSet], bool], ...] = ()
    folders: tuple[Callable[[Folder], bool], ...] = ()
    kinds: frozenset[AssociationKind] = frozenset()
    limit: int = 1000
    all_versions: bool = False
    home: HomeCommunityId | None = None
    as_asked: StoredQuery | None = None


@dataclass(frozen=True, slots=True)
class DocumentAsked:
    """One document of ITI-43 or ITI-39, by the repository that keeps it and its uniqueId."""

    repository: str
    unique_id: str
    home: HomeCommunityId | None = None


@dataclass(frozen=True, slots=True)
class RetrieveDocuments:
    """ITI-43 and ITI-39: the bytes of several documents. Answered with RetrievedDocuments."""

    wanted: tuple[DocumentAsked, ...]


@dataclass(frozen=True, slots=True)
class RelayedDocuments:
    """Documents of another hospital that flow through: which there are, with their media types, and the bytes of each
    by its place among them, in the order in which that hospital sends them."""

    listed: tuple[tuple[DocumentAsked, str], ...]
    parts: Iterator[tuple[int, Iterator[bytes]]]


@dataclass(frozen=True, slots=True)
class RetrievedDocuments:
    """What was found, each with its bytes on their way, and what was not, with the reason."""

    found: tuple[tuple[DocumentAsked, Retrieved], ...]
    missing: tuple[tuple[DocumentAsked, Exception], ...] = ()
    relayed: tuple[RelayedDocuments, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadSubmission:
    """One submission set or folder, as it is now or as it was in an earlier version.

    Answered with SubmissionSet | Folder.
    """

    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Every version of one thing that is kept, or those changed after a moment. Answered with History.

    kind    DocumentReference, List, Patient or Consent
    before  only versions with a smaller number: where a page ended
    """

    kind: str
    id: str
    since: datetime | None = None
    limit: int = 50
    before: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Versions, the newest first; `total` counts all that were asked for, `more` says that this is not the end."""

    versions: tuple[Any, ...]
    total: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class ProvideSubmission:
    """ITI-65, ITI-105 and every other way to publish. Answered with Provided."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class ExpectPatient:
    """A peer announces a patient whom it referred to this hospital. Answered with ExpectedPatient."""

    announced: ExpectedPatient


@dataclass(frozen=True, slots=True)
class StoreInstances:
    """STOW-RS and DICOM files. `study_instance_uid` as the sender announced it, if it did. Answered with Stored.

    refused   what could not be read or did not belong; the flow passes it on in `Stored.failed`
    """

    submission: StudySubmission
    study_instance_uid: str | None = None
    refused: tuple[InstanceFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepInstances:
    """DICOM storage commitment: are these objects (SOP class, SOP instance UID) kept for good? Answered with Kept."""

    objects: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FindStudies:
    """ImagingStudy search and QIDO-RS. Answered with Page[Study]."""

    search: StudySearch


@dataclass(frozen=True, slots=True)
class ReadStudy:
    """One study of the index. Answered with Study."""

    id: str


@dataclass(frozen=True, slots=True)
class RetrieveStudy:
    """WADO-RS: a study, one series, or one instance of it. Answered with RetrievedStudy.

    `metadata_only` asks for what the index and the headers say, without bulk data. `known` are fingerprints of states
    of the study that the caller has already: in one of these nothing is sent.
    """

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    metadata_only: bool = False
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DrawImage:
    """WADO-RS rendered and thumbnail: one frame as a picture. Answered with DrawnImage, or DrawnImages for several.

    Without an instance the one in the middle of the series is meant, without a series the first that has images; with
    `every` all images of the series or study. `frames` are several of the one instance, in the order of the answer.
    """

    study_instance_uid: str
    wish: PictureWish
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    every: bool = False
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrieveFrames:
    """WADO-RS: frames of one image, counted from 1; or, without frames, the value of `tag` (eight hex digits).

    Answered with RetrievedObject, from another hospital with RelayedStudy. `accept` is passed on to it as it came.
    `known` as for a study.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()
    tag: str = ""
    accept: str = "*/*"
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FindPatients:
    """ITI-78. Answered with Page[SourceRecord]."""

    search: PatientSearch


@dataclass(frozen=True, slots=True)
class QueryPatients:
    """ITI-47: a search whose answer may be continued under the id of the query. Answered with PatientsPart.

    question   what is kept to go on later; empty where the whole answer is wanted at once
    """

    search: PatientSearch
    query_id: str
    question: bytes = b""


@dataclass(frozen=True, slots=True)
class ContinuePatients:
    """The next patients of a query that the same system asked before. Answered with PatientsPart.

    start  the number of the first result that is wanted, from 1; the next one where it is not said
    """

    query_id: str
    start: int | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class EndPatients:
    """No more of this query is wanted."""

    query_id: str


@dataclass(frozen=True, slots=True)
class ReadPatient:
    """One source record, or an earlier version of it. Answered with SourceRecord."""

    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class SummarisePatient:
    """IPS `$summary`: by the registry's own id, or by an identifier. Answered with Summarised."""

    record_id: str = ""
    identifier: PatientIdentifier | None = None


@dataclass(frozen=True, slots=True)
class ReadDirectory:
    """mCSD: the communities of the network. Answered with tuple[Peer, ...]; the door chooses among them."""


@dataclass(frozen=True, slots=True)
class MatchPatient:
    """ITI-119. Answered with tuple[PatientMatch, ...], best first."""

    wanted: PatientInQuestion
    only_certain: bool = False
    count: int = 10


@dataclass(frozen=True, slots=True)
class DiscoverPatient:
    """ITI-55: another hospital describes a patient and asks under which number they are known here.

    Answered with Discovered.
    """

    wanted: PatientInQuestion


@dataclass(frozen=True, slots=True)
class DeferDiscovery:
    """ITI-55, deferred: the same question, answered later at the address that the directory lists.

    message     the question as it came, and `message_id` of the envelope around it
    respond_to  where the message itself says that its answer belongs
    own_id      by which its sender knows it: the same again is the same question
    """

    message: bytes
    message_id: str
    respond_to: str
    own_id: str


@dataclass(frozen=True, slots=True)
class TakeDiscovery:
    """ITI-55, deferred: the answer to a question of ours.

    question   the id of that question
    told       their number of the patient, else what became of the question
    community  whose number it is, as the answer says; empty without one
    """

    question: str
    told: PatientIdentifier | OutcomeKind
    community: str


@dataclass(frozen=True, slots=True)
class Discovered:
    """The number of the one person that fits, None where there is none; `ambiguous` where one more detail is needed."""

    number: PatientIdentifier | None
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class CrossReference:
    """ITI-83. Answered with CrossReferences."""

    identifier: PatientIdentifier
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedPatient:
    """ITI-104: create, revise or merge (`replaced_by`). Answered with Fed.

    expected_version  the version that it changes, 0 for a record that is not there yet
    claimed_id   the logical id that the message gives itself; another than the record has is a WrongId
    unsaid       what the message does not speak of, by the names of Demographics and `numbers`: it stays as it was.
                 None where a message always says everything; only such a message revives a merged record
    """

    identifier: PatientIdentifier
    record: SourceRecord
    expected_version: int | None = None
    claimed_id: str | None = None
    unsaid: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RemovePatient:
    """ITI-104: a number is out of use. Answered with Fed."""

    identifier: PatientIdentifier


@dataclass(frozen=True, slots=True)
class MergePatients:
    """ITI-8 and ITI-30 merge, change of a number: `subsumed` is `survivor` from now on. Answered with Fed.

    unsaid  what the message does not speak of, as in FeedPatient
    """

    survivor: SourceRecord
    subsumed: PatientIdentifier
    unsaid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LinkPatients:
    """ITI-30 link and unlink: two records of one person, or not (any more). Answered with Fed, of `second`."""

    first: PatientIdentifier
    second: PatientIdentifier
    same: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of what was found, newest first.

    total      of all that may be seen; None where only `more` is known
    next       where the next page starts; None at the end
    outcomes   one line for each community that was asked; empty for a question to this node alone
    unasked    communities of the network that were not asked, because the patient is not known to have been there
    withheld   nothing can be shown without the patient's request; the same whether there is anything or not
    """

    items: tuple[Item, ...]
    total: int | None = None
    next: Cursor | None = None
    outcomes: tuple[CommunityOutcome, ...] = ()
    unasked: int = 0
    withheld: bool = False
    not_unique: bool = False


@dataclass(frozen=True, slots=True)
class PatientsPart:
    """A part of the answer to a query: what was `shown` before it, and the question as it was kept."""

    page: Page[SourceRecord]
    domains: tuple[str, ...] = ()
    shown: int = 0
    question: bytes = b""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The bytes of a document on their way: `size` is of the whole, `content` of the range that was asked for.

    made_as  uniqueId of what was made just now for an on-demand entry
    """

    entry: DocumentEntry
    content: Iterator[bytes]
    size: int
    start: int = 0
    length: int | None = None
    made_as: str = ""


@dataclass(frozen=True, slots=True)
class RetrievedStudy:
    """The instances of a study on their way, each with its stored bytes; a study is never in memory as a whole.

    unchanged  the caller has them already, so none is on its way
    """

    study: Study
    instances: Iterator[tuple[Instance, Iterator[bytes]]]
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class RetrievedObject:
    """One stored object, to be read where it is needed: `read` gives bytes from an offset on, of a length or to the
    end, as often as asked. `end` has to be called once, with whether everything was passed on; not where the object
    is `unchanged` since the caller got it."""

    study: Study
    instance: Instance
    read: Callable[[int, int | None], Iterator[bytes]]
    end: Callable[[bool], None]
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class RelayedStudy:
    """A multipart answer of a peer that flows through as it is; `fingerprint` of the study, where it is told."""

    content_type: str
    content: Iterator[bytes]
    length: int | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """A picture for the eye: lossy, of a few kilobytes."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class DrawnImages:
    """Pictures of all images of a series or study in their order, each drawn when its turn comes."""

    media_type: str
    pictures: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """What was to be made only if it is not here, and is here."""

    item: Item


@dataclass(frozen=True, slots=True)
class Provided:
    """What publishing did.

    outcome    `stored`, `unchanged` (sent before) or `replaced`
    warnings   what a person should know: deviations, a report without its study, text that waits for review
    met        ids of documents that were here and fit the condition under which another was to be made
    """

    outcome: str
    documents: tuple[DocumentEntry, ...] = ()
    submission_set: SubmissionSet | None = None
    folders: tuple[Folder, ...] = ()
    warnings: tuple[str, ...] = ()
    met: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InstanceFailure:
    """One instance that was not stored, with the failure reason of DICOM PS3.18 Table 10.5.3-2 (decimal)."""

    sop_class_uid: str
    sop_instance_uid: str
    failure: int
    text: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing instances did; `stored` includes those that were here already.

    aside  kept and not shown, since their patient is in doubt; `failure` is the warning that says so
    """

    studies: tuple[Study, ...]
    stored: tuple[tuple[str, Instance], ...] = ()
    failed: tuple[InstanceFailure, ...] = ()
    aside: tuple[InstanceFailure, ...] = ()
    unchanged: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """Which objects are durable here; `conflicting` are here as another SOP class than was said."""

    kept: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...] = ()
    conflicting: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PatientMatch:
    """One candidate with its grade. `score` from 0 to 1; `grade` as FHIR match-grade says it."""

    record: SourceRecord
    score: float
    grade: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CrossReferences:
    """Other identifiers of the same person, and the logical ids behind them."""

    identifiers: tuple[PatientIdentifier, ...]
    record_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fed:
    """What a feed did: `created` (201) or revised (200); the record as it stands now."""

    record: SourceRecord
    created: bool
    changed: bool
    reviewed: bool = False
