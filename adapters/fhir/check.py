"""What a resource has that FHIR R4 does not permit, and where: by the table of types, not by profile.

Found are missing, repeated and empty elements, wrong kinds and types, values outside their primitive type,
codes outside a required binding, references to the wrong type, modifier extensions that nobody here
understands. Elements that R4 does not have are kept and warned of.

Source: HL7 FHIR R4, 2.1.0 and 2.6.2.2, https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any, TypeAlias

from adapters.fhir import Resource
from adapters.fhir.issues import Issue, Severity
from adapters.fhir.primitives import CHECKS, kind_of
from adapters.fhir.structure import (
    ANY_RESOURCE,
    Element,
    Field,
    Structure,
    is_known_resource,
    is_resource_name,
    structure_of,
)

MAX_ISSUES = 100
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")

Place: TypeAlias = tuple[Any, ...]
"""(path,), (place of the parent, "name") or (place of the array, 0); spelled out only for an issue."""


def check(
    resource: Resource,
    *,
    path: str | None = None,
    known_modifiers: Set[str] = frozenset(),
    values_needed: bool = False,
) -> list[Issue]:
    """Everything that is wrong with the resource, in its order; empty if nothing is.

    path             FHIRPath of the resource where it is part of something larger; otherwise its type
    known_modifiers  URLs of the modifier extensions that the caller understands
    values_needed    R4 lets a required element be there by its extensions alone (why it is absent); a message is read
                     by its values, the documents in it need none
    """
    examination = _Examination(known_modifiers, values_needed=values_needed)
    kind = resource.get("resourceType")
    name = kind if isinstance(kind, str) and is_resource_name(kind) else "Resource"
    try:
        examination.resource(resource, (path or name,))
    except _Enough:
        examination.issues.append(Issue("warning", "incomplete", f"There is more; {MAX_ISSUES} faults are listed."))
    return examination.issues


_BESIDE = frozenset({"id", "extension"})


class _Enough(Exception):
    """As many issues as anybody reads."""


class _Examination:
    def __init__(self, known_modifiers: Set[str], *, values_needed: bool) -> None:
        self.issues: list[Issue] = []
        self.known_modifiers = known_modifiers
        self.values_needed = values_needed

    def found(self, at: Place, code: str, text: str, severity: Severity = "error") -> None:
        if len(self.issues) >= MAX_ISSUES:
            raise _Enough
        self.issues.append(Issue(severity, code, text, (_fhirpath(at),)))

    def resource(self, value: Any, at: Place) -> None:
        if not isinstance(value, dict):
            self.found(at, "structure", f"expected a resource, found {kind_of(value)}")
            return
        kind = value.get("resourceType")
        if not isinstance(kind, str):
            self.found(at, "structure", "a resource needs a resourceType")
        elif is_known_resource(kind):
            outside, self.values_needed = self.values_needed, self.values_needed and not _is_document(value)
            self.members(value, _plan(kind), at)
            self.values_needed = outside
        else:
            self.found(at, "not-supported", "this resource type is not known here")

    def members(self, value: Any, plan: _Plan, at: Place) -> None:
        if not isinstance(value, dict):
            self.found(at, "structure", f"expected an object, found {kind_of(value)}")
            return
        if not value:
            self.found(at, "structure", "an object may not be empty")
            return
        looks = plan.looks
        for name, inner in value.items():
            look = looks.get(name)
            if look is None:
                self.unknown(name, inner, plan.structure, at)
            else:
                look(self, inner, value, at)
        for name, element in plan.required:
            if name not in value and not _is_present(element, value, by_extension=not self.values_needed):
                self.found((at, name), "required", "this element is required")

    def unknown(self, name: str, value: Any, structure: Structure, at: Place) -> None:
        """A name that R4 does not have."""
        for element in structure.elements:
            if element.choice and name.startswith(element.name):
                self.found((at, element.name), "structure", f"{element.name}[x] may not be of this type")
                return
        if name.startswith("_"):
            self.found((at, _shown(name)), "structure", "only a primitive element has something beside it")
            return
        if not _could_be_an_element(value):
            self.found((at, _shown(name)), "structure", "no element of FHIR is empty, or an array of arrays")
            return
        text = "R4 does not have this element; it is kept and not understood"
        self.found((at, _shown(name)), "structure", text, "warning")

    def primitives(self, value: Any, extras: Any, field: Field, at: Place) -> None:
        if self.is_array(value, at):
            beside = extras if isinstance(extras, list) else ()
            for index, (each, extra) in enumerate(zip_longest(value, beside)):
                if each is not None:
                    self.value(each, field, (at, index))
                elif extra is None:
                    self.found((at, index), "structure", "neither a value nor an extension")

    def value(self, value: Any, field: Field, at: Place) -> None:
        fault = CHECKS[field.type](value)
        codes = field.element.codes
        if fault:
            self.found(at, "value" if isinstance(value, str | int) else "structure", fault)
        elif codes is not None and value not in codes:
            some = ", ".join(sorted(codes)[:12]) + (", …" if len(codes) > 12 else "")
            self.found(at, "code-invalid", f"expected one of {some}")

    def extras(self, value: Any, field: Field, at: Place, *, alone: bool) -> None:
        """What stands under `_name`: the id and the extensions of a primitive, or of each in an array."""
        if not field.element.many:
            self.beside(value, at)
        elif self.is_array(value, at):
            for index, each in enumerate(value):
                if each is not None:
                    self.beside(each, (at, index))
                elif alone:
                    self.found((at, index), "structure", "neither a value nor an extension")

    def beside(self, value: Any, at: Place) -> None:
        """No version of FHIR has anything but an id and extensions beside a primitive."""
        self.members(value, _plan("Element"), at)
        if isinstance(value, dict) and not value.keys() <= _BESIDE:
            self.found(at, "structure", "only an id and extensions may stand beside a value")

    def is_array(self, value: Any, at: Place) -> bool:
        if not isinstance(value, list):
            self.found(at, "structure", f"expected an array, found {kind_of(value)}")
        elif not value:
            self.found(at, "structure", "an array may not be empty")
        return isinstance(value, list)

    def target(self, reference: dict[str, Any], targets: frozenset[str], at: Place) -> None:
        if "reference" not in reference and "type" not in reference:
            return
        kinds = {_type_of(reference.get("reference")), _named_type(reference.get("type"))} - {None}
        if not kinds <= targets:
            self.found(at, "structure", f"expected a reference to {', '.join(sorted(targets))}")

    def modifiers(self, extensions: Any, at: Place) -> None:
        for index, each in enumerate(extensions if isinstance(extensions, list) else ()):
            if isinstance(each, dict) and each.get("url") not in self.known_modifiers:
                self.found((at, index), "extension", "this modifier extension is not understood here")


# ---- one look for each element, made when its type is first met ----

_Look: TypeAlias = Callable[[_Examination, Any, dict[str, Any], Place], None]
"""Of the value of an element, in the object that it stands in and at the place of that."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How an object of one type is looked at: by the names that its members may have, and those that it needs."""

    structure: Structure
    looks: Mapping[str, _Look]
    required: tuple[tuple[str, Element], ...]


