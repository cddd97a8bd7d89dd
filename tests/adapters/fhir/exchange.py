"""Requests and bundles as a hospital's system sends them, with invented people, for the tests of this folder."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha1
from typing import Any

from adapters.fhir.json_format import parse_json
from adapters.fhir.xml_format import parse_xml
from adapters.wire import WireRequest, WireResponse
from registry.answers import Community
from registry.identifiers import FacilityCode, HomeCommunityId

HOME = HomeCommunityId("urn:oid:1.2.840.99.1")
OTHER = HomeCommunityId("urn:oid:1.2.840.99.2")
BAC_NINH = Community(OTHER, FacilityCode("27001"), "Bệnh viện đa khoa Bắc Ninh")
BASE = "https://node.example/fhir"
SYSTEM = "urn:oid:1.2.840.99.1.1"
PDF = b"%PDF-1.4 an invented report"
SET_URL, DOC_URL, BIN_URL = (f"urn:uuid:{n}{n}{n}{n}{n}{n}{n}{n}-1111-4111-8111-111111111111" for n in "123")
MHD = "https://profiles.ihe.net/ITI/MHD/"


def ask(
    method: str = "GET",
    path: str = "/fhir/DocumentReference",
    query: tuple[tuple[str, str], ...] = (),
    *,
    body: object = None,
    door: str = "house",
    base: str = BASE,
    **headers: str,
) -> WireRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        sent.setdefault("content-type", "application/fhir+json")
    stream = io.BytesIO(raw) if body is not None else None
    return WireRequest(method, path, door, base, HOME, query=query, headers=sent, body=stream, length=len(raw))


def with_id(request: WireRequest, identity: str) -> WireRequest:
    return replace(request, params={"id": identity})


def shown(response: WireResponse) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    is_xml = "xml" in dict(response.headers)["Content-Type"]
    return parse_xml(response.body) if is_xml else parse_json(response.body)


def document(**changes: Any) -> dict[str, Any]:
    """A comprehensive DocumentReference of a CT report."""
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "contained": [
            {
                "resourceType": "Patient",
                "id": "sp",
                "identifier": [{"system": SYSTEM, "value": "BN-000123"}],
                "name": [{"text": "Trần Thị Thử Nghiệm"}],
                "birthDate": "1961-04",
                "gender": "female",
            },
            {"resourceType": "Practitioner", "id": "au", "name": [{"family": "Lê", "given": ["Văn", "Mẫu"]}]},
        ],
        "masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.840.99.1.10"},
        "identifier": [{"use": "official", "system": "urn:ietf:rfc:3986", "value": DOC_URL}],
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}], "text": "Kết quả CT"},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "18726-0"}]}],
        "subject": {"identifier": {"system": SYSTEM, "value": "BN-000123"}},
        "date": "2026-05-04T01:00:00Z",
        "author": [{"reference": "#au"}],
        "securityLabel": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}
        ],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "vi-VN",
                    "url": BIN_URL,
                    "size": len(PDF),
                    "hash": b64encode(sha1(PDF).digest()).decode(),
                    "title": "CT sọ não",
                    "creation": "2026-05-04",
                },
                "format": {
                    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                    "code": "urn:ihe:rad:PDF",
                },
            }
        ],
        "context": {
            "event": [{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}],
            "period": {"start": "2026-05-03T22:15:00+07:00"},
            "facilityType": {"coding": [{"system": "http://snomed.info/sct", "code": "22232009"}]},
            "practiceSetting": {"coding": [{"system": "http://snomed.info/sct", "code": "394914008"}]},
            "sourcePatientInfo": {"reference": "#sp"},
            "related": [{"identifier": {"system": "urn:oid:1.2.840.99.1.7", "value": "ACC-77"}}],
        },
    }
    return resource | changes


def submission_set(**changes: Any) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "List",
        "extension": [
            {
                "url": MHD + "StructureDefinition/ihe-designationType",
                "valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}]},
            },
            {
                "url": MHD + "StructureDefinition/ihe-sourceId",
                "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.840.99.1"},
            },
        ],
        "identifier": [
            {"use": "usual", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.840.99.1.9"},
            {"use": "official", "system": "urn:ietf:rfc:3986", "value": SET_URL},
        ],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": MHD + "CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": {"identifier": {"system": SYSTEM, "value": "BN-000123"}},
        "date": "2026-05-04T01:00:00Z",
        "entry": [{"item": {"reference": DOC_URL}}],
    }
    return resource | changes


def folder(**changes: Any) -> dict[str, Any]:
    plain = submission_set()
    return plain | {
        "extension": plain["extension"][:1],
        "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.840.99.1.77"}],
        "title": "Đợt điều trị",
        "code": {"coding": [{"system": MHD + "CodeSystem/MHDlistTypes", "code": "folder"}]},
        **changes,
    }


def binary(content: bytes = PDF, content_type: str = "application/pdf") -> dict[str, Any]:
    return {"resourceType": "Binary", "contentType": content_type, "data": b64encode(content).decode()}


def patch() -> dict[str, Any]:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "value", "valueCode": "superseded"},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def entry(full_url: str, resource: dict[str, Any] | None, method: str, url: str) -> dict[str, Any]:
    plain: dict[str, Any] = {"request": {"method": method, "url": url}}
    plain |= {"fullUrl": full_url} if full_url else {}
    return plain | ({"resource": resource} if resource else {})


def bundle(*more: dict[str, Any], profile: str = "Comprehensive", **parts: Any) -> dict[str, Any]:
    """A whole ITI-65 message; `set`, `doc` and `bin` replace its parts."""
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{MHD}StructureDefinition/IHE.MHD.{profile}.ProvideBundle"]},
        "type": "transaction",
        "entry": [
            entry(SET_URL, parts.get("set", submission_set()), "POST", "List"),
            entry(DOC_URL, parts.get("doc", document()), "POST", "DocumentReference"),
            entry(BIN_URL, parts.get("bin", binary()), "POST", "Binary"),
            *more,
        ],
    }
