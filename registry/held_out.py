"""Whether one model is better than another on records that neither learnt from, where nobody knows the truth.

A personal number that fits its owner in both records says who is one person, and two different ones who is not. With
those numbers hidden, a model has to find out by the rest. Pairs are those that share another key; a number typed wrong
is the same error for both models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from registry.blocking import CROWD, keys_of
from registry.matching import Zone
from registry.traits import Traits
from registry.weighing import Weighing
from registry.weights import Model

_ONE_IN = 5
_NONE: frozenset[str] = frozenset()
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class HeldOut:
    """same, other      pairs of one person, and of two
    found, mistaken  how many of each the model links by itself with the personal numbers hidden
    """

    same: int
    found: int
    other: int
    mistaken: int

    def worse_than(self, before: HeldOut) -> bool:
        """Fewer found, or more strangers taken for one."""
        return self.found < before.found or self.mistaken > before.mistaken


def split(records: Sequence[Traits]) -> tuple[list[Traits], list[Traits]]:
    """Those to learn from, and those held out: one personal number in five, with all its records."""
    learn: list[Traits] = []
    held: list[Traits] = []
    for one in records:
        number = min(one.personal - one.foreign, default="")
        (held if number and crc32(number.encode()) % _ONE_IN == 0 else learn).append(one)
    return learn, held


def measured(held: Sequence[Traits], model: Model, *, size: int) -> HeldOut:
    """What the model makes of the pairs among the records that were held out, `size` records being in the index."""
    weighing, counts = Weighing(model), {True: [0, 0], False: [0, 0]}
    hidden = [one._replace(personal=_NONE, foreign=_NONE) for one in held]
    for one, other in _pairs(held):
        row = counts[_own(held[one]) == _own(held[other])]
        row[0] += 1
        row[1] += weighing.decide(hidden[one], [("0", [hidden[other]])], size=size).zone is Zone.LINK
    return HeldOut(*counts[True], *counts[False])


def _own(one: Traits) -> str:
    """The one number that fits its owner; "" where there is none, or more."""
    fitting = one.personal - one.foreign
    return next(iter(fitting)) if len(fitting) == 1 and one.sex and one.year else ""


def _pairs(held: Sequence[Traits]) -> list[tuple[int, int]]:
    """Pairs that share a key besides the personal number, in the order of records."""
    under: dict[str, list[int]] = {}
    for place, one in enumerate(held):
        for key in keys_of(one):
            if not key.startswith("number|personal"):
                under.setdefault(key, []).append(place)
    found = {
        (one, other)
        for places in under.values()
        if len(places) <= CROWD
        for n, one in enumerate(places)
        for other in places[n + 1 :]
    }
    return sorted(found)[:_MOST]
