"""What a message says beyond what our nouns hold: kept as it came and given back as it came.

An element is kept only where the noun alone would be written differently. It is given back for as long as it still
says what the noun says: when another door changed the noun, the noun wins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.issues import FhirError
from adapters.fhir.json_format import parse_json, to_json
from consent.errors import ConsentError
from registry.errors import RegistryError

KEY = "fhir"
_OURS = frozenset({"id", "meta", "resourceType"})
_META_OURS = frozenset({"versionId", "lastUpdated"})


def keep(received: Resource, shown: Resource) -> dict[str, Any]:
    """The `extra` of a noun: what `received` has and `shown`, written from the noun, says differently or not at all.

    One text, so that numbers keep their digits whatever stores it.
    """
    rest = {name: value for name, value in received.items() if name not in _OURS and shown.get(name) != value}
    meta = {name: value for name, value in received.get("meta", {}).items() if name not in _META_OURS}
    if meta and meta.get("profile") == shown.get("meta", {}).get("profile"):
        del meta["profile"]
    if meta:
        rest["meta"] = meta
    return {KEY: to_json({"resourceType": received["resourceType"], **rest}).decode()} if rest else {}


def give_back(
    shown: Resource,
    extra: Mapping[str, Any],
    *,
    known: Collection[str],
    says_the_same: Callable[[Resource], bool],
) -> Resource:
    """The resource as it came, for as long as it still says what the noun says.

    known          names of the elements that the noun holds; a choice of types by its stem
    says_the_same  whether a resource, read again, gives this noun
    """
    kept = kept_elements(extra)
    if not kept:
        return shown
    whole = _laid_over(shown, kept, known)
    if _agrees(whole, says_the_same):
        return whole
    unknown = {name: value for name, value in kept.items() if _stem(name, known) is None}
    return _laid_over(shown, unknown, known)


def kept_elements(extra: Mapping[str, Any]) -> Resource:
    """The elements that `keep` put aside, without the resource type."""
    text = extra.get(KEY)
    if not isinstance(text, str):
        return {}
    return {name: value for name, value in parse_json(text.encode()).items() if name != "resourceType"}


def _laid_over(shown: Resource, kept: Resource, known: Collection[str]) -> Resource:
    taken = {(_stem(name, known), name.removeprefix("_")) for name in kept}
    below = {name: value for name, value in shown.items() if not _gives_way(name, taken, known)}
    meta = {**kept.get("meta", {}), **_without_profile(shown, kept)}
    return {**below, **kept, **({"meta": meta} if meta else {})}


def _gives_way(name: str, taken: set[tuple[str | None, str]], known: Collection[str]) -> bool:
    """Whether another type of the same choice was received: deceasedDateTime instead of deceasedBoolean."""
    stem = _stem(name, known)
    return stem is not None and any(stem == other and name != bare for other, bare in taken)


def _without_profile(shown: Resource, kept: Resource) -> Resource:
    """Our part of meta; the profile that the sender claimed stays theirs."""
    meta: Resource = shown.get("meta", {})
    if "profile" not in kept.get("meta", {}):
        return meta
    return {name: value for name, value in meta.items() if name != "profile"}


def _stem(name: str, known: Collection[str]) -> str | None:
    """`deceased` for `deceasedDateTime`, `birthDate` for `_birthDate`; None for what the noun does not hold."""
    bare = name.removeprefix("_")
    if bare in known:
        return bare
    return next((stem for stem in known if bare.startswith(stem) and bare[len(stem) :][:1].isupper()), None)


def _agrees(whole: Resource, says_the_same: Callable[[Resource], bool]) -> bool:
    try:
        return says_the_same(whole)
    except (FhirError, RegistryError, ConsentError):
        return False
