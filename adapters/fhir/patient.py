"""A source record as FHIR's Patient and back.

What the noun does not hold (contacts, photos, former names) is kept and given back as it came. The name to be known by
is written surname first: the first word is `family`, the others are `given`, and `text` is the name as it was written.

Source: IHE PDQm 3.2, StructureDefinition IHE.PDQm.Patient; IHE PIXm 3.1; HL7 FHIR R4, Patient
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.elements import (
    Element,
    demographics,
    filled,
    identifier,
    organization_reference,
    read_demographics,
    read_identifier,
)
from adapters.fhir.issues import Issue, Unprocessable
from adapters.fhir.keeping import give_back, keep
from adapters.fhir.writing import meta
from registry.identifiers import (
    CITIZEN_ID,
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PASSPORT_NUMBER,
    HomeCommunityId,
    PatientIdentifier,
)
from registry.people import Demographics, HumanName, PatientInQuestion, SourceRecord

PROFILE = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"
IDENTIFIER_KINDS = {NATIONAL_ID: "NI", CITIZEN_ID: "NI", INSURANCE_NUMBER: "SB", PASSPORT_NUMBER: "PPN"}
"""Codes of HL7 table 0203; every other authority is a hospital, and its numbers are record numbers (MR)."""

_KNOWN = frozenset(
    {
        "identifier",
        "active",
        "name",
        "telecom",
        "gender",
        "birthDate",
        "deceased",
        "address",
        "extension",
        "link",
        "managingOrganization",
    }
)


def patient(record: SourceRecord, home: HomeCommunityId, *, domains: tuple[str, ...] = ()) -> Resource:
    """The record as it is shown; `domains` leaves only the identifiers of these authorities."""
    shown = _from_noun(record, home)
    whole = give_back(shown, record.extra, known=_KNOWN, says_the_same=lambda other: _says(other, record))
    if domains:
        whole["identifier"] = [each for each in whole["identifier"] if each.get("system") in domains]
    return filled(**whole)


def record_of(resource: Resource, own: PatientIdentifier, home: HomeCommunityId) -> SourceRecord:
    """What a message says of the patient whose local identifier is `own`. The record's id is given by the flow."""
    numbers = tuple(each for each in identifiers_of(resource) if each != own)
    record = SourceRecord(
        id="",
        identifier=own,
        demographics=read_demographics(resource),
        numbers=tuple(dict.fromkeys(numbers)),
        active=resource.get("active", True),
        replaced_by=replaced_by(resource),
    )
    return replace(record, extra=keep(resource, _from_noun(record, home)))


def in_question(resource: Resource) -> PatientInQuestion:
    """The patient that somebody looks for; an identifier without a system says nothing about a person."""
    found = (read_identifier(each) for each in resource.get("identifier", ()))
    return PatientInQuestion(tuple(each for each in found if each), read_demographics(resource))


def identifiers_of(resource: Mapping[str, Any]) -> tuple[PatientIdentifier, ...]:
    """All of them, in order. Raises Unprocessable where one has no system or no value (PDQm: both 1..1)."""
    found = []
    for index, element in enumerate(resource.get("identifier", ())):
        value = read_identifier(element)
        if value is None:
            text = "an identifier needs the system that gave it, and its value; nothing was stored"
            raise Unprocessable(Issue("error", "required", text, (f"Patient.identifier[{index}]",)))
        found.append(value)
    return tuple(found)


def replaced_by(resource: Mapping[str, Any]) -> PatientIdentifier | None:
    """The surviving identifier of a merged record. Raises Unprocessable where the survivor has no identifier."""
    links = [each for each in resource.get("link", ()) if each.get("type") == "replaced-by"]
    if not links:
        return None
    survivor = read_identifier(links[0].get("other", {}).get("identifier"))
    if len(links) > 1 or survivor is None:
        text = "expected one surviving patient, by identifier; nothing was changed"
        raise Unprocessable(Issue("error", "business-rule", text, ("Patient.link.other.identifier",)))
    return survivor


def _from_noun(record: SourceRecord, home: HomeCommunityId) -> Resource:
    about = demographics(_named(record.demographics))
    about |= {"name": [{"use": "official", **each} for each in about["name"]]} if "name" in about else {}
    return filled(
        resourceType="Patient",
        id=record.id,
        meta=meta(record.version, record.updated, PROFILE),
        identifier=[_identifier(each, own=each == record.identifier) for each in record.identifiers],
        active=record.active,
        managingOrganization=organization_reference(home),
        link=_links(record),
        **about,
    )


def _named(person: Demographics) -> Demographics:
    """With a name in two parts, whatever the source wrote; the text stays as it was written."""
    name = person.name
    if name is None or name.family or name.given:
        return person
    parts = HumanName.of(name.text)
    return replace(person, name=HumanName(name.text, parts.family, parts.given))


def _identifier(value: PatientIdentifier, *, own: bool) -> Element:
    return identifier(value, use="usual" if own else None, kind=IDENTIFIER_KINDS.get(value.system, "MR"))


def _links(record: SourceRecord) -> list[Element]:
    if record.replaced_by is None:
        return []
    survivor = {"type": "Patient", "identifier": identifier(record.replaced_by)}
    return [{"other": survivor, "type": "replaced-by"}]


def _says(resource: Resource, record: SourceRecord) -> bool:
    """Whether this form still says what the record says, however its parts are written."""
    said = _named(read_demographics(resource))
    return (
        said == _named(record.demographics)
        and set(identifiers_of(resource)) == set(record.identifiers)
        and resource.get("active", True) == record.active
        and replaced_by(resource) == record.replaced_by
    )
