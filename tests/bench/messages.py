"""What a hospital's system sends: one document, or a hundred, as ITI-65 Minimal; of invented people."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

TEXT = ("Ket qua chup cat lop vi tinh so nao. Khong thay ton thuong. " * 17)[:1000].encode()
MHD = "https://profiles.ihe.net/ITI/MHD/"
PATIENT = "@PATIENT@"
"""A number of nine digits."""


def number(value: int) -> str:
    """A patient number of the bench."""
    return f"BN{value:09d}"


def mark(what: str, n: int = 0, *, length: int = 36) -> str:
    """So many characters that stand for a UUID; 32 of them for one without dashes."""
    return f"@{what}{n:0{length - 1 - len(what)}d}"


SET, SET_ID = mark("set"), mark("setid")


def bundle(system: str, home: str, *, documents: int = 1) -> tuple[bytes, tuple[str, ...]]:
    """The message, and the marks in it that have to become fresh UUIDs."""
    subject = {"identifier": {"system": system, "value": f"BN{PATIENT}"}}
    marks, entries, urls = [SET, SET_ID], [], []
    for n in range(documents):
        doc, content = mark("doc", n), mark("bin", n)
        marks += [doc, content, mark("data", n, length=32)]
        urls.append(f"urn:uuid:{doc}")
        entries.append(_entry(doc, reference(subject, doc, content), "DocumentReference"))
        entries.append(_entry(content, _binary(n), "Binary"))
    entries.insert(0, _entry(SET, _submission_set(subject, home, urls), "List"))
    profile = f"{MHD}StructureDefinition/IHE.MHD.Minimal.ProvideBundle"
    whole = {"resourceType": "Bundle", "meta": {"profile": [profile]}, "type": "transaction", "entry": entries}
    return json.dumps(whole).encode(), tuple(marks)


def one(entry: Mapping[str, Any], unique_id: str) -> bytes:
    """A message of one document under this UUID, for a hospital of the lab."""
    body, marks = bundle(entry["patient_id_system"], entry["home_community_id"])
    text = body.decode().replace(PATIENT, f"{0:09d}").replace(mark("doc"), unique_id)
    for each in marks:
        fresh = uuid4()
        text = text.replace(each, fresh.hex if len(each) == 32 else str(fresh))
    return text.encode()


def patient(system: str, n: int) -> dict[str, Any]:
    """An invented person; no two share name and birth date."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": system, "value": number(n)}],
        "name": [{"text": f"Nguyễn Văn {_letters(n)}"}],
        "birthDate": str(date(1930, 1, 1) + timedelta(days=n * 3 % 30_000)),
        "gender": "male",
    }


def _letters(n: int) -> str:
    text = ""
    while True:
        n, rest = divmod(n, 26)
        text = chr(97 + rest) + text
        if not n:
            return text.capitalize()


def _entry(at: str, resource: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"fullUrl": f"urn:uuid:{at}", "resource": resource, "request": {"method": "POST", "url": kind}}


def _binary(n: int) -> dict[str, Any]:
    """A kilobyte. No two are the same, since the same bytes are kept once: 32 hex digits are base64 as well."""
    text = b64encode(TEXT).decode()
    return {"resourceType": "Binary", "contentType": "text/plain", "data": mark("data", n, length=32) + text[32:]}


def reference(subject: dict[str, Any], doc: str, content: str) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{doc}"},
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}], "text": "Kết quả CT"},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "18726-0"}]}],
        "subject": subject,
        "date": "2026-05-04T01:00:00Z",
        "author": [{"display": "BS. Trần Thị Mai Anh"}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain",
                    "language": "vi-VN",
                    "url": f"urn:uuid:{content}",
                    "size": len(TEXT),
                    "title": "CT sọ não",
                    "creation": "2026-05-04",
                },
            }
        ],
        "context": {
            "event": [{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}],
            "period": {"start": "2026-05-03T22:15:00+07:00"},
        },
    }


def _submission_set(subject: dict[str, Any], home: str, urls: list[str]) -> dict[str, Any]:
    return {
        "resourceType": "List",
        "extension": [
            {
                "url": f"{MHD}StructureDefinition/ihe-sourceId",
                "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": home},
            },
        ],
        "identifier": [
            {"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{SET_ID}"},
            {"use": "official", "system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{SET}"},
        ],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": f"{MHD}CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": subject,
        "date": "2026-05-04T01:00:00Z",
        "entry": [{"item": {"reference": url}} for url in urls],
    }
