"""What no sum of evidence may outweigh: it makes the strongest case a question for a person."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from registry.levels import (
    BORN,
    BORN_DIFFERENT,
    BORN_YEAR,
    BORN_YEAR_ONLY,
    COMMUNE,
    FAMILY,
    FAMILY_DIFFERENT,
    GIVEN,
    GIVEN_BARE,
    GIVEN_DIFFERENT,
    GIVEN_INITIAL,
    GIVEN_LETTER,
    GIVEN_TONE,
    GUARDIAN,
    INSURANCE,
    LINE,
    LINE_HAMLET,
    LOCAL,
    NUMBER_NEAR,
    OLD_CARD,
    PASSPORT,
    PERSONAL,
    PERSONAL_CONFLICT,
    PHONE,
    SAME,
    SEX,
    SEX_DIFFERENT,
    UNKNOWN,
    Levels,
)
from registry.name_words import ONE_READING
from registry.traits import Traits

LIKE_TWINS = "twins differ like this"
TWO_NUMBERS = "personal numbers are different"
TWINS = frozenset({LIKE_TWINS, TWO_NUMBERS})
"""What separates two people of one birth date under one roof."""
WITHOUT_MARKS = "without marks this could be a twin's name"
ONLY_A_YEAR = "only a name and a year"
NEVER_SHARED = (PERSONAL, OLD_CARD, PASSPORT)
OWN_NUMBERS = (PERSONAL, OLD_CARD, PASSPORT, INSURANCE, LOCAL)
_WITHOUT_A_PLACE = 16
_MANY = 166
"""Tenths of a bit: a name and a year are always weighed as among 100,000 people."""


def forbids(mine: Traits, records: Sequence[Traits], levels: Levels, *, twins_from: int = 0) -> str | None:
    """What may never be linked without a person, whatever the score. `twins_from`: who was born in this year or later
    is taken for a possible twin where only marks could tell; 0 for nobody."""
    if mine.newborn or any(record.newborn for record in records):
        return "a newborn under its mother's name"
    found = contradiction(levels)
    if found is not None:
        return found
    born = levels[BORN]
    numbered = any(levels[number] == SAME for number in OWN_NUMBERS)
    if levels[GIVEN] == UNKNOWN:
        return "the name does not support it"
    if levels[GIVEN] == GIVEN_BARE and not numbered and _may_be_a_twins(mine, records, twins_from):
        return WITHOUT_MARKS
    if born == UNKNOWN and not numbered:
        return "no birth date and no number"
    if born == BORN_YEAR and not numbered and not _under_one_roof(levels):
        return ONLY_A_YEAR
    return None


def _may_be_a_twins(mine: Traits, records: Sequence[Traits], since: int) -> bool:
    """Born when twins are no rarity, and a given name that becomes another one with another mark."""
    name, year = mine.name, max(mine.year, *(record.year for record in records))
    return 0 < since <= year and name is not None and not name.guest and name.given not in ONE_READING


def beyond(levels: Levels, strangers: int) -> int:
    """Tenths of a bit beyond the threshold that a name and a year have to bring by themselves, `strangers` being the
    size of the index: more where no commune agrees, since a name may be commoner where the patient lives."""
    return max(0, _MANY - strangers) + (0 if levels[COMMUNE] == SAME else _WITHOUT_A_PLACE)


def _under_one_roof(levels: Levels) -> bool:
    return SAME in (levels[PHONE], levels[GUARDIAN]) or levels[LINE] in (SAME, LINE_HAMLET)


@lru_cache(maxsize=32768)
def contradiction(levels: Levels) -> str | None:
    """What two people differ in, and one person only by mistake. A number of one's own excuses a slip, a name never."""
    if levels[PERSONAL] == PERSONAL_CONFLICT:
        return TWO_NUMBERS
    given, born = levels[GIVEN], levels[BORN]
    certain = any(levels[number] == SAME for number in NEVER_SHARED)
    numbered = certain or any(levels[number] == SAME for number in OWN_NUMBERS)
    if (given == GIVEN_TONE and not certain) or (given in (GIVEN_LETTER, GIVEN_INITIAL) and not numbered):
        return LIKE_TWINS
    if given == GIVEN_BARE and not certain and NUMBER_NEAR in (levels[INSURANCE], levels[OLD_CARD]):
        # cards of twins are written one after the other, and without marks their names may be one
        return LIKE_TWINS
    if given == GIVEN_DIFFERENT or levels[FAMILY] == FAMILY_DIFFERENT:
        return "the name does not support it"
    if born in (BORN_DIFFERENT, BORN_YEAR_ONLY) and levels[PERSONAL] != SAME:
        return "the birth date contradicts it"
    if levels[SEX] == SEX_DIFFERENT and not numbered:
        return "the sex contradicts it"
    return None