@cache
def _plan(kind: str) -> _Plan:
    structure = structure_of(kind)
    looks: dict[str, _Look] = {"resourceType": _at_nothing} if structure.is_resource else {}
    for name, field in structure.fields.items():
        looks[name] = _look(field)
        if field.type in CHECKS and not field.element.xml_attribute:
            looks["_" + name] = _at_extras(field)
        if field.element.choice:
            looks |= {each: _alone(field, looks[each]) for each in (name, "_" + name) if each in looks}
    return _Plan(structure, looks, tuple((element.name, element) for element in structure.required))


def _look(field: Field) -> _Look:
    if field.type in CHECKS:
        return _at_values(field) if field.element.many else _at_value(field)
    return _at_each(field) if field.element.many else _at_one(field)


def _alone(field: Field, look: _Look) -> _Look:
    """Of a choice of types one may be given, by its value or by what stands beside that."""
    stem, names = field.element.name, field.element.names()
    given = {name: name for name, _ in names} | {"_" + name: name for name, kind in names if kind in CHECKS}

    def alone(examination: _Examination, value: Any, around: dict[str, Any], at: Place) -> None:
        look(examination, value, around, at)
        if next(given[name] for name in around if name in given) != field.name:
            examination.found((at, stem), "structure", f"only one of {stem}[x] may be given")

    return alone


