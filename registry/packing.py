"""Descriptions of millions of patients in memory: bytes, not a graph of objects that a collector would walk through."""

from __future__ import annotations

import marshal
from typing import Any

from registry.communes import Place
from registry.traits import NameTraits, Traits

_PLACE = Traits._fields.index("place")


class PackedTraits:
    """Traits in the order they came, in some 140 bytes each; a name is kept once for all who bear it."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._names: list[NameTraits | None] = []
        self._numbers: dict[NameTraits | None, int] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def append(self, traits: Traits) -> None:
        parts: list[Any] = list(traits)
        parts[0], parts[_PLACE] = self._numbered(traits.name), tuple(traits.place)
        self._packed.append(marshal.dumps(tuple(parts)))

    def __getitem__(self, record: int) -> Traits:
        parts: list[Any] = list(marshal.loads(self._packed[record]))  # noqa: S302 - what this process packed itself
        parts[0], parts[_PLACE] = self._names[parts[0]], tuple.__new__(Place, parts[_PLACE])
        return tuple.__new__(Traits, parts)

    def _numbered(self, name: NameTraits | None) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._names)
            self._names.append(name)
        return number
