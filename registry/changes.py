"""Changes of what is registered, as values: metadata revised, a status changed, things linked, things removed.

Source: IHE ITI XDS Metadata Update: 3.57 (Update Document Set); IHE ITI Remove Metadata and Documents: 3.62, 3.86
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.commands import DocumentAsked
from registry.documents import DocumentEntry, DocumentStatus, Folder, SubmissionSet
from registry.holdings import AssociationKind


@dataclass(frozen=True, slots=True)
class NewVersion:
    """The metadata of a document as they are from now on; its bytes stay what they are.

    logical_id  of the document: the entryUUID of its first version
    previous    version that the sender had before it, where it changed it
    announced_hash, announced_size, repository   as the sender says them, where it does
    stays       in its folders and in its relations to other documents, and they in theirs to it
    """

    logical_id: str
    previous: int
    entry: DocumentEntry
    announced_hash: str | None = None
    announced_size: int | None = None
    repository: str | None = None
    stays: bool = True


@dataclass(frozen=True, slots=True)
class NewFolder:
    """The metadata of a folder as they are from now on, and whether its members stay. As NewVersion."""

    logical_id: str
    previous: int
    folder: Folder
    stays: bool = True


@dataclass(frozen=True, slots=True)
class NewStatus:
    """A document or folder, by entryUUID, is current from now on, or no longer."""

    target: str
    before: DocumentStatus
    after: DocumentStatus


@dataclass(frozen=True, slots=True)
class NewLink:
    """Two things that are here already are associated; both by entryUUID. What is replaced is current no longer."""

    kind: AssociationKind
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ChangeMetadata:
    """ITI-57: all of it, or nothing. Answered with Changed.

    submission_set  the act of changing; its members are what it changed, by logical id or entryUUID
    """

    submission_set: SubmissionSet
    versions: tuple[NewVersion, ...] = ()
    folders: tuple[NewFolder, ...] = ()
    statuses: tuple[NewStatus, ...] = ()
    links: tuple[NewLink, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveMetadata:
    """ITI-62: documents, sets, folders and associations, by their ids; all of them, or none. Answered with Changed."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveContents:
    """ITI-86: the bytes of documents whose metadata were removed; all of them, or none. Answered with Changed."""

    wanted: tuple[DocumentAsked, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What was changed or removed, by the registry's own ids."""

    ids: tuple[str, ...]
