"""A referral is opened at both ends: the receiving hospital learns who is coming, as far as the patient asked for it.

Without the patient's written request nothing leaves: who goes where is health data (Law 91/2025/QH15 Art. 26 k2), and
the slip in the patient's hand does its work without us. So the announcement waits until the request is recorded, or
until the slip has lapsed (TT 01/2025: ten working days).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from adapters.fhir.announce_referral import announcement
from adapters.peers.errors import PeerError
from adapters.store.jobs import Job
from adapters.store.unit import UnitOfWork
from consent.requesters import Requester, Role
from hie_node.acts import Act, Caller
from hie_node.due import claimed
from hie_node.flows import copies
from hie_node.flows.copies import MOST_SHOWN, VALID
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.house import House
from registry.coded import REFERRAL_NOTE
from registry.commands import ExpectPatient
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import ForeignDomain
from registry.people import PatientInQuestion, SourceRecord
from registry.searches import DocumentSearch
from registry.submissions import ExpectedPatient, Referral, ReferredDocument, Told

ANNOUNCE = "announce-referral"
"""The job that carries one announcement until the receiving hospital has it."""

LEASE = 60
LONGEST_PAUSE = timedelta(minutes=10)
"""Between two looks whether the patient's request is there by now."""

LONGEST_SILENCE = timedelta(hours=1)
"""Between two attempts at a hospital that does not answer: each is on record, since it may have arrived."""

MOST_DOCUMENTS = 100


def keep_referral(act: Act, unit: UnitOfWork, record: SourceRecord, referral: Referral) -> None:
    """A slip of this hospital; whoever is on its way to a peer waits to be announced."""
    earlier = unit.documents.referral(record.id, str(referral.sender), referral.number)
    kept = replace(referral, opened=act.now).following(earlier)
    unit.documents.save_referral(record.id, kept)
    if kept.told in (Told.NOT_YET, Told.WITHHELD) and act.house.directory.current().at(kept.receiver) is not None:
        payload = {"record_id": record.id, "sender": str(kept.sender), "number": kept.number}
        unit.jobs.enqueue(ANNOUNCE, payload, run_at=act.now, dedup_key=f"{ANNOUNCE}:{record.id}:{kept.number}")


def announce_referrals(house: House) -> None:
    """One round: whoever may be told now is told."""
    for job in claimed(house, ANNOUNCE, lease=LEASE, limit=20):
        told = _announce(house, job)
        with house.storage.begin() as unit:
            _remember(unit, job, told)
            if told in (Told.ANNOUNCED, Told.LAPSED):
                unit.jobs.done(job.id)
            else:
                longest = LONGEST_PAUSE if told is Told.WITHHELD else LONGEST_SILENCE
                pause = min(longest, timedelta(seconds=2 ** min(job.attempts, 12)))
                unit.jobs.failed(job.id, told.value, house.now() + pause)


def _remember(unit: UnitOfWork, job: Job, told: Told) -> None:
    record_id, known = job.payload["record_id"], _referral(unit, job)
    if known is not None and known.told is not told:
        unit.documents.save_referral(record_id, replace(known, told=told))


def _referral(unit: UnitOfWork, job: Job) -> Referral | None:
    return unit.documents.referral(job.payload["record_id"], job.payload["sender"], job.payload["number"])


def _announce(house: House, job: Job) -> Told:
    with house.storage.read() as unit:
        referral = _referral(unit, job)
    if referral is None or _has_lapsed(referral, house.now()):
        return Told.LAPSED
    peer = house.directory.current().at(referral.receiver)
    if peer is None or not peer.active:
        return Told.UNREACHABLE
    expected = _what_may_be_told(house, job, referral, peer)
    if expected is None:
        return Told.WITHHELD
    asking = Asking(Requester("referrals", Role.SYSTEM, house.home), exchange=expected[1])
    body = orjson.dumps(announcement(expected[0], peer.home))
    try:
        answer = call_peer(house, asking, peer, method="POST", path="/fhir/ServiceRequest/$announce", body=body)
    except PeerError:
        return Told.UNREACHABLE
    return Told.ANNOUNCED if answer.status == 200 else Told.UNREACHABLE


