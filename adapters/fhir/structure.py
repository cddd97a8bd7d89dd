"""What FHIR R4 types consist of: elements in their order, how many, of which type, from which codes.

The table `structure.json` is made from HL7's StructureDefinitions by `tests/conformance/make_structure.py`.
A row reads `name min..max types [=code list]`; `@` marks what XML writes as an attribute, `name[x]` a
choice of types, `Reference(Patient,Group)` the permitted targets, `*` every type that an extension may
carry. A type is compiled when it is first met and then kept.

Source: HL7 FHIR R4, 2.24 (data types), 2.6 (formats), https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from sys import intern
from typing import Any

ANY_RESOURCE = "Resource"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type, as its StructureDefinition has it.

    name           without `[x]`: `status`, `value`
    types          one, or several for a choice
    required       at least one is needed
    many           may repeat: an array in JSON
    choice         the type is part of the name: `valueQuantity`
    codes          the only permitted codes, None where any code may stand
    targets        resource types that a Reference may point to, empty where any may
    xml_attribute  written as an attribute in XML: `Extension.url`, `Element.id`
    """

    name: str
    types: tuple[str, ...]
    required: bool
    many: bool
    choice: bool
    codes: frozenset[str] | None
    targets: frozenset[str]
    xml_attribute: bool

    def names(self) -> tuple[tuple[str, str], ...]:
        """The names under which it appears, each with its type: ("valueString", "string"), …"""
        if not self.choice:
            return ((self.name, self.types[0]),)
        return tuple((intern(self.name + kind[0].upper() + kind[1:]), kind) for kind in self.types)


@dataclass(frozen=True, slots=True)
class Field:
    """An element under one of its names, with the one type that this name means."""

    name: str
    type: str
    element: Element

    @property
    def primitive(self) -> bool:
        return self.type in _primitives()


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource type, data type or backbone element: `Patient`, `HumanName`, `Patient.contact`."""

    name: str
    is_resource: bool
    elements: tuple[Element, ...]
    fields: Mapping[str, Field]
    required: tuple[Element, ...]


def is_known_resource(name: object) -> bool:
    """Whether this node knows the resource type well enough to read, check and write it."""
    return name in _resources()


def is_resource_name(name: str) -> bool:
    """Whether R4 has a resource type of this name, known to this node or not."""
    return name in _resource_names()


def code_list(name: str) -> frozenset[str]:
    """The codes of a value set that some element requires: `issue-type`."""
    return _codes(name)


@cache
def narrative_elements() -> frozenset[str]:
    """What XHTML elements a narrative may have, by its invariant txt-1."""
    return frozenset(_table()["narrative"]["elements"])


@cache
def narrative_attributes() -> frozenset[str]:
    """What XHTML attributes a narrative may have, by its invariant txt-1."""
    return frozenset(_table()["narrative"]["attributes"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files(__package__).joinpath("structure.json").read_bytes())
    return table


@cache
def _resources() -> frozenset[str]:
    return frozenset(_table()["resources"])


@cache
def _primitives() -> frozenset[str]:
    return frozenset(_table()["primitives"])


@cache
def _resource_names() -> frozenset[str]:
    return frozenset(_table()["resource_names"])


@cache
def _codes(name: str) -> frozenset[str]:
    return frozenset(_table()["codes"][name])


@cache
def structure_of(name: str) -> Structure:
    """The structure of a resource type, data type or backbone element; KeyError where there is none."""
    elements = _elements(name)
    return Structure(
        name=intern(name),
        is_resource=name in _resources(),
        elements=elements,
        fields={key: Field(key, kind, element) for element in elements for key, kind in element.names()},
        required=tuple(element for element in elements if element.required),
    )


@cache
def _elements(name: str) -> tuple[Element, ...]:
    row = _table()["types"][name]
    inherited = _elements(row["base"]) if row["base"] else ()
    return inherited + tuple(_element(text) for text in row["elements"])


@cache
def _element(row: str) -> Element:
    name, cardinality, kinds, *codes = row.split(" ")
    minimum, maximum = cardinality.split("..")
    types, targets = _types(kinds)
    return Element(
        name=intern(name.removeprefix("@").removesuffix("[x]")),
        types=types,
        required=minimum != "0",
        many=maximum != "1",
        choice=name.endswith("[x]"),
        codes=_codes(codes[0].removeprefix("=")) if codes else None,
        targets=targets,
        xml_attribute=name.startswith("@"),
    )


def _types(kinds: str) -> tuple[tuple[str, ...], frozenset[str]]:
    if kinds == "*":
        return tuple(_table()["open_types"]), frozenset()
    types, targets = [], frozenset[str]()
    for kind in kinds.split("|"):
        base, bracket, inside = kind.partition("(")
        types.append(intern(base))
        if bracket:
            targets = frozenset(intern(each) for each in inside.removesuffix(")").split(","))
    return tuple(types), targets
