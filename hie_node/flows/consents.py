"""Record what a patient allows, take it back, and let a withdrawal travel to every hospital that keeps the request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from adapters.trust.receipts import read_withdrawal, write_withdrawal
from consent.commands import DeleteConsent, FindConsents, ReadConsent, RecordConsent, WithdrawReceipt
from consent.consents import Consent, Evidence, Provision
from consent.errors import InvalidConsent, InvalidReceipt
from consent.receipts import Withdrawal
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.house import new_id
from registry.commands import Page
from registry.directory import Directory
from registry.errors import Gone, NotFound, UnknownPatient, VersionConflict
from registry.identifiers import HomeCommunityId

NOTIFY_WITHDRAWAL = "notify-withdrawal"
"""The job that carries a withdrawal to one hospital until it acknowledged."""


def record_consent(act: Act, command: RecordConsent) -> Consent:
    """ITI-108 create and update. A permission needs the written request behind it; a change is a new version."""
    act.action, act.direction = ("C" if command.create else "U"), "changed"
    evidence = _evidence(act, command)
    with act.unit() as unit:
        before = None if command.create else unit.consents.consent(command.consent.id)
        if not command.create and before is None:
            raise NotFound("Consent")
        _check_version(before, command.expected_version)
        person = _whose(act, unit, command)
        act.about(person.first)
        if before is not None and before.record_id not in person.record_ids:
            raise InvalidConsent("Consent.patient", "the patient of this consent")
        consent = replace(
            command.consent,
            id=before.id if before else new_id(),
            patient=person.first.identifier,
            record_id=before.record_id if before else person.first.id,
            provision=_with_ids(command.consent.provision),
            evidence=evidence,
            version=before.version + 1 if before else 1,
            updated=act.now,
            recorded_by=act.caller.requester.subject,
        ).resolved(_home_of(act.house.directory.current()))
        unit.consents.save(consent)
        act.items = [consent.id]
        if before is not None and before.status == "active" and consent != before:
            _tell_the_holders(act, unit, consent)
        return consent


def _check_version(before: Consent | None, expected: int | None) -> None:
    if before is not None and expected is not None and before.version != expected:
        raise VersionConflict("Consent", expected=str(expected), found=str(before.version))


def _whose(act: Act, unit: UnitOfWork, command: RecordConsent) -> Identified:
    person = identify(act, unit, command.patient) if command.patient.is_given else None
    if person is None:
        raise UnknownPatient("of this consent")
    return person


def _home_of(directory: Directory) -> Callable[[str], HomeCommunityId | None]:
    """A hospital as people name it: by facility code, or by the end of its OID."""

    def home_of(name: str) -> HomeCommunityId | None:
        for peer in directory.peers:
            if name in (str(peer.community.facility), str(peer.home), str(peer.home).rpartition(".")[2]):
                return peer.home
        return None

    return home_of


def _with_ids(provision: Provision) -> Provision:
    """Each provision gets an id, so that a decision can name the one that decided."""
    nested = tuple(_with_ids(one) for one in provision.provisions)
    return replace(provision, id=provision.id or new_id(), provisions=nested)


def _evidence(act: Act, command: RecordConsent) -> Evidence | None:
    """The signed paper itself is kept as content under the patient's key; its hash stands in the consent."""
    if command.evidence is None:
        return command.consent.evidence
    body, _ = command.evidence
    with act.house.storage.read() as unit:
        owner = _whose(act, unit, command).first.id
    stored = act.house.contents.put(owner, (body,))
    given = command.consent.evidence or Evidence("paper", "")
    return replace(given, reference=f"content:{owner}/{stored.content_hash}", hash=hashlib.sha256(body).hexdigest())


def delete_consent(act: Act, command: DeleteConsent) -> Consent:
    """Take a consent back: it stays as history, says nothing from now on, and those who keep a copy are told."""
    act.action, act.direction = "D", "changed"
    with act.unit() as unit:
        before = unit.consents.consent(command.id)
        if before is None:
            raise NotFound("Consent")
        if before.status == "entered-in-error":
            raise Gone("Consent")
        withdrawn = replace(before, status="inactive", version=before.version + 1, updated=act.now)
        if before.status == "active":
            unit.consents.save(withdrawn)
            _tell_the_holders(act, unit, withdrawn)
        person = by_record_id(unit, before.record_id)
        if person is not None:
            act.about(person.first)
        act.items = [before.id]
        return withdrawn


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
        found = unit.consents.search(record_ids=record_ids, statuses=command.statuses, limit=command.limit + 1)
        fitting = [c for c in found if _fits(c, command)]
        act.items = [consent.id for consent in fitting[: command.limit]]
        total = len(fitting) if len(found) <= command.limit else None
        return Page(tuple(fitting[: command.limit]), total=total)


def _fits(consent: Consent, command: FindConsents) -> bool:
    if command.ids is not None and consent.id not in command.ids:
        return False
    wanted = command.actor
    return wanted is None or any(a.is_named(wanted) for p in consent.provision.everywhere for a in p.actors)


def withdraw_receipt(act: Act, command: WithdrawReceipt) -> bool:
    """A peer says that the patient took a request back: from the next decision on it is dead here."""
    act.action, act.direction = "U", "changed"
    withdrawal = read_withdrawal(command.jws, act.house.directory.current().keys_of)
    if withdrawal.signer != act.caller.requester.home:
        raise InvalidReceipt("other-signer")
    with act.unit() as unit:
        act.items = [withdrawal.receipt_id]
        return unit.receipts.withdraw(withdrawal.receipt_id, withdrawal.signer, withdrawal.withdrawn)
