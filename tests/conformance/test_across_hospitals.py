"""A Consent written by hand, at either hospital and in any of the usual forms, opens exactly what it says."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.client import Client, Resource, consent, provided, stored

NUMBER = {"system": "http://fhir.ehealth.gov.vn/core/sid/national_id", "value": "001090000017"}
PAPER = b"%PDF signed elsewhere"
Forms = Callable[[Client], Resource]


@pytest.fixture
def pair(clients: Callable[..., tuple[Client, ...]]) -> tuple[Client, Client]:
    """Who holds a document of the patient, and who asks."""
    holder, asking = clients("bac-ninh", "bach-mai")
    for one in (holder, asking):
        assert one.registers("A1", numbers=[NUMBER]).status == 201
    stored(holder("POST", "/fhir", provided(holder.subject("A1"))))
    return holder, asking


def shown(asking: Client, **more: str) -> list[str]:
    """Documents of other hospitals, by a question that knows the patient's number only."""
    question = {"patient.identifier": f"{NUMBER['system']}|{NUMBER['value']}", "status": "current", **more}
    answer = asking.get("/network/fhir/DocumentReference", **question)
    assert (answer.status, len(answer.lines)) == (200, 2)
    return [one for one in answer.ids if "." in one]


NAMES: dict[str, Forms] = {
    "home": lambda c: c.community,
    "home without system": lambda c: {"identifier": {"value": str(c.hospital.home)}},
    "facility": lambda c: {"identifier": {"system": "urn:hie-node:facility", "value": c.hospital.facility}},
    "facility without system": lambda c: {"identifier": {"value": c.hospital.facility}},
    "reference": lambda c: {"reference": f"Organization/{c.hospital.facility}"},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["holder", "asking"])
def test_hospitals_are_named_in_any_usual_way(pair: tuple[Client, Client], where: str, name: str) -> None:
    holder, asking = pair
    desk = holder if where == "holder" else asking
    assert shown(asking) == []
    made = desk("POST", "/fhir/Consent", consent(desk.subject("A1"), NAMES[name](holder), NAMES[name](asking)))
    assert made.status == 201, made.body
    assert len(shown(asking)) == 1
    by_facility = {"actor:identifier": f"urn:hie-node:facility|{asking.hospital.facility}"}
    assert desk.get("/fhir/Consent", **by_facility).total == 1


def by_url(digest: bytes) -> Resource:
    where = {"url": "https://example.org/signed.pdf", "title": "Signed", "hash": base64.b64encode(digest).decode()}
    return {"sourceAttachment": where}


SOURCES: dict[str, Callable[[Client], Resource]] = {
    "sha-1 of what lies elsewhere": lambda c: by_url(hashlib.sha1(PAPER, usedforsecurity=False).digest()),
    "sha-256 of what lies elsewhere": lambda c: by_url(hashlib.sha256(PAPER).digest()),
    "a document here": lambda c: {
        "sourceReference": {"reference": stored(c("POST", "/fhir", provided(c.subject("A1"), content=PAPER)))}
    },
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_signed_paper_may_lie_anywhere(pair: tuple[Client, Client], source: str) -> None:
    holder, asking = pair
    told = consent(asking.subject("A1"), holder.community, asking.community, **SOURCES[source](asking))
    assert asking("POST", "/fhir/Consent", told).status == 201
    assert len(shown(asking)) == 1


def test_a_paper_that_is_another_patients_is_no_evidence(pair: tuple[Client, Client]) -> None:
    _, asking = pair
    asking.registers("B1", birthDate="1950-01-01")
    paper = stored(asking("POST", "/fhir", provided(asking.subject("B1"), profile="Minimal")))
    told = consent(asking.subject("A1"), asking.community, asking.community, sourceReference={"reference": paper})
    assert asking("POST", "/fhir/Consent", told).status == 422


EXCEPTIONS: dict[str, tuple[Resource, int]] = {
    "another time": ({"type": "deny", "dataPeriod": {"start": "2024-01-01", "end": "2024-06-30"}}, 1),
    "this time": ({"type": "deny", "dataPeriod": {"start": "2026-11-01", "end": "2026-11-30"}}, 0),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
@pytest.mark.parametrize("where", ["holder", "asking"])
def test_what_the_request_leaves_out_stays_closed(pair: tuple[Client, Client], where: str, name: str) -> None:
    holder, asking = pair
    desk, (exception, count) = holder if where == "holder" else asking, EXCEPTIONS[name]
    told = consent(desk.subject("A1"), holder.community, asking.community, provision={"provision": [exception]})
    assert desk("POST", "/fhir/Consent", told).status == 201
    assert len(shown(asking)) == count


def test_a_request_for_nurses_does_not_open_to_doctors(pair: tuple[Client, Client]) -> None:
    holder, asking = pair
    told = consent(asking.subject("A1"), holder.community, asking.community)
    told["provision"]["actor"][0]["extension"] = [{"url": "urn:hie-node:actor-role", "valueCode": "nurse"}]
    assert asking("POST", "/fhir/Consent", told).status == 201
    question = {"patient.identifier": f"{NUMBER['system']}|{NUMBER['value']}"}
    answer = asking.hospital.finds_documents(**question)
    assert [one for one in answer.ids if "." in one] == []


def test_a_refusal_dated_by_a_day_stands_against_a_permission_of_that_day(pair: tuple[Client, Client]) -> None:
    holder, asking = pair
    now = holder.hospital.lab.clock.moment
    today = (now + timedelta(hours=7)).date().isoformat()
    permit = consent(holder.subject("A1"), holder.community, asking.community, dateTime=now.isoformat())
    refusal = consent(
        holder.subject("A1"), holder.community, asking.community, provision={"type": "deny"}, dateTime=today
    )
    assert holder("POST", "/fhir/Consent", permit).status == 201
    assert len(shown(asking)) == 1
    assert holder("POST", "/fhir/Consent", refusal).status == 201
    assert shown(asking) == []


def test_what_another_hospital_listed_can_be_read_while_it_may(pair: tuple[Client, Client]) -> None:
    holder, asking = pair
    made = asking("POST", "/fhir/Consent", consent(asking.subject("A1"), holder.community, asking.community)).bundle
    (listed,) = shown(asking)
    read: Any = asking.get(f"/network/fhir/DocumentReference/{listed}")
    assert (read.status, read.bundle["id"]) == (200, listed)
    content = asking("GET", read.bundle["content"][0]["attachment"]["url"], Accept="*/*")
    assert (content.status, content.body) == (200, b"%PDF-1.4 x")
    assert asking("DELETE", f"/fhir/Consent/{made['id']}").status == 204
    assert asking.get(f"/network/fhir/DocumentReference/{listed}").status == 404
