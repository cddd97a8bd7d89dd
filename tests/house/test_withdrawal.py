"""A change of mind: the next question sees it, running transfers stop, and those who keep the request are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters.peers.errors import PeerBroken
from adapters.store.engine import make_engine
from consent.consents import Period
from consent.disclosures import Disclosure
from consent.receipts import ConsentReceipt
from consent.requesters import Role
from hie_node import jobs
from hie_node.flows.identify import by_identifier
from hie_node.flows.streaming import TransferStopped
from hie_node.flows.written_requests import signed_requests
from registry.people import PatientInQuestion
from tests.house.test_holder_decides import WITHHELD
from tests.lab import Hospital, Lab, until
from tests.papers import LAN, CtStudy, ct_report, refusal, written_request

BIG = CtStudy(LAN, count=4, size=3_000_000)


def test_a_withdrawn_request_opens_nothing_from_the_next_question_on(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    bach_mai.withdraws(consent)
    answer = bach_mai.finds_documents(LAN)
    assert report not in answer and answer.lines[str(bac_ninh.home)] == WITHHELD
    assert bach_mai.fetches(report).status == 404


def test_a_withdrawal_reaches_a_holder_that_was_down(lab: Lab) -> None:
    """However long it takes: the request is dead there even if somebody brings it again."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    receipt, jws = kept_at(bac_ninh, consent.id)
    bac_ninh.goes_down()
    bach_mai.withdraws(consent)
    for _ in range(3):
        bach_mai.works()
        lab.clock.moves(by=timedelta(minutes=11))
    assert not withdrawn_at(bac_ninh, consent.id)
    bac_ninh.comes_up()
    bach_mai.works()
    assert withdrawn_at(bac_ninh, consent.id)
    assert report not in bach_mai.asks(bac_ninh, LAN, receipts=[(receipt, jws)])
    told = bac_ninh.rows(direction="changed", other=bach_mai.home)
    assert [row.items for row in told] == [(consent.id,)]
    bach_mai.works()
    assert len(bac_ninh.rows(direction="changed", other=bach_mai.home)) == 1, "told once, when it was acknowledged"


def test_a_request_with_a_new_end_opens_again(lab: Lab) -> None:
    """A corrected request is told to those who keep the old one, and honoured when it travels anew."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai", lasts=timedelta(days=1)))
    assert report in bach_mai.finds_documents(LAN)
    lab.clock.moves(by=timedelta(hours=1))
    longer = replace(consent.provision, period=Period(consent.given, lab.clock() + timedelta(days=90)))
    bach_mai.changes(consent, provision=longer)
    bach_mai.works()
    lab.clock.moves(by=timedelta(days=2))
    assert report in bach_mai.finds_documents(LAN)
    bach_mai.withdraws(consent)
    bach_mai.works()
    assert withdrawn_at(bac_ninh, consent.id)
    assert report not in bach_mai.finds_documents(LAN)


def test_only_the_hospital_that_recorded_a_request_can_withdraw_it(lab: Lab) -> None:
    from adapters.trust.receipts import write_withdrawal
    from consent.receipts import Withdrawal

    bac_ninh, bach_mai, third = lab.hospitals("bac-ninh", "bach-mai", "thai-nguyen")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    now = lab.clock()
    for signer in (third.home, bach_mai.home):
        jws = write_withdrawal(third.house.keys, Withdrawal(consent.id, signer, now, now))
        body = b'{"resourceType":"Parameters","parameter":[{"name":"withdrawal","valueString":"%s"}]}' % jws.encode()
        third.calls(bac_ninh, "POST", "/fhir/Consent/$withdraw-receipt", body=body)
    assert not withdrawn_at(bac_ninh, consent.id)
    assert report in bach_mai.finds_documents(LAN)


@pytest.mark.parametrize("where", ["at the holder", "at the asking hospital"])
def test_a_running_transfer_stops(lab: Lab, where: str) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    bach_mai.registers(LAN)
    study = bac_ninh.publishes_study(BIG)
    desk = bac_ninh if where == "at the holder" else bach_mai
    consent = desk.records(written_request(LAN, to="bach-mai"))
    assert study in bach_mai.finds_studies(LAN)
    reply = bach_mai.opens(study)
    next(reply.flowing)
    if where == "at the holder":
        bac_ninh.records(refusal(LAN, to="bach-mai"))
    else:
        desk.withdraws(consent)
    lab.clock.moves(by=timedelta(seconds=3))
    arrived = rest_of(reply.flowing)
    assert 0 < arrived < study.size
    holder = bac_ninh
    assert until(lambda: bool(holder.rows(transaction="RAD-107", complete=False)))
    assert until(lambda: bool(bach_mai.rows(transaction="RAD-107", complete=False)))


def test_a_transfer_that_runs_stops_when_the_withdrawal_arrives(lab: Lab) -> None:
    """The asking hospital's own look aside: the holder stops by itself once it was told."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", recheck=10_000.0)
    settings = bac_ninh.house.settings
    bac_ninh.house = replace(bac_ninh.house, settings=replace(settings, limits=replace(settings.limits, recheck=2)))
    bac_ninh.opens_anew()
    bac_ninh.registers(LAN)
    bach_mai.registers(LAN)
    study = bac_ninh.publishes_study(BIG)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert study in bach_mai.finds_studies(LAN)
    reply = bach_mai.opens(study)
    next(reply.flowing)
    bach_mai.withdraws(consent)
    bach_mai.works()
    lab.clock.moves(by=timedelta(seconds=3))
    assert 0 < rest_of(reply.flowing) < study.size


