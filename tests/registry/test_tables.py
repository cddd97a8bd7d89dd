"""What is reckoned once for a combination of levels is what the fields say one by one."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

from hie_node.lab.exports import HOSTILE, exported
from hie_node.patient_lists import listed
from registry.levels import (
    BORN,
    BORN_YEAR,
    FAMILY,
    FIELDS,
    GIVEN,
    GIVEN_TONE,
    LOCAL,
    LOCAL_OTHER,
    MIDDLE,
    PERSONAL,
    PERSONAL_CONFLICT,
    SAME,
    UNKNOWN,
    Levels,
    compare,
    compare_if_alike,
    names,
)
from registry.tables import sums_by, together_by
from registry.traits import Traits
from registry.weighing import Weighing
from registry.weights import HYPOTHESES, shipped

ROWS = shipped().rows
SIZE = 1_000_000


def by_chance(random: Random) -> Levels:
    """Levels as they may come: half of the fields unknown."""
    return tuple(random.choice((UNKNOWN, random.randrange(len(levels)))) for levels in FIELDS.values())


def field_by_field(alike: list[Levels]) -> tuple[Levels, int]:
    """What records say together, in as many words."""
    gain = [[same - stranger for same, _, _, stranger in levels] for levels in ROWS]
    tone = SAME if any(levels[GIVEN] == SAME for levels in alike) else GIVEN_TONE

    def fits(place: int) -> tuple[bool, int]:
        levels = alike[place]
        return levels[GIVEN] == tone, sum(gain[field][levels[field]] for field in (GIVEN, FAMILY, MIDDLE))

    told = max(range(len(alike)), key=fits)
    best = [
        level if field < BORN else max((levels[field] for levels in alike), key=gain[field].__getitem__)
        for field, level in enumerate(alike[told])
    ]
    if best[BORN] in (UNKNOWN, BORN_YEAR):
        full = [levels[BORN] for levels in alike if levels[BORN] not in (UNKNOWN, BORN_YEAR)]
        best[BORN] = max(full, key=gain[BORN].__getitem__, default=best[BORN])
    for field, said in ((LOCAL, LOCAL_OTHER), (PERSONAL, PERSONAL_CONFLICT)):
        if best[field] != SAME and any(levels[field] == said for levels in alike):
            best[field] = said
    return tuple(best), told


def test_records_say_together_what_they_say_field_by_field() -> None:
    random, together = Random(1), together_by(ROWS)
    for _ in range(5_000):
        alike = list(dict.fromkeys(by_chance(random) for _ in range(random.randint(2, 5))))
        assert together(tuple(alike)) == field_by_field(alike)
        # most records of a person have one name
        named = [(*alike[0][:BORN], *levels[BORN:]) for levels in alike]
        assert together(tuple(named)) == field_by_field(named)


def test_sums_are_those_of_the_fields() -> None:
    random, sums = Random(2), sums_by(ROWS)
    for levels in (by_chance(random) for _ in range(5_000)):
        found = sums(levels)
        of_fields = [sum(ROWS[field][level][n] for field, level in enumerate(levels)) for n in range(len(HYPOTHESES))]
        looked_up = sum(ROWS[field][levels[field]][3] for field in found.by_value)
        assert [found.same, found.relative, found.twin, found.stranger + looked_up] == of_fields
        assert all(levels[field] != UNKNOWN for field in found.by_value)


def test_the_lead_over_each_rival_is_the_sum_of_the_evidence_that_is_shown() -> None:
    """On pairs of registrations as hospitals write them: relatives, namesakes, the same patient twice."""
    matcher, model, pairs = Weighing(shipped()), shipped(), 0
    priors = {"relative": model.relatives, "twin": model.twins, "stranger": round(10 * math.log2(SIZE))}
    for mine, theirs in _pairs(1_500, seed=3):
        weighed = matcher.resembles(mine, [theirs], size=SIZE)
        if weighed is not None:
            shown = sum(one.tenths for one in matcher.evidence(mine, weighed, size=SIZE))
            assert weighed.score == shown - priors[weighed.rival]
            pairs += 1
    assert pairs > 500


def test_who_is_compared_only_if_alike_is_compared_the_same() -> None:
    alike = 0
    for mine, theirs in _pairs(1_500, seed=4):
        found = compare_if_alike(mine, theirs)
        assert found is None or found == compare(mine, theirs)
        alike += found is not None
    assert alike > 500


def test_a_name_that_is_the_same_agrees_as_one_that_is_as_good_as_the_same() -> None:
    """The short way for one name twice, against the way that all other names go: `turned` alone makes them two."""
    for mine, _ in _pairs(1_500, seed=5):
        if (name := mine.name) is not None and not name.guest:
            assert names(name, name) == names(name, name._replace(turned=not name.turned))


def _pairs(count: int, *, seed: int) -> list[tuple[Traits, Traits]]:
    """Each with one that shares the surname or the birth date, or, one time in two, with any other."""
    random, known = Random(seed), [listed(row).traits for row in exported(count, seed, HOSTILE)]
    known.sort(key=lambda traits: ("" if traits.name is None else traits.name.sorted, traits.year))
    return [*pairwise(known), *((one, random.choice(known)) for one in known)]
