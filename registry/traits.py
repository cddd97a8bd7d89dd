"""A description of a patient as it is compared: every field in one spelling, read once. The original stays elsewhere.

Source of the rules: TT 07/2016/TT-BCA (personal number), QĐ 1351/QĐ-BHXH (insurance card), the change of telephone
prefixes of 2018 (decision 798/QĐ-BTTTT).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

from registry.communes import NOWHERE, Place, place_of
from registry.encodings import readable
from registry.guests import is_guest
from registry.identifiers import (
    CITIZEN_ID,
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PASSPORT_NUMBER,
    PatientIdentifier,
    PersonalNumber,
    insurance_last_ten,
)
from registry.keystrokes import untyped
from registry.name_words import BARE_SURNAMES, MIDDLE_WORDS, REGIONAL
from registry.people import BirthDate, Demographics, PatientInQuestion, SourceRecord
from registry.syllables import bare, is_syllable
from registry.vietnamese import Newborn, compared, has_marks, is_nobody, newborn, syllables

_NEW_INSURANCE_NUMBERS = date(2017, 8, 1)
_NOT_DIGITS = re.compile(r"\D+")
_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
_PASSPORT = re.compile(r"[A-Z]\d{7,8}")
_OLD_MOBILE = {
    **{f"016{n}": f"03{n}" for n in range(2, 10)},
    "0120": "070", "0121": "079", "0122": "077", "0126": "076", "0128": "078",
    "0123": "083", "0124": "084", "0125": "085", "0127": "081", "0129": "082",
    "0186": "056", "0188": "058", "0199": "059",
}  # fmt: skip
_PERSONAL = frozenset({NATIONAL_ID, CITIZEN_ID, PASSPORT_NUMBER})


class NameTraits(NamedTuple):
    """A name by its parts, each as folded letters; `given_toned` and `middle_toned` keep what separates relatives.

    letters  all words without spaces, in order
    sorted   the words in alphabetic order: the same in every order of writing
    marked   the writer used marks, so that a missing one means something
    turned   the surname stood at the end: which of the other words is the given name is a guess
    guest    no Vietnamese name: its words are compared by likeness (`registry.guests`)
    """

    family: str
    middle: str
    given: str
    given_toned: str
    middle_toned: str
    letters: str
    sorted: str
    marked: bool
    turned: bool
    guest: bool = False


class Traits(NamedTuple):
    """One description, ready to be compared. A tuple, since millions are packed away and looked at again.

    year, month, day  0 where unknown; 1 January counts as the year alone, being a common placeholder
    sex               1 male, 2 female, 0 unknown
    old_insurance     written before the insurance numbers of August 2017 (QĐ 1351/QĐ-BHXH)
    personal          12-digit numbers; those that contradict the record's own sex or year are in `foreign` as well
    """

    name: NameTraits | None
    year: int
    month: int
    day: int
    sex: int
    personal: frozenset[str]
    foreign: frozenset[str]
    old_cards: frozenset[str]
    passports: frozenset[str]
    insurance: frozenset[str]
    old_insurance: bool
    local: frozenset[str]
    phones: frozenset[str]
    place: Place
    guardian: str
    birth_order: int
    newborn: bool
    nobody: bool


_SEXES = {"male": 1, "female": 2}


def traits_of_record(record: SourceRecord) -> Traits:
    return traits_of(record.identifiers, record.demographics)


def traits_of_question(wanted: PatientInQuestion) -> Traits:
    return traits_of(wanted.identifiers, wanted.demographics)


def traits_of(
    identifiers: Iterable[PatientIdentifier],
    said: Demographics,
    *,
    recorded: date | None = None,
    abroad: bool = False,
) -> Traits:
    """Read a description once; `recorded` is the day it was written down, where that is known. `abroad`: every name in
    plain letters is read as those from abroad are, be it Le or Oh."""
    text = said.name.text if said.name is not None else ""
    name, child, nobody = _written(text, abroad)
    year, month, day = _born(said.birth_date)
    sex = _SEXES.get(said.gender, 0)
    guardian = child.mother if child is not None else said.mothers_name or ""
    mother = _letters(guardian) if guardian else ""
    numbers = _numbers(identifiers, sex, year)
    personal = numbers.get("personal", _NONE)
    address = said.address
    return Traits(
        name=name,
        year=year,
        month=month,
        day=day,
        sex=sex,
        personal=personal,
        foreign=frozenset(number for number in personal if not _fits(number, sex, year)) if personal else personal,
        old_cards=numbers.get("old", _NONE),
        passports=numbers.get("passport", _NONE),
        insurance=numbers.get("insurance", _NONE),
        old_insurance=recorded is not None and recorded < _NEW_INSURANCE_NUMBERS,
        local=numbers.get("local", _NONE),
        phones=frozenset(filter(None, map(_phone, said.phones))) if said.phones else _NONE,
        place=place_of(address.text, address.commune, address.province) if address is not None else NOWHERE,
        guardian=mother,
        birth_order=child.order if child is not None else 0,
        # a name that is the mother's own is hers, not the child's
        newborn=child is not None or bool(mother and name is not None and name.letters == mother),
        nobody=nobody,
    )


_NONE: frozenset[str] = frozenset()


def _as_written(text: str) -> list[str]:
    return text.lower().replace("'", "").replace("-", " ").split()


@lru_cache(maxsize=65536)
def _written(text: str, abroad: bool) -> tuple[NameTraits | None, Newborn | None, bool]:
    """What stands where the name should: a name, or whose child it is; and whether nobody could say."""
    if not text:
        return None, None, False
    child = newborn(text)
    if child is not None:
        return None, child, is_nobody(text)
    return (_name_abroad(text) if abroad and text.isascii() else _name(text)), None, is_nobody(text)


def _name_abroad(text: str) -> NameTraits | None:
    words = _as_written(text)
    return _guest(words) if words else None


def _name(text: str) -> NameTraits | None:
    written = syllables(text)
    if text.isascii():
        as_written = _as_written(text)
        if is_guest(as_written) and any(untyped(word) == word and not is_syllable(word) for word in as_written):
            return _guest(as_written)
    words = _surname_first(written)
    if not words:
        return None
    folded = [bare(word).replace("y", "i") for word in words]
    toned = [compared(word) for word in words]
    family = REGIONAL.get(folded[0], folded[0]) if len(folded) > 1 else ""
    return NameTraits(
        family=family,
        middle=" ".join(folded[1:-1]),
        given=folded[-1],
        given_toned=toned[-1],
        middle_toned=" ".join(toned[1:-1]),
        letters="".join(folded),
        sorted=" ".join(sorted(REGIONAL.get(word, word) for word in folded)),
        marked=has_marks(readable(text)) or any(digit in word for word in toned for digit in "12345"),
        turned=words != written,
    )


def _guest(words: Sequence[str]) -> NameTraits:
    """Word for word as it is written; which of them is the surname is a guess."""
    joined = "".join(words)
    return NameTraits(
        family=words[0] if len(words) > 1 else "",
        middle=" ".join(words[1:-1]),
        given=words[-1],
        given_toned=words[-1],
        middle_toned=" ".join(words[1:-1]),
        letters=joined,
        sorted=" ".join(sorted(words)),
        marked=False,
        turned=False,
        guest=True,
    )


def _surname_first(words: tuple[str, ...]) -> tuple[str, ...]:
    """ "Thị Hoa Nguyễn" and "Hoa Thị Nguyễn", as systems from abroad write it, become "Nguyễn Thị Hoa"."""
    if len(words) < 2 or _surname(words[0]) or not _surname(words[-1]):
        return words
    if len(words) > 2 and words[1] in MIDDLE_WORDS:
        return (words[-1], *words[1:-1], words[0])
    return (words[-1], *words[:-1])


def _surname(word: str) -> bool:
    return bare(word).replace("y", "i") in BARE_SURNAMES and word not in MIDDLE_WORDS


@lru_cache(maxsize=65536)
def _letters(text: str) -> str:
    return "".join(bare(word).replace("y", "i") for word in syllables(text))


def _born(born: BirthDate | None) -> tuple[int, int, int]:
    if born is None:
        return 0, 0, 0
    value = born.value
    if len(value) < 10 or value.endswith("-01-01"):
        return int(value[:4]), 0, 0
    return int(value[:4]), int(value[5:7]), int(value[8:])


def _numbers(identifiers: Iterable[PatientIdentifier], sex: int, year: int) -> dict[str, frozenset[str]]:
    """By what the digits are, not by the field they were typed into. Dummies are left out."""
    found: dict[str, frozenset[str]] = {}
    for identifier in identifiers:
        kind, value = _read_number(identifier.system, identifier.value)
        if kind == "short":
            # a spreadsheet takes leading zeros away; only a number that then fits its owner is believed
            kind, value = ("personal", f"00{value}") if sex and year and _fits(f"00{value}", sex, year) else ("", "")
        if kind:
            found[kind] = found.get(kind, _NONE) | {value}
    return found


_COUNTRY = frozenset({*_PERSONAL, INSURANCE_NUMBER})


@lru_cache(maxsize=65536)
def _read_number(system: str, value: str) -> tuple[str, str]:
    if system not in _COUNTRY:
        return "local", f"{system}|{value.strip()}"
    typed = _SEPARATORS.sub("", value if value.isascii() else normalize("NFKC", value))
    kind, number = _of_the_country(typed.upper(), insurance=system == INSURANCE_NUMBER)
    return (kind, number) if number and not is_dummy(number) else ("", "")


def _of_the_country(text: str, *, insurance: bool) -> tuple[str, str]:
    """Personal numbers (12 digits), old cards (9), passports, insurance cards (15) and numbers (10), in any field."""
    digits = text if text.isascii() and text.isdigit() else ""
    if len(digits) == 10 and not insurance:
        return "short", digits
    if len(digits) in (11, 12):
        return "personal", digits.zfill(12)
    if len(digits) in (8, 9):
        return "old", digits.zfill(9)
    if _PASSPORT.fullmatch(text):
        return "passport", text
    card = insurance_last_ten(text)
    return ("insurance", card) if card else ("", "")


def is_dummy(digits: str) -> bool:
    """Typed to get past a form: one digit over and over, or counting up or down."""
    tail = digits[-9:]
    return len(set(tail)) < 3 or tail in "01234567890123456789" or tail in "98765432109876543210"


def _fits(number: str, sex: int, year: int) -> bool:
    """Whether a personal number of 12 digits can be that of somebody of this sex and year; what is unknown does not
    contradict."""
    read = PersonalNumber(number)
    return (not sex or sex == _SEXES[read.gender]) and (not year or year == read.birth_year)


@lru_cache(maxsize=65536)
def _phone(text: str) -> str:
    digits = _NOT_DIGITS.sub("", text)
    if digits.startswith("84") and len(digits) >= 11:
        digits = "0" + digits[2:]
    if len(digits) == 9 and not digits.startswith("0"):
        digits = "0" + digits
    if len(digits) == 11:
        digits = _OLD_MOBILE.get(digits[:4], digits[:4]) + digits[4:]
    return "" if len(digits) < 9 or is_dummy(digits) else digits
