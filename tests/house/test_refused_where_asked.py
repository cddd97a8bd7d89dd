"""Both ends enforce: what the patient forbids at the hospital that asks holds there, though no holder was told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.requesters import PurposeOfUse
from tests.house.test_withdrawal import BIG, rest_of
from tests.lab import Hospital, Lab
from tests.papers import LAN, ct_report, refusal, written_request

HOLDERS = [None, "bac-ninh"]


@pytest.fixture
def pair(lab: Lab) -> tuple[Hospital, Hospital]:
    """LAN has a report in Bắc Ninh and is a patient of Bạch Mai, where she asked for it in writing a minute ago."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    assert len(bach_mai.finds_documents(LAN).found) == 1
    lab.clock.moves(by=timedelta(minutes=1))
    return bac_ninh, bach_mai


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_request_does_not_travel_once_the_patient_refused(
    pair: tuple[Hospital, Hospital], holder: str | None
) -> None:
    bac_ninh, bach_mai = pair
    (report,) = bac_ninh.holds()
    bach_mai.records(refusal(LAN, to="bach-mai", holder=holder))
    answer = bach_mai.finds_documents(LAN)
    assert answer.ids == [] and answer.total == 0 and answer.lines[str(bac_ninh.home)] == "withheld"
    assert bach_mai.fetches(report).status == 404
    assert bach_mai.asked("GET", f"/network/fhir/DocumentReference/{bac_ninh.facility}.{report.id}").status == 404
    assert bac_ninh.rows(direction="disclosed", other=bach_mai.home)[1:] == [], "nothing left after the refusal"


def test_a_request_to_a_hospital_that_was_not_refused_travels_still(lab: Lab) -> None:
    bac_ninh, thai_nguyen, bach_mai = lab.hospitals("bac-ninh", "thai-nguyen", "bach-mai")
    here, there = bac_ninh.publishes(ct_report(LAN)), thai_nguyen.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    lab.clock.moves(by=timedelta(minutes=1))
    bach_mai.records(refusal(LAN, to="bach-mai", holder="bac-ninh"))
    answer = bach_mai.finds_documents(LAN)
    assert here not in answer and there in answer
    lab.clock.moves(by=timedelta(minutes=1))
    bach_mai.records(written_request(LAN, to="bach-mai", holder="bac-ninh"))
    assert here in bach_mai.finds_documents(LAN), "her newest word counts"


def test_what_the_holder_lets_go_by_itself_is_not_shown_where_the_patient_refused(
    pair: tuple[Hospital, Hospital],
) -> None:
    bac_ninh, bach_mai = pair
    (report,) = bac_ninh.holds()
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bach_mai.records(refusal(LAN, to="bach-mai"))
    assert report not in bach_mai.finds_documents(LAN)
    assert bach_mai.finds_documents(LAN, _summary="count").total == 0
    assert bach_mai.fetches(report).status == 404
    emergency = bach_mai.finds_documents(LAN, purpose=PurposeOfUse.BTG, reason="bất tỉnh")
    assert report in emergency


def test_a_refusal_of_one_document_hides_this_one(pair: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = pair
    (first,) = bac_ninh.holds()
    second = bac_ninh.publishes(ct_report(LAN, "Bình thường.", performed="2026-06-01T08:00:00+07:00"))
    assert len(bach_mai.finds_documents(LAN).found) == 2
    said = bach_mai.records(refusal(LAN, to="bach-mai"))
    bach_mai.changes(said, provision=replace(said.provision, instances=frozenset({first.unique_id})))
    answer = bach_mai.finds_documents(LAN)
    assert first not in answer and second in answer and answer.total == 1
    assert bach_mai.fetches(first).status == 404
    assert bach_mai.fetches(second).status == 200


@pytest.mark.parametrize("how", ["a refusal", "a change to a refusal"])
def test_a_running_transfer_stops_at_a_refusal(lab: Lab, how: str) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    bach_mai.registers(LAN)
    study = bac_ninh.publishes_study(BIG)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert study in bach_mai.finds_studies(LAN)
    reply = bach_mai.opens(study)
    next(reply.flowing)
    if how == "a refusal":
        lab.clock.moves(by=timedelta(seconds=1))
        bach_mai.records(refusal(LAN, to="bach-mai"))
    else:
        bach_mai.changes(consent, provision=replace(consent.provision, type="deny"))
    lab.clock.moves(by=timedelta(seconds=3))
    assert 0 < rest_of(reply.flowing) < study.size
