"""A person as a reception desk typed them in: the twenty-two ways in which that differs from the truth.

How often each happens in a real hospital was never published, so a caller says how often. `Registration`
keeps whose it is and what was done to it, which is what a matcher is measured against.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from random import Random
from typing import Literal

from hie_node.lab import spelling
from hie_node.lab.people import TODAY, SyntheticPerson, insurance_number, national_id, phone_number


@dataclass(frozen=True, slots=True)
class Registration:
    """One line of one hospital's patient list.

    birth_date   yyyymmdd; "19650000" where only the year is known, as the insurance tables write it
    gender       "unknown" is code 3 of the insurance tables
    national_id  what stands in that field: twelve digits, or an old card of nine, or nothing
    truth        the person it is about, whatever was typed
    applied      the error classes that changed something
    """

    name: str
    birth_date: str
    gender: Literal["male", "female", "unknown"]
    national_id: str | None
    insurance_number: str | None
    phone: str | None
    address: str
    mother_name: str | None
    truth: SyntheticPerson
    applied: frozenset[str] = frozenset()

    @property
    def birth_iso(self) -> str:
        """The birth date as far as it is known: "1965-03-02" or "1965"."""
        year, month, day = self.birth_date[:4], self.birth_date[4:6], self.birth_date[6:]
        return year if month == "00" else f"{year}-{month}-{day}"


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a fault may draw on: chance, and the people under the same roof."""

    rng: Random
    household: Sequence[SyntheticPerson] = field(default=())


_Fault = Callable[[Registration, _Desk], Registration]
NO_DIRT: Mapping[str, float] = {}


def as_registered(
    person: SyntheticPerson,
    rng: Random,
    dirt: Mapping[str, float],
    *,
    household: Sequence[SyntheticPerson] = (),
) -> Registration:
    """How a desk typed `person`; `dirt` maps an error class to its probability, 0 for what it leaves out.

    household  the others under the same roof, for the errors that mix people up; where nobody of them fits,
               an invented relative serves

    Raises KeyError for a class that does not exist.
    """
    if unknown := set(dirt) - set(FAULTS):
        raise KeyError(f"no such error class: {', '.join(sorted(unknown))}")
    registration, desk = _faithful(person), _Desk(rng, household)
    for name, fault in FAULTS.items():
        if rng.random() < dirt.get(name, 0.0):
            changed = fault(registration, desk)
            if changed != registration:
                registration = replace(changed, applied=registration.applied | {name})
    return registration


def _faithful(person: SyntheticPerson) -> Registration:
    return Registration(
        name=person.full_name,
        birth_date=f"{person.birth_date:%Y%m%d}",
        gender=person.gender,
        national_id=person.national_id,
        insurance_number=person.insurance_number,
        phone=person.phone,
        address=str(person.address),
        mother_name=person.mother_name,
        truth=person,
    )


def _spelt(change: Callable[[str], str]) -> _Fault:
    def fault(registration: Registration, desk: _Desk) -> Registration:
        return replace(registration, name=change(registration.name))

    return fault


def _no_marks(registration: Registration, desk: _Desk) -> Registration:
    return replace(
        registration,
        name=spelling.without_marks(registration.name),
        address=spelling.without_marks(registration.address),
        mother_name=registration.mother_name and spelling.without_marks(registration.mother_name),
    )


def _d_stroke(registration: Registration, desk: _Desk) -> Registration:
    change = desk.rng.choice((spelling.plain_d, spelling.icelandic_d))
    return replace(registration, name=change(registration.name), address=change(registration.address))


def _legacy_bytes(registration: Registration, desk: _Desk) -> Registration:
    change = desk.rng.choice((spelling.tcvn3_as_latin1, spelling.vni_as_latin1))
    return replace(registration, name=change(registration.name), address=change(registration.address))


def _spacing_and_case(registration: Registration, desk: _Desk) -> Registration:
    changes: tuple[Callable[[str], str], ...] = (
        str.upper,
        lambda name: name.replace(" ", "  ", 1),
        lambda name: name.replace(" ", "\u00a0"),
        lambda name: f" {name} ",
    )
    return replace(registration, name=desk.rng.choice(changes)(registration.name))


def _year_only(registration: Registration, desk: _Desk) -> Registration:
    # four years out of five as the tables want it now, the rest as they were filled until 2023
    rest = "0000" if desk.rng.random() < 0.8 else "0101"
    return replace(registration, birth_date=registration.birth_date[:4] + rest)


def _newborn_under_mother(registration: Registration, desk: _Desk) -> Registration:
    person = registration.truth
    if (TODAY - person.birth_date).days > 28:
        return registration
    name = desk.rng.choice(("{}", "CB {}", "Con bà {}")).format(person.mother_name)
    return replace(registration, name=name, national_id=None)


def _old_card(registration: Registration, desk: _Desk) -> Registration:
    old = registration.truth.old_card
    return replace(registration, national_id=old) if old else registration


def _new_card_prefix(registration: Registration, desk: _Desk) -> Registration:
    card = registration.insurance_number
    if card is None:
        return registration
    others = [start for start in ("DN4", "GD4", "HT3", "HN2", "CN3", "HC4") if start != card[:3]]
    return replace(registration, insurance_number=desk.rng.choice(others) + card[3:])


