"""What a hospital's ordering system sends to the CDS services of its node, and what it gets back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.store.people import Client
from adapters.trust.jwk import public_jwk
from consent.requesters import Role
from registry.coded import SERVICE_CODE
from tests.conformance.cds_hooks import judged
from tests.lab import Hospital
from tests.papers import Person
from tests.stand_in_edge import Reply, ask

ISSUER = "https://his.example"


def fhir_patient(person: Person, hospital: Hospital) -> dict[str, Any]:
    number = hospital.number_of(person)
    carried = [{"system": number.system, "value": number.value}]
    carried += [{"system": system, "value": value} for system, value in person.numbers]
    return {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": carried,
        "name": [{"text": person.name}],
        "birthDate": person.born,
        "gender": person.gender,
    }


def service_request(code: str = "18.0165.0043", *, id_: str = "o1", **more: Any) -> dict[str, Any]:
    coding = [{"system": SERVICE_CODE, "code": code}]
    order = {
        "resourceType": "ServiceRequest",
        "id": id_,
        "status": "draft",
        "intent": "order",
        "code": {"coding": coding},
    }
    return {**order, "subject": {"reference": "Patient/p1"}, **more}


def call(
    hook: str, *orders: Mapping[str, Any], patient: Mapping[str, Any] | None = None, **context: Any
) -> dict[str, Any]:
    """A call of a service; `patient` is the prefetch, other names are of the context."""
    told: dict[str, Any] = {"userId": "Practitioner/bs.minh", "patientId": "p1", **context}
    if hook != "patient-view":
        entries = [{"resource": dict(order)} for order in orders]
        told["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    if hook == "order-select":
        told["selections"] = [f"ServiceRequest/{order['id']}" for order in orders]
    body: dict[str, Any] = {"hook": hook, "hookInstance": str(uuid4()), "context": told}
    return body | ({"prefetch": {"patient": patient}} if patient is not None else {})


def calls(hospital: Hospital, body: Mapping[str, Any], *, language: str = "vi", path: str = "") -> Reply:
    """With an access token of the node; every answer is held against the standard."""
    headers = {"Content-Type": "application/json", "Accept-Language": language}
    where = path or f"/cds-services/{body['hook']}"
    return judged(hospital.sends("POST", where, body=json.dumps(body).encode(), headers=headers), where)


def cards(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    return list(json.loads(reply.body)["cards"])


class Ehr:
    """A system that authenticates itself as CDS Hooks has it, with a key of its own."""

    def __init__(self, hospital: Hospital, *, scopes: tuple[str, ...] = ("system/ImagingStudy.s",)) -> None:
        self.hospital, self.key = hospital, ec.generate_private_key(ec.SECP384R1())
        jwks = {"keys": [public_jwk(self.key.public_key()) | {"kid": "k1"}]}
        with hospital.house.storage.begin() as unit:
            unit.people_of_the_house.add_client(Client(ISSUER, jwks, scopes, Role.SYSTEM, name="HIS"))

    def token(self, service: str, **changed: Any) -> str:
        now = int(self.hospital.house.now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": f"{self.hospital.house.settings.house.url}/cds-services/{service}",
            "exp": now + 240,
            "iat": now,
            "jti": str(uuid4()),
        }
        header = {"kid": "k1", "typ": "JWT", "jku": "https://his.example/keys"}
        return jwt.encode(claims | changed, self.key, algorithm="ES384", headers=header)

    def sends(self, body: Mapping[str, Any], token: str = "") -> Reply:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.token(body['hook'])}"}
        target = f"/cds-services/{body['hook']}"
        content = json.dumps(body).encode()
        return judged(ask(self.hospital.application, "house", "POST", target, headers=headers, body=content), target)
