"""Whatever a sender puts into a resource: it is taken or refused in FHIR's own form, and is never a fault of ours."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from hie_node.setting_tables import Subscriptions
from tests.conformance.client import Client, Resource, consent, provided
from tests.conformance.test_generated_metadata import PDF, binary, cda, fhir_document

TRIES = 300
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e300, "", " ", "x" * 3000, "urn:uuid:", "Patient/", "#", "\ud800", "9999-99-99", "?", "%", [],
    {}, [None], [[]], [{}], {"reference": 1}, {"url": "x"}, {"extension": [{"url": ""}]}, "https://[", "\x00",
    "DocumentReference?", {"extension": [{"url": "x", "valueString": "y"}]},
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from places(each, (*at, name))


def changed(whole: Resource, chance: random.Random) -> Resource:
    """One element less, another in its place, or one more beside it."""
    made = deepcopy(whole)
    *way, last = chance.choice([at for at in places(made) if at])
    within: Any = made
    for step in way:
        within = within[step]
    match chance.randrange(5):
        case 0:
            del within[last]
        case 1 if isinstance(within, dict):
            # there by its extension alone
            within["_" + str(last)] = {"extension": [{"url": "x", "valueString": "y"}]}
            del within[last]
        case 2 if isinstance(within, dict):
            within["_" + str(last)] = chance.choice(ODD)
        case _:
            within[last] = deepcopy(chance.choice(ODD))
    return made


@pytest.fixture
def node(clients: Callable[..., tuple[Client, ...]]) -> Client:
    (one,) = clients("bac-ninh")
    house = one.hospital.house
    settings = replace(house.settings, subscriptions=Subscriptions(("his.example",), most=100_000))
    one.hospital.house = replace(house, settings=settings)
    one.hospital.opens_anew()
    assert one.registers("A1").status == 201
    return one


def subscription(node: Client) -> Resource:
    backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
    topic = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/DSUBm-SubscriptionTopic-DocumentReference-PatientDependent"
    question = f"DocumentReference?patient.identifier={node.system}|A1&type=http://loinc.org|24725-4"
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "contact": [{"system": "phone", "value": "0241"}],
        "reason": "báo kết quả mới",
        "end": "2999-01-01T00:00:00Z",
        "criteria": topic,
        "_criteria": {"extension": [{"url": f"{backport}filter-criteria", "valueString": question}]},
        "channel": {
            "extension": [{"url": f"{backport}heartbeat-period", "valueUnsignedInt": 60}],
            "type": "rest-hook",
            "endpoint": "https://his.example/told",
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{backport}payload-content", "valueCode": "id-only"}]},
            "header": ["Authorization: Bearer s3cret"],
        },
    }


def alone(document: Resource) -> Resource:
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": document}]}


def batch(node: Client) -> Resource:
    asked = {"resource": consent(node.subject("A1"), node.community), "request": {"method": "POST", "url": "Consent"}}
    read = {"request": {"method": "GET", "url": "DocumentReference?status=current", "ifNoneMatch": 'W/"1"'}}
    return {"resourceType": "Bundle", "type": "batch", "entry": [asked, read]}


def conditional(node: Client) -> Resource:
    bundle = provided(node.subject("A1"), profile="Minimal")
    bundle["entry"][1]["request"]["ifNoneExist"] = f"patient.identifier={node.system}|A1&type=x"
    return bundle


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("Subscription", subscription),
        ("DocumentReference/$generate-metadata", lambda node: alone(fhir_document(node))),
        ("DocumentReference/$generate-metadata", lambda node: alone(binary(cda(node), "text/xml"))),
        (
            "DocumentReference/$generate-metadata",
            lambda node: alone(binary(PDF, "application/pdf", securityContext=node.subject("A1"))),
        ),
        ("", batch),
        ("", conditional),
    ],
    ids=["subscription", "fhir document", "clinical document", "pdf", "batch", "conditional"],
)
def test_an_odd_element_is_taken_or_refused(node: Client, path: str, made: Callable[[Client], Resource]) -> None:
    chance = random.Random(4711)
    whole = made(node)
    for _ in range(TRIES):
        sent = changed(whole, chance)
        answer = node.hospital.asked("POST", f"/fhir/{path}".rstrip("/"), sent)
        assert answer.status in (200, 201, 400, 412, 413, 415, 422), (answer.status, json.dumps(sent)[:2000])
        if answer.status in (200, 201) and answer.bundle.get("type") == "batch-response":
            told = [line["response"]["status"] for line in answer.bundle.get("entry", ())]
            assert not [one for one in told if one.startswith("5")], json.dumps(sent)[:2000]
        assert "s3cret" not in answer.body.decode()
