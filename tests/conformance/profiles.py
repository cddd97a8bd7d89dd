"""The published profiles, read where they lie, and a small checker for what a resource claims to keep.

It looks at cardinalities, fixed and pattern values and required bindings, slices included as far as they are told apart
by values. What it cannot evaluate (FHIRPath, bindings to value sets that lie elsewhere) it leaves alone.
Source: HL7 FHIR R4, 5.1 Profiling, https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fhirkit

_PLACES = [above / "shared" / "conformance" / "fhir" for above in Path(__file__).resolve().parents]
FOLDER = next((place for place in _PLACES if place.is_dir()), _PLACES[0])
"""Beside the project, not part of it. Where it is absent no claim can be checked, and resources are checked as R4."""


@cache
def published() -> Mapping[str, dict[str, Any]]:
    """Every profile, value set and code system by its canonical URL."""
    return {one["url"]: one for path in sorted(FOLDER.glob("*.tgz")) for one in _definitions(path)}


def _definitions(path: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(path) as package:
        for member in package:
            name = member.name.rpartition("/")[2]
            content = package.extractfile(member)
            if content and name.startswith(("StructureDefinition-", "ValueSet-", "CodeSystem-")):
                yield json.load(content)


def faults(resource: Mapping[str, Any]) -> list[str]:
    """What breaks the profiles that the resource claims and that are published here."""
    claimed = resource.get("meta", {}).get("profile", [])
    return [fault for url in claimed if url in published() for fault in faults_by(resource, url)]


def refuse_faulty(resource: Mapping[str, Any]) -> None:
    """Two judges: R4 as a validator that is not ours knows it, and the profiles that the resource itself claims."""
    issues = [str(issue) for issue in fhirkit.validate(json.dumps(resource))]
    assert not issues, issues
    for one in _whole(resource):
        assert not faults(one), faults(one)


def _whole(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A resource with all that stand in it."""
    yield resource
    within = [*resource.get("entry", ()), *resource.get("parameter", ())]
    for each in within if resource["resourceType"] in ("Bundle", "Parameters") else ():
        for found in (each, *each.get("part", ())):
            if "resource" in found:
                yield from _whole(found["resource"])
    for one in resource.get("contained", ()):
        yield from _whole(one)


def faults_by(resource: Mapping[str, Any], url: str) -> list[str]:
    return [f"{url.rpartition('/')[2]}: {fault}" for fault in _profile(url).check(resource)]


@cache
def _profile(url: str) -> _Profile:
    return _Profile(published()[url])


