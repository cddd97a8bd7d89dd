"""How far two descriptions agree, field by field, as small numbers: level 0 of every field is "not known".

One comparison is one tuple of levels in the order of `FIELDS`; the weights of a model are looked up by them. The order
of fields and levels is part of the model file's format.
"""

from __future__ import annotations

from collections.abc import Mapping

from registry.communes import Place
from registry.guests import AS_A_WHOLE, alike, lines_alike, words_in_common
from registry.traits import NameTraits, Traits

Levels = tuple[int, ...]

FIELDS: Mapping[str, tuple[str, ...]] = {
    "given name": ("unknown", "same", "same without marks", "readable part same", "another tone", "one letter differs",
                   "initial same", "different"),
    "surname": ("unknown", "same", "readable part same", "one letter differs", "different"),
    "middle name": ("unknown", "same", "both without", "one is shorter", "another tone", "different",
                    "one letter differs"),
    "birth date": ("unknown", "same", "year same", "day and month swapped", "one part differs",
                   "day and month same, year differs", "only the year same", "different"),
    "sex": ("unknown", "same", "different"),
    "personal number": ("unknown", "same", "same but of somebody else", "nearly same",
                        "different, one of somebody else", "different"),
    "old card": ("unknown", "same", "nearly same", "different"),
    "passport": ("unknown", "same", "nearly same", "different"),
    "insurance number": ("unknown", "same", "nearly same", "different"),
    "local number": ("unknown", "same", "another one of the same hospital"),
    "phone": ("unknown", "same", "different"),
    "commune": ("unknown", "same", "different, one written before 2025", "different"),
    "house or hamlet": ("unknown", "same house", "same hamlet", "different"),
    "guardian": ("unknown", "same", "different"),
    "postcode": ("unknown", "same", "nearly same", "different"),
}  # fmt: skip

(GIVEN, FAMILY, MIDDLE, BORN, SEX, PERSONAL, OLD_CARD, PASSPORT, INSURANCE, LOCAL, PHONE, COMMUNE, LINE, GUARDIAN,
 POSTCODE) = range(len(FIELDS))  # fmt: skip
UNKNOWN = 0
SAME = 1
GIVEN_BARE, GIVEN_READABLE, GIVEN_TONE, GIVEN_LETTER, GIVEN_INITIAL, GIVEN_DIFFERENT = 2, 3, 4, 5, 6, 7
FAMILY_READABLE, FAMILY_LETTER, FAMILY_DIFFERENT = 2, 3, 4
MIDDLE_NONE, MIDDLE_SHORTER, MIDDLE_TONE, MIDDLE_DIFFERENT, MIDDLE_LETTER = 2, 3, 4, 5, 6
BORN_YEAR, BORN_SWAPPED, BORN_PART, BORN_OTHER_YEAR, BORN_YEAR_ONLY, BORN_DIFFERENT = 2, 3, 4, 5, 6, 7
SEX_DIFFERENT = 2
LOCAL_OTHER = 2
PERSONAL_FOREIGN, PERSONAL_NEAR, PERSONAL_OTHER, PERSONAL_CONFLICT = 2, 3, 4, 5
NUMBER_NEAR, NUMBER_DIFFERENT = 2, 3
PHONE_DIFFERENT = 2
COMMUNE_OLD, COMMUNE_DIFFERENT = 2, 3
LINE_HAMLET, LINE_DIFFERENT = 2, 3
GUARDIAN_DIFFERENT = 2
_GENERATION = 15
_MISCOUNTED = 2


def compare(one: Traits, other: Traits) -> Levels:
    """Every field at once."""
    if one.name is None or other.name is None:
        return _with_the_name(one, other, (UNKNOWN, UNKNOWN, UNKNOWN))
    return _with_the_name(one, other, names(one.name, other.name))


