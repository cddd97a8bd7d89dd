"""Whose document it is: a reference to a Patient of this node, a number, or a Patient that the message brings along.

All of one message must mean the same patient. What can only be known from the index, such as whose number a logical id
stands for, is checked by the publish flow; a contradiction within the message is found here.

Source: IHE MHD 4.2.3, 2:3.65.4.1.2.3 (patient identity)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapters.fhir import Resource
from adapters.fhir.elements import (
    IDENTIFIER_TYPE,
    Element,
    first,
    read_demographics,
    read_identifier,
    read_identifiers,
    referenced_id,
)
from adapters.fhir.issues import Issue, Unprocessable
from registry.errors import PatientMismatch
from registry.identifiers import PatientIdentifier
from registry.people import NOTHING_KNOWN, Demographics
from registry.submissions import OWN_RECORD, PatientMention

_LOCAL_NUMBERS = ("MR", "PI")


@dataclass(frozen=True, slots=True)
class Subject:
    """What one reference says of the patient. At least one of `record_id` and `identifier` is there."""

    record_id: str | None = None
    identifier: PatientIdentifier | None = None
    numbers: tuple[PatientIdentifier, ...] = ()
    demographics: Demographics = NOTHING_KNOWN


def read_subject(
    element: Element, contained: Mapping[str, Resource], bundled: Mapping[str, Resource], *, base: str, at: str
) -> Subject:
    """Raises Unprocessable where the reference means no patient.

    bundled  Patients of the same message by their fullUrl
    """
    target = element.get("reference", "")
    brought = contained.get(target[1:]) if target.startswith("#") else bundled.get(target)
    number = read_identifier(element.get("identifier"))
    record_id = None if brought else referenced_id(element, "Patient", base=base)
    if brought is not None and brought.get("resourceType") == "Patient":
        number = number or local_number(brought)
        others = tuple(each for each in read_identifiers(brought.get("identifier")) if each != number)
        demographics = read_demographics(brought)
    else:
        others, demographics = (), NOTHING_KNOWN
    if record_id is None and number is None:
        told = "No patient: a Patient of this node, an identifier, or a Patient in the message was expected."
        raise Unprocessable(Issue("error", "not-found", told, (at,)))
    return Subject(record_id, number, others, demographics)


def local_number(patient: Resource) -> PatientIdentifier | None:
    """The number under which the sender keeps the patient: by type, by use, or the first."""
    known = [each for each in patient.get("identifier", ()) if read_identifier(each)]
    typed = (each for kind in _LOCAL_NUMBERS for each in known if kind in _kinds(each))
    usual = (each for each in known if each.get("use") == "usual")
    return read_identifier(first([*typed, *usual, *known]))


def one_patient(subjects: Sequence[tuple[str, Subject]]) -> tuple[PatientMention, str]:
    """The one patient that all of them mean, and the logical id where one is given.

    Each comes with the place it was found at. Raises PatientMismatch.
    """
    numbers = _distinct((at, subject.identifier.normal) for at, subject in subjects if subject.identifier)
    records = _distinct(
        (at, PatientIdentifier(OWN_RECORD, subject.record_id)) for at, subject in subjects if subject.record_id
    )
    given = first(subject.identifier for _, subject in subjects)
    identifier = given if numbers and given else records[0]
    described = first(s.demographics for _, s in subjects if s.demographics.enough_to_register)
    others = dict.fromkeys(number for _, subject in subjects for number in subject.numbers if number != identifier)
    mention = PatientMention(identifier, tuple(others), described or NOTHING_KNOWN)
    return mention, records[0].value if records else ""


def _distinct(found: Iterable[tuple[str, PatientIdentifier]]) -> list[PatientIdentifier]:
    kept: list[PatientIdentifier] = []
    for at, identifier in found:
        if kept and identifier != kept[0]:
            raise PatientMismatch(at, expected=str(kept[0]), found=str(identifier))
        kept.append(identifier)
    return kept


def _kinds(element: Element) -> set[str]:
    codings = element.get("type", {}).get("coding", ())
    return {each.get("code", "") for each in codings if each.get("system", IDENTIFIER_TYPE) == IDENTIFIER_TYPE}
