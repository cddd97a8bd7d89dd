"""Hospitals that were shown something of a patient are told when that patient turns out to be somebody else, or one.

A hospital is told by the numbers that it asked with or was given, and by no other. At the one that is told, what it
remembers of the patient from there goes, and a registrar looks where its own records were joined on such a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import NAMESPACE_OID, UUID, uuid5

from adapters.store.unit import UnitOfWork
from adapters.trust.identity_notices import read_notice, write_notice
from consent.errors import InvalidReceipt
from hie_node.acts import Act
from hie_node.flows.identify import CANDIDATES, Identified
from registry.identifiers import PatientIdentifier
from registry.identity_changes import IdentityChange, IdentityNotice, LearnChange, Learnt, ToldChange, groups
from registry.people import PatientInQuestion, SourceRecord
from registry.ports import Review

NOTIFY_IDENTITY = "notify-identity-change"
"""The job that carries a notice to one hospital until it acknowledged."""
CHANGED_ELSEWHERE = "changed-elsewhere"
"""The doubt about own records that were joined on a number whose patient is another one elsewhere."""


def note_learner(act: Act, unit: UnitOfWork, person: Identified, numbers: Iterable[PatientIdentifier]) -> None:
    """A hospital is shown something of this person, whom it named by these numbers or under one of ours."""
    named, home = tuple(sorted(set(numbers))), act.caller.requester.home
    unit.identities.learn(Learnt(home, record_id, named, act.now) for record_id in person.record_ids)


def records_of_persons(unit: UnitOfWork, persons: Iterable[str | None]) -> frozenset[str]:
    """All records of these persons."""
    return frozenset(record.id for person in persons if person for record in unit.patients.records_of(person))


def tell_learners(act: Act, unit: UnitOfWork, change: IdentityChange, record_ids: Iterable[str]) -> None:
    """A notice and a job for each hospital that was shown something of these records; one act tells once."""
    for home, numbers, records in groups(unit.identities.learnt_of(record_ids)):
        about = "|".join((act.exchange, str(home), change, *(f"{one.system}={one.value}" for one in numbers)))
        notice_id = str(uuid5(NAMESPACE_OID, about))
        if not unit.identities.keep(IdentityNotice(notice_id, home, True, change, records, act.now)):
            continue
        told = ToldChange(notice_id, act.house.home, home, change, numbers, act.now)
        payload = {"home": str(home), "notice": notice_id, "jws": write_notice(act.house.keys, told)}
        unit.jobs.enqueue(NOTIFY_IDENTITY, payload, run_at=act.now, dedup_key=f"{NOTIFY_IDENTITY}:{notice_id}")


def learn_change(act: Act, command: LearnChange) -> bool:
    """A hospital says that who a patient is has changed there. True once what there was to do is done; told again,
    nothing more happens. Whether the patient is known here is not said."""
    act.action, act.direction = "U", "changed"
    told, home = read_notice(command.jws, act.house.directory.current().keys_of), act.caller.requester.home
    if told.signer != home:
        raise InvalidReceipt("other-signer")
    if told.recipient != act.house.home:
        raise InvalidReceipt("other-recipient")
    with act.unit() as unit:
        act.items = [told.id]
        persons = _carrying(unit, told.numbers)
        records = tuple(sorted(record.id for person in persons for record in person))
        kept = IdentityNotice(f"{home} {told.id}", home, False, told.change, records, act.now)
        if unit.identities.keep(kept):
            for record_id in records:
                unit.orders.forget_patient(record_id)
            unit.erasing.forget_questions(told.numbers, home=home)
            unit.correlations.forget_learnt(home, told.numbers, records)
            for person in persons:
                _look_again(act, unit, person, told)
    return True


def _carrying(unit: UnitOfWork, numbers: tuple[PatientIdentifier, ...]) -> list[tuple[SourceRecord, ...]]:
    """The persons here, all their records, of whom one carries such a number."""
    found = unit.patients.candidates(PatientInQuestion(numbers), limit=CANDIDATES)
    return [one.records for one in found if any(_carries(record, numbers) for record in one.records)]


def _carries(record: SourceRecord, numbers: tuple[PatientIdentifier, ...]) -> bool:
    return bool({one.normal for one in record.identifiers} & {one.normal for one in numbers})


def _look_again(act: Act, unit: UnitOfWork, person: tuple[SourceRecord, ...], told: ToldChange) -> None:
    """Two own records that share a number which is no longer one patient's there may be two people here as well."""
    joined = [record for record in person if _carries(record, told.numbers)]
    if len(joined) < 2:
        return
    peer = act.house.directory.current().peer(told.signer)
    where = str(peer.community.facility) if peer else str(told.signer)
    evidence = (f"{where}: {told.change}", f"{len(joined)} records here share a number of that patient")
    subject = joined[-1].id
    doubt = str(uuid5(UUID(subject), f"{CHANGED_ELSEWHERE} {told.id}"))
    unit.patients.open_review(Review(doubt, CHANGED_ELSEWHERE, subject, None, evidence, act.now))
