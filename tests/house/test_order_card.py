"""The card at the moment of ordering: what stands in it, what may not, and what is on record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from consent.consents import Actor
from consent.requesters import PurposeOfUse
from registry.identifiers import NATIONAL_ID
from registry.ledger import RepeatReason
from tests.house.ordering import ISSUER, Ehr, call, calls, cards, fhir_patient, service_request
from tests.lab import Hospital, Lab, until
from tests.papers import HOA, LAN, CtStudy, ct_report, refusal, written_request
from tests.stand_in_edge import ask

TITLE = "Chụp CLVT sọ não không tiêm thuốc cản quang (từ 1-32 dãy)"


@pytest.fixture
def database(sqlite_template: Path) -> Callable[[Path], str]:
    """SQLite alone: what is stored for a card passes the store's own tests on both kinds."""

    def copied(home: Path) -> str:
        shutil.copy(sqlite_template, home / "node.db")
        return f"sqlite:///{home / 'node.db'}"

    return copied


@pytest.fixture
def two(lab: Lab) -> tuple[Hospital, Hospital]:
    """Bắc Ninh has a head CT of Lan from five days ago; she is a patient of Bạch Mai now."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", order_budget=10.0)
    performed = (bac_ninh.house.now() - timedelta(days=5)).isoformat()
    bac_ninh.publishes(ct_report(LAN, title=TITLE, performed=performed))
    bach_mai.registers(LAN)
    return bac_ninh, bach_mai


def orders_ct(bach_mai: Hospital, hook: str = "order-sign", **how: Any) -> list[dict[str, Any]]:
    return cards(calls(bach_mai, call(hook, service_request(), patient=fhir_patient(LAN, bach_mai)), **how))


def test_a_ct_done_elsewhere_is_in_front_of_the_doctor_who_orders_the_same_with_another_code(
    two: tuple[Hospital, Hospital],
) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    (card,) = orders_ct(bach_mai)
    assert "Bệnh viện bac-ninh" in card["summary"] and "5 ngày trước" in card["summary"]
    assert card["indicator"] == "warning" and len(card["summary"]) < 140
    assert "trong thời hạn 30 ngày" in card["detail"] and "chỉ có kết quả, không có hình ảnh" in card["detail"]
    assert [reason["code"] for reason in card["overrideReasons"]] == [str(reason) for reason in RepeatReason]
    assert card["selectionBehavior"] == "at-most-one"
    (action,) = card["suggestions"][0]["actions"]
    assert (action["type"], action["resourceId"]) == ("delete", "ServiceRequest/o1")
    house = bach_mai.house.settings.house.url
    assert {link["type"] for link in card["links"]} == {"absolute"}
    assert card["links"][0]["url"].startswith(f"{house}/patients/") and LAN.name not in json.dumps(card["links"])
    assert "Done before" in orders_ct(bach_mai, language="en-GB,vi;q=0.5")[0]["summary"]


def test_nothing_is_told_without_the_patients_request_and_the_way_to_it_is(two: tuple[Hospital, Hospital]) -> None:
    (card,) = orders_ct(two[1])
    assert card["indicator"] == "info" and "suggestions" not in card
    assert TITLE not in json.dumps(card, ensure_ascii=False)
    assert "chưa có văn bản yêu cầu" in card["detail"]
    assert card["links"][-1]["url"].startswith(two[1].house.settings.house.url + "/consents/")


def test_the_second_card_needs_nobody_and_a_holder_that_is_down_is_said(two: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = two
    bach_mai.records(written_request(LAN, to="bach-mai"))
    first = orders_ct(bach_mai, "order-select")
    bac_ninh.goes_down()
    asked = len(bach_mai.rows(direction="asked"))
    assert orders_ct(bach_mai)[0]["summary"] == first[0]["summary"]
    assert len(bach_mai.rows(direction="asked")) == asked, "what is fresh is not asked for again"
    bac_ninh.lab.clock.moves(by=timedelta(minutes=16))
    (card,) = orders_ct(bach_mai)
    assert card["summary"] == first[0]["summary"] and "không phản hồi" in card["detail"]


def test_a_hospital_that_was_silent_is_asked_again_a_minute_later(two: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = two
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bac_ninh.goes_down()
    assert "không phản hồi" in orders_ct(bach_mai)[0]["detail"]
    bac_ninh.comes_up()
    bach_mai.lab.clock.moves(by=timedelta(seconds=61))
    assert "5 ngày trước" in orders_ct(bach_mai)[0]["summary"]


def test_a_withdrawn_request_hides_what_was_remembered_at_once(two: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = two
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert "bac-ninh" in orders_ct(bach_mai)[0]["summary"]
    bach_mai.lab.clock.moves(by=timedelta(seconds=5))
    bach_mai.withdraws(consent)
    with bach_mai.house.storage.read() as unit:
        assert unit.orders.newest(10) == ()
    bac_ninh.goes_down()
    assert all(
        "Bệnh viện bac-ninh, " not in card["summary"] and "5 ngày" not in card["detail"] for card in orders_ct(bach_mai)
    )


def test_a_refusal_that_came_later_hides_it_too(two: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = two
    bach_mai.records(written_request(LAN, to="bach-mai"))
    orders_ct(bach_mai)
    bach_mai.lab.clock.moves(by=timedelta(seconds=5))
    bach_mai.records(refusal(LAN, to="bach-mai"))
    bac_ninh.goes_down()
    assert all("5 ngày" not in card["detail"] for card in orders_ct(bach_mai))


def test_what_an_emergency_opened_is_not_remembered(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    found = bach_mai.finds_documents(LAN, purpose=PurposeOfUse.BTG, reason="hôn mê")
    assert found.found
    with bach_mai.house.storage.read() as unit:
        assert unit.orders.newest(10) == ()


def test_the_list_of_one_who_was_taken_for_her_is_not_shown(two: tuple[Hospital, Hospital]) -> None:
    """After an un-merge, what was listed for both numbers together is nobody's."""
    bac_ninh, bach_mai = two
    bach_mai.records(written_request(LAN, to="bach-mai"))
    orders_ct(bach_mai)
    with bach_mai.house.storage.begin() as unit:
        (kept, *_) = [m for m in unit.orders.newest(10) if m.kind == "documents"]
        unit.orders.remember(replace(kept, record_ids=kept.record_ids | {"somebody-else"}))
    bac_ninh.goes_down()
    assert all("5 ngày" not in card["detail"] for card in orders_ct(bach_mai))


