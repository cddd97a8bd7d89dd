"""The data types that every FHIR resource is made of: from nouns to elements and back.

Writers give an element, or None where there is nothing to say; `filled` leaves such out. Readers take an element as it
came, checked by `check`, and give a noun or None; what a noun does not allow is raised as InvalidValue.

Source: HL7 FHIR R4, 2.24 Data Types, https://hl7.org/fhir/R4/datatypes.html; IHE MHD 4.2.3, identifier profiles
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from adapters.fhir.search_values import beginning
from registry.coded import CodedValue
from registry.identifiers import URI_SYSTEM, HomeCommunityId, PatientIdentifier
from registry.people import Address, BirthDate, Demographics, HumanName

Element: TypeAlias = dict[str, Any]
Value = TypeVar("Value")

# Not in 4.2.3 yet: told apart by `use` there, by `type` from 4.2.4 on; both are written, either is read.
MHD_IDENTIFIER_TYPE = "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType"
MHD_STRUCTURE = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
MOTHERS_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"


def filled(**elements: Any) -> Element:
    """Those elements that say something, nought and false too; FHIR has no empty strings, arrays and objects."""
    return {name: value for name, value in elements.items() if value or value == 0}


def first(elements: Iterable[Value | None]) -> Value | None:
    """The first one that is there, or None."""
    return next((element for element in elements if element is not None), None)


# ---- time ----


def instant(moment: datetime | None) -> str | None:
    """An instant in UTC: `2026-11-23T01:00:00Z`, with fractions only where there are some. Also a valid dateTime."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def read_moment(text: str | None) -> datetime | None:
    """Where a date, dateTime or instant begins, aware; a day is a day in Viet Nam."""
    return beginning(text) if text else None


def period(start: datetime | None, stop: datetime | None) -> Element:
    return filled(start=instant(start), end=instant(stop))


def read_period(element: Mapping[str, Any] | None) -> tuple[datetime | None, datetime | None]:
    element = element or {}
    return read_moment(element.get("start")), read_moment(element.get("end"))


# ---- codes ----


def coding(value: CodedValue) -> Element:
    return filled(system=value.system, code=value.code, display=value.display)


def concept(value: CodedValue | None) -> Element:
    return {"coding": [coding(value)]} if value else {}


def concepts(values: Iterable[CodedValue]) -> list[Element]:
    return [concept(value) for value in values]


def read_coding(element: Mapping[str, Any] | None) -> CodedValue | None:
    if not element or not element.get("code"):
        return None
    return CodedValue(element["code"], element.get("system"), element.get("display"))


def read_concept(element: Mapping[str, Any] | None) -> CodedValue | None:
    """Its first code; None for a concept that is only text."""
    for each in (element or {}).get("coding", ()):
        if value := read_coding(each):
            return value
    return None


def read_concepts(elements: Iterable[Mapping[str, Any]] | None) -> tuple[CodedValue, ...]:
    return tuple(value for value in map(read_concept, elements or ()) if value)


# ---- identifiers and references ----


def identifier(value: PatientIdentifier, *, use: str | None = None, kind: str | None = None) -> Element:
    """`kind` is a code of the HL7 table 0203: MR, NI, ACSN."""
    typed = {"coding": [{"system": IDENTIFIER_TYPE, "code": kind}]} if kind else None
    return filled(use=use, type=typed, system=value.system, value=value.value)


def read_identifier(element: Mapping[str, Any] | None) -> PatientIdentifier | None:
    """None where system or value is missing: a number that nobody gave identifies nobody."""
    if not element or not element.get("system") or not element.get("value"):
        return None
    return PatientIdentifier(element["system"], element["value"])


def read_identifiers(elements: Iterable[Mapping[str, Any]] | None) -> tuple[PatientIdentifier, ...]:
    return tuple(value for value in map(read_identifier, elements or ()) if value)


def unique_id_identifier(unique_id: str) -> Element:
    """DocumentEntry.uniqueId, told apart by `use` and by `type`."""
    system, bar, value = unique_id.rpartition("|")
    return _mhd_identifier("usual", "uniqueId", *((system, value) if bar else (URI_SYSTEM, unique_id)))


def entry_uuid_identifier(entry_uuid: str) -> Element:
    return _mhd_identifier("official", "entryUUID", URI_SYSTEM, entry_uuid)


def is_entry_uuid(element: Mapping[str, Any]) -> bool:
    """An identifier that is an entryUUID by type, by use, or, with neither, by its form."""
    kinds = {each.get("code") for each in element.get("type", {}).get("coding", ())}
    if kinds & {"entryUUID", "uniqueId"}:
        return "entryUUID" in kinds
    value: str = element.get("value", "")
    return element.get("use", "official") == "official" and value.startswith("urn:uuid:")


