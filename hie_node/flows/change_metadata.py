"""Change metadata: a document gets a new version of them, a status changes, things are linked. All of it, or nothing.

The registry's own id of a document stays, so that folders, sets, relations and its study follow the newest version;
what the metadata said before is kept as a version. A change can close a document to others and never opens what the
closed lists have closed.

Source: IHE ITI XDS Metadata Update: 3.57.4.1.3
"""

from __future__ import annotations

from dataclasses import replace

from adapters.store.unit import UnitOfWork
from consent.errors import ScopeMissing
from consent.requesters import Role
from hie_node.acts import Act
from hie_node.flows.changes import add_submission, change_document, keep_folder
from hie_node.flows.membership import add_to_folders, is_of, leave_all, put_in_place_of, release_study
from hie_node.flows.register import standing
from registry.changes import Changed, ChangeMetadata, NewFolder, NewLink, NewStatus, NewVersion
from registry.coded import HIV, STAYS_HERE, UNREVIEWED_TEXT
from registry.documents import DocumentEntry, DocumentStatus, Folder, Relation, RelationKind
from registry.errors import (
    ChangeRejected,
    DeprecatedTarget,
    DuplicateUniqueId,
    OtherPatient,
    UnknownPatient,
    UnresolvedReference,
    VersionConflict,
)
from registry.holdings import RELATIONS_OF, AssociationKind
from registry.identifiers import DICOM_UID
from registry.people import SourceRecord
from registry.searches import DocumentSearch

_REPLACING = frozenset({AssociationKind.REPLACES, AssociationKind.TRANSFORMS_AND_REPLACES})
MAY_CHANGE = frozenset({Role.SYSTEM, Role.DATA_PROTECTION_OFFICER})
"""The hospital's own systems, and who answers for its records; nobody changes or removes them in passing."""
_KEPT = (HIV, STAYS_HERE, UNREVIEWED_TEXT)
"""Labels that a new version cannot take away."""


def refuse_others(act: Act) -> None:
    """Raises ScopeMissing for whoever may not change what is registered, whatever their token says."""
    if act.caller.is_peer or act.caller.requester.role not in MAY_CHANGE:
        raise ScopeMissing


def change_metadata(act: Act, command: ChangeMetadata) -> Changed:
    """ITI-57. Raises ChangeRejected, VersionConflict and what a submission is refused with; nothing is changed then."""
    refuse_others(act)
    act.action, act.direction = "U", "changed"
    given = command.submission_set
    assert given.patient is not None
    with act.unit() as unit:
        record = unit.patients.record(given.patient)
        if record is None:
            raise UnknownPatient(str(given.patient))
        record = standing(unit, record)
        act.about(record)
        if unit.documents.by_submission_unique_id(given.unique_id) is not None:
            raise DuplicateUniqueId(given.unique_id)
        revised = [_revise(act, unit, one, record) for one in command.versions]
        revised += [_revise_folder(act, unit, one, record) for one in command.folders]
        touched = [_set_status(act, unit, one, record) for one in command.statuses]
        touched += [_link(act, unit, one, record) for one in command.links]
        members = tuple(dict.fromkeys((*revised, *touched)))
        referred = tuple(one for one in members if one not in revised)
        add_submission(
            act,
            unit,
            replace(
                given,
                patient=record.identifier,
                record_id=record.id,
                members=members,
                referred=referred,
                updated=act.now,
            ),
        )
        act.items = list(members)
        return Changed(members)


def document_of(unit: UnitOfWork, entry_uuid: str) -> DocumentEntry | None:
    """The document that has this entryUUID now; locked until the unit ends."""
    found = next(iter(unit.documents.find(DocumentSearch(identifiers=(entry_uuid,), limit=1, on_demand=True))), None)
    current = unit.documents.entry(found.id) if found else None
    return current if current is not None and current.entry_uuid == entry_uuid else None


# ---- a new version ----


def _revise(act: Act, unit: UnitOfWork, change: NewVersion, record: SourceRecord) -> str:
    current = _by_logical_id(unit, change.logical_id)
    if current is None:
        raise ChangeRejected(change.logical_id, "no document of this logicalID is here")
    _refuse_other_previous(unit, current, change, record)
    _refuse_other_bytes(current, change)
    if document_of(unit, change.entry.entry_uuid) or unit.changes.named((change.entry.entry_uuid,)):
        raise ChangeRejected(change.logical_id, "a new version has an entryUUID of its own")
    new = _new_version(act, current, change)
    if not change.stays:
        leave_all(act, unit, current)
        new = replace(new, relations=())
    change_document(act, unit, new)
    return current.id


def _refuse_other_previous(
    unit: UnitOfWork, current: DocumentEntry | Folder, change: NewVersion | NewFolder, record: SourceRecord
) -> None:
    """What the sender changed is this patient's, current, and the version that the sender had."""
    if not is_of(unit, current, record):
        raise OtherPatient(change.logical_id)
    if current.status is not DocumentStatus.CURRENT or current.version != change.previous:
        found = "deprecated" if current.status is not DocumentStatus.CURRENT else str(current.version)
        raise VersionConflict(change.logical_id, expected=str(change.previous), found=found)


def _by_logical_id(unit: UnitOfWork, logical_id: str) -> DocumentEntry | None:
    first = document_of(unit, logical_id)
    if first is not None:
        return first if not first.logical_id else None
    earlier = next((one for one in unit.changes.named((logical_id,)) if one.entry_uuid == logical_id), None)
    current = unit.documents.entry(earlier.id) if earlier else None
    return current if current is not None and current.logical_id == logical_id else None


