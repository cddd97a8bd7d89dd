"""One association alone: found by its id, and taken away while both of its ends stay.

An association is not kept; its id begins as the entryUUID of what it starts from, and that is looked up.

Source: IHE ITI Remove Metadata and Documents: 3.62.4.1.3
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.changes import change_document, keep_folder
from hie_node.flows.query_registry import Gathered
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.errors import LeftAlone
from registry.holdings import RELATIONS_OF, Association, Thing, beginning_of, membership, relations


@dataclass(frozen=True, slots=True)
class Tie:
    """An association with both of its ends."""

    association: Association
    source: Thing
    target: Thing


def tie_of(gathered: Gathered, association_id: str) -> Tie | None:
    """The association of this id; None where there is none."""
    beginning = beginning_of(association_id)
    sources = gathered.unit.changes.starting(beginning) if beginning else ()
    ties = (tie for source in sources for tie in _ties(gathered, source))
    return next((tie for tie in ties if tie.association.id == association_id), None)


def _ties(gathered: Gathered, source: Thing) -> Iterator[Tie]:
    if isinstance(source, DocumentEntry):
        ends: list[Thing] = [*gathered.documents_by_id(relation.target for relation in source.relations)]
        found = relations([source, *(one for one in ends if isinstance(one, DocumentEntry))])
    else:
        ends = [*gathered.documents_by_id(source.members), *gathered.folders_by_id(source.members)]
        found = membership([source], ends)
    by_uuid = {one.entry_uuid: one for one in ends}
    for one in found:
        if one.source == source.entry_uuid and one.target in by_uuid:
            yield Tie(one, source, by_uuid[one.target])


def cut(act: Act, unit: UnitOfWork, tie: Tie) -> None:
    """A set or folder loses a member, or a document a relation. Raises LeftAlone for a set that would be empty."""
    source, target = tie.source, tie.target.id
    if isinstance(source, Folder):
        folder = unit.documents.folder(source.id) or source
        members = tuple(one for one in folder.members if one != target)
        keep_folder(act, unit, replace(folder, members=members, version=folder.version + 1, updated=act.now))
    elif isinstance(source, SubmissionSet):
        package = unit.documents.submission(source.id) or source
        members = tuple(one for one in package.members if one != target)
        if not members:
            raise LeftAlone(package.entry_uuid)
        referred = tuple(one for one in package.referred if one != target)
        unit.changes.save_submission(
            replace(package, members=members, referred=referred, version=package.version + 1, updated=act.now)
        )
    else:
        document, kinds = unit.documents.entry(source.id) or source, RELATIONS_OF[tie.association.kind]
        kept = tuple(one for one in document.relations if one.target != target or one.kind not in kinds)
        change_document(act, unit, replace(document, relations=kept, version=document.version + 1, updated=act.now))
