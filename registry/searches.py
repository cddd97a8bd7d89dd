"""What can be looked for, as values. A condition that only one language knows is a predicate over the noun.

Results come newest first; `after` continues where a page ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from registry.documents import DocumentEntry, DocumentStatus, Folder, SubmissionSet
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion, SourceRecord
from registry.studies import Study


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: performance time of its last entry, and its id, which breaks ties."""

    performed: datetime | None
    id: str


@dataclass(frozen=True, slots=True)
class PatientSelector:
    """Whose things: the registry's own id of the patient, identifiers, or a full description. All None: anybody."""

    record_id: str | None = None
    described: PatientInQuestion | None = None

    @property
    def is_given(self) -> bool:
        return self.record_id is not None or (self.described is not None and not self.described.is_empty)


ANYBODY = PatientSelector()


@dataclass(frozen=True, slots=True)
class DocumentSearch:
    """Source: IHE MHD 2:3.67 (Find Document References).

    record_ids     the source records of one person, filled in by the flow once the person is known
    identifiers    any of entryUUID, uniqueId
    where          the other conditions; all must hold
    home           over the network: only this community is asked
    manifests      the imaging manifests of the person's studies are wanted as well
    on_demand      documents that are made when they are retrieved are wanted as well
    versions       what the metadata said before they were changed is wanted as well, as superseded
    papers         papers of the hospital's own, which are no part of a history, are wanted as well
    """

    patient: PatientSelector = ANYBODY
    record_ids: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    identifiers: tuple[str, ...] | None = None
    statuses: tuple[DocumentStatus, ...] | None = None
    where: tuple[Callable[[DocumentEntry], bool], ...] = ()
    limit: int = 50
    after: Cursor | None = None
    count_only: bool = False
    home: HomeCommunityId | None = None
    versions: bool = False
    manifests: bool = False
    on_demand: bool = False
    papers: bool = False

    def accepts(self, entry: DocumentEntry) -> bool:
        return (not entry.stays_here or self.lists_papers) and all(condition(entry) for condition in self.where)

    @property
    def lists_papers(self) -> bool:
        """They are listed for whoever asks for them, by what they are or by their ids."""
        return self.papers or self.ids is not None or self.identifiers is not None

    def fits(self, entry: DocumentEntry) -> bool:
        """Every condition but that on the patient holds: for what another hospital found."""
        return (
            (self.ids is None or entry.id in self.ids)
            and (self.identifiers is None or bool({entry.unique_id, entry.entry_uuid} & set(self.identifiers)))
            and (self.statuses is None or entry.status in self.statuses)
            and self.accepts(entry)
        )


@dataclass(frozen=True, slots=True)
class StudySearch:
    """Source: FHIR R4 ImagingStudy search, DICOM PS3.18 section 10.6 (QIDO-RS).

    home   over the network: only this community is asked
    """

    patient: PatientSelector = ANYBODY
    record_ids: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    study_instance_uids: tuple[str, ...] | None = None
    where: tuple[Callable[[Study], bool], ...] = ()
    limit: int = 50
    after: Cursor | None = None
    count_only: bool = False
    home: HomeCommunityId | None = None

    def accepts(self, study: Study) -> bool:
        return all(condition(study) for condition in self.where)

    def fits(self, study: Study) -> bool:
        """Every condition but that on the patient holds: for what another hospital found."""
        wanted = self.study_instance_uids
        return (
            (self.ids is None or study.id in self.ids)
            and (wanted is None or study.study_instance_uid in wanted)
            and self.accepts(study)
        )


@dataclass(frozen=True, slots=True)
class SubmissionSearch:
    """Source: IHE MHD 2:3.66 (Find Document Lists)."""

    patient: PatientSelector = ANYBODY
    record_ids: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    identifiers: tuple[str, ...] | None = None
    where: tuple[Callable[[SubmissionSet | Folder], bool], ...] = ()
    limit: int = 50
    after: Cursor | None = None
    count_only: bool = False


@dataclass(frozen=True, slots=True)
class PatientSearch:
    """Source: IHE PDQm 3.2, 2:3.78.

    identifiers   all must be carried by the person
    name_words    folded beginnings of words of the name, all must be there
    domains       only identifiers of these authorities are wanted; one that is not known: UnknownTargetSystem
    where         the other conditions
    """

    ids: tuple[str, ...] | None = None
    identifiers: tuple[PatientIdentifier, ...] = ()
    name_words: tuple[str, ...] = ()
    birth_year: int | None = None
    domains: tuple[str, ...] = ()
    where: tuple[Callable[[SourceRecord], bool], ...] = ()
    limit: int = 50
    after: str | None = None
    count_only: bool = False

    def accepts(self, record: SourceRecord) -> bool:
        return all(condition(record) for condition in self.where)
