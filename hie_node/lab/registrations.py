"""Many registrations with the truth beside them: what a matcher is measured on.

People of three provinces, each registered one to six times over the years at several desks. On top of the twenty-two
error classes of `reception.py` come what every list shows: numbers that were not asked for, digits typed wrong, the
number of the patient before, dummies, names with a wrong letter, keystrokes, lost letters, people who moved.
How often each happens was never published: `CLEAN`, `REALISTIC` and `HOSTILE` are assumptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from hie_node.lab import spelling
from hie_node.lab.people import PROVINCES, SyntheticPerson, people
from hie_node.lab.people import phone_number as some_phone
from hie_node.lab.reception import TYPICAL_DIRT, Registration, as_registered
from registry.identifiers import INSURANCE_NUMBER, PatientIdentifier, identity_number
from registry.people import Address, BirthDate, Demographics, HumanName

Dirt = Mapping[str, float]

CLEAN: Dirt = {
    "spacing_and_case": 0.1, "tone_place": 0.1, "i_y": 0.03, "decomposed": 0.03, "old_address": 0.2, "year_only": 0.02,
    "no_personal_number": 0.15, "no_insurance": 0.2, "no_phone": 0.15, "no_guardian": 0.7, "new_phone": 0.05,
}  # fmt: skip
REALISTIC: Dirt = {
    **TYPICAL_DIRT,
    "no_personal_number": 0.45, "no_insurance": 0.4, "no_phone": 0.3, "no_address": 0.1, "no_guardian": 0.75,
    "digit_wrong": 0.02, "number_of_the_one_before": 0.002, "dummy_number": 0.005, "wrong_letter": 0.01,
    "keystrokes": 0.005, "mojibake": 0.004, "lost_letters": 0.004, "new_phone": 0.1, "moved": 0.06, "birth_typo": 0.008,
    "nobody": 0.001,
}  # fmt: skip
HOSTILE: Dirt = {
    **{name: min(0.6, 3 * often) for name, often in REALISTIC.items()},
    "no_personal_number": 0.65, "no_insurance": 0.6, "no_phone": 0.5, "no_address": 0.3, "no_guardian": 0.85,
    "number_of_the_one_before": 0.01, "dummy_number": 0.03, "no_marks": 0.3, "nobody": 0.003,
}  # fmt: skip
LEVELS: Mapping[str, Dirt] = {"clean": CLEAN, "realistic": REALISTIC, "hostile": HOSTILE}

_VISITS = ((1, 2, 3, 4, 5, 6), (30, 30, 18, 12, 6, 4))
_DUMMIES = ("000000000000", "111111111111", "123456789012", "001000000001", "027099999999")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One registration, whose it is, and what was done to it; `person` is None for somebody nobody could name."""

    identifiers: tuple[PatientIdentifier, ...]
    demographics: Demographics
    person: int | None
    applied: frozenset[str]


@dataclass(slots=True)
class _Desk:
    rng: Random
    before: Registration | None = None


def registrations(count: int, seed: int, dirt: Dirt) -> list[Labelled]:
    """`count` of them in an order of chance; the same for a seed."""
    rng = Random(f"registrations/{seed}")  # noqa: S311
    desk = _Desk(rng)
    habits = {name: often for name, often in dirt.items() if name in _HABITS}
    faults = {name: often for name, often in dirt.items() if name not in _HABITS}
    found: list[Labelled] = []
    visits = list(_visits(count, seed, rng))
    rng.shuffle(visits)
    for place, (person, household) in enumerate(visits[:count]):
        typed = as_registered(person, rng, faults, household=household)
        for name, often in habits.items():
            if rng.random() < often:
                typed = _changed(typed, name, desk)
        desk.before = typed
        found.append(_labelled(typed, place))
    return found


def _changed(typed: Registration, name: str, desk: _Desk) -> Registration:
    changed = _HABITS[name](typed, desk)
    return typed if changed == typed else replace(changed, applied=changed.applied | {name})


def _visits(count: int, seed: int, rng: Random) -> Iterator[tuple[SyntheticPerson, list[SyntheticPerson]]]:
    """People and their households, each as often as they come."""
    mean = sum(n * w for n, w in zip(*_VISITS, strict=True)) / sum(_VISITS[1])
    each = round(1.05 * count / mean / len(PROVINCES)) + 30
    for offset, province in enumerate(PROVINCES):
        shift = offset * 10_000_000
        homes: dict[int, list[SyntheticPerson]] = {}
        for person in people(each, seed, province):
            homes.setdefault(person.household_id, []).append(replace(person, key=person.key + shift))
        for home in homes.values():
            for person in home:
                others = [one for one in home if one.key != person.key]
                for _ in range(rng.choices(*_VISITS)[0]):
                    yield person, others


