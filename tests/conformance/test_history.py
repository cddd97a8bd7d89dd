"""What a resource was before: every version is there, the newest first, and none shows more than today's may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.client import Client, Resource, consent, provided, stored
from tests.conformance.test_own_records import folder


@pytest.fixture
def node(clients: Callable[..., tuple[Client, ...]]) -> Client:
    (one,) = clients("bac-ninh")
    assert one.registers("A1").status == 201
    return one


def versions(node: Client, url: str, **asked: str) -> list[tuple[str, str, str]]:
    """Method, status and ETag of each entry."""
    answer = node.get(f"{url}/_history", **asked)
    assert (answer.status, answer.bundle["type"]) == (200, "history"), answer.body
    assert answer.total == len(answer.bundle.get("entry", ())) or "_count" in asked
    return [
        (one["request"]["method"], one["response"]["status"][:3], one["response"]["etag"])
        for one in answer.bundle.get("entry", ())
    ]


def replaced(node: Client) -> tuple[str, str]:
    first = provided(node.subject("A1"))
    old = stored(node("POST", "/fhir", first))
    named = {"identifier": first["entry"][1]["resource"]["identifier"][0]}
    new = stored(node("POST", "/fhir", provided(node.subject("A1"), relatesTo=[{"code": "replaces", "target": named}])))
    return old, new


def test_a_superseded_document_is_still_there_as_it_was(node: Client) -> None:
    old, _ = replaced(node)
    assert versions(node, f"/fhir/{old}") == [("PUT", "200", 'W/"2"'), ("POST", "201", 'W/"1"')]
    told = node.get(f"/fhir/{old}/_history").bundle["entry"]
    assert [one["resource"]["status"] for one in told] == ["superseded", "current"]
    assert node.get(f"/fhir/{old}/_history/1").bundle == told[1]["resource"]


def test_a_patched_status_makes_a_version(node: Client) -> None:
    old = stored(node("POST", "/fhir", provided(node.subject("A1"))))
    bundle = provided(node.subject("A1"))
    parts: list[Resource] = [
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "type", "valueCode": "replace"},
        {"name": "value", "valueCode": "superseded"},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    bundle["entry"].append({"resource": patch, "request": {"method": "PATCH", "url": old}})
    assert node("POST", "/fhir", bundle).status == 200
    assert [etag for *_, etag in versions(node, f"/fhir/{old}")] == ['W/"2"', 'W/"1"']


def test_a_patients_and_a_consents_versions_are_listed(node: Client) -> None:
    patient = f"/fhir/Patient/{node.registers('A1').bundle['id']}"
    node.hospital.lab.clock.moves(by=timedelta(seconds=5))
    changed = node.registers("A1", gender="female").bundle["meta"]
    assert [one[0] for one in versions(node, patient)] == ["PUT", "POST"]
    before = (node.hospital.lab.clock() - timedelta(seconds=1)).isoformat()
    assert versions(node, patient, _since=before) == [("PUT", "200", f'W/"{changed["versionId"]}"')]
    made = node("POST", "/fhir/Consent", consent(node.subject("A1"), node.community, node.community)).bundle
    url = f"/fhir/Consent/{made['id']}"
    assert node("PUT", url, made | {"status": "inactive"}).status == 200
    assert node("DELETE", url).status == 204
    assert node("GET", url).status == 410
    assert [one[:2] for one in versions(node, url)] == [("DELETE", "204"), ("PUT", "200"), ("POST", "201")]
    assert "resource" not in node.get(f"{url}/_history").bundle["entry"][0]


def test_a_folders_versions_are_kept(node: Client) -> None:
    bundle = provided(node.subject("A1"))
    made_of = folder(node, bundle["entry"][1]["fullUrl"])
    url = "urn:uuid:7f6c2b7e-5b0e-4d55-9d6b-3f0f6a3f0002"
    bundle["entry"].append({"fullUrl": url, "resource": made_of, "request": {"method": "POST", "url": "List"}})
    bundle["entry"][0]["resource"]["entry"].append({"item": {"reference": url}})
    answer = node("POST", "/fhir", bundle)
    made = answer.bundle["entry"][3]["response"]["location"].partition("/_history")[0]
    again = provided(node.subject("A1"))
    more = made_of | {"entry": [{"item": {"reference": again["entry"][1]["fullUrl"]}}]}
    again["entry"].append({"fullUrl": url, "resource": more, "request": {"method": "PUT", "url": made}})
    assert node("POST", "/fhir", again).status == 200
    told = node.get(f"/fhir/{made}/_history").bundle["entry"]
    assert [len(one["resource"]["entry"]) for one in told] == [2, 1]
    assert node.get(f"/fhir/{made}/_history/1").bundle == told[1]["resource"]


def test_pages_of_a_history_lose_nothing(node: Client) -> None:
    patient = f"/fhir/Patient/{node.registers('A1').bundle['id']}"
    for number in range(5):
        node.registers("A1", gender="female" if number % 2 else "other")
    whole = versions(node, patient)
    pages = list(node.pages(node.get(f"{patient}/_history", _count="2")))
    parts = [one["response"]["etag"] for page in pages for one in page.bundle["entry"]]
    assert parts == [etag for *_, etag in whole] and len(pages) == 3
    assert node.get(f"{patient}/_history", _since="yesterday").status == 400
    assert node.get(f"{patient}/_history", _count="-1").status == 400


@pytest.mark.parametrize("kind", ["DocumentReference", "List", "Patient", "Consent"])
def test_what_was_never_there_has_no_history(node: Client, kind: str) -> None:
    assert node.get(f"/fhir/{kind}/absent/_history").status == 404
    assert node.get(f"/fhir/{kind}/absent/_history/1").status == 404


def test_what_may_not_be_seen_today_has_no_history_either(node: Client) -> None:
    old, _ = replaced(node)
    deny: dict[str, Any] = {"type": "deny"}
    closed = consent(node.subject("A1"), node.community, node.community, provision=deny)
    assert node("POST", "/fhir/Consent", closed).status == 201
    for url in (f"/fhir/{old}", f"/fhir/{old}/_history", f"/fhir/{old}/_history/1", f"/fhir/{old}/_history/2"):
        assert node.get(url).status == 404, url
    refused = [row for row in node.hospital.rows(transaction="DocumentReference-read") if row.direction == "refused"]
    assert len(refused) == 4


def test_the_statement_says_that_versions_are_kept(node: Client) -> None:
    resources = {one["type"]: one for one in node.get("/fhir/metadata").bundle["rest"][0]["resource"]}
    for kind in ("DocumentReference", "List", "Patient", "Consent"):
        told = resources[kind]
        assert {"vread", "history-instance"} <= {one["code"] for one in told["interaction"]}
        assert (told["versioning"], told["readHistory"]) == ("versioned", True)
    assert resources["DocumentReference"]["conditionalCreate"] and resources["Subscription"]["conditionalCreate"]
    assert {one["name"] for one in resources["Subscription"]["operation"]} == {"status", "events"}
    topics = {one["extension"][0]["valueUri"] for one in node.get("/fhir/Basic").found}
    assert {one["valueCanonical"] for one in resources["Subscription"]["extension"]} == topics
    codes = [one["code"] for one in node.get("/fhir/metadata").bundle["rest"][0]["interaction"]]
    assert codes == ["transaction", "batch"]