def _refuse_other_bytes(current: DocumentEntry, change: NewVersion) -> None:
    """Metadata can be revised, not which document they are about."""
    attachment = current.attachment
    for what, said, known in (
        ("uniqueId", change.entry.unique_id, current.unique_id),
        ("hash", change.announced_hash, attachment.hash),
        ("size", change.announced_size, attachment.size),
        ("repositoryUniqueId", current.repository and change.repository, current.repository),
    ):
        if said not in (None, known):
            raise ChangeRejected(change.logical_id, f"{what} is that of the document and cannot change")


def _new_version(act: Act, current: DocumentEntry, change: NewVersion) -> DocumentEntry:
    entry, was = change.entry, current.attachment
    kept = [label for label in current.sensitivity if any(label.means(one) for one in _KEPT)]
    found_out = [reference for reference in current.references if reference.system == DICOM_UID]
    return replace(
        entry,
        id=current.id,
        logical_id=change.logical_id,
        patient=current.patient,
        record_id=current.record_id,
        attachment=replace(entry.attachment, size=was.size, hash=was.hash, content_hash=was.content_hash),
        sensitivity=tuple(dict.fromkeys((*entry.sensitivity, *kept))),
        references=tuple(dict.fromkeys((*entry.references, *found_out))),
        relations=current.relations,
        examination=current.examination,
        results=current.results,
        extra=current.extra,
        repository=current.repository,
        version=current.version + 1,
        updated=act.now,
    )


def _revise_folder(act: Act, unit: UnitOfWork, change: NewFolder, record: SourceRecord) -> str:
    first = _folder(unit, change.logical_id)
    earlier = unit.changes.named_folders((change.logical_id,)) if first is None else ()
    current = unit.documents.folder(earlier[0].id) if earlier else first
    if current is None or (current.logical_id or current.entry_uuid) != change.logical_id:
        raise ChangeRejected(change.logical_id, "no folder of this logicalID is here")
    _refuse_other_previous(unit, current, change, record)
    new = change.folder
    if new.unique_id != current.unique_id:
        raise ChangeRejected(change.logical_id, "uniqueId is that of the folder and cannot change")
    if _folder(unit, new.entry_uuid) or unit.changes.named_folders((new.entry_uuid,)):
        raise ChangeRejected(change.logical_id, "a new version has an entryUUID of its own")
    keep_folder(
        act,
        unit,
        replace(
            current,
            entry_uuid=new.entry_uuid,
            logical_id=change.logical_id,
            title=new.title,
            codes=new.codes,
            slots=new.slots,
            members=current.members if change.stays else (),
            version=current.version + 1,
            updated=act.now,
        ),
    )
    return current.id


# ---- status and links ----


def _set_status(act: Act, unit: UnitOfWork, change: NewStatus, record: SourceRecord) -> str:
    document = document_of(unit, change.target)
    thing: DocumentEntry | Folder | None = document or _folder(unit, change.target)
    if thing is None:
        raise UnresolvedReference("UpdateAvailabilityStatus", change.target)
    if not is_of(unit, thing, record):
        raise OtherPatient(change.target)
    if thing.status is not change.before:
        raise ChangeRejected(change.target, "OriginalStatus is not the status that it has")
    if isinstance(thing, Folder):
        keep_folder(act, unit, replace(thing, status=change.after, version=thing.version + 1, updated=act.now))
        return thing.id
    if change.after is DocumentStatus.CURRENT and _is_replaced(unit, thing):
        raise ChangeRejected(change.target, "another document has replaced it")
    change_document(act, unit, replace(thing, status=change.after, version=thing.version + 1, updated=act.now))
    if change.after is DocumentStatus.SUPERSEDED:
        release_study(unit, thing)
    return thing.id


def _folder(unit: UnitOfWork, entry_uuid: str) -> Folder | None:
    found = next(unit.documents.find_folders(None, identifiers=(entry_uuid,)), None)
    return found if found is not None and found.entry_uuid == entry_uuid else None


def _is_replaced(unit: UnitOfWork, entry: DocumentEntry) -> bool:
    replacing = Relation(RelationKind.REPLACES, entry.id)
    points = (lambda e: replacing in e.relations,)
    search = DocumentSearch(record_ids=(entry.record_id,), limit=1, where=points, papers=True, on_demand=True)
    return next(unit.documents.find(search), None) is not None


def _link(act: Act, unit: UnitOfWork, change: NewLink, record: SourceRecord) -> str:
    if change.kind is AssociationKind.HAS_MEMBER:
        add_to_folders(act, unit, [(change.source, change.target)], record)
        folder = _folder(unit, change.source)
        if folder is None:
            raise UnresolvedReference("HasMember", change.source)
        return folder.id
    source, target = document_of(unit, change.source), document_of(unit, change.target)
    if source is None or target is None:
        raise UnresolvedReference("SubmitAssociation", change.source if source is None else change.target)
    for end in (source, target):
        if not is_of(unit, end, record):
            raise OtherPatient(end.entry_uuid)
        if end.status is not DocumentStatus.CURRENT:
            raise DeprecatedTarget(end.entry_uuid)
    wanted = [Relation(kind, target.id) for kind in sorted(RELATIONS_OF[change.kind])]
    relations = tuple(dict.fromkeys((*source.relations, *wanted)))
    if relations != source.relations:
        source = replace(source, relations=relations, version=source.version + 1, updated=act.now)
        change_document(act, unit, source)
    if change.kind in _REPLACING:
        put_in_place_of(act, unit, target, source, record)
    return source.id
