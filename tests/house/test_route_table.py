"""Every route of the catalogue is in one table: what stands between it and a record, and what a stranger gets.

A new route that is not in the table makes the first test fail; then somebody has to say which kind it is. What each
kind means is tried at the peer door, by a hospital that carries no request.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from adapters.catalogue import TRANSACTIONS
from adapters.transactions import Transaction
from registry.coded import HIV
from tests.lab import Hospital, Lab
from tests.papers import LAN, CtStudy, ct_report, written_request

RULE = "each item is decided"
NOBODY = "about no patient"
SIGNED = "what the peer signed, or its own questions"
HOUSE = "own hospital only"
AT_THE_PEER_DOOR = {
    "metadata": NOBODY,
    "ITI-90": NOBODY,
    "ITI-67": RULE,
    "ITI-68": RULE,
    "DocumentReference-read": RULE,
    "ImagingStudy-search": RULE,
    "ImagingStudy-read": RULE,
    "RAD-107": RULE,
    "RAD-129": RULE,
    "withdraw-receipt": SIGNED,
    "identity-changed": SIGNED,
    "keep-head": SIGNED,
    "kept-heads": SIGNED,
    "exchanges": SIGNED,
    "withdrawals": SIGNED,
    "referral": SIGNED,
    "ITI-38": RULE,
    "ITI-39": RULE,
    "ITI-55": RULE,
    "ITI-55-deferred": SIGNED,
    "ITI-55-deferred-answer": SIGNED,
    "RAD-75": RULE,
}
FAMILIES = {"fhir": "/fhir", "dicomweb": "/dicomweb"}


def _title(transaction: Transaction) -> str:
    return f"{transaction.name} {' '.join(transaction.route)}"


AT_PEERS = [one for one in TRANSACTIONS if "peer" in one.doors]
DECIDED = [one for one in AT_PEERS if AT_THE_PEER_DOOR.get(one.name) == RULE]
AT_HOME = [one for one in TRANSACTIONS if "peer" not in one.doors and one.family in FAMILIES]


def test_every_route_that_a_peer_can_reach_is_in_the_table() -> None:
    assert {one.name for one in AT_PEERS} == set(AT_THE_PEER_DOOR)
    assert [_title(one) for one in DECIDED if not one.discloses] == [], "what is decided is on record"
    assert [_title(one) for one in AT_PEERS if one.open_to_all and AT_THE_PEER_DOOR[one.name] != NOBODY] == []


def _target(transaction: Transaction, hospital: Hospital, document: str, study: str) -> str:
    values = {"id": document, "study": study, "version": "1", "series": study, "instance": study, "frames": "1"}
    if transaction.route[1].startswith("/ImagingStudy/"):
        values["id"] = study
    path = re.sub(r"<(\w+)>", lambda found: values.get(found[1], "1"), transaction.route[1])
    return FAMILIES[transaction.family] + path


@pytest.fixture
def stranger(lab: Lab) -> tuple[Hospital, Hospital, list[str]]:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", refusal_pace=0.001)
    report, study = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes_study(CtStudy(LAN))
    return bac_ninh, bach_mai, [report.id, study.id, study.study_instance_uid]


def test_a_hospital_without_a_request_is_shown_nothing_at_any_route(
    stranger: tuple[Hospital, Hospital, list[str]],
) -> None:
    bac_ninh, bach_mai, things = stranger
    for transaction in (one for one in DECIDED if one.family in FAMILIES):
        asked = transaction.route[0] == "GET" and "<" not in transaction.route[1]
        if transaction.form and asked:
            answer = bach_mai.asks(bac_ninh, LAN, resource=transaction.route[1].strip("/"))
        else:
            answer = bach_mai.gets(bac_ninh, _target(transaction, bac_ninh, things[0], things[2]))
        shown = [thing for thing in (LAN.name, "CT sọ não") if thing.encode() in answer.body]
        assert answer.status in (200, 204, 400, 404, 406) and shown == [], _title(transaction)
    assert bac_ninh.rows(direction="disclosed", other=bach_mai.home) == []
    refused = bac_ninh.rows(direction="refused", other=bach_mai.home)
    assert {row.transaction for row in refused} >= {"ITI-67", "ITI-68", "DocumentReference-read", "RAD-107"}


def test_what_is_the_own_hospitals_is_not_there_for_a_peer(stranger: tuple[Hospital, Hospital, list[str]]) -> None:
    bac_ninh, bach_mai, things = stranger
    # a route that shares its path with one for peers is another method of it
    for transaction in AT_HOME:
        target = _target(transaction, bac_ninh, things[0], things[2])
        answer = bach_mai.calls(bac_ninh, transaction.route[0], target, body=json.dumps({}).encode())
        assert answer.status in (404, 405), _title(transaction)
    assert bac_ninh.rows(direction="disclosed", other=bach_mai.home) == []


def test_an_earlier_version_shows_another_hospital_no_more_than_todays(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", refusal_pace=0.001)
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    place = f"/fhir/DocumentReference/{report.id}"
    assert bach_mai.gets(bac_ninh, f"{place}/_history/1").status == 200
    with bac_ninh.house.storage.begin() as unit:
        known = unit.documents.entry(report.id)
        assert known is not None
        unit.documents.replace(replace(known, sensitivity=(HIV,), version=2))
    for path in (place, f"{place}/_history/2", f"{place}/_history/1", f"{place}/_history"):
        assert bach_mai.gets(bac_ninh, path).status == 404, path
    assert [row.direction for row in bac_ninh.rows(transaction="DocumentReference-read")].count("disclosed") == 1
