"""What a new document changes for others: the folders it joins, and what stood beside the one that it replaces.

Source: IHE ITI TF-3: 4.2.2.2.3 (replacement), 4.2.2.1.3 (folders and replacement), IHE ITI TF-2: 3.42.4.1.3.3
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.changes import change_document, keep_folder, supersede_document
from hie_node.flows.register import standing
from registry.documents import DocumentEntry, DocumentStatus, Folder, RelationKind
from registry.errors import PatientMismatch, UnresolvedReference
from registry.people import SourceRecord
from registry.searches import DocumentSearch, StudySearch

_DEPENDENT = frozenset({RelationKind.APPENDS, RelationKind.TRANSFORMS})


def is_of(unit: UnitOfWork, thing: DocumentEntry | Folder, record: SourceRecord) -> bool:
    """Whether it is of this patient, or of a number that was merged into this one."""
    if thing.record_id == record.id:
        return True
    other = unit.patients.record_by_id(thing.record_id)
    return other is not None and standing(unit, other).id == record.id


def release_study(unit: UnitOfWork, report: DocumentEntry) -> None:
    """The study of a report that is current no longer waits for another one."""
    for study in unit.studies.find(StudySearch(record_ids=(report.record_id,), limit=1000)):
        if study.report_id == report.id:
            unit.studies.save(replace(study, report_id=None, pairing="its report was withdrawn"))


def member_id(unit: UnitOfWork, member: str, record: SourceRecord) -> str:
    """The registry id of a member that is named by entryUUID; it has to be here and of the same patient."""
    if not member.startswith("urn:uuid:"):
        return member
    found = next(iter(unit.documents.find(DocumentSearch(identifiers=(member,), limit=1, on_demand=True))), None)
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
        keep_folder(act, unit, replace(folder, members=members, updated=act.now, version=folder.version + 1))


def hand_over(act: Act, unit: UnitOfWork, old: DocumentEntry, new: DocumentEntry, record: SourceRecord) -> None:
    """The new document stands in the folders of the old one; what was appended to that, or made of it, is as old."""
    for folder in list(unit.documents.find_folders((record.id,))):
        if old.id in folder.members:
            _join(act, unit, folder, new.id)
    for dependent in list(_dependents(unit, old, record)):
        if dependent.id != new.id:
            supersede_document(act, unit, dependent)


def put_in_place_of(act: Act, unit: UnitOfWork, old: DocumentEntry, new: DocumentEntry, record: SourceRecord) -> None:
    """A document that is here already replaces another: as when it had come so, and the study has it as its report."""
    supersede_document(act, unit, old)
    hand_over(act, unit, old, new, record)
    for study in list(unit.studies.find(StudySearch(record_ids=(old.record_id,), limit=1000))):
        if study.report_id == old.id:
            moved = replace(study, report_id=new.id, pairing="its report was replaced", version=study.version + 1)
            unit.studies.save(moved)


def leave_all(act: Act, unit: UnitOfWork, document: DocumentEntry) -> None:
    """The document leaves its folders, and no other document stands in a relation to it any more."""
    for folder in list(unit.documents.find_folders((document.record_id,))):
        if document.id in folder.members:
            members = tuple(one for one in folder.members if one != document.id)
            keep_folder(act, unit, replace(folder, members=members, updated=act.now, version=folder.version + 1))

    def leads_here(entry: DocumentEntry) -> bool:
        return any(one.target == document.id for one in entry.relations)

    related = DocumentSearch(record_ids=(document.record_id,), where=(leads_here,), limit=500, on_demand=True)
    for other in list(unit.documents.find(related)):
        kept = tuple(one for one in other.relations if one.target != document.id)
        change_document(act, unit, replace(other, relations=kept, version=other.version + 1, updated=act.now))


def _dependents(unit: UnitOfWork, old: DocumentEntry, record: SourceRecord) -> Iterator[DocumentEntry]:
    def depends(entry: DocumentEntry) -> bool:
        return any(one.target == old.id and one.kind in _DEPENDENT for one in entry.relations)

    search = DocumentSearch(
        record_ids=(record.id,),
        statuses=(DocumentStatus.CURRENT,),
        where=(depends,),
        limit=500,
        papers=True,
        on_demand=True,
    )
    return unit.documents.find(search)
