"""What a new document changes for others: the folders it joins, and what stood beside the one that it replaces.

Source: IHE ITI TF-3: 4.2.2.2.3 (replacement), 4.2.2.1.3 (folders and replacement), IHE ITI TF-2: 3.42.4.1.3.3
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from registry.documents import DocumentEntry, DocumentStatus, Folder, RelationKind
from registry.errors import PatientMismatch, UnresolvedReference
from registry.people import SourceRecord
from registry.searches import DocumentSearch

_DEPENDENT = frozenset({RelationKind.APPENDS, RelationKind.TRANSFORMS})


def member_id(unit: UnitOfWork, member: str, record: SourceRecord) -> str:
    """The registry id of a member that is named by entryUUID; it has to be here and of the same patient."""
    if not member.startswith("urn:uuid:"):
        return member
    found = next(iter(unit.documents.find(DocumentSearch(identifiers=(member,), limit=1))), None)
    known: DocumentEntry | Folder | None = found or next(unit.documents.find_folders(None, identifiers=(member,)), None)
    if known is None:
        raise UnresolvedReference("HasMember", member)
    if known.record_id != record.id:
        raise PatientMismatch("member", expected="the same patient", found="another patient")
    return known.id


def add_to_folders(act: Act, unit: UnitOfWork, joining: Iterable[tuple[str, str]], record: SourceRecord) -> None:
    """Documents join folders that are here; that is an update of the folder."""
    for folder_uuid, document in joining:
        folder = next(unit.documents.find_folders(None, identifiers=(folder_uuid,)), None)
        if folder is None:
            raise UnresolvedReference("HasMember", folder_uuid)
        if folder.record_id != record.id:
            raise PatientMismatch("folder", expected="the same patient", found="another patient")
        _join(act, unit, folder, member_id(unit, document, record))


def _join(act: Act, unit: UnitOfWork, folder: Folder, document_id: str) -> None:
    if document_id not in folder.members:
        members = (*folder.members, document_id)
        unit.documents.save_folder(replace(folder, members=members, updated=act.now, version=folder.version + 1))


def hand_over(act: Act, unit: UnitOfWork, old: DocumentEntry, new: DocumentEntry, record: SourceRecord) -> None:
    """The new document stands in the folders of the old one; what was appended to that, or made of it, is as old."""
    for folder in list(unit.documents.find_folders((record.id,))):
        if old.id in folder.members:
            _join(act, unit, folder, new.id)
    for dependent in list(_dependents(unit, old, record)):
        if dependent.id != new.id:
            aged = replace(dependent, status=DocumentStatus.SUPERSEDED, version=dependent.version + 1, updated=act.now)
            unit.documents.replace(aged)


def _dependents(unit: UnitOfWork, old: DocumentEntry, record: SourceRecord) -> Iterator[DocumentEntry]:
    def depends(entry: DocumentEntry) -> bool:
        return any(one.target == old.id and one.kind in _DEPENDENT for one in entry.relations)

    current = (DocumentStatus.CURRENT,)
    return unit.documents.find(DocumentSearch(record_ids=(record.id,), statuses=current, where=(depends,), limit=500))
