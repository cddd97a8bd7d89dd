"""What another hospital wrote of a visit becomes facts again, and nothing it writes breaks the page that shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest

from adapters.fhir.read_visit_document import LONGEST, MAX_BYTES, MOST, read_visit_document
from adapters.fhir.visit_document import visit_document
from registry.clinical import Medication, Result
from registry.coded import ICD10, LOINC, SERVICE_CODE, CodedValue
from registry.errors import Unreadable
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName
from registry.submissions import PatientMention, Visit

THEN = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
GLUCOSE = CodedValue("14749-6", LOINC)
PANEL = CodedValue("22.0120.1370", SERVICE_CODE)
VISIT = Visit(
    "LK-1",
    FacilityCode("27001"),
    admitted=THEN,
    discharged=THEN,
    diagnoses=(CodedValue("I63.9", ICD10),),
    diagnosis_text="Nhồi máu não",
    medications=(Medication("Amlodipin", strength="5mg", dose="1 viên sáng", ordered=THEN),),
    results=(
        Result("Glucose", "7,2", (GLUCOSE,), "mmol/L", THEN),
        Result("HC", "4.5", (), "T/L", THEN, PANEL),
        Result("BC", "Âm tính", (), "", None, PANEL),
    ),
)


def _name(*parts: str | int) -> UUID:
    return uuid5(NAMESPACE_OID, repr(parts))


def written() -> dict[str, Any]:
    mention = PatientMention(
        PatientIdentifier("urn:oid:1.2.3.1", "BN1"),
        (),
        Demographics(HumanName("Nguyễn Thị Thử"), BirthDate("1964"), "female"),
    )
    home = HomeCommunityId("urn:oid:1.2.3")
    content = visit_document(VISIT, mention, (), home=home, name=_name, written=THEN)
    return dict(json.loads(content))


def read(bundle: dict[str, Any]) -> Any:
    return read_visit_document(json.dumps(bundle).encode())


def test_a_visit_comes_back_as_it_was_written() -> None:
    facts = read(written())
    (problem,) = facts.problems
    assert problem.code.means(VISIT.diagnoses[0]) and (problem.text, problem.made) == ("Nhồi máu não", THEN)
    (medicine,) = facts.medications
    assert (medicine.name, medicine.dose, medicine.ordered) == ("Amlodipin 5mg", "1 viên sáng", THEN)
    assert [(one.name, one.value, one.unit) for one in facts.results] == [
        ("Glucose", "7.2", "mmol/L"),
        ("HC", "4.5", "T/L"),
        ("BC", "Âm tính", ""),
    ]
    assert facts.results[0].codes == (GLUCOSE,) and facts.ended == THEN


def test_the_service_that_many_values_share_is_no_name_of_any_of_them() -> None:
    assert [one.codes for one in read(written()).results[1:]] == [(), ()]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_what_was_taken_back_there_is_no_value(status: str) -> None:
    bundle = written()
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Observation":
            entry["resource"]["status"] = status
    assert read(bundle).results == ()


def test_a_pulse_is_no_laboratory_value() -> None:
    bundle = written()
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Observation":
            entry["resource"]["category"][0]["coding"][0]["code"] = "vital-signs"
    assert read(bundle).results == ()


def test_long_words_and_many_facts_are_cut() -> None:
    bundle = written()
    entry = next(one for one in bundle["entry"] if one["resource"]["resourceType"] == "Observation")
    entry["resource"]["code"]["text"] = "x" * (LONGEST + 1)
    bundle["entry"] += [{"fullUrl": f"urn:uuid:{_name(n)}", "resource": entry["resource"]} for n in range(MOST)]
    facts = read(bundle)
    assert len(facts.results) == MOST and max(len(one.name) for one in facts.results) == LONGEST


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (MAX_BYTES + 1),
        b'{"resourceType": "Patient"}',
        b'{"resourceType": "Bundle", "type": "document", "entry": [7]}',
        b'{"resourceType": "Bundle", "type": "document", "entry": {"resource": []}}',
        b'{"resourceType": "Bundle", "type": "document", "entry": [{"resource": {"resourceType": "Observation"}}]}',
        b'{"resourceType": "Bundle", "type": "document", "timestamp": "2026-13-99", "entry": []}',
    ],
)
def test_what_is_no_visit_is_refused_whole(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_visit_document(content)


def test_a_value_without_a_value_is_left_out() -> None:
    bundle = written()
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Observation":
            entry["resource"].pop("valueQuantity", None)
            entry["resource"].pop("valueString", None)
    assert read(bundle).results == ()
