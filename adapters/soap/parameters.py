"""Parameters of a stored query: names, and values in the small language that ITI-18 has for them.

Strings stand in quotes with quotes doubled, lists in brackets; several values of a slot are alternatives, and where a
slot may stand more than once all of them must hold.

Source: IHE ITI TF-2: 3.18.4.1.2.3.5 (coding style), 3.18.4.1.2.3.6 (parameters)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.soap.datatypes import system_of
from adapters.soap.errors import QueryFault
from adapters.soap.names import RIM, children, text_of
from adapters.xml_door import XmlElement
from registry.coded import CodedValue

_STRING = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
MOST_VALUES = 2_000

Alternatives = tuple[str, ...]


def wrong_number(name: str, told: str) -> QueryFault:
    """A parameter that does not stand as often, or not in the form, that it has to."""
    return QueryFault("XDSStoredQueryParamNumber", f"{name}: {told}")


def missing(name: str) -> QueryFault:
    return QueryFault("XDSStoredQueryMissingParam", f"{name} is missing")


@dataclass(slots=True)
class Parameters:
    """The slots of an AdhocQuery. What was asked for by name counts as understood; the rest is left over.

    written  the same as they came
    """

    slots: dict[str, list[Alternatives]]
    written: tuple[tuple[str, tuple[str, ...]], ...] = ()
    understood: set[str] = field(default_factory=set)

    def all_of(self, name: str) -> tuple[Alternatives, ...]:
        """Each slot of this name with its alternatives: all slots have to hold."""
        self.understood.add(name)
        return tuple(self.slots.get(name, ()))

    def any_of(self, name: str, *, required: bool = False) -> Alternatives:
        """The alternatives of a slot that may stand once."""
        found = self.all_of(name)
        if len(found) > 1:
            raise wrong_number(name, "may stand once")
        if required and not found:
            raise missing(name)
        return found[0] if found else ()

    def one(self, name: str, *, required: bool = False) -> str | None:
        """The one value of a slot."""
        found = self.any_of(name, required=required)
        if len(found) > 1:
            raise wrong_number(name, "takes one value")
        return found[0] if found else None

    def only_one_of(self, first: str, second: str) -> Alternatives:
        """Either of two slots, and not both."""
        one, other = self.any_of(first), self.any_of(second)
        if one and other:
            raise wrong_number(first, f"and {second} exclude each other")
        if not one and not other:
            raise missing(f"{first} or {second}")
        return one or other


def read_parameters(query: XmlElement) -> Parameters:
    """Raises QueryFault for a value that is none."""
    slots: dict[str, list[Alternatives]] = {}
    written = []
    count = 0
    for slot in children(query, RIM, "Slot"):
        texts = [text_of(value) for listed in children(slot, RIM, "ValueList") for value in listed]
        name = slot.get("name", "")
        values = tuple(value for text in texts for value in _values(text, name))
        count += len(values)
        if count > MOST_VALUES:
            raise QueryFault("XDSTooManyResults", f"at most {MOST_VALUES} values in one query")
        if values:
            slots.setdefault(name, []).append(values)
            written.append((name, tuple(texts)))
    return Parameters(slots, tuple(written))


def _values(text: str, name: str) -> Iterable[str]:
    inner = text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text
    if _NUMBER.fullmatch(inner):
        return (inner,)
    found, place = [], 0
    while place < len(inner):
        match = _STRING.match(inner, place)
        if match is None:
            raise _malformed(name)
        found.append(match[1].replace("''", "'"))
        place = match.end()
        rest = inner[place:].lstrip()
        if rest and not rest.startswith(","):
            raise _malformed(name)
        place = len(inner) - len(rest[1:].lstrip()) if rest else len(inner)
    return found


def _malformed(name: str) -> QueryFault:
    shown = name if name.isascii() and name.isprintable() and len(name) <= 64 else "a parameter"
    return QueryFault("XDSRegistryError", f"{shown}: a value is a number, 'text', or a list ('text','text')")


def codes_of(values: Alternatives, name: str) -> tuple[CodedValue, ...]:
    """Coded values, `code^^scheme`. Raises QueryFault."""
    found = []
    for value in values:
        code, _, scheme = (*value.split("^"), "", "")[:3]
        if not code or not scheme:
            raise wrong_number(name, "a coded value is written 'code^^codingScheme'")
        found.append(CodedValue(code, system_of(scheme)))
    return tuple(found)


def like(pattern: str) -> re.Pattern[str]:
    """A pattern of SQL's LIKE: % any letters, _ one."""
    parts = (".*" if sign == "%" else "." if sign == "_" else re.escape(sign) for sign in pattern)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
