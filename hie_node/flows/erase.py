"""Erase a patient: the keys of the contents, the index, what is known of the person; never the record of disclosures.

Only the data protection officer does it, with a reason, and it is on record. The record stays verifiable, since its
rows hold the hospital's own number of the patient and no name, and none of them is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.store.unit import UnitOfWork
from consent.errors import ErasureRefused
from consent.requesters import Role
from hie_node.acts import Act
from hie_node.flows import copies
from hie_node.flows.consents import take_back
from hie_node.flows.identify import identify
from hie_node.flows.quarantine import close_all_of
from registry.errors import InvalidValue, NotFound
from registry.people import NOTHING_KNOWN
from registry.searches import PatientSelector

MAY_ERASE = frozenset({Role.DATA_PROTECTION_OFFICER})
SHORTEST_REASON = 10


@dataclass(frozen=True, slots=True)
class Erased:
    """What is gone."""

    records: tuple[str, ...]
    rows: int
    withdrawn: int


def erase_patient(act: Act, patient: PatientSelector, *, because: str) -> Erased:
    """Everything of this person at this hospital; hospitals that keep a request of theirs are told it is withdrawn."""
    act.action, act.direction = "D", "changed"
    if act.caller.requester.role not in MAY_ERASE:
        raise ErasureRefused
    said = " ".join(because.split())
    if len(said) < SHORTEST_REASON:
        raise InvalidValue("because", expected=f"why, in {SHORTEST_REASON} characters or more")
    act.caller = replace(act.caller, requester=replace(act.caller.requester, reason=said))
    with act.unit() as unit:
        person = identify(act, unit, patient)
        if person is None:
            raise NotFound("this patient")
        # what is being published for them is done by then, and what comes later finds nobody
        for record_id in sorted(person.record_ids):
            unit.patients.record_by_id(record_id)
        act.about(person.first)
        withdrawn = _withdraw(act, unit, person.record_ids)
        rows = sum(unit.erasing.erase(record_id) for record_id in person.record_ids)
        rows += unit.erasing.forget_questions(one for record in person.records for one in record.identifiers)
        copies.drop_of_patient(unit, (one for record in person.records for one in record.identifiers), act)
        for record in person.records:
            blank = replace(
                record, demographics=NOTHING_KNOWN, numbers=(), active=False, version=record.version + 1, extra={}
            )
            unit.patients.save(blank)
            unit.erasing.erase(record.id)  # the version that `save` has just put into the history
        aside = close_all_of(act, unit, {one for record in person.records for one in record.identifiers})
        act.about(person.first)
        act.items = list(person.record_ids)
        act.reasons["erased"] = rows
        owners = (*person.record_ids, *aside)
        for owner in owners:
            act.house.contents.destroy(unit, owner)
    # what is left on the disk, also by a crash right here, nobody can read
    for owner in owners:
        act.house.contents.sweep(owner)
    return Erased(person.record_ids, rows, withdrawn)


def _withdraw(act: Act, unit: UnitOfWork, record_ids: tuple[str, ...]) -> int:
    active = [consent for consent in unit.consents.of_records(record_ids) if consent.status == "active"]
    for consent in active:
        take_back(act, unit, consent)
    return len(active)
