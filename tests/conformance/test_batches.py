"""A batch: each entry is carried out, decided, recorded and answered on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.fhir.batch import MOST_ENTRIES
from tests.conformance.client import AN, Client, Resource, consent, provided, stored


@pytest.fixture
def node(clients: Callable[..., tuple[Client, ...]]) -> Client:
    (one,) = clients("bac-ninh")
    assert one.registers("A1").status == 201
    return one


def entry(method: str, url: str, resource: Resource | None = None, **conditions: str) -> Resource:
    request = {"method": method, "url": url, **conditions}
    return {"request": request, **({"resource": resource} if resource else {})}


def batch(*entries: Any) -> Resource:
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


def lines(node: Client, *entries: Any, **headers: str) -> list[Resource]:
    answer = node("POST", "/fhir", batch(*entries), **headers)
    assert (answer.status, answer.bundle["type"]) == (200, "batch-response"), answer.body
    assert len(answer.bundle["entry"]) == len(entries)
    found: list[Resource] = answer.bundle["entry"]
    return found


def statuses(found: list[Resource]) -> list[str]:
    return [one["response"]["status"].partition(" ")[0] for one in found]


def test_one_message_carries_many_interactions_and_each_has_its_answer(node: Client) -> None:
    report = stored(node("POST", "/fhir", provided(node.subject("A1"))))
    patient = {"resourceType": "Patient", "identifier": [{"system": node.system, "value": "B1"}], **AN}
    found = lines(
        node,
        entry("GET", f"DocumentReference?patient.identifier={node.system}%7CA1"),
        entry("PUT", f"Patient?identifier={node.system}%7CB1", patient | {"birthDate": "1955-01-02"}),
        entry("POST", "Consent", consent(node.subject("A1"), node.community, node.community)),
        entry("GET", report),
        entry("GET", f"Binary/{report.rpartition('/')[2]}"),
        entry("GET", "metadata"),
    )
    assert statuses(found) == ["200", "201", "201", "200", "200", "200"]
    kinds = [one["resource"]["resourceType"] for one in found]
    assert kinds == ["Bundle", "Patient", "Consent", "DocumentReference", "Binary", "CapabilityStatement"]
    made = found[2]["response"]
    assert made["location"].endswith("/_history/1") and made["etag"] == 'W/"1"' and "lastModified" in made
    assert node("GET", made["location"]).status == 200


def test_what_is_wrong_with_one_entry_is_its_own(node: Client) -> None:
    good = consent(node.subject("A1"), node.community, node.community)
    found = lines(
        node,
        "no entry at all",
        entry("POST", "Consent", {"resourceType": "Consent", "status": "nonsense"}),
        entry("GET", "Nothing/1"),
        entry("GET", "Patient/absent"),
        entry("POST", "Consent/1"),
        entry("POST", "Consent", {"resourceType": 7}),
        entry("GET", "https://elsewhere.example/fhir/Patient/1"),
        entry("GET", "../oauth/token"),
        entry("POST", "", batch()),
        {"resource": good},
        entry("GET", "Patient?" + "&".join(["name=a"] * 201)),
        entry("POST", "Consent", good),
    )
    assert statuses(found) == ["400", "422", "404", "404", "405", "400", "400", "404", "422", "400", "400", "201"]
    for one in found[:-1]:
        assert one["response"]["outcome"]["issue"][0]["severity"] in ("error", "fatal")
    assert node.get("/fhir/Consent", **{"patient.identifier": f"{node.system}|A1"}).total == 1


def test_each_entry_needs_its_own_scope_and_is_on_record(node: Client) -> None:
    report = stored(node("POST", "/fhir", provided(node.subject("A1"))))
    before = len(node.hospital.record)
    found = lines(node, entry("GET", report), entry("GET", report), entry("GET", f"{report}x"))
    assert statuses(found) == ["200", "200", "404"]
    rows = node.hospital.record[before:]
    assert [(row.transaction, len(row.items)) for row in rows] == [
        ("DocumentReference-read", 1),
        ("DocumentReference-read", 1),
        ("DocumentReference-read", 0),
    ]


def test_conditions_of_an_entry_count(node: Client) -> None:
    (made,) = lines(node, entry("POST", "Consent", consent(node.subject("A1"), node.community, node.community)))
    url = "/".join(made["response"]["location"].split("/")[-4:-2])
    since = made["response"]["lastModified"]
    changed = made["resource"] | {"status": "inactive"}
    found = lines(
        node,
        entry("GET", url, ifNoneMatch='W/"1"'),
        entry("GET", url, ifModifiedSince=since),
        entry("PUT", url, changed, ifMatch='W/"7"'),
        entry("PUT", url, changed, ifMatch='W/"1"'),
        entry("GET", url, ifNoneMatch='W/"1"'),
    )
    assert statuses(found) == ["304", "304", "412", "200", "200"]


def test_a_batch_has_bounds(node: Client) -> None:
    many = node("POST", "/fhir", batch(*[entry("GET", "Patient/1")] * (MOST_ENTRIES + 1)))
    assert (many.status, many.issues[0]["code"]) == (413, "too-long")
    assert many.issues[0]["details"]["text"].startswith(f"Bundle: larger than {MOST_ENTRIES} entries")
    assert lines(node, *[entry("GET", "Patient/1")] * MOST_ENTRIES)
    assert node("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": {}}).status == 400
    assert node("POST", "/fhir", {"resourceType": "Bundle", "type": "history"}).status == 422
    assert node("POST", "/fhir", {"resourceType": "Bundle", "type": "batch"}).bundle["type"] == "batch-response"


def test_a_batch_is_answered_in_xml_as_well(node: Client) -> None:
    answer = node("POST", "/fhir?_format=xml", batch(entry("GET", "Patient/absent")))
    assert answer.status == 200 and b'<status value="404 Not Found"/>' in answer.body


def test_a_stranger_is_told_before_anything_is_read(node: Client) -> None:
    answer = node("POST", "/fhir", batch(entry("GET", "metadata")), Authorization="Bearer x")
    assert answer.status == 401


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
urls = st.sampled_from(["Patient", "Consent/1", "", "/", "Patient?", "$", "Subscription", "../x", "List/%00"])
requests = st.fixed_dictionaries(
    {"method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]), "url": urls}
)
resources = st.fixed_dictionaries({"resourceType": st.sampled_from(["Patient", "Consent", "Bundle", "Nothing"])})
odd = anything | st.fixed_dictionaries({"request": requests | anything}, optional={"resource": resources | anything})


def test_whatever_stands_in_an_entry_is_answered_in_its_line(node: Client) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(odd, min_size=1, max_size=4))
    def holds(entries: list[Any]) -> None:
        answer = node.hospital.asked("POST", "/fhir", batch(*entries))
        if answer.status != 200:
            assert answer.status in (400, 413, 422)
            return
        told = statuses(answer.bundle["entry"])
        assert len(told) == len(entries) and not [one for one in told if one.startswith("5")]

    holds()
