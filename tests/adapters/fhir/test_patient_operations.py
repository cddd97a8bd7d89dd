"""Feeding, matching and cross-referencing patients; withdrawing receipts: the messages and their exact refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.fhir import iti83_pix as iti83
from adapters.fhir import iti104_feed as iti104
from adapters.fhir import iti119_match as iti119
from adapters.fhir import withdraw_receipt
from adapters.fhir.issues import BadRequest, FhirError, Unprocessable, UnsupportedMediaType
from adapters.fhir.json_format import parse_json
from adapters.fhir.xml_format import to_xml
from registry.commands import CrossReferences, Fed, PatientMatch
from registry.errors import (
    ForeignDomain,
    InvalidIdentifier,
    NotFound,
    NotUnique,
    TooLarge,
    UnknownAuthority,
    UnknownTargetSystem,
    VersionConflict,
)
from registry.identifiers import NATIONAL_ID, PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName, SourceRecord
from tests.adapters.fhir.fhir_people import A1, A9, BASE, OWN, ask, diagnostics, read

LAN: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": OWN, "value": "A9"}, {"system": NATIONAL_ID, "value": "027158000001"}],
    "name": [{"text": "Nguyễn Thị Lan"}],
    "gender": "female",
    "birthDate": "1958-03-21",
}
RECORD = SourceRecord("p9", A9, Demographics(HumanName("Nguyễn Thị Lan"), BirthDate("1958"), "female"), version=2)
WHO = ("identifier", f"{OWN}|A9")
MERGED = LAN | {
    "active": False,
    "link": [{"other": {"identifier": {"system": OWN, "value": "A1"}}, "type": "replaced-by"}],
}


# ---- ITI-104 ----


def test_a_patient_is_fed_under_the_number_of_its_system() -> None:
    command = iti104.decode(ask("PUT", "/Patient", WHO, body=LAN, If_Match='W/"2"'))
    assert (command.identifier, command.expected_version, command.record.identifier) == (A9, 2, A9)
    assert command.record.demographics.name == HumanName("Nguyễn Thị Lan")
    assert command.record.numbers == (PatientIdentifier(NATIONAL_ID, "027158000001"),)
    as_xml = ask("PUT", "/Patient", WHO, body=to_xml(LAN), Content_Type="application/fhir+xml")
    assert iti104.decode(as_xml).record.demographics == command.record.demographics


def test_a_new_patient_is_201_and_a_known_one_200() -> None:
    request = ask("PUT", "/Patient", WHO)
    made = iti104.encode(Fed(replace(RECORD, version=1), created=True, changed=True), request)
    assert (made.status, dict(made.headers)["Location"]) == (201, f"{BASE}/Patient/p9/_history/1")
    revised = iti104.encode(Fed(RECORD, created=False, changed=True), request)
    assert (revised.status, dict(revised.headers)["ETag"]) == (200, 'W/"2"')
    assert read(revised)["birthDate"] == "1958"


def test_two_records_become_one_by_a_link_to_the_survivor() -> None:
    command = iti104.decode(ask("PUT", "/Patient", WHO, body=MERGED))
    assert (command.record.active, command.record.replaced_by) == (False, A1)


@pytest.mark.parametrize(
    "body",
    [
        MERGED | {"active": True},
        {name: value for name, value in MERGED.items() if name != "active"},
        MERGED | {"link": [{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}]},
        MERGED | {"link": MERGED["link"] * 2},
        MERGED | {"link": [{"other": {"identifier": LAN["identifier"][0]}, "type": "replaced-by"}]},
        LAN | {"implicitRules": "urn:rules"},
        LAN | {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
        LAN | {"gender": "F"},
        LAN | {"identifier": [*LAN["identifier"], {"value": "7"}]},
    ],
)
def test_a_feed_that_breaks_a_rule_changes_nothing(body: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable):
        iti104.decode(ask("PUT", "/Patient", WHO, body=body))


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ((), LAN),
        ((("identifier", "A9"),), LAN),
        ((("identifier", f"{OWN}|"),), LAN),
        ((WHO, WHO), LAN),
        ((("identifier", f"{OWN}|A9,{OWN}|A8"),), LAN),
        ((("family", "Nguyễn"),), LAN),
        ((("identifier", f"{OWN}|A8"),), LAN),
        ((WHO,), LAN | {"birthDate": ["1958"]}),
        ((WHO,), {"resourceType": "Basic", "code": {"text": "x"}}),
        ((WHO,), b"{"),
        ((WHO,), b""),
    ],
)
def test_a_feed_that_cannot_be_understood_is_400(query: tuple[tuple[str, str], ...], body: Any) -> None:
    with pytest.raises(BadRequest):
        iti104.decode(ask("PUT", "/Patient", *query, body=body))


def test_hostile_feeds_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooLarge):
        iti104.decode(ask("PUT", "/Patient", WHO, body=b" " * (iti104.MOST_BYTES + 1)))
    with pytest.raises(UnsupportedMediaType):
        iti104.decode(ask("PUT", "/Patient", WHO, body=LAN, Content_Type="text/plain"))
    with pytest.raises(InvalidIdentifier):
        iti104.decode(ask("PUT", "/Patient", ("identifier", f"{OWN}|" + "9" * 300), body=LAN))
    with pytest.raises(FhirError):
        iti104.decode(ask("PUT", "/Patient", WHO, body=LAN, Accept="image/png"))


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (ForeignDomain("urn:oid:9"), 403, "forbidden"),
        (NotUnique("Patient"), 412, "multiple-matches"),
        (VersionConflict("Patient", expected="1", found="2"), 412, "conflict"),
    ],
)
def test_what_the_registry_refuses_has_its_status(exception: Exception, status: int, code: str) -> None:
    found = diagnostics(iti104.TRANSACTION.error(exception, ask("PUT", "/Patient", WHO)))
    assert (found[0], found[2]) == (status, code)


# ---- ITI-119 ----


def parameters(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parts)}


def test_a_description_is_matched_from_parameters_or_from_a_patient_alone() -> None:
    wanted = {"name": "resource", "resource": LAN}
    body = parameters(
        wanted, {"name": "count", "valueInteger": 3}, {"name": "onlyCertainMatches", "valueBoolean": True}
    )
    command = iti119.decode(ask("POST", "/Patient/$match", body=body))
    assert (command.count, command.only_certain) == (3, True)
    alone = iti119.decode(ask("POST", "/Patient/$match", body=LAN))
    assert alone.wanted == command.wanted
    assert (alone.count, alone.only_certain) == (10, False)
    assert A9 in alone.wanted.identifiers


@pytest.mark.parametrize(
    "body",
    [
        parameters({"name": "count", "valueInteger": 3}),
        parameters({"name": "resource", "resource": LAN}, {"name": "resource", "resource": LAN}),
        parameters({"name": "resource", "resource": {"resourceType": "Basic", "code": {"text": "x"}}}),
        parameters({"name": "resource", "resource": LAN}, {"name": "count", "valueInteger": 0}),
        parameters({"name": "resource", "resource": LAN}, {"name": "onlyCertainMatches", "valueString": "true"}),
        {"resourceType": "Patient", "gender": "female"},
        {"resourceType": "Basic", "code": {"text": "x"}},
    ],
)
def test_a_match_without_enough_to_go_by_is_400(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        iti119.decode(ask("POST", "/Patient/$match", body=body))


def test_matches_carry_grade_and_score() -> None:
    request = ask("POST", "/Patient/$match", Accept="application/fhir+xml")
    bundle = read(
        iti119.encode((PatientMatch(RECORD, 0.98, "certain"), PatientMatch(RECORD, 1.2, "possible")), request)
    )
    assert bundle["total"] == 2
    assert str(bundle["entry"][0]["search"]["score"]) == "0.98"
    assert str(bundle["entry"][1]["search"]["score"]) == "1.0"
    assert bundle["entry"][0]["search"]["extension"][0] == {"url": iti119.MATCH_GRADE, "valueCode": "certain"}
    assert "entry" not in read(iti119.encode((), request))


# ---- ITI-83 ----


def test_a_number_is_asked_for_in_the_url_or_in_parameters() -> None:
    query = (("sourceIdentifier", f"{OWN}|A9"), ("targetSystem", NATIONAL_ID), ("_format", "json"))
    command = iti83.decode(ask("GET", "/Patient/$ihe-pix", *query))
    assert (command.identifier, command.targets) == (A9, (NATIONAL_ID,))
    body = parameters(
        {"name": "sourceIdentifier", "valueString": f"{OWN}|A9"}, {"name": "targetSystem", "valueUri": NATIONAL_ID}
    )
    assert iti83.decode_parameters(ask("POST", "/Patient/$ihe-pix", body=body)) == command
    typed = parameters({"name": "sourceIdentifier", "valueIdentifier": {"system": OWN, "value": "A9"}})
    assert iti83.decode_parameters(ask("POST", "/Patient/$ihe-pix", body=typed)).identifier == A9


@pytest.mark.parametrize(
    "query",
    [
        (),
        (("sourceIdentifier", "A9"),),
        (("sourceIdentifier", f"{OWN}|"),),
        (("sourceIdentifier", f"{OWN}|A9"), ("sourceIdentifier", f"{OWN}|A8")),
        (("sourceIdentifier", f"{OWN}|A9"), ("target", NATIONAL_ID)),
        (("sourceIdentifier", f"{OWN}|A9"), *[("targetSystem", f"urn:x:{n}") for n in range(51)]),
    ],
)
def test_a_cross_reference_without_one_number_is_400(query: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadRequest):
        iti83.decode(ask("GET", "/Patient/$ihe-pix", *query))


@pytest.mark.parametrize(
    ("exception", "answer"),
    [
        (NotFound("x"), (404, "error", "not-found", "sourceIdentifier Patient Identifier not found")),
        (UnknownAuthority("x"), (400, "error", "code-invalid", "sourceIdentifier Assigning Authority not found")),
        (UnknownTargetSystem("x"), (403, "error", "code-invalid", "targetSystem not found")),
    ],
)
def test_the_errors_of_pixm_are_given_to_the_letter(exception: Exception, answer: tuple[int, str, str, str]) -> None:
    for accept in ("application/fhir+json", "application/fhir+xml"):
        assert diagnostics(iti83.error(exception, ask("GET", "/Patient/$ihe-pix", Accept=accept))) == answer


def test_other_numbers_come_as_parameters_and_may_be_none() -> None:
    request = ask("GET", "/Patient/$ihe-pix")
    found = read(iti83.encode(CrossReferences((A1,), ("p1",)), request))["parameter"]
    assert found[0] == {"name": "targetIdentifier", "valueIdentifier": {"system": OWN, "value": "A1"}}
    assert found[1] == {"name": "targetId", "valueReference": {"reference": "Patient/p1"}}
    empty = iti83.encode(CrossReferences((), ()), request)
    assert parse_json(bytes(empty.body)) == {"resourceType": "Parameters"}  # type: ignore[arg-type]


# ---- withdrawal ----


def test_a_signed_withdrawal_is_taken_and_answered() -> None:
    body = parameters({"name": "withdrawal", "valueString": "aa.bb.cc"})
    assert withdraw_receipt.decode(ask("POST", "/Consent/$withdraw-receipt", body=body)).jws == "aa.bb.cc"
    answer = read(withdraw_receipt.encode(True, ask("POST", "/Consent/$withdraw-receipt")))
    assert answer["parameter"] == [{"name": "accepted", "valueBoolean": True}]
    assert withdraw_receipt.TRANSACTION.doors == {"peer"}


@pytest.mark.parametrize("jws", ["", "aa.bb", "aa.bb.cc dd", "{}"])
def test_a_withdrawal_that_is_not_signed_is_refused(jws: str) -> None:
    body = parameters({"name": "withdrawal", "valueString": jws or "x"})
    with pytest.raises(BadRequest):
        withdraw_receipt.decode(ask("POST", "/Consent/$withdraw-receipt", body=body))
