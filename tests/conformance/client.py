"""A foreign FHIR client: it knows the standard and nothing of ours, and refuses to read what breaks R4 or a profile."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.lab import Answer, Hospital

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
PCF = "https://profiles.ihe.net/ITI/PCF/"
URI = "urn:ietf:rfc:3986"
Resource = dict[str, Any]


class Client:
    """One system of a hospital. Every FHIR answer is validated before a test sees it (tests/lab.py)."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self.system = hospital.house.settings.patient_id_system
        self.base = hospital.house.settings.house.url

    def __call__(self, method: str, target: str, resource: Resource | None = None, **headers: str) -> Answer:
        path = target.removeprefix(self.base)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.hospital.asked(method, path, resource, **named)

    def get(self, target: str, **parameters: str) -> Answer:
        return self("GET", f"{target}?{urlencode(parameters)}" if parameters else target)

    def pages(self, answer: Answer) -> Iterator[Answer]:
        """This page and all that follow, as its links lead."""
        while True:
            yield answer
            following = [each["url"] for each in answer.bundle["link"] if each["relation"] == "next"]
            if not following:
                return
            parts = urlsplit(following[0])
            answer = self("GET", f"{parts.path}?{parts.query}")
            assert answer.status == 200

    def registers(self, number: str, **more: Any) -> Answer:
        patient = {"resourceType": "Patient", "identifier": [{"system": self.system, "value": number}], **AN, **more}
        patient["identifier"] += more.get("numbers", [])
        patient.pop("numbers", None)
        query = urlencode({"identifier": f"{self.system}|{number}"})
        return self("PUT", f"/fhir/Patient?{query}", patient)

    @property
    def community(self) -> Resource:
        return {"identifier": {"system": URI, "value": str(self.hospital.home)}}

    def subject(self, number: str) -> Resource:
        return {"identifier": {"system": self.system, "value": number}}


AN: Resource = {
    "name": [{"family": "Nguyễn", "given": ["Văn", "Mẫu"], "text": "Nguyễn Văn Mẫu"}],
    "birthDate": "1990-05-01",
    "gender": "male",
    "active": True,
}


def own_name() -> list[Resource]:
    """A name that nobody else has, in letters: digits say nothing in a name, and two would be taken for one person."""
    letters = "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex)
    return [{"text": f"Người {letters[:9]} {letters[9:18]}"}]


# ---- what it sends ----


def oid() -> str:
    return f"urn:oid:2.25.{uuid.uuid4().int}"


def provided(
    subject: Resource, *, profile: str = "Comprehensive", content: bytes = b"%PDF-1.4 x", **more: Any
) -> Resource:
    """An ITI-65 bundle of one document, as MHD's own words describe it."""
    document_url, binary_url, set_url = (f"urn:uuid:{uuid.uuid4()}" for _ in range(3))
    document: Resource = {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"use": "usual", "system": URI, "value": oid()},
        "identifier": [{"use": "official", "system": URI, "value": document_url}],
        "status": "current",
        "subject": subject,
        "content": [{"attachment": _attachment(binary_url, content), "format": FORMAT}],
    }
    if profile != "Minimal":
        document |= _metadata(subject, contained=profile == "Comprehensive")
    document |= more
    name = {"UnContained": "UnContained.Comprehensive"}.get(profile, profile)
    binary = {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(content).decode()}
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{MHD}IHE.MHD.{name}.ProvideBundle"]},
        "type": "transaction",
        "entry": [
            _post(set_url, _submission_set(set_url, subject, document_url)),
            _post(document_url, document),
            _post(binary_url, binary),
        ],
    }


def _post(url: str, resource: Resource) -> Resource:
    return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


FORMAT = {"system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "code": "urn:ihe:rad:PDF"}


def _attachment(url: str, content: bytes) -> Resource:
    return {
        "contentType": "application/pdf",
        "language": "vi-VN",
        "url": url,
        "size": len(content),
        "hash": base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),
        "title": "Kết quả CT",
        "creation": "2026-11-10T08:00:00Z",
    }


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _metadata(subject: Resource, *, contained: bool) -> Resource:
    people = [
        {"resourceType": "Patient", "id": "sp", "identifier": [subject["identifier"]], **AN},
        {"resourceType": "Practitioner", "id": "au", "name": [{"family": "Trần", "given": ["Mẫu"]}]},
    ]
    inside = {"contained": people, "author": [{"reference": "#au"}]} if contained else {}
    return inside | {
        "type": _concept("http://loinc.org", "24725-4"),
        "category": [_concept("http://loinc.org", "18748-4")],
        "date": "2026-11-10T09:00:00+07:00",
        "securityLabel": [_concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")],
        "context": {
            "event": [_concept("http://dicom.nema.org/resources/ontology/DCM", "CT")],
            "period": {"start": "2026-11-10T07:00:00+07:00"},
            "facilityType": _concept("http://snomed.info/sct", "22232009"),
            "practiceSetting": _concept("http://snomed.info/sct", "394914008"),
            "sourcePatientInfo": {"reference": "#sp"} if contained else subject,
        },
    }


def _submission_set(url: str, subject: Resource, member: str) -> Resource:
    designation = _concept("http://loinc.org", "18748-4")
    return {
        "resourceType": "List",
        "extension": [
            {"url": f"{MHD}ihe-designationType", "valueCodeableConcept": designation},
            {"url": f"{MHD}ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2.3"}},
        ],
        "identifier": [
            {"use": "usual", "system": URI, "value": oid()},
            {"use": "official", "system": URI, "value": url},
        ],
        "status": "current",
        "mode": "working",
        "code": _concept("https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "submissionset"),
        "subject": subject,
        "date": "2026-11-20T01:00:00Z",
        "entry": [{"item": {"reference": member}}],
    }


def consent(patient: Resource, organization: Resource, actor: Resource | None = None, **more: Any) -> Resource:
    """A Consent by IHE PCF, as somebody writes it by hand."""
    role = _concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")
    provision: Resource = {"type": "permit"} | more.pop("provision", {})
    if actor is not None:
        provision["actor"] = [{"role": role, "reference": actor}]
    paper = {"contentType": "application/pdf", "data": base64.b64encode(b"%PDF signed").decode(), "title": "Signed"}
    source = {} if "sourceReference" in more else {"sourceAttachment": paper}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": _concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [_concept("http://loinc.org", "59284-0")],
        "patient": patient,
        "dateTime": "2026-01-01",
        "performer": [patient],
        "organization": [organization],
        "policy": [{"uri": f"{PCF}Policy-basic-normal"}],
        "provision": provision,
        **source,
        **more,
    }


def stored(answer: Answer) -> str:
    """`DocumentReference/` and the id that the one document of a bundle got."""
    assert answer.status == 200, answer.body
    lines = [each["response"].get("location", "") for each in answer.bundle["entry"]]
    return next(each for each in lines if each.startswith("DocumentReference")).partition("/_history")[0]
