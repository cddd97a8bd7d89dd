"""What follows from the levels alone, by the tables of one model: the sum of each hypothesis, and what several records
of a person say together.

The same few thousand combinations of levels come again and again, so each is reckoned once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from registry.levels import (
    BORN,
    BORN_YEAR,
    COMMUNE,
    FAMILY,
    FAMILY_READABLE,
    GIVEN,
    GIVEN_BARE,
    GIVEN_READABLE,
    GIVEN_TONE,
    LOCAL,
    LOCAL_OTHER,
    MIDDLE,
    MIDDLE_NONE,
    PERSONAL,
    PERSONAL_CONFLICT,
    PERSONAL_FOREIGN,
    PHONE,
    SAME,
    UNKNOWN,
    Levels,
)
from registry.vetoes import OWN_NUMBERS
from registry.weights import Row

Rows = tuple[tuple[Row, ...], ...]

_OF_A_NAME = (GIVEN, FAMILY, MIDDLE)
TAKEN = frozenset({(PERSONAL, PERSONAL_FOREIGN), (PHONE, SAME), *((number, SAME) for number in OWN_NUMBERS)})
"""What a stranger shares only by having used this patient's own."""
MISTYPED = {(GIVEN, GIVEN_READABLE): "given", (FAMILY, FAMILY_READABLE): "family"}
COMMON = frozenset({(GIVEN, GIVEN_BARE), (MIDDLE, MIDDLE_NONE), *((field, SAME) for field in (*_OF_A_NAME, COMMUNE))})
"""What strangers agree in the more often the more common it is."""
_BY_VALUE = TAKEN | COMMON | MISTYPED.keys()
_MANY = 32768


class Sums(NamedTuple):
    """What levels say for each hypothesis, in tenths of a bit.

    stranger  without those levels whose chance among strangers depends on the value or on their number
    by_value  the fields of these
    """

    same: int
    relative: int
    twin: int
    stranger: int
    by_value: tuple[int, ...]


def sums_by(rows: Rows) -> Callable[[Levels], Sums]:
    @lru_cache(maxsize=_MANY)
    def sums(levels: Levels) -> Sums:
        same = relative = twin = stranger = 0
        by_value = []
        for field, level in enumerate(levels):
            if level:
                row = rows[field][level]
                same, relative, twin = same + row[0], relative + row[1], twin + row[2]
                if (field, level) in _BY_VALUE:
                    by_value.append(field)
                else:
                    stranger += row[3]
        return Sums(same, relative, twin, stranger, tuple(by_value))

    return sums


def together_by(rows: Rows) -> Callable[[Sequence[Levels]], tuple[Levels, int]]:
    """From how each record of a person agrees: the name that fits best with the best of each other field, and the place
    of the record with that name."""
    gain = tuple(tuple(row[0] - row[3] for row in levels) for levels in rows)

    def best_named(alike: Sequence[Levels]) -> int:
        # one tone that differs outweighs all records that were written without marks
        told = SAME if any(levels[GIVEN] == SAME for levels in alike) else GIVEN_TONE
        fits = [(levels[GIVEN] == told, sum(gain[f][levels[f]] for f in _OF_A_NAME)) for levels in alike]
        return fits.index(max(fits))

    @lru_cache(maxsize=_MANY)
    def together(alike: Sequence[Levels]) -> tuple[Levels, int]:
        columns = tuple(zip(*alike, strict=True))
        named = 0 if all(map(_all_the_same, columns[:BORN])) else best_named(alike)
        best = list(alike[named])
        for field in range(BORN, len(best)):
            column = columns[field]
            if not _all_the_same(column):
                best[field] = max(column, key=gain[field].__getitem__)
        if best[BORN] in (UNKNOWN, BORN_YEAR):
            # a full date that differs says more than one of which only the year is known, or nothing
            full = [level for level in columns[BORN] if level not in (UNKNOWN, BORN_YEAR)]
            best[BORN] = max(full, key=gain[BORN].__getitem__, default=best[BORN])
        if LOCAL_OTHER in columns[LOCAL] and best[LOCAL] != SAME:
            best[LOCAL] = LOCAL_OTHER
        if PERSONAL_CONFLICT in columns[PERSONAL] and best[PERSONAL] != SAME:
            best[PERSONAL] = PERSONAL_CONFLICT
        return tuple(best), named

    return together


def _all_the_same(column: Sequence[int]) -> bool:
    return column.count(column[0]) == len(column)
