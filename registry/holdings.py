"""What a registry holds and how it hangs together: documents, submission sets, folders, and associations among them.

An association is not kept: it follows from the members of a set or folder and from the relations of a document, and
has the same id each time it is shown.

Source: IHE ITI TF-3: 4.2.2 (association types), IHE ITI TF-2: 3.18.4.1.2.3.7 (stored queries)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

from registry.documents import DocumentEntry, Folder, RelationKind, SubmissionSet

Thing = DocumentEntry | SubmissionSet | Folder


class AssociationKind(StrEnum):
    """How two objects of the registry hang together."""

    HAS_MEMBER = "has-member"
    REPLACES = "replaces"
    APPENDS = "appends"
    TRANSFORMS = "transforms"
    TRANSFORMS_AND_REPLACES = "transforms-and-replaces"
    SIGNS = "signs"


_OF_RELATION = {
    RelationKind.REPLACES: AssociationKind.REPLACES,
    RelationKind.APPENDS: AssociationKind.APPENDS,
    RelationKind.TRANSFORMS: AssociationKind.TRANSFORMS,
    RelationKind.SIGNS: AssociationKind.SIGNS,
}


@dataclass(frozen=True, slots=True)
class Association:
    """`source` has `target` as a member, or stands in this relation to it; both by entryUUID.

    original   of a submission set and a member: the set brought it, and does not only refer to it
    """

    kind: AssociationKind
    source: str
    target: str
    of_submission_set: bool = False
    original: bool = True

    @property
    def id(self) -> str:
        return uuid5(NAMESPACE_URL, f"{self.source} {self.kind} {self.target}").urn


@dataclass(frozen=True, slots=True)
class Holdings:
    """The answer to a stored query.

    persons   of how many people these things are
    more      there are more than were asked for
    withheld  nothing can be shown without the patient's request; the same whether there is anything or not
    """

    documents: tuple[DocumentEntry, ...] = ()
    submission_sets: tuple[SubmissionSet, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    persons: int = 1
    more: bool = False
    withheld: bool = False


def membership(packages: Iterable[SubmissionSet | Folder], members: Sequence[Thing]) -> Iterator[Association]:
    """Which of these are members of which packages."""
    by_id = {member.id: member for member in members}
    for package in packages:
        is_set = isinstance(package, SubmissionSet)
        referred = package.referred if isinstance(package, SubmissionSet) else ()
        for member_id in package.members:
            if member_id in by_id:
                target = by_id[member_id].entry_uuid
                original = member_id not in referred
                yield Association(AssociationKind.HAS_MEMBER, package.entry_uuid, target, is_set, original)


def relations(documents: Sequence[DocumentEntry]) -> Iterator[Association]:
    """How these documents relate to one another; a transformation that replaces is one association."""
    by_id = {document.id: document for document in documents}
    for document in documents:
        kinds: dict[str, set[RelationKind]] = {}
        for relation in document.relations:
            kinds.setdefault(relation.target, set()).add(relation.kind)
        for target, found in kinds.items():
            if target in by_id:
                yield from _of(document, by_id[target], found)


def _of(document: DocumentEntry, target: DocumentEntry, kinds: set[RelationKind]) -> Iterator[Association]:
    both = {RelationKind.TRANSFORMS, RelationKind.REPLACES}
    if both <= kinds:
        yield Association(AssociationKind.TRANSFORMS_AND_REPLACES, document.entry_uuid, target.entry_uuid)
        kinds = kinds - both
    for kind in sorted(kinds):
        yield Association(_OF_RELATION[kind], document.entry_uuid, target.entry_uuid)
