"""Every kind of answer of a CDS service, refusals included, keeps to CDS Hooks 2.0."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from registry.identifiers import NATIONAL_ID
from registry.ledger import RepeatReason
from tests.conformance.cds_hooks import faults, judged
from tests.conformance.client import Client
from tests.house.ordering import Ehr, call, calls, cards, fhir_patient, service_request
from tests.lab import Hospital
from tests.papers import HOA, LAN, CtStudy, ct_report, written_request
from tests.stand_in_edge import ask

HEAD_CT = "Chụp CLVT sọ não không tiêm thuốc cản quang (từ 1-32 dãy)"
HOOKS = ("order-select", "order-sign", "patient-view")


@pytest.fixture
def two(clients: Callable[..., tuple[Client, ...]]) -> tuple[Hospital, Hospital]:
    """Bắc Ninh has a head CT of Lan from five days ago; she is a patient of Bạch Mai now."""
    first, second = clients("bac-ninh", "bach-mai", order_budget=10.0)
    bac_ninh, bach_mai = first.hospital, second.hospital
    performed = (bac_ninh.house.now() - timedelta(days=5)).isoformat()
    bac_ninh.publishes(ct_report(LAN, title=HEAD_CT, performed=performed))
    bach_mai.registers(LAN)
    return bac_ninh, bach_mai


def given(hospital: Hospital, hook: str, *, language: str = "vi", **more: Any) -> list[dict[str, Any]]:
    """The cards for the head CT; the answer was judged on its way (tests/house/ordering.py)."""
    body = call(hook, service_request(), patient=fhir_patient(LAN, hospital), **more)
    return cards(calls(hospital, body, language=language))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_discovery(two: tuple[Hospital, Hospital], language: str) -> None:
    headers = {"Accept-Language": language}
    reply = judged(ask(two[1].application, "house", "GET", "/cds-services", headers=headers), "/cds-services")
    assert [one["id"] for one in json.loads(reply.body)["services"]] == list(HOOKS)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_cards_of_every_kind(two: tuple[Hospital, Hospital], language: str) -> None:
    bac_ninh, bach_mai = two
    kinds = {hook: given(bach_mai, hook, language=language) for hook in HOOKS}
    assert kinds["order-sign"][0]["indicator"] == "info", "withheld, and the way to the request"
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.lab.clock.moves(by=timedelta(hours=1))
    for hook in HOOKS:
        (card,) = given(bach_mai, hook, language=language)
        assert ("suggestions" in card) == (hook != "patient-view")
    bach_mai.publishes_study(CtStudy(LAN))
    assert given(bach_mai, "order-sign", language=language)[0]["links"]
    bac_ninh.goes_down()
    bac_ninh.lab.clock.moves(by=timedelta(days=400))
    assert "suggestions" not in given(bach_mai, "order-sign", language=language)[0], "too old to stand in"
    mixed = fhir_patient(HOA, bach_mai) | {"identifier": [{"system": NATIONAL_ID, "value": LAN.national_id}]}
    (card,) = cards(calls(bach_mai, call("order-sign", service_request(), patient=mixed), language=language))
    assert "links" not in card, "fits two people"
    assert given(bach_mai, "patient-view", language=language, userId="Patient/p1") == []


def test_feedback_is_heard(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    for outcome in ("accepted", "overridden"):
        (card,) = given(bach_mai, "order-sign")
        told: dict[str, Any] = {"card": card["uuid"], "outcome": outcome, "outcomeTimestamp": "2026-11-23T08:00:00Z"}
        if outcome == "overridden":
            told["overrideReason"] = {"reason": card["overrideReasons"][0], "userComment": "x"}
            assert card["overrideReasons"][0]["code"] in set(RepeatReason)
        reply = calls(bach_mai, {"feedback": [told]}, path="/cds-services/order-sign/feedback")
        assert reply.status == 200


def test_every_refusal_is_a_problem_that_says_its_status(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    good = call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai))
    feedback = "/cds-services/order-sign/feedback"
    seen = {
        calls(bach_mai, good | {"hookInstance": "1"}).status,
        calls(bach_mai, good | {"hook": "order-select"}, path="/cds-services/order-sign").status,
        calls(bach_mai, good, path="/cds-services/other").status,
        calls(bach_mai, good | {"pad": "x" * (1 << 20)}).status,
        calls(bach_mai, call("order-sign", service_request(), patientId="nobody")).status,
        calls(bach_mai, {"feedback": []}, path=feedback).status,
        calls(bach_mai, {"feedback": [{"card": "1", "outcome": "accepted"}]}, path=feedback).status,
        Ehr(bach_mai, scopes=("system/Patient.r",)).sends(good).status,
    }
    assert seen == {400, 403, 404, 412, 413}
    body = json.dumps(good).encode()
    for method, headers, status in (("POST", {}, 401), ("PUT", {"Content-Type": "application/json"}, 405)):
        reply = ask(bach_mai.application, "house", method, "/cds-services/order-sign", headers=headers, body=body)
        assert judged(reply, "").status == status


def test_the_rules_see_what_is_wrong(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    (card,) = given(bach_mai, "order-sign")
    assert faults("answer", {"cards": [card]}) == []
    for name, value in (
        ("summary", "x" * 140),
        ("indicator", "success"),
        ("source", {}),
        ("uuid", "1"),
        ("selectionBehavior", "first"),
        ("overrideReasons", [{"code": "x"}]),
        ("links", [{"label": "x", "url": "http://x", "type": "absolute"}]),
        ("links", [{"label": "x", "url": "https://x", "type": "absolute", "appContext": "y"}]),
        ("suggestions", [{"label": "x", "actions": [{"type": "delete", "description": "x"}]}]),
        ("suggestions", [{"label": "x", "actions": [{"type": "create", "description": "x"}]}]),
        ("severity", "high"),
    ):
        assert faults("answer", {"cards": [copy.deepcopy(card) | {name: value}]}), name
    del card["selectionBehavior"]
    assert faults("answer", {"cards": [card]})
    assert faults("discovery", {"services": [{"hook": "order-sign", "id": "a b", "description": "x"}]})
    assert faults("problem", {"title": "x", "status": 200})