def _day_month_swapped(registration: Registration, desk: _Desk) -> Registration:
    typed = registration.birth_date
    if not "01" <= typed[6:] <= "12" or typed[4:6] == "00":
        return registration  # the desk's program refuses a month 13
    return replace(registration, birth_date=typed[:4] + typed[6:] + typed[4:6])


def _sex_unknown(registration: Registration, desk: _Desk) -> Registration:
    return replace(registration, gender="unknown")


def _relative_phone(registration: Registration, desk: _Desk) -> Registration:
    phones = [one.phone for one in desk.household if one.phone != registration.phone]
    return replace(registration, phone=desk.rng.choice(phones) if phones else phone_number(desk.rng))


def _borrowed_card(registration: Registration, desk: _Desk) -> Registration:
    cards = [one.insurance_number for one in desk.household if one.insurance_number]
    card = desk.rng.choice(cards) if cards else insurance_number(desk.rng, birth_date=date(1970, 1, 1))
    return replace(registration, insurance_number=card)


def _name_order(registration: Registration, desk: _Desk) -> Registration:
    family, *rest = registration.name.split(" ")
    if not rest:
        return registration
    middle, given = rest[:-1], rest[-1]
    order = [*middle, given, family] if desk.rng.random() < 0.5 else [given, *middle, family]
    return replace(registration, name=" ".join(order))


def _dropped_middle(registration: Registration, desk: _Desk) -> Registration:
    family, *rest = registration.name.split(" ")
    return replace(registration, name=f"{family} {rest[-1]}") if len(rest) > 1 else registration


_REGIONAL = {"Vũ": "Võ", "Võ": "Vũ", "Hoàng": "Huỳnh", "Huỳnh": "Hoàng"}


def _regional_surname(registration: Registration, desk: _Desk) -> Registration:
    family, _, rest = registration.name.partition(" ")
    return replace(registration, name=f"{_REGIONAL.get(family, family)} {rest}")


def _joined_middle(registration: Registration, desk: _Desk) -> Registration:
    *before, middle, given = registration.name.split(" ")
    return replace(registration, name=" ".join([*before, middle + given.lower()])) if before else registration


def _old_address(registration: Registration, desk: _Desk) -> Registration:
    home = registration.truth.address
    before = desk.rng.choice((home.before_2025, f"{home.line}, {home.commune}, {home.former_province}"))
    if before == str(home):
        before = home.before_2025
    return replace(registration, address=before)


def _twin(registration: Registration, desk: _Desk) -> Registration:
    """Only what twins share is left: no number of their own, the first letter of the name."""
    if registration.truth.twin_key is None:
        return registration
    initial = registration.truth.given[0]
    name = f"{registration.name.rpartition(' ')[0]} {initial}."
    return replace(registration, name=name, national_id=None, insurance_number=None)


def _parent_number(registration: Registration, desk: _Desk) -> Registration:
    person = registration.truth
    if person.age() >= 18:
        return registration
    parents = [one.national_id for one in desk.household if one.national_id and one.age() - person.age() >= 17]
    if parents:
        return replace(registration, national_id=desk.rng.choice(parents))
    born = person.birth_date.replace(year=person.birth_date.year - 27, day=1)
    return replace(registration, national_id=national_id(desk.rng, prefix="927", birth_date=born, gender="female"))


FAULTS: Mapping[str, _Fault] = {
    # whose record it is, then which words, then how they are spelt: an encoding is damaged last
    "newborn_under_mother": _newborn_under_mother,
    "parent_number": _parent_number,
    "old_card": _old_card,
    "new_card_prefix": _new_card_prefix,
    "borrowed_card": _borrowed_card,
    "twin": _twin,
    "year_only": _year_only,
    "day_month_swapped": _day_month_swapped,
    "sex_unknown": _sex_unknown,
    "relative_phone": _relative_phone,
    "old_address": _old_address,
    "regional_surname": _regional_surname,
    "dropped_middle": _dropped_middle,
    "joined_middle": _joined_middle,
    "name_order": _name_order,
    "i_y": _spelt(spelling.i_for_y),
    "tone_place": _spelt(spelling.new_tone_place),
    "d_stroke": _d_stroke,
    "no_marks": _no_marks,
    "decomposed": _spelt(spelling.decomposed),
    "legacy_bytes": _legacy_bytes,
    "spacing_and_case": _spacing_and_case,
}
"""Every error class by name, in the order in which they are applied."""

TYPICAL_DIRT: Mapping[str, float] = {
    "no_marks": 0.08,
    "d_stroke": 0.02,
    "decomposed": 0.03,
    "i_y": 0.05,
    "tone_place": 0.1,
    "legacy_bytes": 0.01,
    "spacing_and_case": 0.15,
    "year_only": 0.06,
    "newborn_under_mother": 0.6,
    "old_card": 0.06,
    "new_card_prefix": 0.1,
    "day_month_swapped": 0.01,
    "sex_unknown": 0.005,
    "relative_phone": 0.15,
    "borrowed_card": 0.003,
    "name_order": 0.005,
    "dropped_middle": 0.02,
    "regional_surname": 0.03,
    "joined_middle": 0.01,
    "old_address": 0.35,
    "twin": 0.2,
    "parent_number": 0.1,
}
"""A working assumption of how often each error happens where it can; no rate was ever published."""
