"""Authors and the patient as the source knew them: contained resources of a document or a list.

Source: IHE MHD 4.2.3, Comprehensive DocumentReference (author, authenticator, sourcePatientInfo are contained)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.elements import (
    Element,
    demographics,
    filled,
    first,
    identifier,
    read_demographics,
    read_human_names,
    read_identifier,
    reference,
)
from registry.documents import Author
from registry.identifiers import PatientIdentifier
from registry.people import NOTHING_KNOWN, Demographics

_NOBODY = Author()


def contained_author(author: Author, local_id: str) -> Resource:
    """A PractitionerRole where a place, role or specialty is known; else the person or the organisation alone."""
    numbers = [identifier(author.identifier)] if author.identifier else None
    if author.role or author.specialty or (author.person and author.institution):
        return filled(
            resourceType="PractitionerRole",
            id=local_id,
            identifier=numbers,
            practitioner=reference(display=author.person),
            organization=reference(display=author.institution),
            code=[{"text": author.role}] if author.role else None,
            specialty=[{"text": author.specialty}] if author.specialty else None,
        )
    if author.institution:
        return filled(resourceType="Organization", id=local_id, identifier=numbers, name=author.institution)
    name = [{"text": author.person}] if author.person else None
    return filled(resourceType="Practitioner", id=local_id, identifier=numbers, name=name)


def read_author(element: Element | None, contained: Mapping[str, Resource]) -> Author | None:
    """Who a reference means, as far as it or the contained resource tells; None where it tells nothing."""
    if not element:
        return None
    whole = contained.get(element.get("reference", "").removeprefix("#"), {})
    number = first(map(read_identifier, [*whole.get("identifier", ()), element.get("identifier")]))
    match whole.get("resourceType"):
        case "PractitionerRole":
            person, institution = whole.get("practitioner"), whole.get("organization")
            found = Author(
                person=_name(person, contained),
                institution=_name(institution, contained),
                role=_words(whole.get("code")),
                specialty=_words(whole.get("specialty")),
                identifier=number or read_identifier((person or {}).get("identifier")),
            )
        case "Organization":
            found = Author(institution=whole.get("name") or element.get("display"), identifier=number)
        case _:
            found = Author(person=_name(element, contained), identifier=number)
    return found if found != _NOBODY else None


def contained_patient(patient: PatientIdentifier | None, known: Demographics | None, local_id: str) -> Resource | None:
    """The patient as the source described them, where it did."""
    if patient is None and (known is None or known == NOTHING_KNOWN):
        return None
    numbers = {"identifier": [identifier(patient)]} if patient else {}
    return {"resourceType": "Patient", "id": local_id} | numbers | demographics(known or NOTHING_KNOWN)


def read_source_patient(
    element: Element | None, contained: Mapping[str, Resource]
) -> tuple[PatientIdentifier | None, Demographics | None]:
    """Identifier and description of the patient at the source, as far as the document carries them."""
    if not element:
        return None, None
    whole = contained.get(element.get("reference", "").removeprefix("#"), {})
    number = first(map(read_identifier, [*whole.get("identifier", ()), element.get("identifier")]))
    described = read_demographics(whole)
    return number, described if described != NOTHING_KNOWN else None


def contained_by_id(resource: Resource) -> dict[str, Resource]:
    return {each.get("id", ""): each for each in resource.get("contained", ())}


def _name(element: Element | None, contained: Mapping[str, Resource]) -> str | None:
    """What a referenced person or organisation is called."""
    if not element:
        return None
    whole = contained.get(element.get("reference", "").removeprefix("#"), {})
    names = whole.get("name")
    if isinstance(names, str):
        return names
    written = read_human_names(names)
    devices = (each.get("name") for each in whole.get("deviceName", ()))
    return written.text if written else first([*devices, element.get("display")])


def _words(concepts: Iterable[Mapping[str, Any]] | None) -> str | None:
    """A role or specialty in words: the text, else what the first code says."""
    for each in concepts or ():
        codings = each.get("coding") or [{}]
        words: str | None = each.get("text") or codings[0].get("display") or codings[0].get("code")
        if words:
            return words
    return None