def compare_if_alike(one: Traits, other: Traits) -> Levels | None:
    """Every field, or None where the names are two and nothing that only one patient has is shared: most candidates."""
    if one.name is None or other.name is None:
        return compare(one, other)
    named = names(one.name, other.name)
    if named[0] == GIVEN_DIFFERENT and not share_a_number(one, other):
        return None
    return _with_the_name(one, other, named)


def share_a_number(one: Traits, other: Traits) -> bool:
    """A number that only one patient should have, the local one of a hospital included."""
    return bool(
        (one.personal and one.personal & other.personal)
        or (one.insurance and one.insurance & other.insurance)
        or (one.old_cards and one.old_cards & other.old_cards)
        or (one.local and one.local & other.local)
        or (one.passports and one.passports & other.passports)
    )


def _with_the_name(one: Traits, other: Traits, named: tuple[int, int, int]) -> Levels:
    """All levels, of which those of the name are known."""
    guests = _are_guests(one.name, other.name)
    commune, line = _places_of_guests(one.place, other.place) if guests else _places(one.place, other.place)
    return (
        *named,
        _born(one, other),
        UNKNOWN if not one.sex or not other.sex else SAME if one.sex == other.sex else SEX_DIFFERENT,
        _personal(one, other) if one.personal and other.personal else UNKNOWN,
        _numbers(one.old_cards, other.old_cards) if one.old_cards and other.old_cards else UNKNOWN,
        _numbers(one.passports, other.passports) if one.passports and other.passports else UNKNOWN,
        _cards(one, other) if one.insurance and other.insurance else UNKNOWN,
        _local(one.local, other.local) if one.local and other.local else UNKNOWN,
        UNKNOWN if not one.phones or not other.phones else SAME if one.phones & other.phones else PHONE_DIFFERENT,
        commune,
        line,
        UNKNOWN
        if not one.guardian or not other.guardian
        else SAME
        if one.guardian == other.guardian
        else GUARDIAN_DIFFERENT,
        _postcode(one.place.postcode, other.place.postcode) if guests else UNKNOWN,
    )


def _places(here: Place, there: Place) -> tuple[int, int]:
    """Levels of the commune, and of the house or hamlet within it."""
    if not here.commune or not there.commune:
        return UNKNOWN, UNKNOWN
    if here.commune == there.commune:
        commune = SAME
    else:
        commune = COMMUNE_OLD if here.old != there.old else COMMUNE_DIFFERENT
    if not here.line or not there.line or commune == COMMUNE_DIFFERENT:
        return commune, UNKNOWN
    if here.line == there.line:
        return commune, SAME if here.narrow else LINE_HAMLET
    return commune, LINE_DIFFERENT if commune == SAME else UNKNOWN


def _places_of_guests(here: Place, there: Place) -> tuple[int, int]:
    """By likeness; a suburb of another name says nothing where the house is the same, and much where it is not."""
    line = UNKNOWN
    if here.line and there.line and lines_alike(here.line, there.line):
        line = SAME if here.narrow or there.narrow else LINE_HAMLET
    if not here.commune or not there.commune:
        return UNKNOWN, line
    if alike(here.commune, there.commune):
        return SAME, line
    return UNKNOWN if line else COMMUNE_DIFFERENT, line


def _are_guests(one: NameTraits | None, other: NameTraits | None) -> bool:
    """Whether both are from abroad; who stands there without a name is what the other one is."""
    if one is None or other is None:
        known = one or other
        return known is not None and known.guest
    return one.guest and other.guest


def _postcode(mine: str, theirs: str) -> int:
    if not mine or not theirs:
        return UNKNOWN
    return SAME if mine == theirs else NUMBER_NEAR if one_edit(mine, theirs) else NUMBER_DIFFERENT