def _labelled(typed: Registration, place: int) -> Labelled:
    numbers = [PatientIdentifier(f"urn:lab:desk:{place % 7}", f"{place:07d}")]
    if typed.national_id and (number := identity_number(typed.national_id)):
        numbers.append(number)
    if typed.insurance_number:
        numbers.append(PatientIdentifier(INSURANCE_NUMBER, typed.insurance_number))
    said = Demographics(
        name=HumanName(typed.name),
        birth_date=BirthDate(typed.birth_iso) if typed.birth_date else None,
        gender=typed.gender,
        phones=(typed.phone,) if typed.phone else (),
        address=Address(typed.address) if typed.address else None,
        mothers_name=typed.mother_name,
    )
    return Labelled(tuple(numbers), said, None if "nobody" in typed.applied else typed.truth.key, typed.applied)


def _without(field: str) -> Callable[[Registration, _Desk], Registration]:
    def habit(typed: Registration, desk: _Desk) -> Registration:
        return replace(typed, **{field: None})  # type: ignore[arg-type]

    return habit


def _no_address(typed: Registration, desk: _Desk) -> Registration:
    return replace(typed, address="")


def _digit_wrong(typed: Registration, desk: _Desk) -> Registration:
    """One digit of a number that was typed, or two neighbours exchanged."""
    field = desk.rng.choice(("national_id", "insurance_number", "phone"))
    number: str | None = getattr(typed, field)
    if not number:
        return typed
    place = desk.rng.randrange(len(number) - 6, len(number) - 1)
    if desk.rng.random() < 0.5:
        wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    else:
        wrong = number[:place] + desk.rng.choice("0123456789") + number[place + 1 :]
    return replace(typed, **{field: wrong})  # type: ignore[arg-type]


def _number_of_the_one_before(typed: Registration, desk: _Desk) -> Registration:
    if desk.before is None or not desk.before.national_id:
        return typed
    return replace(typed, national_id=desk.before.national_id)


def _dummy_number(typed: Registration, desk: _Desk) -> Registration:
    return replace(typed, national_id=desk.rng.choice(_DUMMIES))


def _wrong_letter(typed: Registration, desk: _Desk) -> Registration:
    place = desk.rng.randrange(len(typed.name))
    if not typed.name[place].isalpha():
        return typed
    kind = desk.rng.random()
    letter = "" if kind < 0.3 else desk.rng.choice("anghtiouc") if kind < 0.8 else typed.name[place] * 2
    name = typed.name[:place] + letter + typed.name[place + 1 :]
    return replace(typed, name=name) if name.strip() else typed


def _keystrokes(typed: Registration, desk: _Desk) -> Registration:
    return replace(typed, name=spelling.telex_keys(typed.name))


def _mojibake(typed: Registration, desk: _Desk) -> Registration:
    return replace(typed, name=spelling.utf8_as_windows(typed.name))


def _lost_letters(typed: Registration, desk: _Desk) -> Registration:
    return replace(typed, name="".join(c if ord(c) < 0x100 else "?" for c in typed.name))


def _new_phone(typed: Registration, desk: _Desk) -> Registration:
    return replace(typed, phone=some_phone(desk.rng)) if typed.phone else typed


def _moved(typed: Registration, desk: _Desk) -> Registration:
    other = people(1, desk.rng.randrange(10**9), desk.rng.choice(PROVINCES))[0]
    return replace(typed, address=str(other.address)) if typed.address else typed


def _birth_typo(typed: Registration, desk: _Desk) -> Registration:
    """A year, month or day next to the true one."""
    year, month, day = int(typed.birth_date[:4]), int(typed.birth_date[4:6]), int(typed.birth_date[6:])
    if not day or not month:
        return typed
    part = desk.rng.randrange(3)
    year += desk.rng.choice((-10, -1, 1)) if part == 0 else 0
    month = month % 12 + 1 if part == 1 else month
    day = day % 28 + 1 if part == 2 else min(day, 28)
    return replace(typed, birth_date=f"{min(year, 2026):04d}{month:02d}{day:02d}")


def _nobody(typed: Registration, desk: _Desk) -> Registration:
    name = desk.rng.choice(("BN vô danh", "Không rõ tên", "Bệnh nhân vô danh nam"))
    return replace(
        typed, name=name, national_id=None, insurance_number=None, phone=None, mother_name=None,
        birth_date=f"{typed.birth_date[:4]}0101",
    )  # fmt: skip


_HABITS: Mapping[str, Callable[[Registration, _Desk], Registration]] = {
    "no_personal_number": _without("national_id"),
    "no_insurance": _without("insurance_number"),
    "no_phone": _without("phone"),
    "no_guardian": _without("mother_name"),
    "no_address": _no_address,
    "digit_wrong": _digit_wrong,
    "number_of_the_one_before": _number_of_the_one_before,
    "dummy_number": _dummy_number,
    "wrong_letter": _wrong_letter,
    "keystrokes": _keystrokes,
    "mojibake": _mojibake,
    "lost_letters": _lost_letters,
    "new_phone": _new_phone,
    "moved": _moved,
    "birth_typo": _birth_typo,
    "nobody": _nobody,
}
