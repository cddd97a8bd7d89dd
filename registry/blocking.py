"""Which records are worth comparing: two that share no key here are never looked at together.

A key is exact, cheap to index and rare; together they let most true pairs meet and hardly anybody else. No key is
fuzzy: Vietnamese names of three syllables collide too often, and a search by likeness brings crowds.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry.identifiers import PatientIdentifier
from registry.levels import INSURANCE, OLD_CARD, PASSPORT, PERSONAL, PHONE
from registry.people import Demographics, PatientInQuestion
from registry.traits import NameTraits, Traits, traits_of

KEYS_VERSION = 7
"""Goes up whenever a description gets other keys than before, here or by how its parts are read: `hie upgrade` then
fills the index of a node anew."""
CROWD = 200
"""A key under which so many records stand says nothing; no more of them are looked at."""
_CROWDED_PHONE = 24
"""A telephone of so many records is a desk's, not a family's."""
_CROWDED_NAME = 32
"""A name and a year, or a day, of so many: they grow with the list, and are never linked without a place or a
telephone, which are keys as well."""
_CROWDED = {"phone|": _CROWDED_PHONE, "name-y": _CROWDED_NAME, "name-d": _CROWDED_NAME, "year-a": _CROWDED_NAME}
"""By how a key begins."""


def crowd(key: str) -> int:
    """From how many records on a key says nothing."""
    return _CROWDED.get(key[:6], CROWD)


def number_key(identifier: PatientIdentifier) -> str | None:
    """The same number, whichever field it was typed into; None for a dummy ("000000000", to get past a form)."""
    numbers = _number_keys(traits_of((identifier,), Demographics()))
    return numbers[0] if numbers else None


def blocking_keys(identifiers: Iterable[PatientIdentifier], demographics: Demographics) -> frozenset[str]:
    """The keys under which one description is found."""
    return keys_of(traits_of(identifiers, demographics))


def wanted_keys(wanted: PatientInQuestion) -> frozenset[str]:
    """What a question looks under: its own keys, and those with day and month exchanged, a common typing fault."""
    return keys_wanted(traits_of(wanted.identifiers, wanted.demographics))


def keys_of(traits: Traits) -> frozenset[str]:
    """The keys under which one description is found; nobody finds a patient whom a desk could not name.

    number            the strongest evidence there is; also the local number within its hospital
    phone             of few people: a family at most
    name, day and     survives a year that was counted from an age, or typed wrong
    month
    name and year     survives lost marks, word order and joined words (its words are sorted), and dates of which
                      only the year is known; who knows the day looks for those alone, under a key of their own
    family, given     survives a lost middle name, where the place makes it rare
    and year, place
    given and date    survives a wrong surname and a missing middle name
    surname, date,    survives a mistyped given name; sex and the first letter make it rare
    sex and initial
    date and place    survives everything about the name
    guardian, date    a child before and after it was named
    """
    keys = _number_keys(traits)
    if traits.nobody:
        return frozenset(key for key in keys if key.startswith("number|local"))
    name, year, place = traits.name, traits.year, traits.place.commune
    if name is not None and name.guest:
        keys += _of_guests(name, traits)
    if name is not None and year:
        keys.append(f"name-year|{name.sorted}|{year}")
        if not traits.day:
            keys.append(f"year-alone|{name.sorted}|{year}")
        if place:
            keys.append(f"short-year-place|{name.family}|{name.given}|{year}|{place}")
    if traits.day:
        keys += _with_date(traits, year, traits.month, traits.day)
    return frozenset(keys)


_OF_A_STREET = 7
"""Letters of a word that says which street it is, and not "street"."""


def _of_guests(name: NameTraits, traits: Traits) -> Iterable[str]:
    """Any word of a name that can be mistyped elsewhere, with what else is rare."""
    for word in set(name.sorted.split()):
        if traits.year:
            yield f"guest-year|{word}|{traits.year}"
        if traits.place.commune:
            yield f"guest-place|{word}|{traits.place.commune}"
    if traits.day:
        yield f"guest-date|{traits.year}-{traits.month:02}-{traits.day:02}"
        yield f"guest-day|{traits.month:02}-{traits.day:02}|{traits.place.commune}"
    if traits.place.narrow:
        yield f"guest-line|{traits.place.line}"
    if traits.place.postcode:
        yield from (f"guest-post|{traits.place.postcode}|{part}" for part in set(traits.place.line.split()))
    parts = traits.place.line.split()
    if parts and (number := next(filter(str.isdigit, parts), "")):
        yield f"guest-street|{number}|{max(parts, key=len)}"
    for part in set(parts):
        if len(part) >= _OF_A_STREET or part.isdigit():
            yield from (f"guest-house|{part}|{word}" for word in set(name.sorted.split()))
    yield f"guest-name|{name.sorted}"


def keys_wanted(traits: Traits, own: frozenset[str] | None = None) -> frozenset[str]:
    """Where to look: under its `own` keys, and those of the date with day and month exchanged; of a year that stands
    alone, and of those that do, the years beside it as well. Two full dates under one name and year are two people or
    agree in more than that."""
    keys = keys_of(traits) if own is None else own
    if traits.nobody:
        return keys
    if traits.name is not None and traits.year:
        name, year = traits.name.sorted, traits.year
        if not traits.day:
            return keys.union((f"name-year|{name}|{year - 1}", f"name-year|{name}|{year + 1}"))
        alone = f"year-alone|{name}|"
        more = [f"{alone}{year - 1}", f"{alone}{year}", f"{alone}{year + 1}"]
        keys = keys - {f"name-year|{name}|{year}"}
    else:
        more = []
    if 0 < traits.day <= 12 and traits.day != traits.month:
        more += _with_date(traits, traits.year, traits.day, traits.month)
    return keys.union(more) if more else keys


def _number_keys(traits: Traits) -> list[str]:
    keys = [f"number|personal|{value}" for value in traits.personal]
    keys += [f"number|insurance|{value}" for value in traits.insurance]
    keys += [f"number|local|{value}" for value in traits.local]
    if traits.old_cards or traits.passports:
        keys += [f"number|old|{value}" for value in traits.old_cards]
        keys += [f"number|passport|{value}" for value in traits.passports]
    if not traits.nobody:
        keys += [f"phone|{phone}" for phone in traits.phones]
    return keys


def number_keys_by_field(traits: Traits) -> Iterable[tuple[int, str]]:
    """Every number and telephone with the field in which it is compared, but for the local numbers of hospitals."""
    for field, kind, values in (
        (PERSONAL, "number|personal", traits.personal),
        (OLD_CARD, "number|old", traits.old_cards),
        (PASSPORT, "number|passport", traits.passports),
        (INSURANCE, "number|insurance", traits.insurance),
        (PHONE, "phone", traits.phones),
    ):
        for value in values:
            yield field, f"{kind}|{value}"


def _with_date(traits: Traits, year: int, month: int, day: int) -> list[str]:
    """Only a full date is rare enough for a key with one word of the name."""
    name, place, of_year = traits.name, traits.place.commune, f"{month:02}-{day:02}"
    date = f"{year}-{of_year}"
    keys: list[str] = []
    if name is not None:
        keys += (f"name-day|{name.sorted}|{of_year}", f"given-date|{name.given}|{date}")
        if name.family:
            keys.append(f"surname-date-sex|{name.family}|{date}|{traits.sex}|{name.given[:1]}")
    if place:
        keys.append(f"date-place|{date}|{place}")
    if traits.guardian:
        keys.append(f"guardian-date|{traits.guardian}|{date}")
    return keys
