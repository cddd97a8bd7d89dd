"""Patients as FHIR sees them: nothing lost, nothing invented, names found however they are typed."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.fhir import iti78_find_patients as iti78
from adapters.fhir.issues import BadRequest, FhirError, NotFound, Unprocessable
from adapters.fhir.json_format import parse_json, to_json
from adapters.fhir.patient import patient, record_of
from adapters.fhir.xml_format import parse_xml, to_xml
from registry.commands import Page
from registry.errors import UnknownTargetSystem
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.people import Address, BirthDate, Demographics, HumanName, SourceRecord
from registry.searches import Cursor
from tests.adapters.fhir.fhir_people import A1, A9, BASE, HOME, OWN, ask, diagnostics, read, sound

LAN = SourceRecord(
    id="p1",
    identifier=A1,
    demographics=Demographics(
        name=HumanName("Nguyễn Thị Lan"),
        birth_date=BirthDate("1958-03"),
        gender="female",
        phones=("0912 345 678",),
        address=Address("Số 5, phường Vũ Ninh, Bắc Ninh", commune="Vũ Ninh", province="Bắc Ninh", country="VN"),
        mothers_name="Trần Thị Quý",
    ),
    numbers=(PatientIdentifier(NATIONAL_ID, "027158000001"), PatientIdentifier(INSURANCE_NUMBER, "GD4272712345678")),
    version=3,
    updated=datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC),
)

FED: dict[str, Any] = {
    "resourceType": "Patient",
    "meta": {"tag": [{"system": "urn:his", "code": "night-shift"}]},
    "identifier": [
        {"use": "usual", "system": OWN, "value": "A1", "period": {"start": "2020-01-01"}},
        {"system": NATIONAL_ID, "value": "027158000001"},
    ],
    "active": True,
    "name": [
        {"use": "maiden", "text": "Nguyễn Lan"},
        {"use": "official", "family": "Nguyễn", "given": ["Thị", "Lan"]},
    ],
    "telecom": [{"system": "email", "value": "lan@example.vn"}, {"system": "phone", "value": "0912345678"}],
    "gender": "female",
    "birthDate": "1958",
    "_birthDate": {"extension": [{"url": "urn:his:estimated", "valueBoolean": True}]},
    "deceasedDateTime": "2026-11-01",
    "address": [{"use": "home", "line": ["Số 5"], "district": "Quế Võ", "state": "Bắc Ninh"}],
    "maritalStatus": {"text": "đã kết hôn"},
    "extension": [
        {"url": "urn:his:weight", "valueDecimal": 51.50},
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Trần Thị Quý"},
    ],
    "link": [{"other": {"reference": "Patient/p7"}, "type": "seealso"}],
}


def received(resource: dict[str, Any]) -> dict[str, Any]:
    return parse_json(to_json(resource))


def test_a_record_is_shown_with_a_local_number_and_the_name_in_two_parts() -> None:
    shown = patient(LAN, HOME)
    sound(shown)
    assert shown["identifier"][0] == {
        "use": "usual",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
        "system": OWN,
        "value": "A1",
    }
    assert shown["name"] == [{"use": "official", "text": "Nguyễn Thị Lan", "family": "Nguyễn", "given": ["Thị", "Lan"]}]
    assert shown["birthDate"] == "1958-03"
    assert shown["address"][0] | {"city": "Vũ Ninh", "state": "Bắc Ninh", "country": "VN"} == shown["address"][0]
    assert shown["extension"][0]["valueString"] == "Trần Thị Quý"
    assert shown["managingOrganization"]["identifier"]["value"] == str(HOME)
    assert shown["meta"]["versionId"] == "3"


def test_what_is_shown_can_be_fed_again_and_is_no_news() -> None:
    again = record_of(received(patient(LAN, HOME)), A1, HOME)
    assert again.demographics == replace(LAN.demographics, name=HumanName("Nguyễn Thị Lan", "Nguyễn", "Thị Lan"))
    assert (again.numbers, again.active, again.extra) == (LAN.numbers, True, {})


def test_everything_that_a_system_said_comes_back_also_what_we_do_not_know() -> None:
    record = record_of(received(FED), A1, HOME)
    shown = patient(replace(record, id="p1"), HOME)
    sound(shown)
    for name, value in received(FED).items():
        if name != "meta":
            assert shown[name] == value, name
    assert shown["meta"]["tag"] == FED["meta"]["tag"]
    assert "deceasedBoolean" not in shown
    assert record.demographics.deceased
    assert record.demographics.mothers_name == "Trần Thị Quý"
    assert record_of(parse_xml(to_xml(received(FED))), A1, HOME).demographics == record.demographics


def test_a_name_corrected_at_another_door_is_not_hidden_by_what_fhir_once_said() -> None:
    record = record_of(received(FED), A1, HOME)
    corrected = replace(record, id="p1", demographics=replace(record.demographics, name=HumanName("Nguyễn Thị Làn")))
    shown = patient(corrected, HOME)
    sound(shown)
    assert [each["text"] for each in shown["name"]] == ["Nguyễn Thị Làn"]
    assert shown["maritalStatus"] == FED["maritalStatus"]
    assert shown["deceasedBoolean"] is True
    assert "deceasedDateTime" not in shown


def test_a_merged_record_says_who_survives() -> None:
    shown = patient(replace(LAN, active=False, replaced_by=A9), HOME)
    sound(shown)
    assert shown["active"] is False
    assert shown["link"][0]["type"] == "replaced-by"
    assert shown["link"][0]["other"]["identifier"] == {"system": OWN, "value": "A9"}


def test_a_name_in_decomposed_letters_is_shown_as_it_was_written() -> None:
    written = unicodedata.normalize("NFD", "Nguyễn Thị Lan")
    record = replace(LAN, demographics=replace(LAN.demographics, name=HumanName(written)))
    assert patient(record, HOME)["name"][0]["text"] == written


@pytest.mark.parametrize("broken", [{"value": "A1"}, {"system": OWN}])
def test_an_identifier_without_system_or_value_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable) as refusal:
        record_of(FED | {"identifier": [FED["identifier"][0], broken]}, A1, HOME)
    assert refusal.value.issues[0].expression == ("Patient.identifier[1]",)


# ---- search ----


def finds(*query: tuple[str, str], record: SourceRecord = LAN) -> bool:
    """Whether the search means this record, by everything that the registry is asked."""
    search = iti78.decode(ask("GET", "/Patient", *query)).search
    words = record.demographics.name.folded.split() if record.demographics.name else []
    sure = all(any(word.startswith(each) for word in words) for each in search.name_words)
    year = record.demographics.birth_date.year if record.demographics.birth_date else None
    numbers = {each.normal for each in record.identifiers}
    return (
        sure
        and search.birth_year in (None, year)
        and (search.ids is None or record.id in search.ids)
        and all(each.normal in numbers for each in search.identifiers)
        and search.accepts(record)
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("family", "Nguyễn"), ("family", "nguyen"), ("family", "NGUYỄN"), ("family", "Ngu"),
        ("given", "Lan"), ("given", "lân"), ("given", "Thị Lan"), ("given", "thi"),
        ("name", "Nguyen Thi Lan"), ("name", "lan nguyen"), ("name", "thi lan"), ("name", "Hoa,Lan"),
        ("family:exact", "Nguyễn"), ("given:exact", "Lan"), ("name:exact", "Nguyễn Thị Lan"), ("name:contains", "uye"),
        ("mothersMaidenName", "Trần"), ("mothersMaidenName", "quí"),
        ("address", "Bac Ninh"), ("address-city", "vu ninh"), ("address-state", "Bắc"), ("address-country", "VN"),
    ],
)  # fmt: skip
def test_a_patient_is_found_with_and_without_marks(name: str, value: str, form: str) -> None:
    assert finds((name, unicodedata.normalize(form, value)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("birthdate", "1958-03"), ("birthdate", "1958"), ("birthdate", "ge1958-03-01"), ("birthdate", "lt1960"),
        ("birthdate", "ne1957"), ("gender", "female"), ("gender", "male,female"), ("telecom", "0912345678"),
        ("telecom", "phone|+84912345678"), ("active", "true"), ("identifier", f"{OWN}|A1"), ("identifier", "A1"),
        ("identifier", "http://fhir.ehealth.gov.vn/core/sid/insurance_number|2712345678"), ("_id", "p1,p2"),
        ("identifier", f"{OWN}|A7,{OWN}|A1"), ("_lastUpdated", "2026-11-20"), ("_lastUpdated", "ge2026"),
        ("telecom:missing", "false"), ("identifier", f"{OWN}|,{NATIONAL_ID}|"),
    ],
)  # fmt: skip
def test_a_patient_is_found_by_what_is_known(name: str, value: str) -> None:
    assert finds((name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("family", "Lan"), ("given", "Nguyễn"), ("family:exact", "nguyễn"), ("family:exact", "Nguyen"),
        ("name", "guyen"), ("birthdate", "1958-03-01"), ("birthdate", "1959"), ("birthdate", "gt1958"),
        ("gender", "male"), ("active", "false"), ("identifier", f"{OWN}|A2"), ("identifier", "urn:oid:9.9|A1"),
        ("identifier", "|A1"), ("telecom", "email|0912345678"), ("_id", "p2"), ("telecom:missing", "true"),
        ("mothersMaidenName", "Lan"), ("address-city", "Hà Nội"),
    ],
)  # fmt: skip
def test_somebody_else_is_not_found(name: str, value: str) -> None:
    assert not finds((name, value))


def test_a_record_that_was_merged_away_is_not_active() -> None:
    subsumed = replace(LAN, replaced_by=A9)
    assert not finds(("active", "true"), record=subsumed)
    assert finds(("active", "false"), record=subsumed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("family", "123"), ("birthdate", "20-03-1958"), ("birthdate", "1958-02-30"), ("active", "perhaps"),
        ("gender:not", "male"), ("name:sounds-like", "Lan"), ("_id", "p 1"), ("_count", "-1"), ("_count", "9" * 5000),
        ("identifier", "a|b|c"), ("identifier:of-type", "a|b|c"), ("family", ""), ("name", "\x00"), ("_after", "%%%"),
        ("birthdate:missing", "maybe"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_read_is_refused_without_repeating_it(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        iti78.decode(ask("GET", "/Patient", (name, value)))
    assert not value.strip() or len(value) < 3 or value not in str(refusal.value)


def test_a_search_by_sex_alone_is_limited_and_goes_on() -> None:
    search = iti78.decode(ask("GET", "/Patient", ("gender", "female"))).search
    assert search.limit == 50
    page = Page((LAN,), next=Cursor(None, "p1"))
    bundle = read(iti78.encode(page, ask("GET", "/Patient", ("gender", "female"))))
    following = next(each["url"] for each in bundle["link"] if each["relation"] == "next")
    token = following.partition("_after=")[2]
    assert iti78.decode(ask("GET", "/Patient", ("gender", "female"), ("_after", token))).search.after == "p1"
    assert iti78.decode(ask("GET", "/Patient", ("_count", "1000"))).search.limit == 500


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/fhir+xml"])
def test_found_patients_come_as_a_searchset(accept: str) -> None:
    request = ask("GET", "/Patient", ("family", "Nguyễn"), Accept=accept)
    bundle = read(iti78.encode(Page((LAN,), total=1), request))
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert bundle["entry"][0]["fullUrl"] == f"{BASE}/Patient/p1"
    assert bundle["entry"][0]["resource"]["name"][0]["family"] == "Nguyễn"
    nobody = read(iti78.encode(Page((), total=0), request))
    assert nobody["total"] == 0
    assert "entry" not in nobody


def test_a_personal_search_by_post_leaves_nothing_in_a_link() -> None:
    request = ask("POST", "/Patient/_search", ("family", "Nguyễn"), ("birthdate", "1958"))
    bundle = read(iti78.encode(Page((LAN,), next=Cursor(None, "p1")), request))
    assert all(each["relation"] != "next" for each in bundle["link"])


def test_only_identifiers_of_the_wanted_domains_are_shown() -> None:
    request = ask("GET", "/Patient", ("_id", "p1"), ("identifier", f"{NATIONAL_ID}|"))
    assert iti78.decode(request).search.domains == (NATIONAL_ID,)
    shown = read(iti78.encode(Page((LAN,), total=1), request))["entry"][0]["resource"]
    assert [each["system"] for each in shown["identifier"]] == [NATIONAL_ID]


def test_an_unknown_domain_is_404_with_a_warning() -> None:
    response = iti78.error(UnknownTargetSystem("urn:oid:9"), ask("GET", "/Patient", ("identifier", "urn:oid:9|")))
    assert diagnostics(response) == (404, "warning", "not-found", "targetSystem not found")


def test_a_parameter_that_is_not_supported_is_named_or_refused() -> None:
    request = ask("GET", "/Patient", ("family", "Nguyễn"), ("shoe-size", "37"))
    bundle = read(iti78.encode(Page((), total=0), request))
    assert "shoe-size" in bundle["entry"][0]["resource"]["issue"][0]["details"]["text"]
    assert "shoe-size" not in bundle["link"][0]["url"]
    with pytest.raises(BadRequest):
        iti78.decode(ask("GET", "/Patient", ("shoe-size", "37"), Prefer="handling=strict"))


def test_a_patient_is_read_by_id_and_by_version() -> None:
    assert iti78.decode_read(ask("GET", "/Patient/p1")).id == "p1"
    asked = iti78.decode_version(ask("GET", "/Patient/p1/_history/2"))
    assert (asked.id, asked.version) == ("p1", 2)
    response = iti78.encode_read(LAN, ask("GET", "/Patient/p1"))
    assert dict(response.headers)["ETag"] == 'W/"3"'
    assert iti78.encode_read(LAN, ask("GET", "/Patient/p1", If_None_Match='W/"3"')).status == 304
    with pytest.raises(NotFound):
        iti78.decode_version(ask("GET", "/Patient/p1/_history/latest"))
    with pytest.raises(FhirError):
        iti78.decode_read(ask("GET", "/Patient/p1", Accept="text/html"))
