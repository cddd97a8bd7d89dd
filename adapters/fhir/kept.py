"""What a resource says beyond what the nouns know: kept as it came and given back in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from adapters.fhir import Resource
from adapters.fhir.json_format import decimal_of, decimal_text

_DECIMAL = "decimal()"
"""Marks a decimal in what is kept: plain JSON would lose its digits. No element of FHIR can have this name."""
_POINTER = re.compile(rb'"reference":("#(?:[^"\\]++|\\.)*+")')


def keep(original: Resource, known: Resource) -> dict[str, Any]:
    """What to keep of `original` beside the noun that is written as `known`: plain JSON values."""
    kept: dict[str, Any] = _packed(difference(original, known) or {})
    return kept


def give_back(known: Resource, kept: Mapping[str, Any]) -> Resource:
    """`known` with what `keep` kept in its place."""
    resource: Resource = overlay(known, _unpacked(dict(kept)))
    return resource


def difference(original: Any, known: Any) -> Any:
    """What `original` says otherwise than `known`, None where nothing; a list of one is looked into, others are not."""
    if original == known:
        return None
    if isinstance(original, dict) and isinstance(known, dict):
        rests = {name: difference(value, known.get(name)) for name, value in original.items()}
        return {name: rest for name, rest in rests.items() if rest is not None} or None
    if _is_single(original) and _is_single(known) and _is_of_one_kind(original, known):
        rest = difference(original[0], known[0])
        return None if rest is None else [rest]
    return original


def overlay(known: Any, kept: Any) -> Any:
    """`known` with what was kept in its place: the opposite of `difference`."""
    if isinstance(known, dict) and isinstance(kept, dict):
        return known | {name: overlay(known[name], rest) if name in known else rest for name, rest in kept.items()}
    if _is_single(known) and _is_single(kept):
        return [overlay(known[0], kept[0])] if _is_of_one_kind(kept, known) else [*known, *kept]
    return kept


def without(element: Resource, *names: str) -> Resource:
    """The element without some of its members, and without what then is empty."""
    return {name: value for name, value in element.items() if name not in names and value not in ({}, [])}


def drop_unreferenced(resource: Resource) -> Resource:
    """Without contained resources that nothing points to any more (FHIR R4, invariant dom-3)."""
    if "contained" not in resource:
        return resource
    # as text, which is searched many times faster than the tree is walked; once, however many are contained
    said = frozenset(_POINTER.findall(orjson.dumps(resource, default=str)))
    left = [each for each in resource["contained"] if orjson.dumps(f"#{each.get('id')}") in said]
    return {**resource, "contained": left} if left else without(resource, "contained")


def _packed(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {_DECIMAL: decimal_text(value)}
    if isinstance(value, list):
        return [_packed(each) for each in value]
    return {name: _packed(each) for name, each in value.items()} if isinstance(value, dict) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_DECIMAL} and isinstance(value[_DECIMAL], str):
        try:
            return decimal_of(value[_DECIMAL])
        except ValueError:
            return value
    return {name: _unpacked(each) for name, each in value.items()}


def _is_of_one_kind(one: list[Any], other: list[Any]) -> bool:
    """Two extensions with different names are two things; what was kept of one may have lost its name."""
    return "url" not in one[0] or "url" not in other[0] or one[0]["url"] == other[0]["url"]


def _is_single(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict)
