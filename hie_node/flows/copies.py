"""Copies of other hospitals' records for patients who are on the way: when they begin, and when they end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from adapters.store.jobs import Job
from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from consent.requesters import Requester, Role
from hie_node.acts import Act, Caller
from hie_node.house import House, new_id
from registry.ahead import Ahead
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion
from registry.submissions import ExpectedPatient

AHEAD_DOOR = "ahead"
"""The door of an act that this node begins by itself for a patient who is on the way."""
BRING = "bring-ahead"
"""The job that fetches what a referred patient's hospital holds, and removes what it shows no longer."""
FORGET = "forget-ahead"
"""The job that erases contents whose rows are gone."""
REQUEST = "request "
"""Before the id of a request that was recorded here, where no slip has a number."""
VALID = timedelta(days=14)
"""Ten working days from the signing of a slip, and the days between (TT 01/2025)."""
MOST_SHOWN = 500


def by_itself(house: House) -> Act:
    """An act of the node itself. Each question to a holder needs one of its own."""
    who = Requester("transfers ahead", Role.SYSTEM, house.home, organization=house.settings.name)
    return Act(house, Caller(who, AHEAD_DOOR), BRING)


def begin(act: Act, unit: UnitOfWork, expected: ExpectedPatient) -> None:
    """A patient is announced, which a hospital does at the patient's request only: fetch what it holds, for a while."""
    table = act.house.settings.ahead
    if not table.days or act.house.directory.current().peer(expected.sender) is None:
        return
    _begin(act, unit, _slip(act, expected.sender, expected.referral.number, expected.patient, expected.consents))


def begin_at_request(act: Act, unit: UnitOfWork, patient: PatientInQuestion, consent: Consent) -> None:
    """A hospital that speaks only SOAP cannot announce whom it refers. Where the patient asks here that it shows us its
    records, they are fetched, until that request ends."""
    holder = act.house.directory.current().peer(consent.custodian) if consent.custodian else None
    if holder is None or "fhir" in holder.speaks or not (consent.permits_something and act.house.settings.ahead.days):
        return
    slip = _slip(act, holder.home, f"{REQUEST}{consent.id}", patient, ())
    end = consent.provision.period.end
    _begin(act, unit, replace(slip, expires=min(slip.expires, end)) if end else slip)


def _slip(
    act: Act, sender: HomeCommunityId, number: str, patient: PatientInQuestion, consents: tuple[str, ...]
) -> Ahead:
    expires = act.now + timedelta(days=act.house.settings.ahead.days)
    return Ahead(new_id(), sender, number, patient, opened=act.now, expires=expires, consents=consents)


def _begin(act: Act, unit: UnitOfWork, one: Ahead) -> None:
    known = unit.ahead.of_slip(one.sender, one.number)
    if known is not None and set(known.patient.identifiers) & set(one.patient.identifiers):
        one = replace(one, id=known.id, opened=known.opened)
    elif known is not None:
        # the number of a slip was used for somebody else
        drop(unit, [known], act)
    unit.ahead.save(one)
    bring_again(unit, one.id, act)


def drop(unit: UnitOfWork, them: Iterable[Ahead], act: Act) -> None:
    """Nothing of these is shown from the end of this unit on; their keys are gone with it, their bytes soon after."""
    ids = [one.id for one in them]
    unit.ahead.drop(ids)
    for each in ids:
        unit.wrapped_keys.destroy(each)
        unit.jobs.enqueue(FORGET, {"id": each}, run_at=act.now, dedup_key=f"{FORGET}:{each}")


def drop_of_patient(unit: UnitOfWork, numbers: Iterable[PatientIdentifier], act: Act) -> int:
    """What was brought ahead for whoever carries one of these numbers; returns how many slips."""
    wanted = {one.normal for one in numbers}
    found = [one for one in unit.ahead.all() if wanted & {each.normal for each in one.patient.identifiers}]
    drop(unit, found, act)
    return len(found)


def drop_taken_back(unit: UnitOfWork, sender: HomeCommunityId, consent_id: str, act: Act) -> int:
    """What the holder let go under a request that the patient took back there."""
    found = [one for one in unit.ahead.of_sender(sender) if consent_id in one.consents]
    drop(unit, found, act)
    for one in unit.documents.expected(act.now - VALID, MOST_SHOWN):
        if one.sender == sender and consent_id in one.consents:
            unit.documents.expect_no_more(one.sender, one.referral.number)
    return len(found)


@dataclass(frozen=True, slots=True)
class Arrived:
    """How much of one slip is here already."""

    documents: int = 0
    images: int = 0
    complete: bool = False


def arrived(unit: UnitOfWork, expected: ExpectedPatient) -> Arrived:
    """For whoever waits for the patient."""
    whole = unit.ahead.of_slip(expected.sender, expected.referral.number)
    if whole is None:
        return Arrived()
    documents, images = unit.ahead.counts(whole.id)
    return Arrived(documents, images, whole.complete)


def erase_contents(house: House, job: Job) -> str | None:
    """What of a dropped slip still lies on the disk."""
    house.contents.erase(job.payload["id"])
    return None


def drop_expired(house: House) -> None:
    """Copies whose time is over."""
    with house.storage.read() as unit:
        if not unit.ahead.expired(house.now()):
            return
    act = by_itself(house)
    with house.storage.begin() as unit:
        drop(unit, unit.ahead.expired(house.now()), act)


def bring_again(unit: UnitOfWork, ahead_id: str, act: Act) -> None:
    """Look at the holder's list again: for what is new there, and for what is shown no longer."""
    unit.jobs.enqueue(BRING, {"id": ahead_id}, run_at=act.now, dedup_key=f"{BRING}:{ahead_id}")
