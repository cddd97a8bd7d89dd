"""Conditional create and read: nothing is made twice, and nothing is read again that is known."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import timedelta
from urllib.parse import quote

import pytest

from tests.conformance.client import MHD, Client, Resource, consent, oid, provided, stored
from tests.lab import Lab


@pytest.fixture
def node(clients: Callable[..., tuple[Client, ...]]) -> Client:
    (one,) = clients("bac-ninh")
    assert one.registers("A1").status == 201
    return one


def simple(node: Client, number: str = "A1") -> Resource:
    document = provided(node.subject(number), profile="Minimal")["entry"][1]["resource"]
    document["content"][0]["attachment"] = {"contentType": "text/plain", "data": "aGVsbG8="}
    del document["identifier"]
    document["meta"] = {"profile": [f"{MHD}IHE.MHD.SimplifiedPublish.DocumentReference"]}
    return document | {"masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": oid()}}


def named(document: Resource) -> str:
    return f"identifier={quote('urn:ietf:rfc:3986|' + document['masterIdentifier']['value'])}"


def test_a_document_is_published_once_under_its_condition(node: Client) -> None:
    document = simple(node)
    first = node("POST", "/fhir/DocumentReference", document, If_None_Exist=named(document))
    other = simple(node)
    again = node("POST", "/fhir/DocumentReference", other, If_None_Exist=named(document))
    assert (first.status, again.status) == (201, 200)
    assert again.bundle["id"] == first.bundle["id"] and again.headers["location"] == first.headers["location"]
    (shown,) = node.hospital.rows(transaction="ITI-105", action="R")
    assert (shown.direction, list(shown.items)) == ("disclosed", [first.bundle["id"]])
    mine = {"patient.identifier": f"{node.system}|A1"}
    assert node.get("/fhir/DocumentReference", **mine).total == 1
    assert node("POST", "/fhir/DocumentReference", other, If_None_Exist=named(other)).status == 201
    both = f"patient.identifier={quote(node.system)}%7CA1"
    refused = node("POST", "/fhir/DocumentReference", simple(node), If_None_Exist=both)
    assert (refused.status, refused.issues[0]["code"]) == (412, "multiple-matches")
    assert node.get("/fhir/DocumentReference", **mine).total == 2


def test_a_condition_that_is_not_understood_or_fits_anything_stores_nothing(node: Client) -> None:
    for condition, status in (("_count=1", 412), ("colour=red", 400), ("identifier=%ff", 400), ("x" * 5000, 412)):
        answer = node("POST", "/fhir/DocumentReference", simple(node), If_None_Exist=condition)
        assert answer.status == status, (condition[:20], answer.body)
        answer = node("POST", "/fhir/Consent", consent(node.subject("A1"), node.community), If_None_Exist=condition)
        assert answer.status == status, (condition[:20], answer.body)
    assert node.get("/fhir/DocumentReference", **{"patient.identifier": f"{node.system}|A1"}).total == 0


def test_a_condition_that_fits_another_patients_document_joins_nothing(node: Client) -> None:
    node.registers("B1", birthDate="1950-01-01")
    document = simple(node, "B1")
    assert node("POST", "/fhir/DocumentReference", document).status == 201
    answer = node("POST", "/fhir/DocumentReference", simple(node), If_None_Exist=named(document))
    assert answer.status == 422
    assert node.get("/fhir/List", **{"patient.identifier": f"{node.system}|A1"}).total == 0


def test_entries_of_a_bundle_are_conditional_each_by_itself(node: Client) -> None:
    first = provided(node.subject("A1"))
    report = stored(node("POST", "/fhir", first))
    second = provided(node.subject("A1"))
    identifier = first["entry"][1]["resource"]["masterIdentifier"]["value"]
    second["entry"][1]["request"]["ifNoneExist"] = f"identifier=urn:ietf:rfc:3986%7C{identifier}"
    answer = node("POST", "/fhir", second)
    assert answer.status == 200, answer.body
    told = [line["response"] for line in answer.bundle["entry"]]
    assert [line["status"] for line in told] == ["201 Created", "200 OK", "200 OK"]
    assert told[1]["location"] == f"{report}/_history/1"
    found = node.get("/fhir/List", **{"patient.identifier": f"{node.system}|A1", "code": "submissionset"})
    assert {one["entry"][0]["item"]["reference"] for one in found.found} == {report}
    third = deepcopy(second)
    third["entry"][0]["resource"]["identifier"][0]["value"] = oid()
    third["entry"][1]["request"]["ifNoneExist"] = f"identifier={oid()}"
    assert node("POST", "/fhir", third).bundle["entry"][1]["response"]["status"] == "201 Created"


def test_a_consent_is_recorded_once_under_its_condition(node: Client) -> None:
    asked = consent(node.subject("A1"), node.community, node.community)
    condition = f"patient.identifier={quote(node.system)}%7CA1&status=active"
    first = node("POST", "/fhir/Consent", asked, If_None_Exist=condition)
    again = node("POST", "/fhir/Consent", asked, If_None_Exist=condition)
    assert (first.status, again.status, again.bundle["id"]) == (201, 200, first.bundle["id"])
    assert node("POST", "/fhir/Consent", asked).status == 201
    assert node("POST", "/fhir/Consent", asked, If_None_Exist=condition).status == 412
    assert [row.action for row in node.hospital.rows(transaction="ITI-108")] == ["E", "C", "E", "C"]


def test_of_two_that_record_at_once_only_one_does(lab: Lab) -> None:
    node = Client(lab.hospital("bac-ninh"))
    node.registers("A1")
    asked = consent(node.subject("A1"), node.community, node.community)
    condition = f"patient.identifier={quote(node.system)}%7CA1"

    def record(_: int) -> int:
        return node("POST", "/fhir/Consent", asked, If_None_Exist=condition).status

    with ThreadPoolExecutor(4) as many:
        assert sorted(many.map(record, range(8))) == [200] * 7 + [201]


def test_what_is_known_is_not_read_again(node: Client) -> None:
    made = node("POST", "/fhir/Consent", consent(node.subject("A1"), node.community, node.community))
    url, since = f"/fhir/Consent/{made.bundle['id']}", made.headers["last-modified"]
    assert node("GET", url, If_Modified_Since=since).status == 304
    assert node("GET", url, If_None_Match='W/"2"', If_Modified_Since=since).status == 200, "the ETag decides"
    assert node("GET", url, If_Modified_Since="yesterday").status == 200
    node.hospital.lab.clock.moves(by=timedelta(seconds=5))
    assert node("PUT", url, made.bundle | {"status": "inactive"}).status == 200
    assert node("GET", url, If_Modified_Since=since).status == 200
