"""A patient of HL7 version 3 as the registry knows one, and back.

An element that is missing says nothing, one with a nullFlavor says that there is no value: what a message does not
speak of stays as it was, as with HL7 v2.

Source: HL7 v3 Normative Edition 2008 (PRPA_MT201301UV02 to 201304UV02, 201310UV02); IHE ITI TF-2: 3.44.4.1.2
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.soap.datatypes import birth_date_of, oid_of
from adapters.soap.envelope import text
from adapters.soap.errors import V3Refusal
from adapters.soap.hl7v3 import CODES, GENDERS, h, read_ii, read_name, write_ii, write_name
from adapters.soap.names import HL7, children, text_of
from adapters.xml_door import XmlElement
from registry.errors import ForeignDomain, InvalidValue
from registry.identifiers import PatientIdentifier
from registry.people import Address, BirthDate, Demographics, Gender, HumanName, PatientInQuestion, SourceRecord

PATIENT = "controlActProcess/subject/registrationEvent/subject1/patient"
_PARTS = ("streetAddressLine", "additionalLocator", "precinct", "county", "city", "state")
MOST_NUMBERS = 50
"""Of one patient in one message."""
_MOTHER = frozenset({"MTH", "NMTH"})


@dataclass(frozen=True, slots=True)
class ReadPatient:
    """A patient as it was read; `unsaid` names what the message says nothing of."""

    record: SourceRecord
    unsaid: frozenset[str]


def read_patient(patient: XmlElement, *, own_system: str) -> ReadPatient:
    """Raises V3Refusal, ForeignDomain or InvalidValue where it names no patient of this hospital."""
    person = h(patient, "patientPerson")
    if person is None:
        raise V3Refusal("patientPerson is missing; nothing was stored", number=101)
    listed = [*children(patient, HL7, "id"), *children(person, HL7, "id")]
    listed += [number for other in children(person, HL7, "asOtherIDs") for number in children(other, HL7, "id")]
    numbers = tuple(dict.fromkeys(number for each in listed if (number := read_ii(each))))
    if len(numbers) > MOST_NUMBERS:
        raise V3Refusal(f"at most {MOST_NUMBERS} numbers of one patient; nothing was stored")
    own = own_number(numbers, own_system)
    others = tuple(each for each in numbers if each != own)
    about = _demographics(patient, person)
    unsaid = {name for name in _SAID_BY if not _is_said(patient, person, name, about)}
    return ReadPatient(SourceRecord("", own, about, others), frozenset(unsaid | (set() if others else {"numbers"})))


def own_number(numbers: Iterable[PatientIdentifier], own_system: str) -> PatientIdentifier:
    """The number that this hospital gave. Raises ForeignDomain where only others gave one."""
    known = tuple(numbers)
    own = next((each for each in known if each.system == own_system), None)
    if own is None and known:
        raise ForeignDomain(known[0].system)
    if own is None:
        raise V3Refusal("patient.id: expected a number with the OID of its authority; nothing was stored", number=101)
    return own


def read_described(parameters: XmlElement) -> PatientInQuestion:
    """Whom the parameterList of a cross gateway discovery describes. Raises InvalidValue."""
    numbers = tuple(number for each in _values(parameters, "livingSubjectId") if (number := read_ii(each)))
    if len(numbers) > MOST_NUMBERS:
        raise InvalidValue("livingSubjectId", expected=f"at most {MOST_NUMBERS} numbers")
    gender, born = (
        h(parameters, "livingSubjectAdministrativeGender/value"),
        h(parameters, "livingSubjectBirthTime/value"),
    )
    birth_date = None if born is None else birth_date_of(born.get("value", ""))
    if born is not None and birth_date is None:
        raise InvalidValue("livingSubjectBirthTime", expected="a day that exists")
    mother = read_name(h(parameters, "mothersMaidenName/value"))
    demographics = Demographics(
        name=read_name(h(parameters, "livingSubjectName/value")),
        birth_date=birth_date,
        gender="unknown" if gender is None else GENDERS.get(gender.get("code", ""), "unknown"),
        phones=_phones(*_values(parameters, "patientTelecom")),
        address=_address(*_values(parameters, "patientAddress")),
        mothers_name=mother.text if mother else None,
    )
    return PatientInQuestion(numbers, demographics)


def _values(parameters: XmlElement, name: str) -> list[XmlElement]:
    return [value for each in children(parameters, HL7, name) for value in children(each, HL7, "value")]


_SAID_BY = {
    "name": ("name",),
    "birth_date": ("birthTime",),
    "gender": ("administrativeGenderCode",),
    "address": ("addr",),
    "phones": ("telecom",),
    "deceased": ("deceasedInd", "deceasedTime"),
    "mothers_name": ("personalRelationship",),
}


def _is_said(patient: XmlElement, person: XmlElement, name: str, about: Demographics) -> bool:
    """It has a value, or an element that says that there is none."""
    if getattr(about, name) not in (None, "unknown", (), False):
        return True
    found = [each for at in (person, patient) for element in _SAID_BY[name] for each in children(at, HL7, element)]
    if name == "deceased":
        return bool(found)
    return any(each.get("nullFlavor") for each in found)


def _demographics(patient: XmlElement, person: XmlElement) -> Demographics:
    names = [each for each in children(person, HL7, "name") if not each.get("nullFlavor")]
    legal = next((each for each in names if "L" in each.get("use", "").split()), names[0] if names else None)
    return Demographics(
        name=read_name(legal),
        birth_date=_birth_date(h(person, "birthTime")),
        gender=_gender(h(person, "administrativeGenderCode")),
        phones=_phones(*children(person, HL7, "telecom"), *children(patient, HL7, "telecom")),
        address=_address(*children(person, HL7, "addr"), *children(patient, HL7, "addr")),
        mothers_name=_mothers_name(person),
        deceased=_is_true(h(person, "deceasedInd")) or _has_value(h(person, "deceasedTime")),
    )


def _birth_date(element: XmlElement | None) -> BirthDate | None:
    if not _has_value(element):
        return None
    assert element is not None
    found = birth_date_of(element.get("value"))
    if found is None:
        raise InvalidValue("birthTime", expected="a day that exists")
    return found


def _gender(element: XmlElement | None) -> Gender:
    if element is None or element.get("nullFlavor"):
        return "unknown"
    found = GENDERS.get(element.get("code", ""))
    if found is None:
        raise V3Refusal(
            "administrativeGenderCode: expected M, F or UN (AdministrativeGender); nothing was stored", number=103
        )
    return found


def _has_value(element: XmlElement | None) -> bool:
    return element is not None and bool(element.get("value"))


def _is_true(element: XmlElement | None) -> bool:
    return element is not None and element.get("value") == "true"


def _phones(*elements: XmlElement) -> tuple[str, ...]:
    found = (each.get("value", "").removeprefix("tel:").strip()[:64] for each in elements)
    return tuple(dict.fromkeys(each for each in found if each))


def _address(*elements: XmlElement) -> Address | None:
    for each in elements:
        lines = [text_of(part) for name in _PARTS for part in children(each, HL7, name)]
        words = list(dict.fromkeys(line for line in lines if line))
        # what was written here before has the whole address in its first line
        whole = ", ".join(word for word in words if word is words[0] or word not in words[0]) or text_of(each)
        if whole:
            city, state, country, code = (
                text_of(h(each, name)) or None for name in ("city", "state", "country", "postalCode")
            )
            return Address(whole[:1000], city, state, country, code)
    return None


def _mothers_name(person: XmlElement) -> str | None:
    for each in children(person, HL7, "personalRelationship"):
        code = h(each, "code")
        if code is not None and code.get("code") in _MOTHER:
            found = read_name(h(each, "relationshipHolder1/name"))
            return found.text if found else None
    return None


# ---- writing ----


def write_person(about: Demographics, others: Iterable[PatientIdentifier] = ()) -> str:
    """patientPerson of an answer to a query by demographics (PRPA_MT201310UV02)."""
    born = f'<birthTime value="{str(about.birth_date).replace("-", "")}"/>' if about.birth_date else ""
    gender = f'<administrativeGenderCode code="{CODES[about.gender]}"/>' if about.gender in CODES else ""
    phones = "".join(f'<telecom value="{text(_url(each))}"/>' for each in about.phones)
    deceased = '<deceasedInd value="true"/>' if about.deceased else ""
    name = write_name(about.name) if about.name else '<name nullFlavor="NI"/>'
    inside = (
        f"{name}{phones}{gender}{born}{deceased}"
        f"{_write_address(about.address)}{''.join(_write_other(each) for each in others)}{_write_mother(about)}"
    )
    return f'<patientPerson classCode="PSN" determinerCode="INSTANCE">{inside}</patientPerson>'


def _url(phone: str) -> str:
    """A telephone number as a URL; signs that a URL cannot have are left out."""
    kept = "".join(sign for sign in phone if sign.isascii() and not sign.isspace() and sign.isprintable())
    return kept if ":" in kept else f"tel:{kept}"


def _write_address(address: Address | None) -> str:
    if address is None:
        return ""
    parts = (
        ("streetAddressLine", address.text),
        ("city", address.commune),
        ("state", address.province),
        ("postalCode", address.postal_code),
        ("country", address.country),
    )
    return f"<addr>{''.join(f'<{name}>{text(value)}</{name}>' for name, value in parts if value)}</addr>"


def _write_other(number: PatientIdentifier) -> str:
    """A number of another authority, which is named by the OID that it gave the number under."""
    root = oid_of(number.system)
    if root is None:
        return ""
    scope = f'<scopingOrganization classCode="ORG" determinerCode="INSTANCE"><id root="{root}"/></scopingOrganization>'
    return f'<asOtherIDs classCode="IDENT">{write_ii(number)}{scope}</asOtherIDs>'


def _write_mother(about: Demographics) -> str:
    if not about.mothers_name:
        return ""
    name = write_name(HumanName.of(about.mothers_name))
    holder = f'<relationshipHolder1 classCode="PSN" determinerCode="INSTANCE">{name}</relationshipHolder1>'
    code = '<code code="MTH" codeSystem="2.16.840.1.113883.5.111"/>'
    return f'<personalRelationship classCode="PRS">{code}{holder}</personalRelationship>'


def registration(patient: str, *, home: str) -> str:
    """A subject of an answer: one patient, and who keeps their registration."""
    custodian = (
        '<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">'
        f'<id root="{home.removeprefix("urn:oid:")}"/></assignedEntity></custodian>'
    )
    return (
        '<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><id nullFlavor="NA"/>'
        f'<statusCode code="active"/><subject1 typeCode="SBJ">{patient}</subject1>{custodian}'
        "</registrationEvent></subject>"
    )


def without_oid(numbers: Iterable[PatientIdentifier]) -> int:
    """How many of these cannot be written, since their authority has no OID."""
    return sum(oid_of(each.system) is None for each in numbers)
