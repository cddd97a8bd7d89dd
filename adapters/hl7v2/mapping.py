"""What one sender writes differently from everybody else, as configuration: segments, fields, codes, authorities.

A mapping changes the message before it is read, as if its sender had written it so; what is kept stays as it came.
It is a TOML file with one table for each sender:

    [[sender]]
    application = "RIS"              # MSH-3
    facility = "BV_BN"               # MSH-4; absent: any
    [sender.authorities]             # namespaces that only this sender uses
    KHOACDHA = "urn:oid:2.25.1"
    [sender.segments]                # its own segments that are standard ones
    ZBX = "OBX"
    [sender.fields]                  # where a field is empty, take it from another
    "OBR-3" = "OBR-18"
    [sender.systems]                 # what its names of code systems mean (OBX-3.3); "" is a code that names none
    L = "http://fhir.ehealth.gov.vn/core/CodeSystem/result"
    [sender.codes."OBR-4"]           # first component: its code, and the one that is meant
    CT01 = "18.0149.0040"

Source: an agreement of this project; HL7 2.8 chapter 2.11 (site-defined segments) leaves it to the sites.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import Any

from adapters.hl7v2.message import Message, Segment
from registry.errors import InvalidValue

_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9]\d{0,2})")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_KNOWN = frozenset({"application", "facility", "authorities", "segments", "fields", "systems", "codes"})
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SenderMapping:
    """The habits of one sender."""

    application: str
    facility: str = ""
    authorities: Table[str, str] = field(default_factory=dict)
    segments: Table[str, str] = field(default_factory=dict)
    fields: Table[Place, Place] = field(default_factory=dict)
    codes: Table[Place, Table[str, str]] = field(default_factory=dict)
    systems: Table[str, str] = field(default_factory=dict)

    def is_of(self, message: Message) -> bool:
        header = message.header
        return header.text(3) == self.application and self.facility in ("", header.text(4))


NO_MAPPINGS: tuple[SenderMapping, ...] = ()


def read_mappings(text: str) -> tuple[SenderMapping, ...]:
    """Raises InvalidValue with the place in the file; a name that is not known is a mistake, not a wish."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidValue("mapping", expected=f"TOML ({error})") from None
    if set(found) - {"sender"} or not isinstance(found.get("sender", []), list):
        raise InvalidValue("mapping", expected="tables [[sender]] and nothing else")
    return tuple(_sender(place, told) for place, told in enumerate(found.get("sender", []), 1))


def _sender(place: int, told: dict[str, Any]) -> SenderMapping:
    where = f"sender {place}"
    if set(told) - _KNOWN:
        raise InvalidValue(where, expected=f"only {', '.join(sorted(_KNOWN))}")
    application = told.get("application")
    if not isinstance(application, str) or not application:
        raise InvalidValue(f"{where}, application", expected="MSH-3 of this sender")
    return SenderMapping(
        application,
        str(told.get("facility", "")),
        {name.upper(): system for name, system in _texts(told, "authorities", where).items()},
        {_segment(old, where): _segment(new, where) for old, new in _texts(told, "segments", where).items()},
        {_place(to, where): _place(of, where) for to, of in _texts(told, "fields", where).items()},
        {_place(to, where): _texts(told["codes"], to, where) for to in told.get("codes", {})},
        {name.upper(): system for name, system in _texts(told, "systems", where).items()},
    )


def _texts(told: dict[str, Any], name: str, where: str) -> dict[str, str]:
    found = told.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
        raise InvalidValue(f"{where}, {name}", expected="texts by name")
    return found


def _segment(name: str, where: str) -> str:
    if not _SEGMENT.fullmatch(name) or name == "MSH":
        raise InvalidValue(f"{where}, segments", expected="names of three capitals, MSH is not among them")
    return name


def _place(text: str, where: str) -> Place:
    found = _PLACE.fullmatch(text)
    if found is None or found[1] == "MSH":
        raise InvalidValue(f"{where}, {text}", expected="a field as OBR-3, of a segment other than MSH")
    return found[1], int(found[2])


def mapping_of(message: Message, mappings: tuple[SenderMapping, ...]) -> SenderMapping | None:
    """The one with the facility before the one for any."""
    fitting = [one for one in mappings if one.is_of(message)]
    return max(fitting, key=lambda one: bool(one.facility), default=None)


def mapped(message: Message, mapping: SenderMapping) -> Message:
    """The message as its sender meant it."""
    lines = [message.header.raw, *(_line(segment, message, mapping) for segment in message.segments[1:])]
    return Message(lines, message.delimiters, message.charset, message.deviations)


def _line(segment: Segment, message: Message, mapping: SenderMapping) -> str:
    name = mapping.segments.get(segment.name, segment.name)
    segment.field(1)  # cuts it within bounds, or refuses it
    sign = message.delimiters.field
    cells = segment.raw.split(sign)
    cells[0] = name
    for (where, to), (source, of) in mapping.fields.items():
        if where == name and not _cell(cells, to):
            _set(cells, to, _from(segment, message, source, of))
    for (where, to), codes in mapping.codes.items():
        if where == name and _cell(cells, to):
            _set(cells, to, _recoded(cells[to], message, codes))
    return sign.join(cells)


def _from(segment: Segment, message: Message, source: str, number: int) -> str:
    """Of the same segment, else of the first of that name."""
    holder = segment if segment.name == source else next(message.all(source), None)
    return holder.field(number) if holder else ""


def _cell(cells: list[str], number: int) -> str:
    return cells[number] if number < len(cells) else ""


def _set(cells: list[str], number: int, value: str) -> None:
    if value:
        cells += [""] * (number + 1 - len(cells))
        cells[number] = value


def _recoded(cell: str, message: Message, codes: Table[str, str]) -> str:
    """The first component of each repetition; what stands besides it stays."""
    signs = message.delimiters
    parts = []
    for each in cell.split(signs.repetition):
        code, separator, rest = each.partition(signs.component)
        meant = codes.get(message.unescape(code))
        parts.append((signs.written(meant) if meant else code) + separator + rest)
    return signs.repetition.join(parts)
