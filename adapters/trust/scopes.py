"""What a system's token is good for: SMART scopes, `system/DocumentReference.rs` and the older read, write and *.

Source: SMART App Launch 2.2, scopes and launch context (v2 `cruds`, v1 equivalents); FHIR R4 http.html (interactions).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|(?=[cruds])c?r?u?d?s?)")
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}
_LETTERS = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history": "r",
    "history-instance": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search": "s",
    "search-type": "s",
    "search-system": "s",
    "history-type": "s",
    "history-system": "s",
}
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Scopes:
    """Pairs of a resource type (or `*`) and the letters of what may be done with it."""

    pairs: frozenset[tuple[str, str]]

    def allow(self, resource: str, interaction: str) -> bool:
        """Whether one of them covers this interaction (FHIR's name for it) with this type; unknown ones are not."""
        letter = _LETTERS.get(interaction)
        return letter is not None and self.cover(resource, letter)

    def cover(self, resource: str, letter: str) -> bool:
        """The same by the letter of SMART: c, r, u, d or s."""
        return letter in self.letters(resource) | self.letters("*")

    def letters(self, resource: str) -> frozenset[str]:
        return frozenset(letter for named, letters in self.pairs if named == resource for letter in letters)

    @property
    def types(self) -> frozenset[str]:
        return frozenset(resource for resource, _ in self.pairs)

    def __str__(self) -> str:
        return " ".join(sorted(_spelled(resource, self.letters(resource)) for resource in self.types))


def granted(scope: str) -> Scopes:
    """The scopes in a space-separated list. What is not understood, filters included, grants nothing."""
    return Scopes(frozenset(pair for _, pair in _understood(scope)))


def narrowed(requested: str, allowed: Scopes) -> str:
    """What of the requested scopes a client may have, spelled as requested where it may have all of one."""
    words = [word for asked, pair in _understood(requested) for word in _narrow(asked, *pair, allowed)]
    return " ".join(dict.fromkeys(words))


def _understood(scope: str) -> Iterable[tuple[str, tuple[str, str]]]:
    for word in scope[:LONGEST].split(" "):
        found = _SCOPE.fullmatch(word)
        if found:
            resource, letters = found.groups()
            yield word, (resource, _FIRST_VERSION.get(letters, letters))


def _narrow(word: str, resource: str, letters: str, allowed: Scopes) -> list[str]:
    wanted = frozenset(letters)
    both = wanted & (allowed.letters(resource) | allowed.letters("*"))
    if both == wanted:
        return [word]
    parts: Mapping[str, frozenset[str]] = {resource: both}
    if resource == "*":
        parts = {"*": both, **{named: wanted & allowed.letters(named) for named in sorted(allowed.types - {"*"})}}
    return [_spelled(named, rest) for named, rest in parts.items() if rest]


def _spelled(resource: str, letters: Iterable[str]) -> str:
    held = frozenset(letters)
    return f"system/{resource}." + "".join(letter for letter in "cruds" if letter in held)
