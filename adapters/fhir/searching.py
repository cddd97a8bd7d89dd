"""What a search asks: whose things, which of them, how many; and which of its parameters were understood.

A parameter that is not known is left out and missing from the link `self`, or refused with `Prefer: handling=strict`.
One that narrows the patient is never left out: ignored, it would show other patients.

Source: HL7 FHIR R4, 3.1.1 Search, https://hl7.org/fhir/R4/search.html; IHE MHD 4.2.3, 2:3.66.4.1, 2:3.67.4.1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from adapters.fhir.asked_patient import AskedPatient
from adapters.fhir.elements import document_id, instant
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.search_values import (
    MAX_PARAMETERS,
    DateValue,
    Parameter,
    ReferenceValue,
    StringValue,
    TokenValue,
    interval,
    parse_query,
)
from adapters.fhir.writing import is_strict, read_after
from adapters.wire import Pairs, WireRequest
from registry.coded import CodedValue
from registry.identifiers import PatientIdentifier
from registry.searches import Cursor, PatientSelector

Condition: TypeAlias = Callable[[Any], bool]
Reader: TypeAlias = Callable[[Parameter], Condition]

DEFAULT_COUNT = 50
MOST = 500
_PATIENT = ("patient", "subject")
_SILENT = ("_format", "_pretty")
_NEWEST_FIRST = "-date"


@dataclass(slots=True)
class Asked:
    """A search as it was understood. `special` holds the parameters that a transaction reads itself."""

    used: Pairs = ()
    selector: PatientSelector = field(default_factory=PatientSelector)
    ids: tuple[str, ...] | None = None
    where: tuple[Condition, ...] = ()
    special: dict[str, list[Parameter]] = field(default_factory=dict)
    limit: int = DEFAULT_COUNT
    after: Cursor | None = None
    count_only: bool = False

    def identifiers(self) -> tuple[str, ...] | None:
        """entryUUIDs and uniqueIds, as the registry spells them; None where none is asked for."""
        return _document_ids(self.special["identifier"]) if "identifier" in self.special else None


def read_search(request: WireRequest, table: Mapping[str, Reader], *, special: Iterable[str] = ()) -> Asked:
    """Read a query by its table of parameters. Raises BadRequest; remembers what was used in `request.kept`."""
    if len(request.query) > MAX_PARAMETERS:
        raise BadRequest(f"A search has at most {MAX_PARAMETERS} parameters.")
    asked, patient, used, unknown = Asked(), AskedPatient(request.base), [], []
    for name, value in request.query:
        understood = _control(asked, name, value)
        if understood is None:
            understood = _one(asked, patient, parse_query([(name, value)])[0], table, frozenset(special))
        if understood and name not in _SILENT:
            used.append((name, str(asked.limit) if name == "_count" and not asked.count_only else value))
        elif not understood:
            unknown.append(name)
    if unknown and is_strict(request):
        shown = ", ".join(sorted(name for name in unknown if name.replace("-", "").replace("_", "").isalnum()))
        raise BadRequest(Issue("error", "not-supported", f"Not known here: {shown or 'a search parameter'}."))
    asked.selector, asked.used = patient.selector(), tuple(used)
    request.kept["used"] = asked.used
    return asked


def require_patient(asked: Asked, request: WireRequest) -> None:
    """A question to the whole network names a patient: hospitals are not searched for everybody's."""
    if request.door == "network" and not asked.selector.is_given:
        told = "Whom is the question about? Give patient, or patient.identifier and more."
        raise BadRequest(Issue("error", "required", told))


# ---- the parameters of every search ----


def _control(asked: Asked, name: str, value: str) -> bool | None:
    """Parameters that are about the result; None for one that is not, False for a wish that is not granted."""
    match name:
        case "_format" | "_pretty":
            return True
        case "_count":
            asked.limit = _read_count(value)
            asked.count_only = asked.count_only or asked.limit == 0
            asked.limit = asked.limit or DEFAULT_COUNT
            return True
        case "_summary":
            asked.count_only = asked.count_only or value == "count"
            return value in ("count", "false")
        case "_total":
            return value in ("none", "estimate", "accurate")
        case "_sort":
            return value == _NEWEST_FIRST
        case "_after":
            asked.after = read_after(value)
            return True
        case _:
            return None


def _read_count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise BadRequest("_count is a number, zero or more.")
    return min(int(value), MOST)


def _one(
    asked: Asked, patient: AskedPatient, parameter: Parameter, table: Mapping[str, Reader], special: frozenset[str]
) -> bool:
    name = parameter.name
    if name in _PATIENT:
        patient.add(parameter)
    elif name == "_id" and not parameter.modifier and not parameter.chain:
        asked.ids = _narrowed(asked.ids, parameter.values)
    elif name in special and not parameter.modifier and not parameter.chain:
        asked.special.setdefault(name, []).append(parameter)
    else:
        key = f"{name}.{parameter.chain.partition(':')[0]}" if parameter.chain else name
        reader = table.get(key)
        if reader is None:
            return False
        wanted = parameter.chained() if parameter.chain else parameter
        asked.where += (reader(wanted),)
    return True


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