def names(one: NameTraits, other: NameTraits) -> tuple[int, int, int]:
    """Levels of the given name, the surname and the middle name."""
    if one.guest and other.guest:
        return _guests(one, other)
    if one == other:
        return _toned(one, one), SAME, SAME if one.middle else MIDDLE_NONE
    # the same surname in front and another word at the end are two names, not two orders
    reordered = one.sorted == other.sorted and (
        one.given == other.given or one.family != other.family or one.turned or other.turned
    )
    if reordered or one.letters == other.letters:
        return _toned(one, other), SAME, _middles(one, other, same=True)
    if one.given != other.given and _turned(one, other):
        return GIVEN_BARE, SAME, _middles(one, other, same=False)
    if one.given == other.given and one.family != other.family and one_edit(one.letters, other.letters):
        # a letter that breaks a word in two, or glues two together, moves the border of the surname
        return _toned(one, other), FAMILY_LETTER, SAME
    return _given(one, other), _family(one.family, other.family), _middles(one, other, same=one.middle == other.middle)


def _guests(one: NameTraits, other: NameTraits) -> tuple[int, int, int]:
    """Words in any order, equal or mistyped. Two that agree are the whole name; of one that agrees beside one that does
    not, nobody knows whether it is the given name, so it contradicts as another surname does."""
    mine, theirs = one.sorted.split(), other.sorted.split()
    equal, mistyped = words_in_common(mine, theirs)
    if equal + mistyped < 2 and alike(one.letters, other.letters, AS_A_WHOLE):
        equal, mistyped = 0, 2  # broken in two, or joined
    if equal + mistyped >= 2:
        family = SAME if equal > 1 else FAMILY_READABLE
        return GIVEN_BARE if equal else GIVEN_READABLE, family, UNKNOWN
    if not equal + mistyped:
        return GIVEN_DIFFERENT, FAMILY_DIFFERENT, UNKNOWN
    whole = min(len(mine), len(theirs)) == 1
    return GIVEN_BARE if equal else GIVEN_READABLE, UNKNOWN if whole else FAMILY_DIFFERENT, UNKNOWN


def _toned(one: NameTraits, other: NameTraits) -> int:
    if len(one.given) == 1 or len(other.given) == 1:
        return GIVEN_INITIAL
    if one.given_toned == other.given_toned:
        return SAME if one.marked and other.marked else GIVEN_BARE
    # a name in another order has another last word
    return GIVEN_TONE if one.marked and other.marked and one.given == other.given else GIVEN_BARE


def _turned(one: NameTraits, other: NameTraits) -> bool:
    """Surname and given name change places: "Hoa Nguyễn" and "Nguyễn Thị Hoa"."""
    return one.family == other.given and one.given == other.family


def _given(one: NameTraits, other: NameTraits) -> int:
    if one.given == other.given:
        return _toned(one, other)
    mine, theirs = one.given, other.given
    if len(mine) == 1 or len(theirs) == 1:
        return GIVEN_INITIAL if mine[0] == theirs[0] else GIVEN_DIFFERENT
    if "?" in mine or "?" in theirs:
        return GIVEN_READABLE if readable_same(mine, theirs) else GIVEN_DIFFERENT
    return GIVEN_LETTER if one_edit(mine, theirs) else GIVEN_DIFFERENT


def _family(mine: str, theirs: str) -> int:
    if not mine or not theirs:
        return UNKNOWN
    if mine == theirs:
        return SAME
    if "?" in mine or "?" in theirs:
        return FAMILY_READABLE if readable_same(mine, theirs) else FAMILY_DIFFERENT
    return FAMILY_LETTER if one_edit(mine, theirs) else FAMILY_DIFFERENT


def _middles(one: NameTraits, other: NameTraits, *, same: bool) -> int:
    mine, theirs = one.middle, other.middle
    if same:
        if not mine:
            return MIDDLE_NONE
        toned = one.marked and other.marked and mine == theirs and one.middle_toned != other.middle_toned
        return MIDDLE_TONE if toned else SAME
    if not mine or not theirs:
        return MIDDLE_SHORTER
    if "?" in mine or "?" in theirs:
        return SAME if readable_same(mine, theirs) else MIDDLE_DIFFERENT
    few, many = sorted((mine.split(), theirs.split()), key=len)
    if set(few) < set(many) or _initials(few, many):
        return MIDDLE_SHORTER
    return MIDDLE_LETTER if one_edit(mine, theirs) else MIDDLE_DIFFERENT