def document_id(system: str | None, value: str) -> str:
    """entryUUID and uniqueId as the registry spells them: the URI alone, `root^extension`, or `system|value`."""
    if value.lower().startswith("urn:uuid:"):
        return value.lower()
    if not system or system == URI_SYSTEM:
        return value
    root = system.removeprefix("urn:oid:")
    return f"{system}|{value}" if root == system else f"{root}^{value}"


def _mhd_identifier(use: str, kind: str, system: str, value: str) -> Element:
    typed = {"coding": [{"system": MHD_IDENTIFIER_TYPE, "code": kind}]}
    return {"use": use, "type": typed, "system": system, "value": value}


def reference(to: str | None = None, *, to_identifier: Element | None = None, display: str | None = None) -> Element:
    """To a resource (`Patient/12`, `#author`), to whatever carries an identifier, or both."""
    return filled(reference=to, identifier=to_identifier, display=display)


def organization_reference(home: HomeCommunityId, display: str | None = None) -> Element:
    """A hospital of the network, by its homeCommunityId."""
    return reference(to_identifier={"system": URI_SYSTEM, "value": home.value}, display=display)


def referenced_id(element: Mapping[str, Any] | None, kind: str, *, base: str = "") -> str | None:
    """The id in `Patient/12`, also with a version or as an absolute URL below `base`; None for anything else."""
    text = (element or {}).get("reference", "")
    text = text.removeprefix(base + "/") if base else text
    parts = text.split("/_history/")[0].split("/")
    return parts[1] if len(parts) == 2 and parts[0] == kind and parts[1] else None


# ---- people ----


def human_name(name: HumanName | None) -> Element:
    return filled(text=name.text, family=name.family, given=(name.given or "").split()) if name else {}


def read_human_name(element: Mapping[str, Any] | None) -> HumanName | None:
    """As written; where only the parts are given, surname first."""
    if not element:
        return None
    family, given = element.get("family"), " ".join(each for each in element.get("given", ()) if each)
    text = element.get("text") or f"{family or ''} {given}".strip()
    return HumanName(text, family, given or None) if text.strip() else None


def read_human_names(elements: Iterable[Mapping[str, Any]] | None) -> HumanName | None:
    """The name to be known by: official, then usual, then the first."""
    order = {"official": 0, "usual": 1}
    ranked = sorted(elements or (), key=lambda each: order.get(each.get("use", ""), 2))
    return first(map(read_human_name, ranked))


def address(value: Address | None) -> Element:
    """Two levels since districts are gone: the commune as `city`, the province as `state`."""
    if value is None:
        return {}
    return filled(
        text=value.text,
        city=value.commune,
        state=value.province,
        postalCode=value.postal_code,
        country=value.country,
    )


def read_address(element: Mapping[str, Any] | None) -> Address | None:
    if not element:
        return None
    parts = [*element.get("line", ()), *(element.get(each) for each in ("district", "city", "state"))]
    text = element.get("text") or ", ".join(part for part in parts if part)
    rest = (element.get(each) for each in ("city", "state", "country", "postalCode"))
    return Address(text, *rest) if text else None


def demographics(value: Demographics) -> Element:
    """The elements of a Patient that describe the person; identifiers are not among them."""
    mothers_name = [{"url": MOTHERS_NAME, "valueString": value.mothers_name}] if value.mothers_name else None
    return filled(
        extension=mothers_name,
        name=[human_name(value.name)] if value.name else None,
        telecom=[{"system": "phone", "value": phone} for phone in value.phones],
        gender=value.gender if value.gender != "unknown" else None,
        birthDate=str(value.birth_date) if value.birth_date else None,
        deceasedBoolean=True if value.deceased else None,
        address=[address(value.address)] if value.address else None,
    )


def read_demographics(patient: Mapping[str, Any] | None) -> Demographics:
    """What a Patient, whole or contained, says of the person."""
    patient = patient or {}
    mothers = (each.get("valueString") for each in patient.get("extension", ()) if each.get("url") == MOTHERS_NAME)
    phones = (each.get("value") for each in patient.get("telecom", ()) if each.get("system") in ("phone", "sms"))
    return Demographics(
        name=read_human_names(patient.get("name")),
        birth_date=BirthDate(patient["birthDate"]) if patient.get("birthDate") else None,
        gender=patient.get("gender", "unknown"),
        phones=tuple(phone for phone in phones if phone),
        address=first(map(read_address, patient.get("address", ()))),
        mothers_name=first(mothers),
        deceased=bool(patient.get("deceasedBoolean") or patient.get("deceasedDateTime")),
    )
