"""What a registry holds and how it hangs together: documents, submission sets, folders, and associations among them.

An association is not kept: it follows from the members of a set or folder and from the relations of a document, and
has the same id each time it is shown.

Source: IHE ITI TF-3: 4.2.2 (association types), IHE ITI TF-2: 3.18.4.1.2.3.7 (stored queries)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from uuid import NAMESPACE_URL, uuid5

from registry.answers import CommunityOutcome
from registry.documents import DocumentEntry, Folder, RelationKind, SubmissionSet
from registry.identifiers import HomeCommunityId

Thing = DocumentEntry | SubmissionSet | Folder
Noun = TypeVar("Noun", bound=Thing)


class AssociationKind(StrEnum):
    """How two objects of the registry hang together."""

    HAS_MEMBER = "has-member"
    REPLACES = "replaces"
    APPENDS = "appends"
    TRANSFORMS = "transforms"
    TRANSFORMS_AND_REPLACES = "transforms-and-replaces"
    SIGNS = "signs"


_BEGINNING = len("urn:uuid:00000000-0000-")
_ID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RELATIONS_OF = {
    AssociationKind.REPLACES: frozenset({RelationKind.REPLACES}),
    AssociationKind.APPENDS: frozenset({RelationKind.APPENDS}),
    AssociationKind.TRANSFORMS: frozenset({RelationKind.TRANSFORMS}),
    AssociationKind.SIGNS: frozenset({RelationKind.SIGNS}),
    AssociationKind.TRANSFORMS_AND_REPLACES: frozenset({RelationKind.TRANSFORMS, RelationKind.REPLACES}),
}
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
    listed_as  of another community: the id under which that has it
    """

    kind: AssociationKind
    source: str
    target: str
    of_submission_set: bool = False
    original: bool = True
    listed_as: str = ""

    @property
    def id(self) -> str:
        """Begins as its source does, so that who knows nothing but this id can be led there."""
        if self.listed_as:
            return self.listed_as
        made = uuid5(NAMESPACE_URL, f"{self.source} {self.kind} {self.target}").urn
        return self.source[:_BEGINNING] + made[_BEGINNING:] if self.source.startswith("urn:uuid:") else made


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


@dataclass(frozen=True, slots=True)
class NetworkHoldings:
    """The answer of many communities to a stored query, each under its own homeCommunityId.

    persons       of how many people these things are
    outcomes      one for each community that was asked
    only_listed   of these documents are known, and of no sets and folders: they speak FHIR alone
    never_listed  something was named that no community listed here, and that nobody was asked for
    unasked       communities that were not asked, where the patient is not known to have been
    """

    found: tuple[tuple[HomeCommunityId, Holdings], ...]
    outcomes: tuple[CommunityOutcome, ...]
    persons: int = 1
    only_listed: tuple[HomeCommunityId, ...] = ()
    never_listed: bool = False
    unasked: int = 0


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A stored query as it was asked, to be passed on: its id, and its parameters as they were written."""

    id: str
    slots: tuple[tuple[str, tuple[str, ...]], ...]


def beginning_of(association_id: str) -> str | None:
    """How the entryUUID begins of what an association starts from; None for an id that is none."""
    return association_id[:_BEGINNING] if _ID.fullmatch(association_id) else None


def _newest(things: Iterable[Noun]) -> dict[str, Noun]:
    """By id; of a document of which several versions are shown, the newest: associations follow that."""
    return {one.id: one for one in sorted(things, key=lambda one: one.version)}


def membership(packages: Iterable[SubmissionSet | Folder], members: Sequence[Thing]) -> Iterator[Association]:
    """Which of these are members of which packages."""
    by_id = _newest(members)
    for package in _newest(packages).values():
        is_set = isinstance(package, SubmissionSet)
        referred = package.referred if isinstance(package, SubmissionSet) else ()
        for member_id in package.members:
            if member_id in by_id:
                target = by_id[member_id].entry_uuid
                original = member_id not in referred
                yield Association(AssociationKind.HAS_MEMBER, package.entry_uuid, target, is_set, original)


def relations(documents: Sequence[DocumentEntry]) -> Iterator[Association]:
    """How these documents relate to one another; a transformation that replaces is one association."""
    by_id = _newest(documents)
    for document in by_id.values():
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
