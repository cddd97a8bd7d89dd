"""Which records are worth comparing: two that share no key here are never looked at together.

A key is exact, cheap to index and rare; together they let most true pairs meet and hardly anybody else. No key is
fuzzy: Vietnamese names of three syllables collide too often, and a search by likeness brings crowds.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry.identifiers import PatientIdentifier
from registry.matching import PERSONAL_NUMBERS
from registry.people import BirthDate, Demographics, PatientInQuestion


def number_key(identifier: PatientIdentifier) -> str | None:
    """The same number of the same authority; None for a dummy ("000000000", typed to get past a form)."""
    normal = identifier.normal
    if normal.system in PERSONAL_NUMBERS and len(set(normal.value)) < 2:
        return None
    return f"number|{normal.system}|{normal.value}"


def blocking_keys(identifiers: Iterable[PatientIdentifier], demographics: Demographics) -> frozenset[str]:
    """The keys under which one description is found.

    number           the strongest evidence there is; also the local number within its hospital
    name and year    survives lost tone marks, word order and joined words (its letters are sorted), and dates
                     of which only the year is known
    given and date   survives a wrong surname and a missing middle name; the tone keeps Lan and Lân apart, since a
                     day of birth alone grows with the population
    surname, date    survives a wrong or changed given name; sex halves it
    and sex
    """
    keys = {key for key in map(number_key, identifiers) if key is not None}
    if demographics.name is None or demographics.birth_date is None:
        return frozenset(keys)
    name, born = demographics.name, demographics.birth_date
    letters = "".join(sorted(name.folded.replace(" ", "")))
    if letters:
        keys.add(f"name-year|{letters}|{born.year}")
        keys |= _with_date(demographics, born)
    return frozenset(keys)


def wanted_keys(wanted: PatientInQuestion) -> frozenset[str]:
    """What a question looks under: its own keys, and those with day and month exchanged, a common typing fault."""
    keys = blocking_keys(wanted.identifiers, wanted.demographics)
    born = wanted.demographics.birth_date
    swapped = born.swapped() if born is not None else None
    return keys if swapped is None else keys | _with_date(wanted.demographics, swapped)


def _with_date(demographics: Demographics, born: BirthDate) -> frozenset[str]:
    """Only a full date is rare enough for a key with one word of the name."""
    if demographics.name is None or not born.is_full:
        return frozenset()
    toned, folded = demographics.name.toned.split(), demographics.name.folded.split()
    if not toned or not folded:
        return frozenset()
    return frozenset(
        {f"given-date|{toned[-1]}|{born}", f"surname-date-sex|{folded[0]}|{born}|{demographics.gender}"},
    )