def _initials(few: list[str], many: list[str]) -> bool:
    """ "Nguyễn T. T. Hoa": every word is the other's, or its first letter."""
    if len(few) != len(many):
        return False
    return all(a == b or (1 in (len(a), len(b)) and a[0] == b[0]) for a, b in zip(few, many, strict=True))


def readable_same(one: str, other: str) -> bool:
    """Equal but for question marks, each of which stands for one to three letters that some system lost."""
    if one == other:
        return True
    if not one or not other:
        return False
    if one[0] == "?" or other[0] == "?":
        wild, plain = (one, other) if one[0] == "?" else (other, one)
        return any(readable_same(wild[1:], plain[taken:]) for taken in (1, 2, 3) if taken <= len(plain))
    return one[0] == other[0] and readable_same(one[1:], other[1:])


def one_edit(one: str, other: str) -> bool:
    """One letter replaced, missing or too many, or two neighbours exchanged; equal is not one edit."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    shortest = min(len(one), len(other))
    while start < shortest and one[start] == other[start]:
        start += 1
    if len(one) > len(other):
        return one[start + 1 :] == other[start:]
    if len(one) < len(other):
        return one[start:] == other[start + 1 :]
    if one[start + 1 :] == other[start + 1 :]:
        return True
    return one[start : start + 2] == other[start : start + 2][::-1] and one[start + 2 :] == other[start + 2 :]


def _born(one: Traits, other: Traits) -> int:
    if not one.year or not other.year:
        return UNKNOWN
    year = one.year == other.year
    if year and one.day == other.day and one.month == other.month and one.day:
        return SAME
    if not one.day or not other.day:
        # a year alone is often counted from an age; one off says nothing either way
        return BORN_YEAR if year else UNKNOWN if abs(one.year - other.year) == 1 else BORN_DIFFERENT
    month, day = one.month == other.month, one.day == other.day
    if year:
        if one.month == other.day and one.day == other.month:
            return BORN_SWAPPED
        return BORN_PART if month or day else BORN_YEAR_ONLY
    # one digit wrong, or counted wrong; a father and a son who share a day are further apart
    apart = abs(one.year - other.year)
    slip = apart <= _MISCOUNTED or (apart < _GENERATION and one_edit(str(one.year), str(other.year)))
    return BORN_OTHER_YEAR if month and day and slip else BORN_DIFFERENT


def _personal(one: Traits, other: Traits) -> int:
    shared = one.personal & other.personal
    if shared:
        return PERSONAL_FOREIGN if shared <= (one.foreign | other.foreign) else SAME
    mine, theirs = one.personal - one.foreign, other.personal - other.foreign
    if any(one_edit(a, b) for a in one.personal for b in other.personal):
        return PERSONAL_NEAR
    return PERSONAL_CONFLICT if mine and theirs else PERSONAL_OTHER


def _cards(one: Traits, other: Traits) -> int:
    """Numbers were given anew in August 2017: a difference across that day says nothing."""
    found = _numbers(one.insurance, other.insurance)
    return UNKNOWN if found == NUMBER_DIFFERENT and one.old_insurance != other.old_insurance else found


def _local(mine: frozenset[str], theirs: frozenset[str]) -> int:
    """A desk that looks its patients up rarely gives one of them two numbers; other hospitals' numbers say nothing."""
    if not mine.isdisjoint(theirs):
        return SAME
    for one in mine:
        giver = one[: one.index("|") + 1]
        for other in theirs:
            if other.startswith(giver):
                return LOCAL_OTHER
    return UNKNOWN


def _numbers(mine: frozenset[str], theirs: frozenset[str]) -> int:
    if mine & theirs:
        return SAME
    return NUMBER_NEAR if any(one_edit(a, b) for a in mine for b in theirs) else NUMBER_DIFFERENT
