"""Record what a patient allows, take it back, and let a withdrawal travel to every hospital that keeps the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from adapters.store.unit import UnitOfWork
from adapters.trust.receipts import read_withdrawal, write_withdrawal
from consent.commands import (
    DeleteConsent,
    FindConsents,
    ListWithdrawals,
    ReadConsent,
    RecordConsent,
    WithdrawalsListed,
    WithdrawReceipt,
)
from consent.consents import Consent, Provision
from consent.errors import InvalidConsent, InvalidReceipt
from consent.receipts import Withdrawal
from consent.representation import check_signers
from hie_node.acts import Act
from hie_node.flows import copies
from hie_node.flows.anew import judged_anew
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.flows.signed_papers import KeptPaper, file_paper, keep_paper, named_by_its_bytes
from hie_node.house import new_id
from registry.commands import Found, Page
from registry.directory import Directory
from registry.errors import ConditionFitsSeveral, Gone, NotFound, UnknownPatient, VersionConflict
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import Cursor

MOST_LOOKED_AT = 10_000
"""Consents that one search goes through; whoever finds more asks too little."""
MOST_WITHDRAWALS = 5_000
"""That one answer holds, the newest first: some years of a hospital, and within what a peer may answer."""
NOTIFY_WITHDRAWAL = "notify-withdrawal"
"""The job that carries a withdrawal to one hospital until it acknowledged."""


def record_or_find(act: Act, command: RecordConsent) -> Consent | Found[Consent]:
    """Record a consent unless one fits the condition; looking and recording are one."""
    if command.unless is None:
        return record_consent(act, command)
    return judged_anew(act, partial(_record_or_find_once, act, command, command.unless))


def _record_or_find_once(act: Act, command: RecordConsent, unless: FindConsents) -> Consent | Found[Consent]:
    act.action, act.direction = "E", "disclosed"
    with act.house.storage.together():
        with act.about_nobody() as unit:
            # the patient's record is held from here on, so that of two that look at once only one records
            unit.patients.record_by_id(_whose(act, unit, command).first.id)
        found = find_consents(act, unless)
        if len(found.items) > 1 or found.next is not None:
            raise ConditionFitsSeveral("Consent")
        return Found(found.items[0]) if found.items else record_consent(act, command)


def record_consent(act: Act, command: RecordConsent) -> Consent:
    """ITI-108 create and update. A permission needs the written request behind it; a change is a new version."""
    act.action, act.direction = ("C" if command.create else "U"), "changed"
    return judged_anew(act, partial(_record_once, act, command))


def _record_once(act: Act, command: RecordConsent) -> Consent:
    paper = _paper(act, command)
    with act.unit() as unit:
        before = None if command.create else unit.consents.consent(command.consent.id)
        if not command.create and before is None:
            raise NotFound("Consent")
        _check_version(before, command.expected_version)
        person = _whose(act, unit, command)
        act.about(person.first)
        if before is not None and before.record_id not in person.record_ids:
            raise InvalidConsent("Consent.patient", "the patient of this consent")
        filed = file_paper(act, unit, paper, person.first) if paper else command.consent.evidence
        # of several records that are one person now, a consent stays with the one that it was recorded for
        whose = next((one for one in person.records if before and one.id == before.record_id), person.first)
        consent = replace(
            command.consent,
            id=before.id if before else new_id(),
            patient=whose.identifier,
            record_id=whose.id,
            provision=_with_ids(command.consent.provision),
            evidence=named_by_its_bytes(unit, person, filed),
            version=before.version + 1 if before else 1,
            updated=act.now,
            recorded_by=act.caller.requester.subject,
        ).resolved(_home_of(act.house.directory.current()))
        _check_evidence(consent)
        check_signers(consent, person.first.demographics.birth_date)
        unit.consents.save(consent)
        act.items = [consent.id]
        copies.begin_at_request(act, unit, PatientInQuestion(_numbers(person), whose.demographics), consent)
        if before is not None and before.permits_something and not consent.permits_something:
            _forget_what_it_opened(act, unit, person)
        if before is not None and before.status == "active" and consent != before:
            _tell_the_holders(act, unit, consent)
        return consent


def _numbers(person: Identified) -> tuple[PatientIdentifier, ...]:
    return tuple(dict.fromkeys(number for record in person.records for number in record.identifiers))


def _paper(act: Act, command: RecordConsent) -> KeptPaper | None:
    if command.evidence is None:
        return None
    with act.house.storage.read() as unit:
        owner = _whose(act, unit, command).first.id
    return keep_paper(act, owner, *command.evidence, command.consent)


def _check_evidence(consent: Consent) -> None:
    """What lies elsewhere is told by its hash at least: a name alone proves nothing later."""
    if consent.permits_something and (consent.evidence is None or not consent.evidence.hash):
        expected = "a document of this patient here, or the hash of the one that lies elsewhere"
        raise InvalidConsent("Consent.source[x]", expected)


def _check_version(before: Consent | None, expected: int | None) -> None:
    if before is not None and expected is not None and before.version != expected:
        raise VersionConflict("Consent", expected=str(expected), found=str(before.version))


def _whose(act: Act, unit: UnitOfWork, command: RecordConsent) -> Identified:
    person = identify(act, unit, command.patient) if command.patient.is_given else None
    if person is None:
        raise UnknownPatient("of this consent")
    return person


def _home_of(directory: Directory) -> Callable[[str], HomeCommunityId | None]:
    return lambda name: community_named(directory, name)


def community_named(directory: Directory, name: str) -> HomeCommunityId | None:
    """A hospital as people name it: by community, by facility code, or by the end of its OID."""
    for peer in directory.peers:
        if name in (str(peer.community.facility), str(peer.home), str(peer.home).rpartition(".")[2]):
            return peer.home
    return None


def _with_ids(provision: Provision) -> Provision:
    """Each provision gets an id, so that a decision can name the one that decided."""
    nested = tuple(_with_ids(one) for one in provision.provisions)
    return replace(provision, id=provision.id or new_id(), provisions=nested)


def delete_consent(act: Act, command: DeleteConsent) -> Consent:
    """Take a consent back: it stays as history, says nothing from now on, and those who keep a copy are told."""
    act.action, act.direction = "D", "changed"
    with act.unit() as unit:
        before = unit.consents.consent(command.id)
        if before is None:
            raise NotFound("Consent")
        if before.status == "entered-in-error":
            raise Gone("Consent")
        withdrawn = before if before.deleted else take_back(act, unit, before)
        person = by_record_id(unit, before.record_id)
        if person is not None:
            act.about(person.first)
        act.items = [before.id]
        return withdrawn


def take_back(act: Act, unit: UnitOfWork, before: Consent) -> Consent:
    """The consent as history; those who got a request that was in force are told, and what they listed is forgotten."""
    withdrawn = replace(before, status="inactive", deleted=True, version=before.version + 1, updated=act.now)
    unit.consents.save(withdrawn)
    person = by_record_id(unit, before.record_id)
    if person is not None:
        _forget_what_it_opened(act, unit, person)
    else:
        unit.orders.forget_patient(before.record_id)
    if before.status == "active":
        _tell_the_holders(act, unit, withdrawn)
    return withdrawn


def _forget_what_it_opened(act: Act, unit: UnitOfWork, person: Identified) -> None:
    """Copies that were brought ahead of the patient, and what other hospitals listed."""
    for record_id in person.record_ids:
        unit.orders.forget_patient(record_id)
    copies.drop_of_patient(unit, (each for one in person.records for each in one.identifiers), act)


def _tell_the_holders(act: Act, unit: UnitOfWork, consent: Consent) -> None:
    """One job a hospital that got the request; a changed consent travels anew with the next question."""
    for holder in unit.receipts.holders_of(consent.id):
        withdrawal = Withdrawal(consent.id, act.house.home, act.now, act.now)
        payload = {"home": str(holder), "jws": write_withdrawal(act.house.keys, withdrawal)}
        key = f"{consent.id}:{consent.version}:{holder}"
        unit.jobs.enqueue(NOTIFY_WITHDRAWAL, payload, run_at=act.now, dedup_key=key)


def read_consent(act: Act, command: ReadConsent) -> Consent:
    """One consent, or an earlier version of it."""
    with act.unit() as unit:
        if command.version is None:
            consent = unit.consents.consent(command.id)
        else:
            consent = unit.consents.version(command.id, command.version)
        if consent is None:
            raise NotFound("Consent")
        if consent.deleted and command.version is None:
            raise Gone("Consent")
        person = by_record_id(unit, consent.record_id)
        if person is not None:
            act.about(person.first)
        act.items = [consent.id]
        return consent


def find_consents(act: Act, command: FindConsents) -> Page[Consent]:
    """ITI-108 search."""
    with act.unit() as unit:
        record_ids = None
        if command.patient.is_given:
            person = identify(act, unit, command.patient)
            if person is None:
                return Page((), total=0)
            act.about(person.first)
            record_ids = person.record_ids
        found = unit.consents.search(record_ids=record_ids, statuses=command.statuses, limit=MOST_LOOKED_AT)
        home_of = _home_of(act.house.directory.current())
        fitting = [consent for consent in found if _fits(consent, command, home_of)]
        start = next((n for n, c in enumerate(fitting, 1) if command.after and c.id == command.after.id), 0)
        shown = fitting[start : start + command.limit]
        act.items = [consent.id for consent in shown]
        more = bool(shown) and start + len(shown) < len(fitting)
        total = len(fitting) if len(found) < MOST_LOOKED_AT else None
        return Page(tuple(shown), total=total, next=Cursor(shown[-1].given, shown[-1].id) if more else None)


def _fits(consent: Consent, command: FindConsents, home_of: Callable[[str], HomeCommunityId | None]) -> bool:
    if (consent.deleted and not command.deleted_too) or (command.ids is not None and consent.id not in command.ids):
        return False
    if command.actor is None:
        return True
    names = {command.actor, str(home_of(command.actor))}
    actors = [actor for provision in consent.provision.everywhere for actor in provision.actors]
    return any(actor.is_named(name) for actor in actors for name in names)


def withdraw_receipt(act: Act, command: WithdrawReceipt) -> bool:
    """A peer says that the patient took a request back: from the next decision on it is dead here."""
    act.action, act.direction = "U", "changed"
    withdrawal = read_withdrawal(command.jws, act.house.directory.current().keys_of)
    if withdrawal.signer != act.caller.requester.home:
        raise InvalidReceipt("other-signer")
    with act.unit() as unit:
        act.items = [withdrawal.receipt_id]
        copies.drop_taken_back(unit, withdrawal.signer, withdrawal.receipt_id, act)
        return unit.receipts.withdraw(withdrawal.receipt_id, withdrawal.signer, withdrawal.withdrawn)


def list_withdrawals(act: Act, _: ListWithdrawals) -> WithdrawalsListed:
    """For a hospital that came back from a backup: what it was told, or had told us, and may have forgotten."""
    home = act.caller.requester.home
    with act.about_nobody() as unit:
        ended = unit.receipts.ended_at(home, limit=MOST_WITHDRAWALS)
        told = unit.receipts.withdrawn_by(home, limit=MOST_WITHDRAWALS)
    ours = (Withdrawal(receipt_id, act.house.home, withdrawn, act.now) for receipt_id, withdrawn in ended)
    return WithdrawalsListed(tuple(write_withdrawal(act.house.keys, one) for one in ours), told)
