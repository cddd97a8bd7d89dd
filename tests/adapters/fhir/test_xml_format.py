"""What JSON carries XML carries, and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fhir import Resource
from adapters.fhir.check import check
from adapters.fhir.issues import BadRequest, ContentTooLarge, NotAcceptable
from adapters.fhir.json_format import FORBIDDEN_CHARACTER, parse_json, to_json
from adapters.fhir.structure import Element, structure_of
from adapters.fhir.xml_format import parse_xml, to_xml

DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>Bệnh nhân  &amp; <b>con</b></p><br/></div>'

PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "lan",
    "text": {"status": "generated", "div": DIV},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Bệnh viện Bắc Ninh"}],
    "extension": [{"url": "urn:example:height", "valueDecimal": Decimal("1.50")}],
    "active": True,
    "name": [
        {
            "id": "n1",
            "family": "Nguyễn",
            "given": ["Thị", None, "Lan"],
            "_given": [None, {"extension": [{"url": "urn:example:x", "valueCode": "y"}]}, None],
        }
    ],
    "birthDate": "1980",
    "_birthDate": {"id": "b", "extension": [{"url": "urn:example:time", "valueDateTime": "1980-01-02"}]},
    "_gender": {"extension": [{"url": "urn:example:absent", "valueCode": "unknown"}]},
    "deceasedBoolean": False,
    "address": [{"line": ["1 < 2", 'một "hai"\n\tba & bốn'], "city": "Hà Nội"}],
}


def bundle(*resources: Resource) -> Resource:
    entries = [{"fullUrl": f"urn:uuid:{i}", "resource": each} for i, each in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


OBSERVATION: Resource = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "Hb"},
    "valueQuantity": {"value": Decimal("7.10"), "unit": "mmol/L"},
    "component": [
        {"code": {"text": "a"}, "valueSampledData": {"origin": {"value": 0}, "period": 10, "dimensions": 1}},
        {"code": {"text": "b"}, "valueQuantity": {"value": Decimal("1E+2")}},
    ],
}
BINARY: Resource = {"resourceType": "Binary", "contentType": "application/pdf", "data": "JVBERi0="}


@pytest.mark.parametrize("resource", [PATIENT, OBSERVATION, BINARY, bundle(PATIENT, OBSERVATION, BINARY)])
def test_a_resource_is_the_same_after_a_journey_through_xml(resource: Resource) -> None:
    assert check(resource) == []
    back = parse_xml(to_xml(resource))
    assert back == resource
    assert to_json(parse_json(to_json(back))) == to_json(back)


def test_elements_stand_in_the_order_of_the_specification() -> None:
    xml = to_xml({"resourceType": "Patient", "birthDate": "1980", "gender": "female", "active": True, "id": "1"})
    places = [xml.index(b"<" + name) for name in (b"id", b"active", b"gender", b"birthDate")]
    assert places == sorted(places)


def test_an_id_and_an_extension_url_are_attributes() -> None:
    xml = to_xml(PATIENT).decode()
    assert '<name id="n1">' in xml
    assert '<birthDate value="1980" id="b"><extension url="urn:example:time">' in xml


def test_a_prefix_and_another_order_are_read_all_the_same() -> None:
    body = """<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="urn:unused">
      <f:gender value="female"/><!-- note --><f:active value="true"/>
      <f:text><f:status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">Lan</div></f:text>
    </f:Patient>"""
    assert parse_xml(body.encode()) == {
        "resourceType": "Patient",
        "gender": "female",
        "active": True,
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Lan</div>'},
    }


def test_an_unknown_element_is_kept_in_both_directions() -> None:
    patient = {"resourceType": "Patient", "nickname": {"short": ["Lan", "Hoa"], "since": "2020"}}
    assert parse_xml(to_xml(patient)) == patient
    assert [issue.severity for issue in check(patient)] == ["warning"]


def test_an_element_that_may_stand_once_but_stands_twice_is_noticed() -> None:
    body = b'<Patient xmlns="http://hl7.org/fhir"><gender value="male"/><gender value="female"/></Patient>'
    assert [issue.expression for issue in check(parse_xml(body))] == [("Patient.gender",)]


@pytest.mark.parametrize(
    "inside",
    [
        '<gender value="male" colour="blue"/>',
        "<gender/>",
        "<gender>male</gender>",
        "male",
        "<contained><Patient/><Patient/></contained>",
        "<contained/>",
        "<contained><Nonsense/></contained>",
        '<gender xmlns="urn:other" value="male"/>',
        "<text><div>no namespace</div></text>",
        "<extension>" * 40 + "</extension>" * 40,
        "<unknown>" * 40 + "</unknown>" * 40,
        '<multipleBirthInteger value="%s"/>' % ("9" * 5000),
        "<!DOCTYPE a>",
        "&nbsp;",
    ],
)
def test_xml_that_is_not_fhir_is_refused(inside: str) -> None:
    with pytest.raises(BadRequest):
        parse_xml(f'<Patient xmlns="http://hl7.org/fhir">{inside}</Patient>'.encode())


@pytest.mark.parametrize("body", [b'<Patient xmlns="urn:hl7-org:v3"/>', b"<Patient/>", b"<x/>", b"", b"{}"])
def test_another_root_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_xml(body)


def test_a_body_beyond_the_limit_is_too_large() -> None:
    with pytest.raises(ContentTooLarge):
        parse_xml(b'<Patient xmlns="http://hl7.org/fhir"/>', max_bytes=10)


@pytest.mark.parametrize(
    "extra",
    [
        {"a b": "1"},
        {"gender": {"a": 1}},
        {"name": ["Lan"]},
        {"name": [None]},
        {"gender": "a\x00b"},
        {"contained": [{"resourceType": "Nonsense"}]},
        {"text": {"status": "generated", "div": "<div>"}},
    ],
)
def test_what_xml_cannot_carry_is_offered_as_json_only(extra: dict[str, Any]) -> None:
    with pytest.raises(NotAcceptable):
        to_xml({"resourceType": "Patient", **extra})


# ---- any resource that the table permits ----

TEXT = st.text(min_size=1, max_size=8).filter(lambda text: not FORBIDDEN_CHARACTER.search(text))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "xhtml": st.just(DIV),
}


@st.composite
def members(draw: st.DrawFn, kind: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    elements = structure_of(kind).elements
    for element in draw(st.lists(st.sampled_from(elements), max_size=5, unique_by=lambda each: each.name)):
        name, of = draw(st.sampled_from(element.names()))
        if structure_of(kind).fields[name].primitive:
            found |= draw(primitive(name, of, element))
        elif depth:
            inner = resources(depth - 1) if of == "Resource" else members(of, depth - 1)
            found[name] = draw(st.lists(inner, min_size=1, max_size=2)) if element.many else draw(inner)
    return found


@st.composite
def primitive(draw: st.DrawFn, name: str, of: str, element: Element) -> dict[str, Any]:
    values = VALUES.get(of, TEXT)
    if element.xml_attribute or of == "xhtml":
        return {name: draw(values)}
    extras = st.fixed_dictionaries({"id": TEXT})
    if not element.many:
        return {name: draw(values)} | draw(st.just({}) | st.fixed_dictionaries({"_" + name: extras}))
    pairs = draw(st.lists(st.tuples(values, st.none()) | st.tuples(st.none(), extras), min_size=1, max_size=3))
    sides = {name: [left for left, _ in pairs], "_" + name: [right for _, right in pairs]}
    return {key: side for key, side in sides.items() if any(each is not None for each in side)}


@st.composite
def resources(draw: st.DrawFn, depth: int = 2) -> Resource:
    kind = draw(st.sampled_from(["Patient", "DocumentReference", "Bundle", "Consent", "Parameters"]))
    return {"resourceType": kind, **draw(members(kind, depth))}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(resources())
def test_every_resource_survives_xml_and_json(resource: Resource) -> None:
    assert parse_xml(to_xml(resource)) == resource
    assert parse_json(to_json(resource)) == resource


def test_the_outcome_beside_an_entry_is_a_resource_with_its_own_element() -> None:
    issue = {"severity": "warning", "code": "informational"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"response": {"status": "201 Created", "outcome": outcome}}],
    }
    assert b"<outcome><OperationOutcome><issue>" in to_xml(bundle)
    assert parse_xml(to_xml(bundle)) == bundle
