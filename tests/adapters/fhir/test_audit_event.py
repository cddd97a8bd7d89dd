"""The record of disclosures and the description of the node, as others read them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.fhir import (
    capability,
    find_imaging_studies,
    iti66_find_document_lists,
    iti67_find_document_references,
    iti78_find_patients,
    iti81_find_audit_events,
    iti83_pix,
    iti104_feed,
    iti108_access_consent,
    iti119_match,
    withdraw_receipt,
)
from adapters.fhir.audit_event import PROFILE, audit_event
from adapters.fhir.issues import BadRequest
from consent.disclosures import Disclosure
from consent.requesters import PurposeOfUse, Requester, Role
from registry.commands import Page
from registry.errors import NotFound
from tests.adapters.fhir.fhir_people import A1, BACH_MAI, BASE, HOME, OWN, ask, read, sound

NOW = datetime(2026, 11, 23, 3, 0, 0, 123000, tzinfo=UTC)
DOCTOR = Requester(
    "dr.an", Role.DOCTOR, BACH_MAI, "BS. Trần An", "Bạch Mai", PurposeOfUse.TREAT, client_id="his", token_id="t-1"
)
QUERY = Disclosure(
    id="e1",
    recorded=NOW,
    direction="disclosed",
    action="E",
    transaction="ITI-67",
    requester=DOCTOR,
    patient=A1,
    record_id="p1",
    items=("d1", "d2"),
    reasons={"written-request": 2},
    consents=("c1",),
    other=BACH_MAI,
    exchange="t-1",
    query="GET /fhir/DocumentReference?patient.identifier=x|y&patient.name=Nguyễn",
)


def coded(elements: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(each["system"].rpartition("/")[2], each["code"]) for each in elements}


def agent(event: dict, code: str) -> dict:
    return next(each for each in event["agent"] if each["type"]["coding"][0]["code"] == code)


def test_a_query_of_another_hospital_is_a_patient_query_and_a_disclosure() -> None:
    event = audit_event(QUERY, HOME)
    sound(event)
    assert event["meta"]["profile"] == [PROFILE + "PatientQuery"]
    assert event["type"]["code"] == "rest"
    assert {("restful-interaction", "search"), ("urn:ihe:event-type-code", "ITI-67")} <= coded(event["subtype"])
    assert ("iso-21089-lifecycle", "disclose") in coded(event["subtype"])
    assert (event["action"], event["outcome"]) == ("E", "0")
    assert event["source"]["observer"]["identifier"]["value"] == str(HOME)
    assert agent(event, "110153")["network"]["address"] == str(BACH_MAI)
    assert agent(event, "110152")["who"]["identifier"]["value"] == str(HOME)
    user = agent(event, "IRCP")
    assert (user["requestor"], user["who"]["identifier"]["value"]) == (True, "dr.an")
    assert user["policy"] == ["urn:ietf:params:oauth:jti:t-1"]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"


def test_the_patient_stands_there_by_number_and_never_by_name() -> None:
    event = audit_event(QUERY, HOME)
    patient, query, *rest = event["entity"]
    assert patient["what"]["identifier"] == {"system": OWN, "value": "A1"}
    assert (patient["type"]["code"], patient["role"]["code"]) == ("1", "1")
    assert b64decode(query["query"]).decode() == QUERY.query
    assert query["role"]["code"] == "24"
    assert [each["what"].get("reference") for each in rest][:3] == [
        "DocumentReference/d1", "DocumentReference/d2", "Consent/c1",
    ]  # fmt: skip
    assert "Nguyễn" not in str({name: value for name, value in event.items() if name != "entity"})
    assert not any("name" in each for each in event["entity"])


@pytest.mark.parametrize(
    ("action", "pattern", "client", "server"),
    [
        ("R", "PatientRead", "110152", "110153"),
        ("C", "PatientCreate", "110153", "110152"),
        ("U", "PatientUpdate", "110153", "110152"),
        ("D", "PatientDelete", "110150", "custodian"),
    ],
)
def test_every_action_has_its_pattern(action: str, pattern: str, client: str, server: str) -> None:
    row = replace(
        QUERY, action=action, items=("d1",), query="", transaction="WADO-RS", requester=replace(DOCTOR, home=HOME)
    )
    event = audit_event(row, HOME)
    sound(event)
    assert event["meta"]["profile"] == [PROFILE + pattern]
    assert agent(event, client)["requestor"] is False
    assert agent(event, server)["requestor"] is False
    assert ("urn:hie-node:transaction", "WADO-RS") in coded(event["subtype"])
    assert ("iso-21089-lifecycle", "disclose") not in coded(event["subtype"])


def test_a_refusal_and_a_broken_transfer_are_told() -> None:
    refused = replace(QUERY, direction="refused", outcome=4, items=(), reasons={"no-written-request": 1}, patient=None)
    event = audit_event(refused, HOME)
    sound(event)
    assert (event["outcome"], event["outcomeDesc"]) == ("4", "no-written-request: 1")
    assert "profile" not in event["meta"]
    broken = audit_event(replace(QUERY, complete=False, bytes_sent=7), HOME)
    assert broken["outcomeDesc"] == "written-request: 2; 7 bytes sent; broke off before the end"


def test_an_emergency_shows_the_words_it_was_declared_with() -> None:
    hurried = replace(DOCTOR, purpose=PurposeOfUse.BTG, reason="bất tỉnh, không người nhà", token_id="")
    event = audit_event(replace(QUERY, requester=hurried), HOME)
    sound(event)
    assert agent(event, "IRCP")["purposeOfUse"][0]["text"] == "bất tỉnh, không người nhà"
    assert "policy" not in agent(event, "IRCP")


def test_what_this_hospital_asked_names_the_other_side_as_server() -> None:
    own = replace(DOCTOR, home=HOME)
    event = audit_event(replace(QUERY, direction="asked", requester=own, other=BACH_MAI, items=()), HOME)
    sound(event)
    assert agent(event, "110152")["network"]["address"] == str(BACH_MAI)


def test_the_record_is_searched_by_time_patient_and_person() -> None:
    command = iti81_find_audit_events.decode(
        ask(
            "GET", "/AuditEvent", ("date", "ge2026-11-01"), ("date", "le2026-11-23"),
            ("patient.identifier", f"{OWN}|A1"),
            ("agent.identifier", "|dr.an"), ("entity", "DocumentReference/d2"), ("action", "E"), ("outcome", "0"),
        )
    )  # fmt: skip
    assert command.since == datetime(2026, 10, 31, 17, tzinfo=UTC)
    assert command.until == datetime(2026, 11, 23, 17, tzinfo=UTC)
    assert command.identifier == A1
    assert command.accepts(QUERY)
    assert not command.accepts(replace(QUERY, items=("d7",), consents=(), record_id=None))
    assert not command.accepts(replace(QUERY, requester=replace(DOCTOR, subject="dr.binh", client_id="x")))


def test_without_a_date_the_last_thirty_days_are_shown_and_this_is_said() -> None:
    request = ask("GET", "/AuditEvent")
    since = iti81_find_audit_events.decode(request).since
    assert since is not None
    assert timedelta(days=29) < datetime.now(UTC) - since < timedelta(days=31)
    bundle = read(iti81_find_audit_events.encode(Page((QUERY,), total=1), request))
    assert "30 days" in bundle["entry"][-1]["resource"]["issue"][0]["details"]["text"]
    one = ask("GET", "/AuditEvent", ("_id", "e1"))
    assert iti81_find_audit_events.decode(one).since is None
    assert iti81_find_audit_events.decode(one).ids == ("e1",)


def test_one_row_is_read_by_its_id() -> None:
    request = ask("GET", "/AuditEvent/e1")
    assert iti81_find_audit_events.decode_read(request).ids == ("e1",)
    assert read(iti81_find_audit_events.encode_read(Page((QUERY,), total=1), request))["id"] == "e1"
    with pytest.raises(NotFound):
        iti81_find_audit_events.encode_read(Page((), total=0), request)


def test_a_question_that_is_recorded_in_base64_is_not_encoded_again() -> None:
    encoded = b64encode(QUERY.query.encode()).decode()
    assert audit_event(replace(QUERY, query=encoded), HOME)["entity"][1]["query"] == encoded


@pytest.mark.parametrize(
    "query",
    [("date", "ap2026"), ("date", "2026,2025"), ("date", "yesterday"), ("agent", "Practitioner/1"), ("patient", "a,b")],
)
def test_an_unclear_search_of_the_record_is_refused(query: tuple[str, str]) -> None:
    with pytest.raises(BadRequest):
        iti81_find_audit_events.decode(ask("GET", "/AuditEvent", query))


# ---- metadata ----

ROWS = (
    *capability.TRANSACTIONS,
    *iti83_pix.TRANSACTIONS,
    *iti119_match.TRANSACTIONS,
    *iti78_find_patients.TRANSACTIONS,
    *iti104_feed.TRANSACTIONS,
    *iti108_access_consent.TRANSACTIONS,
    *iti81_find_audit_events.TRANSACTIONS,
    *withdraw_receipt.TRANSACTIONS,
)


def test_the_statement_tells_what_the_catalogue_has() -> None:
    request = ask("GET", "/metadata", Accept="application/fhir+xml")
    assert capability.decode(request).door == "house"
    statement = read(capability.encode(capability.NodeDescription(ROWS, "1.2.3", NOW), request))
    assert statement["software"] == {"name": "hie-node", "version": "1.2.3"}
    assert statement["implementation"]["url"] == BASE
    assert (statement["kind"], statement["fhirVersion"]) == ("instance", "4.0.1")
    found = {each["type"]: each for each in statement["rest"][0]["resource"]}
    assert set(found) == {"Patient", "Consent", "AuditEvent"}
    patient = found["Patient"]
    assert {each["code"] for each in patient["interaction"]} == {"read", "vread", "search-type", "update", "delete"}
    assert patient["conditionalUpdate"] is True
    assert {each["name"] for each in patient["operation"]} == {"ihe-pix", "match"}
    assert {"family", "mothersMaidenName", "birthdate"} <= {each["name"] for each in patient["searchParam"]}
    assert "delete" in {each["code"] for each in found["Consent"]["interaction"]}
    services = {each["coding"][0]["code"] for each in statement["rest"][0]["security"]["service"]}
    assert services == {"IUA", "SMART-on-FHIR"}
    assert any(each.endswith("IHE.PIXm.Manager") for each in statement["instantiates"])


def test_another_hospital_is_told_of_its_own_door_only() -> None:
    node = capability.NodeDescription(ROWS, "1.2.3", NOW)
    at_peer_door = capability.capability_statement(node, door="peer", base="https://peer.example/fhir")
    sound(at_peer_door)
    assert [each["type"] for each in at_peer_door["rest"][0]["resource"]] == ["Consent"]
    assert at_peer_door["rest"][0]["resource"][0]["operation"][0]["name"] == "withdraw-receipt"


@pytest.mark.parametrize("module", [iti66_find_document_lists, iti67_find_document_references, find_imaging_studies])
def test_every_parameter_that_is_understood_is_announced(module: Any) -> None:
    assert set(module.PARAMETERS) | {"_id", "patient", "patient.identifier"} <= set(module.SEARCH_PARAMETERS)
    assert set(module.SEARCH_PARAMETERS.values()) <= {"token", "date", "string", "reference"}
