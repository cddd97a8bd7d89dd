"""The conditions of a search, by a table of its parameters: each becomes a predicate over the noun.

What a search says beside its conditions is read by `search_controls`.

Source: HL7 FHIR R4, 3.1.1 Search, https://hl7.org/fhir/R4/search.html; IHE MHD 4.2.3, 2:3.66.4.1, 2:3.67.4.1
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from adapters.fhir import search_controls
from adapters.fhir.asked_patient import AskedPatient
from adapters.fhir.elements import document_id, instant
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.search_values import (
    DateValue,
    Parameter,
    ReferenceValue,
    StringValue,
    TokenValue,
    interval,
)
from adapters.wire import Pairs, WireRequest
from registry.coded import CodedValue
from registry.identifiers import PatientIdentifier
from registry.searches import Cursor, PatientSelector

Condition: TypeAlias = Callable[[Any], bool]
Reader: TypeAlias = Callable[[Parameter], Condition]

_PATIENT = ("patient", "subject")


@dataclass(slots=True)
class Asked:
    """A search as it was understood. `special` holds the parameters that a transaction reads itself."""

    used: Pairs = ()
    selector: PatientSelector = field(default_factory=PatientSelector)
    ids: tuple[str, ...] | None = None
    where: tuple[Condition, ...] = ()
    special: dict[str, list[Parameter]] = field(default_factory=dict)
    limit: int = search_controls.USUAL_COUNT
    after: Cursor | None = None
    count_only: bool = False

    def identifiers(self) -> tuple[str, ...] | None:
        """entryUUIDs and uniqueIds, as the registry spells them; None where none is asked for."""
        return _document_ids(self.special["identifier"]) if "identifier" in self.special else None


def read_search(request: WireRequest, table: Mapping[str, Reader], *, special: Collection[str] = ()) -> Asked:
    """Read a query by its table of parameters. Raises BadRequest; what was understood is in `request.kept`."""
    plain = frozenset({"_id", *special})

    def understands(parameter: Parameter) -> bool:
        is_plain = parameter.name in plain and not parameter.modifier and not parameter.chain
        return is_plain or parameter.name in _PATIENT or _key(parameter) in table

    read = search_controls.read_search(request, understands)
    asked = Asked(used=read.used, limit=read.count, after=read.after, count_only=read.count_only)
    patient = AskedPatient(request.base)
    for parameter in read.conditions:
        if parameter.name in special and not parameter.modifier and not parameter.chain:
            asked.special.setdefault(parameter.name, []).append(parameter)
        else:
            _take(asked, patient, parameter, table)
    asked.selector = patient.selector()
    return asked


def require_patient(asked: Asked, request: WireRequest) -> None:
    """A question to the whole network names a patient: hospitals are not searched for everybody's."""
    if request.door == "network" and not asked.selector.is_given:
        told = "Whom is the question about? Give patient, or patient.identifier and more."
        raise BadRequest(Issue("error", "required", told))


def _key(parameter: Parameter) -> str:
    return f"{parameter.name}.{parameter.chain.partition(':')[0]}" if parameter.chain else parameter.name


def _take(asked: Asked, patient: AskedPatient, parameter: Parameter, table: Mapping[str, Reader]) -> None:
    if parameter.name in _PATIENT:
        patient.add(parameter)
    elif parameter.name == "_id":
        asked.ids = _narrowed(asked.ids, parameter.values)
    else:
        asked.where += (table[_key(parameter)](parameter.chained() if parameter.chain else parameter),)


def _narrowed(before: tuple[str, ...] | None, values: tuple[str, ...]) -> tuple[str, ...]:
    return values if before is None else tuple(each for each in before if each in values)


def _document_ids(parameters: Iterable[Parameter]) -> tuple[str, ...]:
    found: tuple[str, ...] | None = None
    for parameter in parameters:
        tokens = [TokenValue.parse(value) for value in parameter.values]
        if any(not token.code for token in tokens):
            raise BadRequest("An identifier is searched by its value, with or without its system.")
        found = _narrowed(found, tuple(document_id(token.system, token.code or "") for token in tokens))
    return found or ()


# ---- conditions by the type of a parameter ----


def token(values: Callable[[Any], Iterable[CodedValue | PatientIdentifier | str | None]]) -> Reader:
    """A code or identifier among several; knows `:not` and `:missing`."""

    def read(parameter: Parameter) -> Condition:
        if parameter.missing is not None:
            return _missing(parameter, lambda noun: any(value is not None for value in values(noun)))
        if parameter.modifier not in (None, "not"):
            raise _modifier(parameter)
        wanted = [TokenValue.parse(value) for value in parameter.values]

        def holds(noun: Any) -> bool:
            pairs = [_system_and_code(value) for value in values(noun) if value is not None]
            return any(each.matches(*pair) for each in wanted for pair in pairs) != (parameter.modifier == "not")

        return holds

    return read


def date(span: Callable[[Any], tuple[datetime | None, datetime | None] | None]) -> Reader:
    """A time or period; `span` gives None where there is none."""

    def read(parameter: Parameter) -> Condition:
        if parameter.missing is not None:
            return _missing(parameter, lambda noun: span(noun) is not None)
        if parameter.modifier is not None:
            raise _modifier(parameter)
        wanted = [DateValue.parse(value) for value in parameter.values]

        def holds(noun: Any) -> bool:
            found = span(noun)
            return found is not None and any(each.matches_interval(*found) for each in wanted)

        return holds

    return read


def moment(value: Callable[[Any], datetime | str | None]) -> Reader:
    """A point in time, in the precision it has."""

    def span(noun: Any) -> tuple[datetime | None, datetime | None] | None:
        found = value(noun)
        text = instant(found) if isinstance(found, datetime) else found
        return interval(text) if text else None

    return date(span)


def string(values: Callable[[Any], Iterable[str | None]]) -> Reader:
    """A text: its beginning, without case and accents; knows `:exact`, `:contains` and `:missing`."""

    def read(parameter: Parameter) -> Condition:
        if parameter.missing is not None:
            return _missing(parameter, lambda noun: any(values(noun)))
        wanted = [StringValue.parse(value, parameter.modifier) for value in parameter.values]
        return lambda noun: any(each.matches(value) for each in wanted for value in values(noun) if value)

    return read


def related(numbers: Callable[[Any], Iterable[PatientIdentifier]], links: Callable[[Any], Iterable[str]]) -> Reader:
    """A reference by identifier, or as it is written."""

    def read(parameter: Parameter) -> Condition:
        if parameter.missing is not None:
            return _missing(parameter, lambda noun: any(numbers(noun)) or any(links(noun)))
        wanted = [ReferenceValue.parse(value, parameter.modifier) for value in parameter.values]

        def fits(each: ReferenceValue, noun: Any) -> bool:
            if each.identifier is not None:
                return any(each.identifier.matches(number.system, number.value) for number in numbers(noun))
            written = {each.url, f"{each.type}/{each.id}" if each.type else each.id}
            return any(link in written or link.rpartition("/")[2] in written for link in links(noun))

        return lambda noun: any(fits(each, noun) for each in wanted)

    return read


def _system_and_code(value: CodedValue | PatientIdentifier | str) -> tuple[str | None, str]:
    if isinstance(value, str):
        return None, value
    return value.system, value.code if isinstance(value, CodedValue) else value.value


def _missing(parameter: Parameter, is_there: Condition) -> Condition:
    return lambda noun: is_there(noun) != parameter.missing


def _modifier(parameter: Parameter) -> BadRequest:
    told = f"The modifier of {parameter.name} is not known here."
    return BadRequest(Issue("error", "not-supported", told))
