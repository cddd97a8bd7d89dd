"""PIXv3 and PDQv3: a system of the hospital that speaks HL7 version 3 feeds its patients and asks for them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from lxml import etree

from registry.identifiers import PatientIdentifier
from tests.conformance.client import Client
from tests.conformance.hl7v3 import (
    ADD,
    CONTINUE,
    MERGE,
    NATIONAL_OID,
    PDQ,
    PIX,
    REVISE,
    action,
    code,
    details,
    feeds,
    goes_on,
    message,
    named,
    numbers,
    parameter,
    pdq,
    person,
    pix,
    quantities,
    registered,
    response,
    sends,
)
from tests.conformance.soap import NS, SoapClient, envelope
from tests.conformance.test_soap_mutations import ROUNDS, mutated

NATIONAL = "http://fhir.ehealth.gov.vn/core/sid/national_id"
QUERY = "controlActProcess/queryByParameter/parameterList"


def record(soap: SoapClient, number: str) -> Any:
    """The Patient over FHIR."""
    client = Client(soap.hospital)
    found = client.get("/fhir/Patient", identifier=f"{client.system}|{number}").resources
    return next(one for one in found if one["identifier"][0]["value"] == number)


# ---- ITI-44 ----


def test_a_patient_is_registered_and_found_by_every_door(soap: SoapClient) -> None:
    more = "<addr><streetAddressLine>12 Lý Thái Tổ</streetAddressLine><city>Phường Kinh Bắc</city>"
    more += "<state>Bắc Ninh</state></addr>"
    told = person("Vũ|Thị Đăng Ký", born="19870215", gender="F", other="001187000021", more=more)
    answer = feeds(soap, "V1", told)
    assert (answer.status, code(answer), details(answer)) == (200, "CA", [])
    assert answer.header("Action") == "urn:hl7-org:v3:MCCI_IN000002UV01"
    assert answer.envelope.find(".//h:targetMessage/h:id", NS).get("extension") == "m1"
    found = record(soap, "V1")
    assert (found["name"][0]["text"], found["birthDate"], found["gender"]) == ("Vũ Thị Đăng Ký", "1987-02-15", "female")
    assert {"system": NATIONAL, "value": "001187000021"}.items() <= found["identifier"][1].items()
    assert found["address"][0]["text"] == "12 Lý Thái Tổ, Phường Kinh Bắc, Bắc Ninh"
    assert numbers(pdq(soap, named("Vũ", "Thị Đăng Ký"))) == [["V1", "001187000021"]]
    assert [row.action for row in soap.hospital.rows(transaction="ITI-44")][-1:] == ["C"]


def test_the_same_again_changes_nothing_and_a_revision_keeps_what_it_does_not_say(soap: SoapClient) -> None:
    told = person("Đỗ|Văn Sửa", born="19700130", other="001070000022")
    for _ in range(2):
        assert code(feeds(soap, "V2", told)) == "CA"
    assert record(soap, "V2")["meta"]["versionId"] == "1"
    assert code(feeds(soap, "V2", person("Đỗ|Văn Sửa", born="", gender=""), interaction=REVISE)) == "CA"
    assert record(soap, "V2")["birthDate"] == "1970-01-30"
    emptied = person("Đỗ|Văn Sửa", born="", gender="", more='<birthTime nullFlavor="NI"/>').replace(
        '<administrativeGenderCode code=""/>', ""
    )
    assert code(feeds(soap, "V2", emptied, interaction=REVISE)) == "CA"
    found = record(soap, "V2")
    assert "birthDate" not in found
    assert [each["value"] for each in found["identifier"]] == ["V2", "001070000022"]


def test_two_numbers_of_one_patient_become_one(soap: SoapClient) -> None:
    for number in ("V3", "V4"):
        assert code(feeds(soap, number, person("Hồ|Thị Gộp", born="19650909", gender="F"))) == "CA"
    merged = '<patientPerson classCode="PSN" determinerCode="INSTANCE"><name><family>Hồ</family><given>Thị Gộp'
    merged += "</given></name></patientPerson>"
    answer = feeds(soap, "V3", merged, interaction=MERGE, replaces="V4")
    assert code(answer) == "CA"
    assert not record(soap, "V4")["active"]
    assert record(soap, "V3")["birthDate"] == "1965-09-09"
    assert [row.action for row in soap.hospital.rows(transaction="ITI-44")][-1:] == ["U"]
    subsumed = parameter("livingSubjectId", f'<value root="{soap.authority}" extension="V4"/>')
    assert numbers(pdq(soap, subsumed)) == [["V3"]], "the number that is not used any more leads to the patient"
    assert response(pix(soap, "V3")) == "NF", "and is not told as one of theirs"
    assert numbers(pix(soap, "V4")) == [["V3"]]


FEED = f"/{ADD}/controlActProcess/subject/registrationEvent/subject1/patient/id"


def test_what_cannot_be_carried_out_is_refused_and_changes_nothing(soap: SoapClient) -> None:
    foreign = feeds(soap, "V9", person(), root="2.25.77")
    assert (code(foreign), details(foreign)) == ("CE", [("204", FEED)])
    merge = feeds(soap, "V9", person(), interaction=MERGE)
    assert (code(merge), details(merge)[0][0]) == ("CE", "101")
    itself = feeds(soap, "A1", person(), interaction=MERGE, replaces="A1")
    assert (code(itself), details(itself)[0][0]) == ("CE", "102")
    for wrong, number in (
        (person(gender="X"), "103"),
        (person(born="19901340"), "102"),
        (person(other="12").replace(f'root="{NATIONAL_OID}"', 'root="no OID"'), "102"),
    ):
        answer = sends(soap, ADD, registered(soap, "V9", wrong), check=False)
        assert (code(answer), [one for one, _ in details(answer)]) == ("CE", [number])
    for inside in ("", registered(soap, "V9", person()) * 2, registered(soap, "V9", "")):
        answer = sends(soap, ADD, inside, check=False)
        assert (code(answer), details(answer)[0][0]) == ("CE", "101")
    with soap.hospital.house.storage.read() as unit:
        assert unit.patients.record(PatientIdentifier(f"urn:oid:{soap.authority}", "V9")) is None


def test_a_patient_with_more_numbers_than_anybody_has_is_refused(soap: SoapClient) -> None:
    many = "".join(f'<id root="2.25.{n}" extension="1"/>' for n in range(1, 3000))
    told = registered(soap, "V9", person()).replace("<statusCode", many + "<statusCode", 2)
    answer = sends(soap, ADD, told.replace(many, "", 1), check=False)
    assert (code(answer), details(answer)[0][0]) == ("CE", "102")


def test_what_was_found_is_not_repeated(soap: SoapClient) -> None:
    answer = sends(soap, ADD, registered(soap, "V9", person(born="secret90")), check=False)
    assert code(answer) == "CE"
    assert b"secret90" not in etree.tostring(answer.envelope)


# ---- ITI-45 ----


def test_the_other_numbers_of_a_patient(soap: SoapClient) -> None:
    assert code(feeds(soap, "P1", person("Mạc|Thị Tra", born="19910404", gender="F", other="001191000023"))) == "CA"
    answer = pix(soap, "P1")
    assert (code(answer), response(answer), numbers(answer)) == ("AA", "OK", [["001191000023"]])
    assert answer.header("Action") == "urn:hl7-org:v3:PRPA_IN201310UV02"
    assert numbers(pix(soap, "001191000023", root=NATIONAL_OID)) == [["P1"]]
    assert numbers(pix(soap, "P1", NATIONAL_OID)) == [["001191000023"]]
    alone = pix(soap, "P1", soap.authority)
    assert (code(alone), response(alone), numbers(alone)) == ("AA", "NF", [])


WHO, WHERE = f"/{PIX}/{QUERY}/patientIdentifier/value", f"/{PIX}/{QUERY}/dataSource/value"


def test_who_or_whose_number_is_not_known_is_said_with_its_place(soap: SoapClient) -> None:
    for answer, place in (
        (pix(soap, "nobody"), WHO),
        (pix(soap, "P1", root="2.25.404"), WHO),
        (pix(soap, "A1", "2.25.404"), WHERE),
    ):
        assert (code(answer), response(answer), details(answer)) == ("AE", "AE", [("204", place)])
    unread = sends(soap, PIX, "", check=False)
    assert (code(unread), response(unread), details(unread)) == ("AE", "AE", [("101", "")])


# ---- ITI-47 ----


@pytest.fixture(scope="module")
def family(soap: SoapClient) -> SoapClient:
    """Five people of one surname that nobody else has."""
    for place, given in enumerate(("Văn Một", "Văn Hai", "Thị Ba", "Văn Bốn", "Thị Năm"), 1):
        phone = f'<telecom value="tel:0912 00 00 0{place}"/>'
        told = person(f"Ông Ích|{given}", born=f"19{place}00101", gender="F" if "Thị" in given else "M")
        told = told.replace("</name>", f"</name>{phone}")
        assert code(feeds(soap, f"Q{place}", told)) == "CA"
    return soap


def value(inside: str) -> str:
    return f"<value {inside}/>"


def test_a_patient_is_found_by_what_is_known_of_them(family: SoapClient) -> None:
    born = parameter("livingSubjectBirthTime", value('value="19200101"'))
    between = parameter("livingSubjectBirthTime", '<value><low value="1930"/><high value="19401231"/></value>')
    women = parameter("livingSubjectAdministrativeGender", value('code="F"'))
    number = parameter("livingSubjectId", value(f'root="{family.authority}" extension="Q5"'))
    phone = parameter("patientTelecom", value('value="tel:+84912000004"'))
    ours = named("Ong Ich")
    for asked, expected in (
        ((ours,), ["Q1", "Q2", "Q3", "Q4", "Q5"]),
        ((named("Ông Ích", "Ba"),), ["Q3"]),
        ((ours, born), ["Q2"]),
        ((ours, between), ["Q3", "Q4"]),
        ((ours, women), ["Q3", "Q5"]),
        ((number,), ["Q5"]),
        ((ours, phone), ["Q4"]),
    ):
        answer = pdq(family, *asked)
        assert (code(answer), response(answer)) == ("AA", "OK")
        assert sorted(one[0] for one in numbers(answer)) == expected
        assert quantities(answer) == [len(expected), len(expected), 0]
    nobody = pdq(family, named("Khôngai"))
    assert (code(nobody), response(nobody), numbers(nobody)) == ("AA", "NF", [])


def test_who_is_shown_stands_as_the_hospital_knows_them_and_on_record(family: SoapClient) -> None:
    answer = pdq(family, named("Ông Ích", "Văn Một"))
    shown = answer.envelope.find(".//h:patientPerson", NS)
    assert shown.find("h:birthTime", NS).get("value") == "19100101"
    assert shown.find("h:administrativeGenderCode", NS).get("code") == "M"
    assert shown.find("h:telecom", NS).get("value") == "tel:0912000001"
    custodian = answer.envelope.find(".//h:custodian/h:assignedEntity/h:id", NS)
    assert custodian.get("root") == str(family.hospital.home).removeprefix("urn:oid:")
    row = family.hospital.rows(transaction="ITI-47", direction="disclosed")[-1]
    assert row.patient is not None


def test_only_numbers_of_the_authorities_that_are_wanted(family: SoapClient) -> None:
    assert code(feeds(family, "Q9", person("Bạch|Thị Hai Số", other="001190000024", gender="F"))) == "CA"
    scope = parameter("otherIDsScopingOrganization", value(f'root="{NATIONAL_OID}"'))
    assert numbers(pdq(family, named("Bạch", "Thị Hai Số"), scope)) == [["001190000024"]]
    assert response(pdq(family, named("Ông Ích"), scope)) == "NF"
    unknown = parameter("otherIDsScopingOrganization", value('root="2.25.404"'))
    answer = pdq(family, named("Bạch"), unknown)
    assert (code(answer), response(answer)) == ("AE", "AE")
    assert details(answer) == [("204", f"/{PDQ}/{QUERY}/otherIDsScopingOrganization/value")]


WRONG: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "a name without letters": (named("*"),),
    "a day that does not exist": (parameter("livingSubjectBirthTime", '<value value="19901340"/>'),),
    "an unknown sex": (parameter("livingSubjectAdministrativeGender", '<value code="X"/>'),),
    "a number without authority": (parameter("livingSubjectId", '<value extension="1"/>'),),
    "two names": (parameter("livingSubjectName", "<value>An</value><value>Bình</value>"),),
    "what is not understood": (parameter("principalCareProviderId", '<value root="2.25.1"/>'), named("An")),
    "too many numbers": tuple(
        parameter("livingSubjectId", f'<value root="2.25.1" extension="{n}"/>') for n in range(3000)
    ),
    "too many words": (named(" ".join(f"ab{n}c" for n in range(3000))),),
    "no phone": (parameter("patientTelecom", '<value value="tel:"/>'),),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_parameter_that_is_not_understood_is_refused_and_nobody_shown(family: SoapClient, name: str) -> None:
    answer = pdq(family, *WRONG[name], check=False)
    assert (code(answer), response(answer), numbers(answer)) == ("AE", "AE", [])


def test_an_answer_comes_in_parts_where_it_is_wanted_so(family: SoapClient) -> None:
    seen = []
    answer = pdq(family, named("Ông Ích"), query_id="parts", at_once=2)
    assert quantities(answer) == [5, 2, 3]
    seen += numbers(answer)
    answer = goes_on(family, query_id="parts", count=1)
    assert (response(answer), quantities(answer)) == ("OK", [5, 1, 2])
    assert answer.envelope.find(".//h:queryAck/h:queryId", NS).get("extension") == "parts"
    seen += numbers(answer)
    answer = goes_on(family, query_id="parts", start=4)
    assert quantities(answer) == [5, 2, 0]
    seen += numbers(answer)
    assert sorted(one[0] for one in seen) == ["Q1", "Q2", "Q3", "Q4", "Q5"]
    over = goes_on(family, query_id="parts")
    assert (code(over), response(over), details(over)[0][0]) == ("AE", "AE", "204")


def test_a_part_that_does_not_follow_is_refused_and_an_ended_query_is_gone(family: SoapClient) -> None:
    assert quantities(pdq(family, named("Ông Ích"), query_id="ended", at_once=1)) == [5, 1, 4]
    assert response(goes_on(family, query_id="ended", start=4)) == "AE"
    ended = goes_on(family, query_id="ended", end=True)
    assert (ended.status, code(ended)) == (200, "CA")
    assert response(goes_on(family, query_id="ended")) == "AE"
    assert code(goes_on(family, query_id="ended", end=True)) == "CE"


def test_what_was_asked_is_kept_sealed_and_for_its_asker_alone(family: SoapClient) -> None:
    assert response(pdq(family, named("Ông Ích"), query_id="sealed", at_once=1)) == "OK"
    database = family.hospital.house.settings.home / "node.db"
    assert "Ông Ích Văn Một".encode() in _all_of(database), "it is looked for in the right place"
    assert b"<family" not in _all_of(database)
    with family.hospital.house.storage.begin() as unit:
        assert unit.open_queries.find("somebody else", "2.25.1^sealed") is None


def _all_of(database: Any) -> bytes:
    return b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))


# ---- bad input ----


MESSAGES = {
    ADD: lambda soap: registered(soap, "M1", person(other="001190000025")),
    MERGE: lambda soap: registered(soap, "M1", person(), replaces="M2"),
    PIX: lambda soap: (
        '<queryByParameter><queryId root="2.25.1" extension="q1"/><statusCode code="new"/><parameterList>'
        f'<patientIdentifier><value root="{soap.authority}" extension="A1"/><semanticsText>P</semanticsText>'
        "</patientIdentifier></parameterList></queryByParameter>"
    ),
    PDQ: lambda soap: (
        '<queryByParameter><queryId root="2.25.1" extension="q1"/><statusCode code="new"/>'
        f'<initialQuantity value="3"/><parameterList>{named("Nguyễn", "Văn")}'
        + parameter("livingSubjectBirthTime", '<value value="1990"/>')
        + "</parameterList></queryByParameter>"
    ),
    CONTINUE: lambda soap: (
        '<queryContinuation><queryId root="2.25.1" extension="q1"/><startResultNumber value="2"/>'
        '<continuationQuantity value="2"/><statusCode code="waitContinuedQueryResponse"/></queryContinuation>'
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_whatever_is_broken_is_answered(soap: SoapClient, name: str) -> None:
    path = "/pdq" if name in (PDQ, CONTINUE) else "/pix"
    said = action(f"{name}_Continue" if name == CONTINUE else name)
    good = envelope(said, message(name, MESSAGES[name](soap)))
    chance = random.Random(name)
    for _ in range(ROUNDS):
        broken = mutated(good, chance)
        answer = soap.sends(path, "application/soap+xml", broken, check=False)
        assert answer.status < 500, broken
        assert answer.all(".//s:Fault") or code(answer) in ("AA", "AE", "CA", "CE"), broken
