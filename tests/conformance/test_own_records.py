"""What a foreign client of one hospital relies on: links lead somewhere, pages end, every condition counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.conformance.client import MHD, URI, Client, consent, oid, provided, stored
from tests.lab import Answer

NATIONAL = "http://fhir.ehealth.gov.vn/core/sid/national_id"


@pytest.fixture
def node(clients: Callable[..., tuple[Client, ...]]) -> Client:
    (one,) = clients("bac-ninh")
    assert one.registers("A1", numbers=[{"system": NATIONAL, "value": "001090000017"}]).status == 201
    return one


def mine(node: Client, number: str = "A1") -> dict[str, str]:
    return {"patient.identifier": f"{node.system}|{number}"}


def test_a_document_is_replaced_by_its_entry_uuid(node: Client) -> None:
    first = provided(node.subject("A1"))
    old = stored(node("POST", "/fhir", first))
    named = {"identifier": first["entry"][1]["resource"]["identifier"][0]}
    new = stored(node("POST", "/fhir", provided(node.subject("A1"), relatesTo=[{"code": "replaces", "target": named}])))
    assert node.get(f"/fhir/{old}").bundle["status"] == "superseded"
    assert node.get(f"/fhir/{new}").bundle["relatesTo"][0]["target"] == {"reference": old}
    assert node.get(f"/fhir/{old}/_history/1").bundle["status"] == "current"
    assert node.get(f"/fhir/{old}/_history/3").status == 404


@pytest.mark.parametrize("kind", ["replaces", "appends"])
def test_a_document_that_relates_to_itself_is_refused_instead_of_being_hidden_by_itself(
    node: Client, kind: str
) -> None:
    bundle = provided(node.subject("A1"))
    line = bundle["entry"][1]
    line["resource"]["relatesTo"] = [{"code": kind, "target": {"reference": line["fullUrl"]}}]
    answer = node("POST", "/fhir", bundle)
    assert (answer.status, answer.issues[0]["code"]) == (422, "value")
    assert node.get("/fhir/DocumentReference", **mine(node)).total == 0


def test_a_patient_who_was_merged_away_survives_nobody(node: Client) -> None:
    for number in ("A2", "A3"):
        assert node.registers(number).status == 201

    def merged(gone: str, into: str) -> Answer:
        told = {"other": {"identifier": {"system": node.system, "value": into}}, "type": "replaced-by"}
        body = {"resourceType": "Patient", "identifier": [{"system": node.system, "value": gone}]}
        target = f"/fhir/Patient?identifier={quote(node.system)}%7C{gone}"
        return node("PUT", target, {**body, "active": False, "link": [told]})

    assert (merged("A1", "A2").status, merged("A2", "A3").status) == (200, 200)
    for gone, into in (("A3", "A1"), ("A1", "A9"), ("A2", "A2")):
        assert merged(gone, into).status == 422
    circle = merged("A3", "A2")
    assert circle.issues[0]["code"] == "conflict" and "A2" not in circle.body.decode()


def folder(node: Client, member: str) -> dict[str, Any]:
    return {
        "resourceType": "List",
        "meta": {"profile": [f"{MHD}IHE.MHD.Comprehensive.Folder"]},
        "extension": [{"url": f"{MHD}ihe-designationType", "valueCodeableConcept": {"text": "đợt điều trị"}}],
        "identifier": [{"use": "usual", "system": URI, "value": oid()}],
        "status": "current",
        "mode": "working",
        "title": "Đợt",
        "code": {"coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "folder"}]},
        "subject": node.subject("A1"),
        "date": "2026-11-20T01:00:00Z",
        "entry": [{"item": {"reference": member}}],
    }


def test_a_folder_is_only_found_by_what_it_is(node: Client) -> None:
    bundle = provided(node.subject("A1"))
    made = folder(node, bundle["entry"][1]["fullUrl"])
    url = "urn:uuid:7f6c2b7e-5b0e-4d55-9d6b-3f0f6a3f0001"
    bundle["entry"].append({"fullUrl": url, "resource": made, "request": {"method": "POST", "url": "List"}})
    bundle["entry"][0]["resource"]["entry"].append({"item": {"reference": url}})
    stored(node("POST", "/fhir", bundle))
    assert node.get("/fhir/List", **mine(node)).total == 2
    for name, value in (
        ("designationType", "other"),
        ("status", "retired"),
        ("date", "1999"),
        ("sourceId", "urn:oid:9"),
    ):
        assert node.get("/fhir/List", **mine(node), **{name: value}).total == 0, name


@pytest.mark.parametrize(("kind", "count"), [("DocumentReference", 5), ("List", 5), ("Consent", 5), ("Patient", 6)])
def test_pages_lose_nothing_repeat_nothing_and_end(node: Client, kind: str, count: int) -> None:
    for number in range(5):
        node("POST", "/fhir", provided(node.subject("A1"), content=b"%%PDF %d" % number))
        node("POST", "/fhir/Consent", consent(node.subject("A1"), node.community, node.community))
        node.registers(f"B{number}", birthDate=f"19{number + 50}-01-01")
    asked = {} if kind == "Patient" else mine(node)
    pages = list(node.pages(node.get(f"/fhir/{kind}", _count="2", **asked)))
    ids = [one for page in pages for one in page.ids]
    assert (len(ids), len(set(ids)), {page.total for page in pages}) == (count, count, {count})


@pytest.mark.parametrize("condition", [{}, {"action": "U,C"}, {"date": "ge2026-01-01"}])
def test_reading_the_record_of_disclosures_does_not_change_its_pages(node: Client, condition: dict[str, str]) -> None:
    for number in range(5):
        node.registers("A1", gender="female" if number % 2 else "male")
        node.hospital.lab.clock.moves(by=timedelta(seconds=1))
    pages = list(node.pages(node.get("/fhir/AuditEvent", _count="2", **mine(node), **condition)))
    ids = [one for page in pages for one in page.ids]
    assert len(pages) > 1
    assert (len(set(ids)), {page.total for page in pages}) == (len(ids), {len(ids)})


def test_a_merged_number_still_names_its_patient(node: Client) -> None:
    node.registers("A9")
    stored(node("POST", "/fhir", provided(node.subject("A9"))))
    link = [{"other": node.subject("A1"), "type": "replaced-by"}]
    assert node.registers("A9", active=False, link=link).status == 200
    crossed = node("GET", f"/fhir/Patient/$ihe-pix?sourceIdentifier={node.system}%7CA9")
    assert [one["valueIdentifier"]["value"] for one in crossed.bundle["parameter"] if "valueIdentifier" in one] == [
        "A1",
        "001090000017",
    ]
    for number in ("A1", "A9"):
        assert node.get("/fhir/DocumentReference", **mine(node, number)).total == 1


def test_national_numbers_are_a_domain_that_can_be_asked_for(node: Client) -> None:
    both = node.get("/fhir/Patient", identifier=f"{node.system}|,{NATIONAL}|")
    assert (both.status, both.total) == (200, 1)
    crossed = node("GET", f"/fhir/Patient/$ihe-pix?sourceIdentifier={node.system}%7CA1&targetSystem={NATIONAL}")
    assert crossed.bundle["parameter"][0]["valueIdentifier"]["value"] == "001090000017"


def test_a_patient_that_calls_itself_by_anothers_id_is_refused(node: Client) -> None:
    other = node.registers("B1", birthDate="1950-01-01").bundle["id"]
    assert node.registers("A1", id=other).status == 400
    assert node.registers("C1", id=other).status == 400
    assert node.registers("A1", id=node.registers("A1").bundle["id"]).status == 200


def test_a_deleted_consent_is_gone_and_its_versions_are_not(node: Client) -> None:
    made = node("POST", "/fhir/Consent", consent(node.subject("A1"), node.community, node.community)).bundle["id"]
    assert node("DELETE", f"/fhir/Consent/{made}").status == 204
    assert node.get(f"/fhir/Consent/{made}").status == 410
    assert node.get(f"/fhir/Consent/{made}/_history/1").status == 200
    assert node.get("/fhir/Consent", **mine(node)).total == 0
    assert node("DELETE", f"/fhir/Consent/{made}").status == 204


def test_a_removed_number_is_out_of_use_and_what_it_held_stays(node: Client) -> None:
    stored(node("POST", "/fhir", provided(node.subject("A1"))))
    address = f"/fhir/Patient?identifier={node.system}%7CA1"
    assert (node("DELETE", address).status, node("DELETE", address).status) == (204, 204)
    (found,) = node.get("/fhir/Patient", identifier=f"{node.system}|A1").found
    assert found["active"] is False
    assert node.get("/fhir/DocumentReference", **mine(node)).total == 1
    assert node("DELETE", f"/fhir/Patient?identifier={node.system}%7Cnobody").status == 404
    assert node("DELETE", "/fhir/Patient?identifier=urn:oid:9.9%7CA1").status == 403
    assert node("DELETE", "/fhir/Patient?family=nguyen").status == 400
    (row,) = node.get("/fhir/AuditEvent", action="D", **mine(node)).found[:1]
    assert row["outcome"] == "0"
