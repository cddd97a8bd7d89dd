"""Everything a node tells is valid R4 and keeps the profiles that it claims; the client reads nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hie_node.edge import refusals
from hie_node.hl7v2 import handle
from tests.conformance.client import Client, consent, provided
from tests.conformance.pdf import is_whole
from tests.conformance.profiles import FOLDER, faults_by, published, refuse_faulty
from tests.papers import CtStudy, Person

Clients = Callable[..., tuple[Client, ...]]
VISIT = (Path(__file__).parents[1] / "samples" / "insurance" / "visit.xml").read_text("utf-8")
NID = {"system": "http://fhir.ehealth.gov.vn/core/sid/national_id", "value": "001090000017"}


@pytest.fixture
def node(clients: Clients) -> Client:
    (one,) = clients("bac-ninh")
    assert one.registers("A1", numbers=[NID]).status == 201
    return one


@pytest.mark.parametrize("base", ["/fhir", "/network/fhir"])
def test_the_statement_of_each_base_is_valid(node: Client, base: str) -> None:
    told = node.get(f"{base}/metadata")
    assert (told.status, told.bundle["resourceType"]) == (200, "CapabilityStatement")


@pytest.mark.parametrize("profile", ["Minimal", "Comprehensive", "UnContained"])
def test_a_document_goes_in_and_comes_out_by_its_profile(node: Client, profile: str) -> None:
    sent = provided(node.subject("A1"), profile=profile)
    answer = node("POST", "/fhir", sent)
    assert answer.status == 200, answer.body
    for line in answer.bundle["entry"]:
        assert node("GET", f"/fhir/{line['response']['location']}", Accept="*/*").status == 200
    found = node.get("/fhir/DocumentReference", **{"patient.identifier": f"{node.system}|A1", "status": "current"})
    assert found.total == 1
    if profile == "Comprehensive" and published():
        name = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.DocumentReference"
        assert faults_by(found.found[0], name) == []
    lists = node.get("/fhir/List", **{"patient.identifier": f"{node.system}|A1", "code": "submissionset"})
    assert lists.total == 1


def test_a_simply_published_document_does_not_claim_what_it_no_longer_is(node: Client) -> None:
    document = provided(node.subject("A1"), profile="Minimal")["entry"][1]["resource"]
    document["content"][0]["attachment"] = {"contentType": "text/plain", "data": "aGVsbG8="}
    del document["identifier"]
    name = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.SimplifiedPublish.DocumentReference"
    document["meta"] = {"profile": [name]}
    made = node("POST", "/fhir/DocumentReference", document)
    assert made.status == 201
    assert name not in made.bundle["meta"]["profile"]
    assert node("GET", made.headers["location"]).status == 200


def test_patients_keep_their_profile_in_every_answer(node: Client) -> None:
    assert node.get("/fhir/Patient", family="nguyen").total == 1
    asked = {"resourceType": "Patient", "name": [{"text": "Nguyễn Văn Mẫu"}], "birthDate": "1990-05-01"}
    assert node("POST", "/fhir/Patient/$match", asked).status == 200
    crossed = node("GET", f"/fhir/Patient/$ihe-pix?sourceIdentifier={quote(node.system)}%7CA1")
    assert crossed.bundle["parameter"][0]["valueIdentifier"] == NID


def test_the_record_of_disclosures_keeps_the_audit_patterns(node: Client) -> None:
    node("POST", "/fhir", provided(node.subject("A1")))
    found = node.get("/fhir/DocumentReference", **{"patient.identifier": f"{node.system}|A1"})
    node("GET", f"/fhir/Binary/{found.ids[0]}", Accept="*/*")
    node("POST", "/fhir/Consent", consent(node.subject("A1"), node.community, node.community))
    rows = node.get("/fhir/AuditEvent", **{"patient.identifier": f"{node.system}|A1"})
    claimed = {one["meta"]["profile"][0].rpartition(".")[2] for one in rows.found if "profile" in one["meta"]}
    assert {"PatientQuery", "PatientRead", "PatientCreate"} <= claimed


def test_a_study_says_nothing_of_its_patient_but_whose_it_is(node: Client) -> None:
    owner = Person("9", "Nguyễn Văn Mẫu", "1990-05-01", "male")
    node.hospital.publishes_study(CtStudy(owner))
    found = node.get("/fhir/ImagingStudy")
    assert found.total == 1
    assert "1990" not in found.body.decode()
    assert node("GET", f"/fhir/ImagingStudy/{found.ids[0]}").status == 200


def fhir_document(node: Client, diagnosis: str) -> dict[str, Any]:
    """An ITI-65 bundle whose content is a FHIR document, as an entry of its own."""
    patient = {"resourceType": "Patient", "identifier": [{"system": node.system, "value": "A1"}]}
    about = {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": about,
        "date": "2026-11-10T08:00:00Z",
        "author": [node.community],
        "title": "Tóm tắt",
    }
    condition = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": diagnosis}]},
        "subject": about,
    }
    whole = {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:00000000-0000-4000-8000-000000000009"},
        "type": "document",
        "timestamp": "2026-11-10T08:00:00Z",
        "entry": [
            {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002", "resource": composition},
            {"fullUrl": about["reference"], "resource": patient},
            {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000003", "resource": condition},
        ],
    }
    sent = provided(node.subject("A1"))
    sent["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = "application/fhir+json"
    sent["entry"][2] |= {"resource": whole, "request": {"method": "POST", "url": "Bundle"}}
    return sent


def test_a_fhir_document_is_taken_as_an_entry_and_given_back_as_one(node: Client) -> None:
    sent = fhir_document(node, "I10")
    answer = node("POST", "/fhir", sent)
    assert answer.status == 200, answer.body
    place = answer.bundle["entry"][2]["response"]["location"]
    got = node("GET", f"/fhir/{place}", Accept="*/*")
    assert got.bundle == sent["entry"][2]["resource"]


def test_a_closed_diagnosis_inside_a_fhir_document_closes_it(node: Client) -> None:
    assert node("POST", "/fhir", fhir_document(node, "B20")).status == 200
    (found,) = node.get("/fhir/DocumentReference", **{"patient.identifier": f"{node.system}|A1"}).found
    assert "HIV" in [label["coding"][0]["code"] for label in found["securityLabel"]]


def test_a_summary_is_a_valid_document_that_says_what_it_is_made_of(node: Client) -> None:
    body = VISIT.replace("BN0001", "BN77").encode()
    assert not node.hospital.publishes_files({"visit.xml": body})[0].reason
    told = node("GET", f"/fhir/Patient/$summary?identifier={quote(node.system)}%7CBN77")
    assert told.status == 200, told.body
    composition = told.bundle["entry"][0]["resource"]
    assert composition["type"]["coding"][0]["code"] == "60591-5"
    sections = {one["code"]["coding"][0]["code"]: one for one in composition["section"]}
    assert {"11450-4", "48765-2", "10160-0"} <= set(sections)
    assert "emptyReason" in sections["48765-2"] and len(sections["11450-4"]["entry"]) == 3
    record = next(one["resource"] for one in told.bundle["entry"] if one["resource"]["resourceType"] == "Patient")
    assert record["identifier"][0]["value"] == "BN77"
    found = node.get("/fhir/Patient", identifier=f"{node.system}|BN77")
    assert node("GET", f"/fhir/Patient/{found.ids[0]}/$summary").status == 200
    assert node("GET", f"/fhir/Patient/$summary?identifier={quote(node.system)}%7Cnobody").status == 404


LABORATORY = """MSH|^~\\&|LIS|BV|||20261110090000||ORU^R01^ORU_R01|L{control}|P|2.5|||||VNM|UNICODE UTF-8
PID|1||BN78^^^OWN^MR||Nguyễn^Văn^Mẫu||19900501|M
OBR|1||XN1^LIS|CHEM^Sinh hóa máu^L|||20261110080000|||||||||||||||||LAB|{status}
OBX|1|NM|15074-8^Glucose^LN^GLU^Đường máu^L||{glucose}|mmol/L|3.9 - 6.4|H|||{status}|||20261110081500
OBX|2|SN|CRP^CRP^L||<^5|mg/L|< 10|N|||{status}
OBX|3|ST|NAT^Natri^L||140,5|mmol/L||ZZ|||{status}
OBX|4|ST|BLD^Nhóm máu^L||O dương||||||{status}
OBX|5|NM|BAD^Hỏng^L||mẫu vỡ hồng cầu|U/L|||||{status}
OBX|6|NM|KAL^Kali^L||4.1|mmol/L|||||P"""


def measured(node: Client, **told: str) -> dict[str, dict[str, Any]]:
    """The observations of the summary of BN78, by what they are of, after this message."""
    text = LABORATORY.format(**({"control": "1", "status": "F", "glucose": "7.20"} | told))
    sent = text.replace("OWN", f"&{node.system.removeprefix('urn:oid:')}&ISO").replace("\n", "\r").encode()
    handled = handle(node.hospital.house, sent)
    assert handled.verdict.code == "AA", handled.verdict
    told_ = node("GET", f"/fhir/Patient/$summary?identifier={quote(node.system)}%7CBN78")
    assert told_.status == 200, told_.body
    resources = [one["resource"] for one in told_.bundle["entry"]]
    return {one["code"]["text"]: one for one in resources if one["resourceType"] == "Observation"}


def test_numbers_of_a_laboratory_message_are_observations_of_the_summary_as_they_were_sent(node: Client) -> None:
    found = measured(node)
    assert set(found) == {"Glucose", "CRP", "Natri"}, "words, broken numbers and what is not final stay in the text"
    glucose = found["Glucose"]
    assert glucose["code"]["coding"][0] == {"system": "http://loinc.org", "code": "15074-8", "display": "Glucose"}
    assert str(glucose["valueQuantity"]["value"]) == "7.2" and glucose["valueQuantity"]["unit"] == "mmol/L"
    assert glucose["referenceRange"] == [{"text": "3.9 - 6.4"}] and glucose["status"] == "final"
    assert glucose["interpretation"][0]["coding"][0]["code"] == "H"
    assert glucose["effectiveDateTime"] == "2026-11-10T08:15:00+07:00", "its own time"
    assert found["CRP"]["valueString"] == "<5 mg/L" and found["CRP"]["effectiveDateTime"].endswith("T08:00:00+07:00")
    assert found["Natri"]["interpretation"] == [{"text": "ZZ"}], "a flag that is in no table stays as it was written"


def test_a_corrected_laboratory_report_corrects_its_numbers_and_one_that_is_taken_back_has_none(node: Client) -> None:
    measured(node)
    corrected = measured(node, control="2", status="C", glucose="5.2")
    assert (corrected["Glucose"]["status"], corrected["Glucose"]["valueQuantity"]["value"]) == ("corrected", 5.2)
    assert measured(node, control="3", status="X") == {}


def test_numbers_of_a_laboratory_report_on_a_closed_list_are_in_no_summary(node: Client) -> None:
    assert measured(node, glucose="7.2\rNTE|1||xét nghiệm HIV dương tính") == {}


def test_a_text_is_given_as_pdf_to_whoever_takes_nothing_else(node: Client) -> None:
    node.hospital.publishes_files({"visit.xml": VISIT.replace("BN0001", "BN77").encode()})
    found = node.get("/fhir/DocumentReference", **{"patient.identifier": f"{node.system}|BN77", "type": "57133-1"})
    place = f"/fhir/Binary/{found.ids[0]}"
    paper = node("GET", place, Accept="application/pdf")
    assert (paper.status, paper.headers["content-type"]) == (200, "application/pdf") and is_whole(paper.body)
    assert paper.body == node("GET", place, Accept="application/pdf, image/*").body
    assert node("GET", place, Accept="*/*").body.startswith("PHIẾU CHUYỂN".encode())
    assert node("GET", place, Accept="image/png").status == 406


def test_the_directory_names_every_hospital_and_how_it_is_reached(clients: Clients) -> None:
    node, _ = clients("bac-ninh", "bach-mai")
    every = node.get("/fhir/Organization")
    assert {one["id"] for one in every.found} == {"27001", "01929"}
    (one,) = node.get("/fhir/Organization", identifier="01929", active="true").found
    for reference in one["endpoint"]:
        endpoint = node("GET", f"/fhir/{reference['reference']}").bundle
        assert endpoint["status"] == "active" and endpoint["address"].startswith("https://")
    assert node.get("/fhir/Location", name=one["name"][:6].lower()).total == 2
    first = node.get("/fhir/Endpoint", _count="1")
    assert len({one for page in node.pages(first) for one in page.ids}) == first.total
    assert first.total == 2 * len(one["endpoint"]) == 8, "FHIR, DICOMweb, XCA and XCPD of both"
    assert node("GET", "/fhir/Organization/nobody").status == 404


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/fhir/Nothing", 404),
        ("GET", "/fhir/Patient/nobody", 404),
        ("DELETE", "/fhir/Patient/nobody", 405),
        ("PUT", "/fhir/DocumentReference/x", 405),
        ("GET", "/fhir/Patient?birthdate=never", 400),
        ("GET", "/fhir/Patient?_format=text/csv", 406),
        ("GET", "/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:9.9%7C1", 400),
    ],
)
def test_every_refusal_is_an_operation_outcome(node: Client, method: str, target: str, status: int) -> None:
    answer = node(method, target)
    assert (answer.status, answer.bundle["resourceType"]) == (status, "OperationOutcome")
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("status", sorted(refusals.ISSUE_CODES))
def test_what_the_edge_refuses_by_itself_is_an_operation_outcome(status: int) -> None:
    told = refusals.encode(refusals.Refusal(status, "one fixed sentence"), b"/fhir/DocumentReference")
    refuse_faulty(json.loads(told.partition(b"\r\n\r\n")[2]))


def test_the_checker_itself_sees_what_is_wrong() -> None:
    if not FOLDER.is_dir():
        assert not published()
        return
    name = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.DocumentReference"
    whole = provided({"identifier": {"system": "urn:oid:1.2", "value": "1"}}, profile="Minimal")["entry"][1]["resource"]
    assert faults_by(whole, name) == []
    for broken in ({**whole, "docStatus": "final"}, {**whole, "status": "entered-in-error"}):
        assert faults_by(broken, name)
    del whole["masterIdentifier"]
    assert faults_by(whole, name)