def _at_nothing(examination: _Examination, value: Any, around: dict[str, Any], at: Place) -> None:
    """The type of a resource, by which it was found."""


def _at_value(field: Field) -> _Look:
    name, check_value, codes = field.element.name, CHECKS[field.type], field.element.codes

    def look(examination: _Examination, value: Any, _: dict[str, Any], at: Place) -> None:
        if check_value(value) or (codes is not None and value not in codes):
            examination.value(value, field, (at, name))

    return look


def _at_values(field: Field) -> _Look:
    def look(examination: _Examination, value: Any, around: dict[str, Any], at: Place) -> None:
        examination.primitives(value, around.get("_" + field.name), field, (at, field.element.name))

    return look


def _at_extras(field: Field) -> _Look:
    def look(examination: _Examination, value: Any, around: dict[str, Any], at: Place) -> None:
        examination.extras(value, field, (at, field.element.name), alone=field.name not in around)

    return look


def _at_one(field: Field) -> _Look:
    name, one = field.element.name, _one(field)

    def look(examination: _Examination, value: Any, _: dict[str, Any], at: Place) -> None:
        one(examination, value, (at, name))

    return look


def _at_each(field: Field) -> _Look:
    name, one = field.element.name, _one(field)

    def look(examination: _Examination, value: Any, _: dict[str, Any], at: Place) -> None:
        place = (at, name)
        if examination.is_array(value, place):
            for index, each in enumerate(value):
                one(examination, each, (place, index))
        if name == "modifierExtension":
            examination.modifiers(value, place)

    return look


def _one(field: Field) -> Callable[[_Examination, Any, Place], None]:
    """At one complex value. The plan of its type is asked for then, since types hold themselves."""
    kind, targets = field.type, field.element.targets

    def at_one(examination: _Examination, value: Any, at: Place) -> None:
        examination.members(value, _plan(kind), at)

    def at_reference(examination: _Examination, value: Any, at: Place) -> None:
        examination.members(value, _plan(kind), at)
        if isinstance(value, dict):
            examination.target(value, targets, at)

    if kind == ANY_RESOURCE:
        return _Examination.resource
    return at_reference if targets and kind == "Reference" else at_one


# ---- single questions ----


def _shown(name: str) -> str:
    return name if _NAME.fullmatch(name) else "(unnamed)"


def _could_be_an_element(value: Any) -> bool:
    """Whether some version of FHIR may write it: what is kept is given back, and has to be FHIR then too (2.6.2.1)."""
    if isinstance(value, list):
        return bool(value) and all(not isinstance(each, list) and _could_be_an_element(each) for each in value)
    if isinstance(value, dict):
        return bool(value) and all(map(_could_be_an_element, value.values()))
    return value is not None and value != ""


def _is_document(resource: dict[str, Any]) -> bool:
    return resource.get("resourceType") == "Bundle" and resource.get("type") == "document"


def _is_present(element: Element, value: dict[str, Any], *, by_extension: bool) -> bool:
    """Only a primitive can be there by its extensions alone."""
    return any(
        name in value or (by_extension and kind in CHECKS and "_" + name in value) for name, kind in element.names()
    )


def _type_of(reference: object) -> str | None:
    """The type in `Patient/1` or `https://…/Patient/1/_history/2`, None where the reference does not tell."""
    if not isinstance(reference, str) or reference.startswith(("#", "urn:")):
        return None
    parts = reference.split("/_history/")[0].split("/")
    return parts[-2] if len(parts) >= 2 and is_resource_name(parts[-2]) else None


def _named_type(name: object) -> str | None:
    return name if isinstance(name, str) and is_resource_name(name) else None


def _fhirpath(at: Place) -> str:
    if len(at) == 1:
        return str(at[0])
    parent, step = at
    return f"{_fhirpath(parent)}[{step}]" if isinstance(step, int) else f"{_fhirpath(parent)}.{step}"
