"""What becomes of documents, submission sets and folders here, for those who asked to be told.

The word of it is a job in the same unit of work, so that nothing happens untold and nothing untrue is told.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.store.unit import UnitOfWork
from consent.subscriptions import Change, Kind
from hie_node.acts import Act
from registry.documents import DocumentEntry, DocumentStatus, Folder, SubmissionSet

HAPPENED = "something-happened"
"""The job that numbers a change for each subscription that it matters to."""


def add_document(act: Act, unit: UnitOfWork, entry: DocumentEntry, *, source_key: str | None = None) -> None:
    """Raises DuplicateUniqueId."""
    unit.documents.add(entry, source_key=source_key)
    _happened(act, unit, "DocumentReference", entry, "create")


def change_document(act: Act, unit: UnitOfWork, entry: DocumentEntry) -> None:
    """Put the next version in the place of the one before, which is kept."""
    unit.documents.replace(entry)
    _happened(act, unit, "DocumentReference", entry, "update")


def supersede_document(act: Act, unit: UnitOfWork, entry: DocumentEntry) -> None:
    """It is current no longer: a version of its own, of which its subscribers are told like of any other."""
    aged = replace(entry, status=DocumentStatus.SUPERSEDED, version=entry.version + 1, updated=act.now)
    change_document(act, unit, aged)


def add_submission(act: Act, unit: UnitOfWork, made: SubmissionSet) -> None:
    """Raises DuplicateUniqueId."""
    unit.documents.add_submission(made)
    _happened(act, unit, "List", made, "create")


def keep_folder(act: Act, unit: UnitOfWork, folder: Folder) -> None:
    """Add it, or put its next version in the place of the one before. Raises DuplicateUniqueId."""
    unit.documents.save_folder(folder)
    _happened(act, unit, "Folder", folder, "create" if folder.version == 1 else "update")


def _happened(
    act: Act, unit: UnitOfWork, kind: Kind, item: DocumentEntry | SubmissionSet | Folder, change: Change
) -> None:
    if isinstance(item, DocumentEntry) and (item.stays_here or item.on_demand):
        return
    if item.record_id is None or not unit.subscriptions.anybody_hears(kind):
        return
    told = {"kind": kind, "id": item.id, "version": item.version, "change": change, "at": act.now.isoformat()}
    unit.jobs.enqueue(HAPPENED, told, run_at=act.now)
