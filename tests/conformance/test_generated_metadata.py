"""ITI-106: a document comes alone; what it says of itself becomes its metadata, what it does not say is left out."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.client import Client, Resource, oid

DISCHARGE = (Path(__file__).parents[1] / "samples" / "cda" / "discharge.xml").read_text("utf-8")
PDF = (
    b"%PDF-1.4\n1 0 obj <</Title (\xfe\xff\x00C\x00T\x00 \x00s\x1e\xcd)"
    b" /CreationDate (D:20261102093000+07'00')>> endobj\n"
    b"trailer <</Info 1 0 R>>\n%%EOF\n"
)


@pytest.fixture
def node(clients: Callable[..., tuple[Client, ...]]) -> Client:
    (one,) = clients("bac-ninh")
    assert one.registers("A1").status == 201
    return one


def generated(node: Client, document: Resource, number: str = "A1") -> Resource:
    """The DocumentReference that was made of it, by its bytes again the same."""
    body = {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": document}]}
    answer = node("POST", "/fhir/DocumentReference/$generate-metadata", body)
    assert answer.status == 200, answer.body
    (told,) = answer.bundle["parameter"]
    again = node("POST", "/fhir/DocumentReference/$generate-metadata", body)
    assert again.bundle["parameter"] == answer.bundle["parameter"], "the same again changes nothing"
    made = node("GET", f"/fhir/{told['valueReference']['reference']}")
    assert (told["name"], made.status) == ("DocumentReference", 200)
    lists = node.get("/fhir/List", **{"patient.identifier": f"{node.system}|{number}", "code": "submissionset"})
    assert [one["entry"][0]["item"]["reference"] for one in lists.found] == [told["valueReference"]["reference"]]
    return made.bundle


def refused(node: Client, document: object) -> tuple[int, str]:
    body = {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": document}]}
    answer = node(
        "POST",
        "/fhir/DocumentReference/$generate-metadata",
        body if document is not None else {**body, "parameter": []},
    )
    assert node.get("/fhir/DocumentReference").total == 0
    return answer.status, answer.issues[0]["code"]


def binary(content: bytes, kind: str, **more: object) -> Resource:
    return {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(content).decode(), **more}


def cda(node: Client, number: str = "C1") -> bytes:
    root = node.system.removeprefix("urn:oid:")
    return DISCHARGE.replace('root="2.25.4711.1" extension="C1"', f'root="{root}" extension="{number}"').encode()


def fhir_document(node: Client, **more: object) -> Resource:
    patient = {"resourceType": "Patient", "identifier": [{"system": node.system, "value": "A1"}]}
    doctor = {"resourceType": "Practitioner", "name": [{"text": "Trần Văn Mẫu"}]}
    composition = {
        "resourceType": "Composition",
        "language": "vi-VN",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5", "display": "Discharge summary"}]},
        "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
        "date": "2026-11-10T08:00:00Z",
        "author": [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000003"}],
        "title": "Tóm tắt ra viện",
        "confidentiality": "R",
        "event": [{"period": {"start": "2026-11-02T00:00:00Z", "end": "2026-11-10T00:00:00Z"}}],
        **more,
    }
    parts = (composition, patient, doctor)
    urls = [f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in (2, 1, 3)]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": oid()},
        "type": "document",
        "timestamp": "2026-11-10T08:00:00Z",
        "entry": [{"fullUrl": url, "resource": part} for url, part in zip(urls, parts, strict=True)],
    }


def test_a_fhir_document_is_described_by_its_composition(node: Client) -> None:
    document = fhir_document(node)
    made = generated(node, document)
    assert made["masterIdentifier"]["value"] == document["identifier"]["value"]
    assert made["type"]["coding"][0]["code"] == "18842-5"
    assert made["context"]["period"]["end"] == "2026-11-10T00:00:00Z"
    assert [label["coding"][0]["code"] for label in made["securityLabel"]] == ["R"]
    attachment = made["content"][0]["attachment"]
    assert (attachment["title"], attachment["language"]) == ("Tóm tắt ra viện", "vi-VN")
    assert attachment["creation"] == "2026-11-10T08:00:00Z"
    assert "Trần Văn Mẫu" in str(made["contained"])
    assert node("GET", attachment["url"], Accept="*/*").bundle == document


def test_a_later_version_of_a_fhir_document_replaces_the_earlier(node: Client) -> None:
    first = fhir_document(node)
    old = generated(node, first)
    relation = {"code": "replaces", "targetIdentifier": first["identifier"]}
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "document", "resource": fhir_document(node, relatesTo=[relation])}],
    }
    assert node("POST", "/fhir/DocumentReference/$generate-metadata", body).status == 200
    assert node.get(f"/fhir/DocumentReference/{old['id']}").bundle["status"] == "superseded"


def test_a_clinical_document_is_described_by_its_header(node: Client) -> None:
    made = generated(node, binary(cda(node), "text/xml"), "C1")
    assert made["masterIdentifier"]["value"].endswith("RV-1") or "RV-1" in str(made["masterIdentifier"])
    assert (made["type"]["coding"][0]["code"], made["content"][0]["format"]["code"]) == (
        "18842-5",
        "urn:ihe:pcc:xds-ms:2007",
    )
    assert made["content"][0]["attachment"]["title"] == "Tóm tắt ra viện"


def test_a_pdf_tells_little_and_that_is_kept(node: Client) -> None:
    made = generated(node, binary(PDF, "application/pdf", securityContext=node.subject("A1")))
    attachment = made["content"][0]["attachment"]
    assert (attachment["title"], attachment["creation"]) == ("CT sọ", "2026-11-02T09:30:00+07:00")
    assert "type" not in made and made["content"][0]["format"]["code"] == "urn:ihe:iti:xds:2017:mimeTypeSufficient"
    assert node("GET", attachment["url"], Accept="*/*").body == PDF


def test_what_does_not_say_whose_it_is_or_is_not_understood_is_refused(node: Client) -> None:
    nobody = fhir_document(node)
    del nobody["entry"][0]["resource"]["subject"]
    unnamed = fhir_document(node)
    del unnamed["identifier"]
    for document, answer in (
        (binary(PDF, "application/pdf"), (422, "required")),
        (binary(b"not a PDF", "application/pdf", securityContext=node.subject("A1")), (422, "not-supported")),
        (binary(b"\x89PNG", "image/png", securityContext=node.subject("A1")), (422, "not-supported")),
        (binary(b"<a/>", "text/xml"), (400, "invalid")),
        (binary(b"<a", "text/xml"), (400, "invalid")),
        (binary(DISCHARGE.encode(), "text/xml"), (422, "value")),
        (binary(cda(node), "text/xml", securityContext=node.subject("B1")), (422, "business-rule")),
        (binary(cda(node, "A1"), "text/xml"), (422, "business-rule")),
        (binary(b"{", "application/fhir+json"), (400, "invalid")),
        (binary(PDF, "application/pdf", securityContext=node.subject("nobody")), (422, "not-found")),
        (nobody, (422, "required")),
        (fhir_document(node) | {"type": "collection"}, (422, "not-supported")),
        (node.registers("A1").bundle, (400, "invalid")),
        (None, (400, "structure")),
    ):
        assert refused(node, document) == answer
    assert refused(node, unnamed)[0] in (400, 422)