def rest_of(flowing: Iterator[bytes]) -> int:
    """Bytes until it breaks; it has to break."""
    arrived = 1
    with pytest.raises((TransferStopped, PeerBroken)):
        for piece in flowing:
            arrived += len(piece)
    return arrived


def kept_at(hospital: Hospital, receipt_id: str):  # type: ignore[no-untyped-def]
    with hospital.house.storage.read() as unit:
        kept = unit.receipts.kept(receipt_id)
    assert kept is not None
    return kept.receipt, kept.jws


def withdrawn_at(hospital: Hospital, receipt_id: str) -> bool:
    with hospital.house.storage.read() as unit:
        kept = unit.receipts.kept(receipt_id)
    return kept is not None and kept.withdrawn is not None


@pytest.mark.parametrize("recorded_at", ["the holder", "the asking hospital"])
def test_no_read_comes_after_the_acknowledgement_of_a_withdrawal(lab: Lab, recorded_at: str) -> None:
    """While many ask, the patient takes the request back: behind its row in the record stands no disclosure."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", refusal_pace=0.001)
    bach_mai.registers(LAN)
    report = bac_ninh.publishes(ct_report(LAN))
    at_holder = recorded_at == "the holder"
    consent = (bac_ninh if at_holder else bach_mai).records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    shown_before = len(bac_ninh.rows(direction="disclosed", transaction="ITI-67"))
    receipts = () if at_holder else _receipts(bach_mai)
    stop, begun = threading.Event(), threading.Barrier(4)

    def ask() -> int:
        shown = 0
        begun.wait()
        while not stop.is_set():
            shown += report in bach_mai.asks(bac_ninh, LAN, receipts=receipts)
        return shown

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        begun.wait()
        assert until(lambda: len(bac_ninh.rows(direction="disclosed", transaction="ITI-67")) >= shown_before + 3)
        if at_holder:
            bac_ninh.withdraws(consent)
        else:
            bach_mai.withdraws(consent)
            jobs.carry_withdrawals(bach_mai.house)
        acknowledged = len(bac_ninh.rows(direction="refused"))
        assert until(lambda: len(bac_ninh.rows(direction="refused")) >= acknowledged + 3)
        stop.set()
        assert sum(one.result() for one in asking) >= 3
    rows = _in_order(bac_ninh)
    (withdrawn,) = [n for n, row in enumerate(rows) if row.direction == "changed" and consent.id in row.items][-1:]
    assert [row.direction for row in rows[withdrawn + 1 :] if row.direction == "disclosed"] == []
    assert any(row.direction == "disclosed" for row in rows[:withdrawn])


def _receipts(hospital: Hospital) -> tuple[tuple[ConsentReceipt, str], ...]:
    act = hospital._act("test", Role.DOCTOR)
    with hospital.house.storage.read() as unit:
        person = by_identifier(unit, PatientInQuestion((hospital.number_of(LAN),)))
        assert person is not None
        return tuple(signed_requests(act, unit, person))


def _in_order(hospital: Hospital) -> list[Disclosure]:
    """As the database numbered them."""
    engine = make_engine(hospital.house.settings.database_url)
    with engine.connect() as connection:
        bodies = connection.execute(text("SELECT body FROM disclosure ORDER BY number")).scalars().all()
    engine.dispose()
    return [Disclosure.from_json(json.loads(body)) for body in bodies]


def test_two_withdrawals_at_once_are_one(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.registers(LAN)
    bac_ninh.publishes(ct_report(LAN))
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(bach_mai.withdraws, consent) for _ in range(2)]:
            done.result()
    with bach_mai.house.storage.read() as unit:
        found = unit.consents.consent(consent.id)
        assert found is not None and (found.status, found.version) == ("inactive", 2)
        assert unit.jobs.waiting() == 1, "the holder is told once"
