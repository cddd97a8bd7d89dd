"""What a resource was before: shown like the resource itself, and never more of it than it would show now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.find import permitted_one, without_promises
from hie_node.flows.identify import by_record_id
from hie_node.flows.permission import consents_for
from registry.commands import History, ReadHistory
from registry.documents import DocumentEntry
from registry.errors import NotFound


def read_history(act: Act, command: ReadHistory) -> History:
    """Newest first. Raises NotFound."""
    with act.unit() as unit:
        versions = _READERS[command.kind](act, unit, command.id)
        if not versions:
            raise NotFound(command.kind)
        wanted = [
            one for one in versions if command.since is None or one.updated is None or one.updated > command.since
        ]
        rest = [one for one in wanted if command.before is None or one.version < command.before]
        return History(tuple(rest[: command.limit]), total=len(wanted), more=len(rest) > command.limit)


def _documents(act: Act, unit: UnitOfWork, entry_id: str) -> Sequence[DocumentEntry]:
    permitted_one(act, unit, unit.documents.entry(entry_id), "DocumentReference")
    return [one for one in unit.documents.versions(entry_id) if was_permitted(act, unit, one)]


def was_permitted(act: Act, unit: UnitOfWork, version: DocumentEntry) -> bool:
    """Whether an earlier version would be shown if it were the one of today, which must be decided first."""
    person = by_record_id(unit, version.record_id)
    return person is not None and act.weigh(version, consents_for(act, unit, person, keep=False)).permit


def _lists(act: Act, unit: UnitOfWork, list_id: str) -> Sequence[Any]:
    found = unit.documents.submission(list_id)
    versions = (found,) if found else unit.documents.folder_versions(list_id)
    act.items += [one.id for one in versions[:1]]
    return [without_promises(unit, one) for one in versions]


def _patients(act: Act, unit: UnitOfWork, record_id: str) -> Sequence[Any]:
    versions = unit.patients.versions(record_id)
    if versions:
        act.about(versions[0])
        act.items = [record_id]
    return versions


def _consents(act: Act, unit: UnitOfWork, consent_id: str) -> Sequence[Any]:
    versions = unit.consents.versions(consent_id)
    if versions:
        person = by_record_id(unit, versions[0].record_id)
        if person is not None:
            act.about(person.first)
        act.items = [consent_id]
    return versions


_READERS: dict[str, Callable[[Act, UnitOfWork, str], Sequence[Any]]] = {
    "Consent": _consents,
    "DocumentReference": _documents,
    "List": _lists,
    "Patient": _patients,
}