def test_own_images_and_their_count_stand_in_the_card(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai", order_budget=10.0)
    bach_mai.registers(LAN)
    bach_mai.publishes_study(CtStudy(LAN))
    order = service_request(code={"text": "CT ngực"})
    found = cards(calls(bach_mai, call("order-sign", order, patient=fhir_patient(LAN, bach_mai))))
    assert len(found) <= 1
    history = cards(calls(bach_mai, call("patient-view", patient=fhir_patient(LAN, bach_mai))))
    assert "1 lần chụp" in history[0]["summary"]


def test_blood_tests_get_no_card_and_ask_nobody(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    order = service_request(code={"text": "Công thức máu"})
    assert cards(calls(bach_mai, call("order-sign", order, patient=fhir_patient(LAN, bach_mai)))) == []
    assert not bach_mai.rows(direction="asked")


def test_only_the_order_that_was_selected_is_looked_at(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    body = call("order-select", service_request(), patient=fhir_patient(LAN, bach_mai))
    body["context"]["selections"] = ["ServiceRequest/other"]
    assert cards(calls(bach_mai, body)) == []


def test_everything_that_a_card_shows_is_on_record_with_the_doctor_who_ordered(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    orders_ct(bach_mai)
    row = bach_mai.rows(transaction="CDS-call", direction="disclosed")[-1]
    assert (row.requester.subject, row.patient) == ("bs.minh", bach_mai.number_of(LAN))
    assert len(row.items) == 1 and row.reasons == {"remembered": 1}
    assert any(one.direction == "asked" for one in bach_mai.record)


def test_a_number_of_this_hospital_is_enough_and_an_unknown_one_is_a_missing_prefetch(
    two: tuple[Hospital, Hospital],
) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    number = bach_mai.number_of(LAN).value
    assert len(cards(calls(bach_mai, call("order-sign", service_request(), patientId=number)))) == 1
    record_id = bach_mai.asked("GET", f"/fhir/Patient?identifier={bach_mai.number_of(LAN).system}|{number}").ids[0]
    assert len(cards(calls(bach_mai, call("order-sign", service_request(), patientId=record_id)))) == 1
    missing = calls(bach_mai, call("order-sign", service_request(), patientId="nobody"))
    assert missing.status == 412 and missing.headers["content-type"] == "application/problem+json"
    assert b"nobody" not in missing.body


def test_a_prefetch_that_is_somebody_else_shows_nothing(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    mixed = fhir_patient(HOA, bach_mai) | {"identifier": [{"system": NATIONAL_ID, "value": LAN.national_id}]}
    (card,) = cards(calls(bach_mai, call("order-sign", service_request(), patient=mixed)))
    assert "Không hiển thị hồ sơ của ai" in card["detail"] and "links" not in card
    other = fhir_patient(LAN, bach_mai) | {"id": "p2"}
    assert calls(bach_mai, call("order-sign", service_request(), patient=other)).status == 400


def test_hostile_words_of_a_peer_stay_words(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", order_budget=10.0)
    evil = "CT sọ não [bấm](javascript:alert(1)) <img src=x> **\u202egnort # " + "x" * 180
    bac_ninh.publishes(ct_report(LAN, title=evil))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    (card,) = orders_ct(bach_mai)
    assert len(card["summary"]) < 140 and "\u202e" not in json.dumps(card, ensure_ascii=False)
    assert "](javascript" not in card["detail"] and "<img" not in card["detail"].replace("\\<", "")
    assert not any(line.startswith("# ") for line in card["detail"].splitlines())


@pytest.mark.parametrize(
    "broken",
    [
        {"hook": "order-select"},
        {"hookInstance": "1"},
        {"context": []},
        {"context": {"userId": "Practitioner/1"}},
        {"context": {"userId": "Patient/1", "patientId": "p1"}},
        {"context": {"userId": "Practitioner/1", "patientId": "p1"}},
        {"prefetch": {"patient": {"resourceType": "Group"}}},
        {"prefetch": "Patient/p1"},
        {"prefetch": {"patient": {"resourceType": "Patient", "id": "p1", "gender": "x"}}},
    ],
)
def test_a_broken_call_is_told_what_was_expected(lab: Lab, broken: dict[str, Any]) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    body = call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai)) | broken
    reply = calls(bach_mai, body, path="/cds-services/order-sign")
    assert reply.status == 400 and json.loads(reply.body)["status"] == 400
    assert LAN.name.encode() not in reply.body


def test_a_patient_who_looks_at_the_own_record_is_a_valid_user_of_patient_view_and_gets_no_card(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    bach_mai.publishes(ct_report(LAN, title=TITLE))
    patient = fhir_patient(LAN, bach_mai)
    assert cards(calls(bach_mai, call("patient-view", patient=patient)))
    for user in ("Patient/p1", "RelatedPerson/r1"):
        assert cards(calls(bach_mai, call("patient-view", patient=patient, userId=user))) == []


def test_a_client_that_could_not_fetch_the_patient_is_answered_by_the_number_in_the_context(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    bach_mai.publishes(ct_report(LAN, title=TITLE, performed=bach_mai.house.now().isoformat()))
    failed = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    number = bach_mai.number_of(LAN).value
    assert cards(calls(bach_mai, call("order-sign", service_request(), patient=failed, patientId=number)))
    assert calls(bach_mai, call("order-sign", service_request(), patient=failed, patientId="no-9")).status == 412


@pytest.mark.parametrize("more", [{"doNotPerform": True}, {"status": "revoked"}, {"status": "entered-in-error"}])
def test_an_order_that_something_is_not_to_be_done_is_no_order(lab: Lab, more: dict[str, Any]) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    bach_mai.publishes(ct_report(LAN, title=TITLE, performed=bach_mai.house.now().isoformat()))
    patient = fhir_patient(LAN, bach_mai)
    assert cards(calls(bach_mai, call("order-sign", service_request(), patient=patient)))
    assert cards(calls(bach_mai, call("order-sign", service_request(**more), patient=patient))) == []


def test_every_card_keeps_to_the_standard(two: tuple[Hospital, Hospital]) -> None:
    """CDS Hooks 2.0, "Card Attributes": what has to be there, what may be, and nothing else."""
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    patient = fhir_patient(LAN, bach_mai)
    given = orders_ct(bach_mai) + cards(calls(bach_mai, call("patient-view", patient=patient)))
    known = {"uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons"}
    assert len(given) == 2
    for card in given:
        assert set(card) <= known | {"links"} and {"summary", "indicator", "source"} <= set(card)
        assert 0 < len(card["summary"]) < 140 and card["indicator"] in {"info", "warning", "critical"}
        assert card["source"]["label"] and card["source"]["url"].startswith("https://")
        assert ("suggestions" in card) == ("selectionBehavior" in card)
        assert all(set(link) == {"label", "url", "type"} for link in card["links"])
        assert all(reason["code"] and reason["system"] for reason in card.get("overrideReasons", ()))
        for suggestion in card.get("suggestions", ()):
            assert suggestion["label"] and str(UUID(suggestion["uuid"])) == suggestion["uuid"]
            assert all(set(one) == {"type", "description", "resourceId"} for one in suggestion["actions"])
        if "uuid" in card:
            assert str(UUID(card["uuid"])) == card["uuid"]


def test_no_json_an_unknown_service_and_too_much_are_refused(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    kind = {"Content-Type": "application/json"}
    assert bach_mai.sends("POST", "/cds-services/order-sign", body=b"{", headers=kind).status == 400
    assert bach_mai.sends("POST", "/cds-services/order-sign", body=b"[]", headers=kind).status == 400
    assert bach_mai.sends("POST", "/cds-services/other", body=b"{}", headers=kind).status == 404
    assert bach_mai.sends("POST", "/cds-services/order-sign", body=b" " * (1 << 21), headers=kind).status == 413


def test_anybody_learns_which_services_there_are_and_nothing_else(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    listed = ask(bach_mai.application, "house", "GET", "/cds-services", headers={}, body=b"")
    services = json.loads(listed.body)["services"]
    assert {one["id"] for one in services} == {"order-select", "order-sign", "patient-view"}
    assert all(one["prefetch"] == {"patient": "Patient/{{context.patientId}}"} for one in services)
    body = json.dumps(call("order-sign", service_request())).encode()
    refused = ask(bach_mai.application, "house", "POST", "/cds-services/order-sign", headers={}, body=body)
    assert refused.status == 401


def test_an_ordering_system_authenticates_itself_as_the_standard_has_it(two: tuple[Hospital, Hospital]) -> None:
    bach_mai = two[1]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    ehr = Ehr(bach_mai)
    body = call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai))
    token = ehr.token("order-sign")
    assert len(cards(ehr.sends(body, token))) == 1
    assert ehr.sends(body, token).status == 401, "a token is good once"
    row = bach_mai.rows(transaction="CDS-call", direction="disclosed")[-1]
    assert (row.requester.subject, row.requester.client_id) == ("bs.minh", ISSUER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://node.example/cds-services/order-sign"},
        {"iss": "https://other.example"},
        {"exp": 0},
        {"jti": None},
        {"aud": ["https://node.example/cds-services/order-sign"]},
    ],
    ids=str,
)
def test_a_token_for_another_service_of_a_stranger_or_without_end_is_refused(lab: Lab, wrong: dict[str, Any]) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    ehr = Ehr(bach_mai)
    body = call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai))
    assert ehr.sends(body, ehr.token("order-sign", **wrong)).status == 401
    assert ehr.sends(body, ehr.token("order-select")).status == 401
    assert not bach_mai.record


def test_a_system_without_the_scope_gets_no_card(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    ehr = Ehr(bach_mai, scopes=("system/Patient.r",))
    assert ehr.sends(call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai))).status == 403


def test_a_browser_of_another_origin_calls_only_where_it_is_listed(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    listed = replace(bach_mai.house.settings, cds_origins=("https://ehr.example",))
    bach_mai.house = replace(bach_mai.house, settings=listed)
    bach_mai.opens_anew()

    def before(origin: str, path: str = "/cds-services/order-sign") -> Any:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return ask(bach_mai.application, "house", "OPTIONS", path, headers=asked, body=b"").headers

    assert before("https://ehr.example")["access-control-allow-origin"] == "https://ehr.example"
    assert "access-control-allow-credentials" not in before("https://ehr.example")
    assert "access-control-allow-origin" not in before("https://evil.example")
    assert before("https://evil.example")["vary"] == "Origin"
    shown = ask(
        bach_mai.application, "house", "GET", "/cds-services", headers={"Origin": "https://ehr.example"}, body=b""
    )
    assert shown.headers["access-control-allow-origin"] == "https://ehr.example"
    fhir = ask(
        bach_mai.application, "house", "GET", "/fhir/metadata", headers={"Origin": "https://ehr.example"}, body=b""
    )
    assert "access-control-allow-origin" not in fhir.headers


def test_a_peer_that_is_too_slow_for_the_card_is_in_the_next_one(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", order_budget=0.001)
    performed = (bac_ninh.house.now() - timedelta(days=5)).isoformat()
    bac_ninh.publishes(ct_report(LAN, title=TITLE, performed=performed))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    orders_ct(bach_mai)
    assert until(lambda: any("5 ngày" in card["detail"] for card in orders_ct(bach_mai)))


def test_what_the_holder_shows_one_doctor_alone_is_not_remembered_for_another(lab: Lab) -> None:
    """The patient told Bắc Ninh itself that only one doctor of Bạch Mai may see it: nothing of that is kept here."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", order_budget=10.0)
    performed = (bac_ninh.house.now() - timedelta(days=5)).isoformat()
    bac_ninh.publishes(ct_report(LAN, title=TITLE, performed=performed))
    consent = bac_ninh.records(written_request(LAN, to="bach-mai", holder="bac-ninh"))
    only_minh = (Actor(home=bach_mai.home, subject="bs.minh"),)
    bac_ninh.changes(consent, provision=replace(consent.provision, actors=only_minh))
    bach_mai.registers(LAN)

    def told(doctor: str) -> str:
        body = call(
            "order-sign", service_request(), patient=fhir_patient(LAN, bach_mai), userId=f"Practitioner/{doctor}"
        )
        return json.dumps(cards(calls(bach_mai, body)), ensure_ascii=False)

    assert "5 ngày trước" in told("bs.minh")
    assert "5 ngày trước" not in told("bs.khac")
    bac_ninh.goes_down()
    assert "5 ngày trước" not in told("bs.khac")


def test_in_an_emergency_the_card_shows_what_was_opened_and_keeps_nothing(two: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = two
    assert all("5 ngày" not in one["detail"] for one in orders_ct(bach_mai)), "nothing was signed"
    who = bach_mai.requester(purpose=PurposeOfUse.BTG, reason="hôn mê")
    headers = {"Content-Type": "application/json"}
    body = json.dumps(call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai))).encode()
    (card,) = cards(bach_mai.sends("POST", "/cds-services/order-sign", body=body, headers=headers, who=who))
    assert "5 ngày trước" in card["summary"]
    bac_ninh.goes_down()
    assert all("5 ngày" not in one["detail"] for one in orders_ct(bach_mai))