class _Profile:
    def __init__(self, definition: Mapping[str, Any]) -> None:
        elements = definition["snapshot"]["element"]
        self._root = elements[0]["id"]
        self._by_id = {each["id"]: each for each in elements}
        self._children: dict[str, list[str]] = {}
        self._slices: dict[str, list[str]] = {}
        for each in elements[1:]:
            parent, _, name = each["id"].rpartition(".")
            self._children.setdefault(parent, []).append(each["id"])
            if ":" in name and "/" not in name:
                self._slices.setdefault(each["id"].rpartition(":")[0], []).append(each["id"])

    def check(self, resource: Mapping[str, Any]) -> Iterator[str]:
        return self._below(resource, self._root)

    def _below(self, value: Any, parent: str) -> Iterator[str]:
        for child in self._children.get(parent, ()):
            name = child.rpartition(".")[2]
            if ":" not in name and isinstance(value, dict):
                yield from self._element(_values(value, name), child)

    def _element(self, values: list[Any], element_id: str) -> Iterator[str]:
        yield from self._counted(values, element_id)
        left = list(values)
        for each in self._slices.get(element_id, ()):
            mine = [value for value in values if self._is_in(value, element_id, each)]
            yield from self._counted(mine, each)
            for value in mine:
                yield from self._value(value, each)
                left = [one for one in left if one is not value]
        for value in left:
            yield from self._value(value, element_id)

    def _counted(self, values: list[Any], element_id: str) -> Iterator[str]:
        element = self._by_id[element_id]
        if len(values) < element.get("min", 0) and self._is_decidable(element_id):
            yield f"{element_id}: at least {element['min']}, found {len(values)}"
        if element.get("max", "*") != "*" and len(values) > int(element["max"]):
            yield f"{element_id}: at most {element['max']}, found {len(values)}"

    def _value(self, value: Any, element_id: str) -> Iterator[str]:
        element = self._by_id[element_id]
        fixed = _starting(element, "fixed")
        pattern = _starting(element, "pattern")
        if fixed is not None and value != fixed:
            yield f"{element_id}: expected {fixed}, found {value}"
        if pattern is not None and not _fits(value, pattern):
            yield f"{element_id}: expected {pattern}, found {value}"
        binding = element.get("binding", {})
        allowed = _codes(binding.get("valueSet", "")) if binding.get("strength") == "required" else None
        if allowed is not None and not _code_of(value) & allowed:
            yield f"{element_id}: {value} is not of {binding['valueSet']}"
        yield from self._below(value, element_id)

    # -- slices

    def _is_decidable(self, element_id: str) -> bool:
        base, colon, _ = element_id.rpartition(".")[2].partition(":")
        return not colon or self._discriminators(element_id.rpartition(":")[0]) is not None or base == "extension"

    def _discriminators(self, element_id: str) -> list[str] | None:
        """Paths whose values tell slices apart; None where something else does."""
        told = self._by_id[element_id].get("slicing", {}).get("discriminator", [])
        plain = all(each["type"] in ("value", "pattern") and "(" not in each["path"] for each in told)
        return [each["path"] for each in told] if told and plain else None

    def _is_in(self, value: Any, element_id: str, slice_id: str) -> bool:
        if element_id.rpartition(".")[2] in ("extension", "modifierExtension"):
            profiles = [url for kind in self._by_id[slice_id].get("type", ()) for url in kind.get("profile", ())]
            return value.get("url") in profiles
        paths = self._discriminators(element_id)
        return paths is not None and all(self._has(value, slice_id, path) for path in paths)

    def _has(self, value: Any, slice_id: str, path: str) -> bool:
        where = slice_id if path == "$this" else f"{slice_id}.{path}"
        element = self._by_id.get(where, {})
        found = value if path == "$this" else _at(value, path)
        wanted = _starting(element, "fixed"), _starting(element, "pattern")
        if wanted == (None, None):
            allowed = _codes(element.get("binding", {}).get("valueSet", ""))
            return allowed is not None and bool(_code_of(found) & allowed)
        return all(each is None or _fits(found, each) for each in wanted)


def _values(resource: Mapping[str, Any], name: str) -> list[Any]:
    if name.endswith("[x]"):
        stem = name[:-3]
        return [v for n, v in resource.items() if n.startswith(stem) and n[len(stem) :][:1].isupper()]
    value = resource.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[0] if isinstance(value, list) and value else value
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _starting(element: Mapping[str, Any], stem: str) -> Any:
    return next((value for name, value in element.items() if name.startswith(stem)), None)


def _fits(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(_fits(value.get(name), part) for name, part in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(_fits(one, part) for one in value) for part in pattern)
    return bool(value == pattern)


def _code_of(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    codings = value.get("coding", [value]) if isinstance(value, dict) else []
    return {each["code"] for each in codings if "code" in each}


@cache
def _codes(canonical: str) -> frozenset[str] | None:
    """The codes of a value set that lists them, or whole code systems that are published with it."""
    found: set[str] = set()
    definition = published().get(canonical.partition("|")[0])
    for part in definition.get("compose", {}).get("include", ()) if definition else ():
        system = published().get(part.get("system", ""), {})
        listed = part.get("concept") or ([] if "filter" in part else system.get("concept"))
        if not listed:
            return None
        found |= {each["code"] for each in listed}
    return frozenset(found) or None