def _has_lapsed(referral: Referral, now: datetime) -> bool:
    since = referral.signed or referral.opened
    return since is not None and now - since > VALID


def _what_may_be_told(house: House, job: Job, referral: Referral, peer: Peer) -> tuple[ExpectedPatient, str] | None:
    """What the patient asked to be shown there, on record before it leaves; None where the slip may not be shown."""
    receiving = Requester("referral desk", Role.SYSTEM, peer.home, organization=peer.community.name)
    act = Act(house, Caller(receiving, "peer"), ANNOUNCE)
    with house.storage.read() as unit:
        person = by_record_id(unit, job.payload["record_id"])
        if person is None:
            return None
        consents = unit.consents.of_records(person.record_ids)
        shown = [entry for entry in _current(unit, person) if act.judge(entry, consents).permit]
    if not any(entry.type == REFERRAL_NOTE for entry in shown):
        return None
    with act.unit() as unit:
        act.about(person.first)
        for consent_id in act.consents:
            # so that a withdrawal finds the hospital that was told, and what it has fetched since
            unit.receipts.sent(consent_id, (peer.home,))
    documents = tuple(ReferredDocument(entry.id, entry.attachment.title or "") for entry in shown)
    who = PatientInQuestion(person.first.identifiers, person.first.demographics)
    signed = tuple(sorted(act.consents))
    return ExpectedPatient(house.home, referral, who, documents=documents, consents=signed), act.exchange


def _current(unit: UnitOfWork, person: Identified) -> list[DocumentEntry]:
    search = DocumentSearch(record_ids=person.record_ids, statuses=(DocumentStatus.CURRENT,), limit=MOST_DOCUMENTS)
    found = unit.documents.find(search)
    return [entry for _, entry in zip(range(MOST_DOCUMENTS), found, strict=False)]


def expect_patient(act: Act, command: ExpectPatient) -> ExpectedPatient:
    """A peer tells who is coming. It may speak only for itself, and only of somebody on the way to this hospital."""
    act.action, act.direction = "C", "received"
    announced = command.announced
    home = act.caller.requester.home
    peer = act.house.directory.current().peer(home)
    mine = act.house.settings.facility_code
    if announced.sender != home or peer is None or announced.referral.sender != peer.community.facility:
        raise ForeignDomain("referral of another hospital")
    if announced.referral.receiver != mine:
        raise ForeignDomain("referral to another hospital")
    expected = replace(announced, received=act.now)
    with act.unit() as unit:
        unit.documents.expect(expected)
        copies.begin(act, unit, expected)
        act.items = [one.id for one in expected.documents]
        act.patient = next(iter(expected.patient.identifiers), None)
    return expected


@dataclass(frozen=True, slots=True)
class Referred:
    """One patient whom this hospital sent on."""

    record: SourceRecord
    referral: Referral


def expected_patients(act: Act) -> tuple[ExpectedPatient, ...]:
    """Who is on the way here, newest first. Each of them is seen, so each gets a row."""
    with act.unit() as unit:
        found = unit.documents.expected(act.now - VALID, MOST_SHOWN)
        for expected in found:
            row = act.fork()
            row.patient = next(iter(expected.patient.identifiers), None)
            row.items = [f"referral {expected.referral.number}"]
            act.extra_rows.append(row.row())
    return found


def referred_patients(act: Act) -> tuple[Referred, ...]:
    """Whom this hospital sent on in the time that a slip is valid, and whether the other one knows."""
    with act.unit() as unit:
        found = []
        for record_id, referral in unit.documents.all_referrals(MOST_SHOWN):
            record = unit.patients.record_by_id(record_id)
            if record is None or _has_lapsed(referral, act.now):
                continue
            row = act.fork()
            row.about(record)
            row.items = [f"referral {referral.number}"]
            act.extra_rows.append(row.row())
            found.append(Referred(record, referral))
    return tuple(found)
