"""What is wrong with a resource is found, with its place, and nothing else is held against it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.fhir import Resource
from adapters.fhir.check import MAX_ISSUES, check
from adapters.fhir.structure import is_known_resource, structure_of

REPORT: Resource = {
    "resourceType": "DocumentReference",
    "status": "current",
    "type": {"coding": [{"system": "http://loinc.org", "code": "18748-4", "display": "Kết quả CĐHA"}]},
    "subject": {"reference": "https://bacninh.example/fhir/Patient/lan/_history/2"},
    "date": "2026-02-28T09:30:00.000+07:00",
    "author": [{"reference": "#someone"}, {"identifier": {"value": "01010"}, "type": "Organization"}],
    "content": [{"attachment": {"contentType": "application/pdf", "size": 10, "hash": "aGVsbG8="}}],
    "context": {"period": {"start": "2026-02", "end": "2026-02-28"}},
}


def test_a_proper_report_has_no_faults() -> None:
    assert check(REPORT) == []


Fault = tuple[dict[str, Any], str, str]
FAULTS: list[Fault] = [
    ({"status": None}, "DocumentReference.status", "structure"),
    ({"status": "zzz"}, "DocumentReference.status", "code-invalid"),
    ({"status": ["current"]}, "DocumentReference.status", "structure"),
    ({"content": []}, "DocumentReference.content", "structure"),
    ({"content": {}}, "DocumentReference.content", "structure"),
    ({"content": [{}]}, "DocumentReference.content[0]", "structure"),
    ({"content": [{"format": {"code": "x"}}]}, "DocumentReference.content[0].attachment", "required"),
    ({"description": ""}, "DocumentReference.description", "value"),
    ({"description": 1}, "DocumentReference.description", "value"),
    ({"type": "CT"}, "DocumentReference.type", "structure"),
    ({"id": "a b"}, "DocumentReference.id", "value"),
    ({"id": "x" * 65}, "DocumentReference.id", "value"),
    ({"date": "2026-02-30T00:00:00Z"}, "DocumentReference.date", "value"),
    ({"date": "2026-02-28"}, "DocumentReference.date", "value"),
    ({"date": "2026-02-28T24:00:00Z"}, "DocumentReference.date", "value"),
    ({"date": "２０２６-02-28T00:00:00Z"}, "DocumentReference.date", "value"),
    ({"context": {"period": {"start": "2026-13"}}}, "DocumentReference.context.period.start", "value"),
    ({"context": {"period": {"start": "2026-02-28T10:00Z"}}}, "DocumentReference.context.period.start", "value"),
    ({"subject": {"reference": "Encounter/1"}}, "DocumentReference.subject", "structure"),
    ({"subject": {"type": "Encounter"}}, "DocumentReference.subject", "structure"),
    ({"modifierExtension": [{"url": "urn:x"}]}, "DocumentReference.modifierExtension[0]", "extension"),
    ({"extension": [{"valueString": "a"}]}, "DocumentReference.extension[0].url", "required"),
    (
        {"extension": [{"url": "urn:x", "valueString": "a", "valueCode": "b"}]},
        "DocumentReference.extension[0].value",
        "structure",
    ),
    ({"extension": [{"url": "urn:x", "valueNonsense": "a"}]}, "DocumentReference.extension[0].value", "structure"),
    ({"contained": [{"id": "a"}]}, "DocumentReference.contained[0]", "structure"),
    ({"contained": [{"resourceType": "Nonsense"}]}, "DocumentReference.contained[0]", "not-supported"),
    ({"text": {"status": "generated", "div": "<div>a</div>"}}, "DocumentReference.text.div", "value"),
    ({"priority": [["a"]]}, "DocumentReference.priority", "structure"),
    ({"priority": {"level": [{"of": [1, [2]]}]}}, "DocumentReference.priority", "structure"),
    ({"priority": {}}, "DocumentReference.priority", "structure"),
    ({"priority": {"level": None}}, "DocumentReference.priority", "structure"),
]


@pytest.mark.parametrize(("change", "place", "code"), FAULTS, ids=lambda value: str(value)[:60])
def test_a_fault_is_found_where_it_is(change: dict[str, Any], place: str, code: str) -> None:
    [issue] = check({**REPORT, **change})
    assert (issue.severity, issue.code, issue.expression) == ("error", code, (place,))


def test_a_missing_status_is_required_but_may_be_explained_by_an_extension() -> None:
    report = {name: value for name, value in REPORT.items() if name != "status"}
    assert [issue.expression for issue in check(report)] == [("DocumentReference.status",)]
    assert check({**report, "_status": {"extension": [{"url": "urn:absent", "valueCode": "masked"}]}}) == []


def test_an_unknown_element_is_a_warning_and_its_name_is_shown_only_if_it_is_one() -> None:
    [known, odd] = check({**REPORT, "priority": 1, "Nguyễn Thị Lan": 2})
    assert (known.severity, known.expression) == ("warning", ("DocumentReference.priority",))
    assert odd.expression == ("DocumentReference.(unnamed)",)


def test_a_modifier_that_the_caller_understands_is_fine() -> None:
    report = {**REPORT, "modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}
    assert check(report, known_modifiers={"urn:x"}) == []


def test_only_one_type_of_a_choice_may_be_given() -> None:
    patient = {"resourceType": "Patient", "deceasedBoolean": True, "_deceasedBoolean": {"id": "a"}}
    assert check(patient) == []
    for other in ({"deceasedDateTime": "2020"}, {"_deceasedDateTime": {"id": "a"}}):
        [issue] = check({**patient, **other})
        assert issue.expression == ("Patient.deceased",)


def test_a_gap_in_an_array_needs_an_extension() -> None:
    name = {"given": ["Thị", None], "_given": [None, {"id": "a"}]}
    assert check({"resourceType": "Patient", "name": [name]}) == []
    [issue] = check({"resourceType": "Patient", "name": [{"given": ["Thị", None]}]})
    assert issue.expression == ("Patient.name[0].given[1]",)
    [issue] = check({"resourceType": "Patient", "name": [{"_given": [None, {"id": "a"}]}]})
    assert issue.expression == ("Patient.name[0].given[0]",)


PRIMITIVES: list[tuple[str, list[Any], list[Any]]] = [
    ("Boolean", [True, False], ["true", 1, None]),
    ("Integer", [0, -(2**31), 2**31 - 1], [2**31, Decimal("1.0"), True, "1"]),
    ("PositiveInt", [1], [0, -1]),
    ("UnsignedInt", [0], [-1]),
    ("Decimal", [1, Decimal("1.50")], ["1.5", True]),
    ("Date", ["2024", "2024-02", "2024-02-29"], ["2023-02-29", "2024-2-9", "0000", "2024-04-31", "24", "2024-02-29\n"]),
    (
        "DateTime",
        ["2024", "2024-02-29T23:59:60Z", "2024-02-29T10:00:00.1+07:00"],
        ["2024-02-29T10:00:00", "2024-02-30"],
    ),
    ("Instant", ["2024-02-29T10:00:00-05:00"], ["2024-02-29", "2024-02-29T10:00:00+15:00"]),
    ("Time", ["10:00:00"], ["24:00:00", "10:00", "10:00:00Z"]),
    ("Code", ["a", "a b"], [" a", "a ", "a  b", ""]),
    ("Id", ["a-1.B"], ["a_b", "ă", ""]),
    ("Uri", ["urn:a", "x"], ["a b", ""]),
    ("Oid", ["urn:oid:1.2.840"], ["1.2.840", "urn:oid:1.02", "urn:oid:3.1"]),
    ("Uuid", ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], ["urn:uuid:1", "c757873d-ec9a-4326-a141-556f43239520"]),
    (
        "Base64Binary",
        ["aGVsbG8=", "aGVs\n bG8=", " aA==\r\n"],
        ["aGVsbG8", "a===", "", " ", "ấGVs", "aA=A", "====", "aGVs=", "aGk=aGk=", "aA= =", "aGVs\x0b", "aGVs\ud800"],
    ),
    ("String", ["a", " "], ["", "a\x0bb", "\ud800"]),
    ("Markdown", ["# a"], ["", 1]),
]


@pytest.mark.parametrize(("kind", "good", "bad"), PRIMITIVES, ids=[kind for kind, _, _ in PRIMITIVES])
def test_a_primitive_type_takes_its_values_and_no_others(kind: str, good: list[Any], bad: list[Any]) -> None:
    def faults(value: Any) -> list[tuple[str, ...]]:
        resource = {"resourceType": "Basic", "code": {"text": "x"}, "extension": [{"url": "u", f"value{kind}": value}]}
        return [issue.expression for issue in check(resource)]

    assert [value for value in good if faults(value)] == []
    assert [value for value in bad if faults(value) != [("Basic.extension[0].value",)]] == []


@pytest.mark.parametrize(
    ("inside", "passes"),
    [
        ("<p>Lan&nbsp;&amp;&#160;Hoa</p>", True),
        ("<table><tr><td colspan='2'>1</td></tr></table>", True),
        ('<a href="https://example.org/">x</a>', True),
        ('<img src="#photo"/>', True),
        ('<img src="data:image/png;base64,AA=="/>', True),
        ("<script>x</script>", False),
        ('<p onclick="x()">x</p>', False),
        ('<a href=" javascript:x()">x</a>', False),
        ('<a href="java&#9;script:x()">x</a>', False),
        ('<a href="data:text/html,x">x</a>', False),
        ('<a href="data">x</a>', True),
        ("<iframe/>x", False),
        ("<p>x", False),
        (" ", False),
        ("<p>" * 100 + "x" + "</p>" * 100, False),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>x", False),
    ],
)
def test_a_narrative_is_passive(inside: str, passes: bool) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert (check(resource) == []) is passes


def test_a_narrative_with_a_doctype_is_refused() -> None:
    div = '<!DOCTYPE div [<!ENTITY x "y">]><div xmlns="http://www.w3.org/1999/xhtml">&x;</div>'
    assert check({"resourceType": "Patient", "text": {"status": "generated", "div": div}})


def test_faults_inside_a_bundle_are_told_with_their_place_and_never_with_their_content() -> None:
    person = {"resourceType": "Patient", "birthDate": "Nguyễn Thị Lan", "gender": "Nguyễn Thị Lan"}
    issues = check({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": REPORT}, {"resource": person}]})
    assert [issue.expression[0] for issue in issues] == [
        "Bundle.entry[1].resource.birthDate",
        "Bundle.entry[1].resource.gender",
    ]
    assert "Lan" not in str(issues)


def test_the_place_may_start_in_something_larger() -> None:
    [issue] = check({"resourceType": "Patient", "active": 1}, path="Bundle.entry[7].resource")
    assert issue.expression == ("Bundle.entry[7].resource.active",)


def test_a_list_of_faults_that_was_cut_says_so() -> None:
    issues = check({"resourceType": "Patient", "name": [{}] * 1000})
    assert len(issues) == MAX_ISSUES + 1
    assert (issues[-1].severity, issues[-1].code) == ("warning", "incomplete")


@pytest.mark.parametrize("resource", [{}, {"resourceType": 1}, {"resourceType": "Nonsense"}, {"resourceType": "Claim"}])
def test_what_is_no_known_resource_is_said_to_be_none(resource: Resource) -> None:
    assert [issue.severity for issue in check(resource)] == ["error"]


def test_every_type_in_the_table_can_be_followed_to_its_end() -> None:
    seen: set[str] = set()
    ahead = ["Bundle", "Parameters", *("Patient", "Consent", "ImagingStudy", "Questionnaire", "CapabilityStatement")]
    while ahead:
        structure = structure_of(ahead.pop())
        kinds = {field.type for field in structure.fields.values() if not field.primitive} - {"Resource"} - seen
        seen |= kinds
        ahead += kinds
    assert {"Timing.repeat", "Dosage.doseAndRate", "Bundle.entry.request", "Consent.provision"} <= seen
    assert not is_known_resource("HumanName")


def test_a_message_needs_values_where_a_document_may_say_why_there_is_none() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    observation = {"resourceType": "Observation", "_status": absent, "code": {"text": "x"}}
    for kind, wrong in (("document", []), ("transaction", ["Bundle.entry[0].resource.status"])):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"resource": observation}]}
        assert check(bundle) == []
        assert [issue.expression[0] for issue in check(bundle, values_needed=True)] == wrong
    complex_alone = {"resourceType": "Observation", "status": "final", "_code": absent}
    assert "required" in {issue.code for issue in check(complex_alone)}


@pytest.mark.parametrize("beside", [{"url": "x"}, {"extension": [{"url": "x", "valueString": "y"}], "value": "z"}])
def test_only_an_id_and_extensions_stand_beside_a_value(beside: dict[str, Any]) -> None:
    assert [one.severity for one in check({"resourceType": "Patient", "birthDate": "1980", "_birthDate": beside})][
        -1:
    ] == ["error"]


def test_nothing_stands_beside_what_is_no_primitive() -> None:
    found = check(
        {
            "resourceType": "Patient",
            "name": [{"text": "A"}],
            "_name": [{"extension": [{"url": "x", "valueString": "y"}]}],
        }
    )
    assert [one.severity for one in found] == ["error"]
