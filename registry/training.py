"""Learn the weights on a hospital's own records, without anybody saying which pairs are the same person.

Expectation and maximisation over pairs that share a blocking key: each round asks the model how likely each pair is the
same person, and sets what "the same" looks like to what those pairs show. Names and communes get the frequencies of
this place. What relatives, twins and strangers look like stays as it was: among pairs that already share a key their
share is not what it is among all. Source: Fellegi and Sunter 1969; Winkler 1988 (EM); Dempster, Laird and Rubin 1977.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from registry.blocking import crowd, keys_of, keys_wanted
from registry.frequencies import PSEUDO, frequencies_of
from registry.levels import (
    BORN,
    BORN_YEAR,
    COMMUNE,
    COMMUNE_OLD,
    FAMILY,
    FAMILY_READABLE,
    FIELDS,
    GIVEN,
    GIVEN_BARE,
    GIVEN_INITIAL,
    GIVEN_READABLE,
    LINE,
    LINE_HAMLET,
    LOCAL,
    LOCAL_OTHER,
    MIDDLE,
    MIDDLE_NONE,
    Levels,
    compare,
)
from registry.traits import Traits
from registry.weighing import Weighing
from registry.weights import Model, Row, tenths

_FLOOR = 0.003


@dataclass(frozen=True, slots=True)
class Training:
    """What was learnt: on how many records and pairs, in how many rounds, and the share that is the same person."""

    model: Model
    records: int
    pairs: int
    rounds: int
    same: float


def train(records: Sequence[Traits], start: Model, *, pairs: int = 50_000, rounds: int = 12, seed: int = 1) -> Training:
    """The model after learning. Deterministic for a seed and an order of records."""
    local = replace(start, frequencies=frequencies_of(records, start.frequencies))
    sample = _sample(records, pairs, Random(seed))  # noqa: S311
    model, share, done = local, 0.0, 0
    for _ in range(rounds if sample else 0):
        done += 1
        learnt, now = _round(records, sample, model, start)
        moved = max(abs(a[0] - b[0]) for one, two in zip(learnt.rows, model.rows, strict=True)
                    for a, b in zip(one, two, strict=True))  # fmt: skip
        model, share = learnt, now
        if moved <= 1:
            break
    return Training(model, len(records), len(sample), done, share)


def _sample(records: Sequence[Traits], wanted: int, rng: Random) -> list[tuple[int, int, Levels]]:
    """Pairs of chance among those that share a key."""
    found: dict[str, list[int]] = {}
    for place, traits in enumerate(records):
        for key in keys_of(traits):
            found.setdefault(key, []).append(place)
    order = list(range(len(records)))
    rng.shuffle(order)
    sample: list[tuple[int, int, Levels]] = []
    for place in order:
        if len(sample) >= wanted:
            break
        others: set[int] = set()
        for key in keys_wanted(records[place]):
            under = found.get(key, [])
            if len(under) <= crowd(key):
                others.update(other for other in under if other > place)
        sample += [(place, other, compare(records[place], records[other])) for other in sorted(others)]
    return sample[:wanted]


def _round(
    records: Sequence[Traits], sample: Sequence[tuple[int, int, Levels]], model: Model, start: Model
) -> tuple[Model, float]:
    weighing, size = Weighing(model), len(records)
    counts = [[0.0] * len(levels) for levels in FIELDS.values()]
    together = 0.0
    for one, other, levels in sample:
        lead = weighing.lead(records[one], records[other], levels, size=size)
        likely = 1 / (1 + 2 ** min(60.0, max(-60.0, -lead / 10)))
        together += likely
        for field, level in enumerate(levels):
            counts[field][level] += likely
    rows = tuple(_learnt(field, counts[field], before) for field, before in enumerate(start.rows))
    return replace(model, rows=rows), together / len(sample)


_GIVEN_WHAT_IS_KNOWN = frozenset(
    {(GIVEN, GIVEN_BARE), (GIVEN, GIVEN_READABLE), (GIVEN, GIVEN_INITIAL), (FAMILY, FAMILY_READABLE),
     (MIDDLE, MIDDLE_NONE), (BORN, BORN_YEAR), (COMMUNE, COMMUNE_OLD), (LINE, LINE_HAMLET),
     (LOCAL, LOCAL_OTHER)}
)  # fmt: skip
"""Levels that say what is missing as much as what agrees; how often that happens has nothing to do with who it is."""


def _learnt(field: int, seen: Sequence[float], before: Sequence[Row]) -> tuple[Row, ...]:
    """Shares of the levels among pairs of the same person, held by what was believed before."""
    open_levels = [n for n in range(1, len(before)) if (field, n) not in _GIVEN_WHAT_IS_KNOWN]
    assumed = {n: 2 ** (before[n][0] / 10) for n in open_levels}
    total, whole = sum(assumed.values()), sum(seen[n] for n in open_levels) + PSEUDO
    rows = list(before)
    for n in open_levels:
        share = (seen[n] + PSEUDO * assumed[n] / total) / whole
        rows[n] = (tenths(min(1.0, max(_FLOOR, share * min(1.0, total)))), *before[n][1:])
    return tuple(rows)
