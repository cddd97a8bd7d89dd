"""What would they see? Asked before a patient signs, with the reason of each thing; nothing is stored by it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.house.test_consent_of_a_child import SCOPES
from tests.lab import Answer, Hospital, Lab
from tests.papers import LAN, STRANGER, CtStudy, Person, closed_report, ct_report, unreviewed_report, written_request

IRCP = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}


def community(node: Hospital) -> dict[str, Any]:
    return {"identifier": {"system": "urn:ietf:rfc:3986", "value": str(node.home)}}


def patient(node: Hospital, who: Person = LAN) -> dict[str, Any]:
    number = node.number_of(who)
    return {"identifier": {"system": number.system, "value": number.value}}


def draft(node: Hospital, asking: Hospital, **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPES, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": patient(node),
        "dateTime": "2026-11-23T08:00:00+07:00",
        "performer": [patient(node)],
        "organization": [community(node)],
        "policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}],
        "provision": {"type": "permit", "actor": [{"role": IRCP, "reference": community(asking)}], **changed},
    }


def asks(node: Hospital, *parts: dict[str, Any], who: dict[str, Any] | None = None) -> Answer:
    named = {"name": "patient", "valueReference": who or patient(node)}
    return node.asked("POST", "/fhir/Consent/$preview", {"resourceType": "Parameters", "parameter": [named, *parts]})


def hospital(value: str) -> dict[str, Any]:
    return {"name": "hospital", "valueString": value}


def told(answer: Answer) -> dict[str, tuple[bool, str]]:
    assert answer.status == 200, answer.body
    items = [part["part"] for part in answer.bundle["parameter"] if part["name"] == "item"]
    facts = [{one["name"]: next(v for k, v in one.items() if k != "name") for one in parts} for parts in items]
    return {one["reference"]["reference"]: (one["shown"], one["reason"]) for one in facts}


def test_each_thing_is_told_with_its_reason_as_it_is_now_and_as_it_would_be(lab: Lab) -> None:
    node, asking = lab.hospitals("bac-ninh", "bach-mai")
    plain, study = node.publishes(ct_report(LAN)), node.publishes_study(CtStudy(LAN))
    closed, held = node.publishes(closed_report(LAN)), node.publishes(unreviewed_report(LAN))
    of_plain, of_closed, of_held = (f"DocumentReference/{one.id}" for one in (plain, closed, held))
    now = told(asks(node, hospital(asking.facility)))
    never = {of_closed: (False, "closed-list"), of_held: (False, "unreviewed-text")}
    nothing = (False, "no-written-request")
    assert now == {of_plain: nothing, f"ImagingStudy/{study.id}": nothing, **never}
    proposed = {"name": "consent", "resource": draft(node, asking)}
    signed = asks(node, hospital(str(asking.home)), proposed)
    opened = (True, "written-request")
    assert told(signed) == {of_plain: opened, f"ImagingStudy/{study.id}": opened, **never}
    assert {part["name"]: part.get("valueUnsignedInt") for part in signed.bundle["parameter"][:2]} == {
        "shown": 2,
        "hidden": 2,
    }
    one_less = draft(node, asking, provision=[{"type": "deny", "data": [_instance(plain.id)]}])
    without = told(asks(node, hospital(asking.facility), {"name": "consent", "resource": one_less}))
    assert without[of_plain] == (False, "patient-refused") and without[f"ImagingStudy/{study.id}"] == opened
    assert asking.finds_documents(LAN).ids == [], "nothing was recorded"
    last = node.rows(transaction="preview")[-1]
    assert (last.patient, last.requester.subject) == (node.number_of(LAN), "his") and last.other is None


def _instance(document_id: str) -> dict[str, Any]:
    return {"meaning": "instance", "reference": {"reference": f"DocumentReference/{document_id}"}}


def test_role_and_purpose_are_those_of_who_would_ask(lab: Lab) -> None:
    node, asking = lab.hospitals("bac-ninh", "bach-mai")
    report = node.publishes(ct_report(LAN))
    node.records(written_request(LAN, to="bach-mai"))
    name = f"DocumentReference/{report.id}"
    assert told(asks(node, hospital(asking.facility)))[name] == (True, "written-request")
    registrar = {"name": "role", "valueCode": "registrar"}
    assert told(asks(node, hospital(asking.facility), registrar))[name] == (False, "role-not-allowed")
    research = {"name": "purpose", "valueCode": "HRESCH"}
    assert told(asks(node, hospital(asking.facility), research))[name] == (False, "no-written-request")


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([], 400),
        ([hospital("99999")], 422),
        ([hospital("27001")], 422),
        ([hospital("01929"), {"name": "role", "valueCode": "king"}], 400),
        ([hospital("01929"), {"name": "purpose", "valueCode": "FUN"}], 400),
        ([hospital("01929"), {"name": "consent", "resource": {"resourceType": "Patient"}}], 400),
        ([hospital("01929"), {"name": "consent", "valueString": "x"}], 400),
        ([hospital("01929"), hospital("01929")], 400),
    ],
)
def test_a_question_that_is_not_understood_has_an_error_of_fhir(
    lab: Lab, parts: list[dict[str, Any]], status: int
) -> None:
    node, _ = lab.hospitals("bac-ninh", "bach-mai")
    node.publishes(ct_report(LAN))
    answer = asks(node, *parts)
    assert answer.status == status and answer.bundle["resourceType"] == "OperationOutcome"


def test_nobody_is_nobody(lab: Lab) -> None:
    node, asking = lab.hospitals("bac-ninh", "bach-mai")
    assert asks(node, hospital(asking.facility), who=patient(node, STRANGER)).status == 404
