"""What the metadata of a document said before they were changed: for the own hospital, never for another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from registry.documents import DocumentEntry, DocumentStatus, Folder
from registry.errors import Gone


def earlier_by_name(act: Act, unit: UnitOfWork, identifiers: Sequence[str]) -> list[DocumentEntry]:
    """Earlier versions by entryUUID or uniqueId."""
    return [] if act.caller.is_peer else list(_closed_as_now(unit, unit.changes.named(identifiers)))


def earlier_of_records(act: Act, unit: UnitOfWork, record_ids: Sequence[str]) -> list[DocumentEntry]:
    """Earlier versions of everything of a person."""
    return [] if act.caller.is_peer else list(_closed_as_now(unit, unit.changes.of_records(record_ids)))


def earlier_folders_by_name(act: Act, unit: UnitOfWork, identifiers: Sequence[str]) -> list[Folder]:
    """Earlier versions of folders by entryUUID or uniqueId."""
    return [] if act.caller.is_peer else [_as_earlier(one) for one in unit.changes.named_folders(identifiers)]


def earlier_folders_of_records(act: Act, unit: UnitOfWork, record_ids: Sequence[str]) -> list[Folder]:
    """Earlier versions of all folders of a person."""
    return [] if act.caller.is_peer else [_as_earlier(one) for one in unit.changes.folders_of_records(record_ids)]


def _as_earlier(folder: Folder) -> Folder:
    return replace(folder, status=DocumentStatus.SUPERSEDED)


def refuse_removed(act: Act, unit: UnitOfWork, document_id: str, what: str) -> None:
    """Raises Gone for what was removed; another hospital is told no more than that it is not here."""
    if not act.caller.is_peer and unit.changes.is_removed(document_id):
        raise Gone(what)


def _closed_as_now(unit: UnitOfWork, found: Iterable[DocumentEntry]) -> Iterator[DocumentEntry]:
    """An earlier version is as closed as the present one, and belongs to whom that belongs to."""
    for one in found:
        current = unit.documents.entry(one.id)
        if current is not None:
            labels = tuple(dict.fromkeys((*current.sensitivity, *one.sensitivity)))
            yield replace(
                one,
                status=DocumentStatus.SUPERSEDED,
                sensitivity=labels,
                patient=current.patient,
                record_id=current.record_id,
            )
