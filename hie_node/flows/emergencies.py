"""Emergency access: declared by a doctor here, told at once, reviewed by the data protection officer in its days."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from consent.emergency import (
    EmergencyAccess,
    EmergencyReason,
    Finding,
    Review,
    Statistics,
    declaration,
    is_declared,
    statistics,
)
from consent.errors import EmergencyRefused
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Act, note_emergency
from hie_node.flows.identify import by_record_id, identify
from hie_node.house import House
from registry.errors import InvalidValue, NotFound
from registry.searches import PatientSelector

LONGEST_TEXT = 900
REVIEWERS = frozenset({Role.DATA_PROTECTION_OFFICER})


def declare(act: Act, patient: PatientSelector, *, reason: EmergencyReason, text: str) -> EmergencyAccess:
    """A doctor declares an emergency of a patient of this hospital; from now on it lasts four hours at most."""
    act.action, act.direction = "C", "changed"
    said = " ".join(text.split())
    if declaration(f"{EmergencyReason.OTHER.value}: {said}") is None or len(said) > LONGEST_TEXT:
        raise InvalidValue("text", expected=f"what happened, in 3 to {LONGEST_TEXT} characters")
    asker = under(act.caller.requester, reason=f"{reason.value}: {said}", declared=act.now)
    if not act.house.policy.emergency_access:
        raise EmergencyRefused("no-officer")
    if not is_declared(asker, act.house.policy.emergency_roles, now=act.now):
        raise EmergencyRefused("role")
    act.caller = replace(act.caller, requester=asker)
    with act.unit() as unit:
        person = identify(act, unit, patient)
        if person is None:
            raise NotFound("this patient")
        act.about(person.first)
        return note_emergency(act, unit, person.first.id)


def under(requester: Requester, *, reason: str, declared: datetime) -> Requester:
    """The same person, asking under an emergency that was declared."""
    return replace(requester, purpose=PurposeOfUse.BTG, reason=reason, declared=declared)


def running_of(house: House, record_id: str, subject: str) -> EmergencyAccess | None:
    """The emergency that this person of our own declared for this patient and that has not ended."""
    now = house.now()
    with house.storage.read() as unit:
        person = by_record_id(unit, record_id)
        records = person.record_ids if person else (record_id,)
        found = [one for record in records for one in unit.emergencies.running(record, now)]
    mine = [one for one in found if one.subject == subject and one.home == house.home]
    return max(mine, key=lambda one: one.ends, default=None)


def waiting(act: Act) -> tuple[EmergencyAccess, ...]:
    """The review queue, what is due first on top. Looking at it is recorded."""
    with act.unit() as unit:
        found = unit.emergencies.waiting()
        act.items = [one.id for one in found]
        return found


def recent(act: Act, *, days: int) -> tuple[EmergencyAccess, ...]:
    """Those of the last days, reviewed or not, the newest first."""
    with act.unit() as unit:
        since = act.now - timedelta(days=days)
        found = tuple(one for one in unit.emergencies.since(since) if one.declared >= since)
        act.items = [one.id for one in found]
        return found


def review(act: Act, access_id: str, *, finding: Finding, text: str) -> EmergencyAccess:
    """What the data protection officer found; it is said once. Raises EmergencyRefused for anybody else."""
    act.action, act.direction = "U", "changed"
    if act.caller.requester.role not in REVIEWERS:
        raise EmergencyRefused("not-the-officer")
    with act.unit() as unit:
        access = unit.emergencies.access(access_id)
        if access is None:
            raise NotFound("emergency")
        if access.review is not None:
            raise InvalidValue("emergency", expected="one that is not reviewed yet")
        if access.subject == act.caller.requester.subject and access.home == act.house.home:
            raise EmergencyRefused("own-declaration")
        person = by_record_id(unit, access.record_id) if access.record_id else None
        if person is not None:
            act.about(person.first)
        found = Review(finding, act.caller.requester.subject, act.now, " ".join(text.split())[:LONGEST_TEXT])
        reviewed = replace(access, review=found)
        unit.emergencies.save(reviewed)
        act.items = [access.id]
        return reviewed


def statistics_of(act: Act, *, days: int) -> Statistics:
    """Use of emergency access in the last days; it names no patient."""
    with act.unit() as unit:
        since = act.now - timedelta(days=days)
        found = [one for one in unit.emergencies.since(since) if one.declared >= since]
        return statistics(found, now=act.now)
