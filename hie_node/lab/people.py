"""Invented people of three provinces: names, ages, households and numbers as they occur there.

Sources: the name statistics of `names.json`; the personal number after decree 137/2015 and circular
07/2016/TT-BCA.

No number can belong to a person: the province part of a personal number is the real one with a leading 9 (927
for old Bắc Ninh; 9xx is not assigned), insurance numbers are of an issuing province 00, nine-digit cards
begin with 9, and phone numbers with 010, which no network uses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any, Literal

from hie_node.lab.package import table

Gender = Literal["male", "female"]
Generation = Literal["child", "adult", "elder"]

TODAY = date(2026, 11, 20)
"""The day on which the province is looked at: ages follow from it, so a seed gives the same people always."""

PROVINCES = ("bac-ninh", "thai-nguyen", "ha-noi")

_NUMBER_PREFIX = {  # the provinces as they were when numbers were issued: 001 becomes 901
    "Tỉnh Bắc Ninh": "927",
    "Tỉnh Bắc Giang": "924",
    "Tỉnh Thái Nguyên": "919",
    "Tỉnh Bắc Kạn": "906",
    "Thành phố Hà Nội": "901",
}
_CARD_GROUPS = {"child": "HS HS TE", "adult": "DN DN DN GD GD HC CN", "elder": "HT HT GD GD CN"}
_NAMESAKES = 0.02
_TWINS = 0.03
_NAMED_AFTER_FATHER = 0.05


@dataclass(frozen=True, slots=True)
class Address:
    """Where a household lives since the districts went on 2025-07-01, and what that was called before."""

    line: str
    commune: str
    commune_code: str
    province: str
    province_code: str
    former_district: str
    former_province: str

    def __str__(self) -> str:
        return f"{self.line}, {self.commune}, {self.province}"

    @property
    def before_2025(self) -> str:
        return f"{self.line}, {self.commune}, {self.former_district}, {self.former_province}"


@dataclass(frozen=True, slots=True)
class SyntheticPerson:
    """The truth about one invented person, against which every registration of them is judged.

    key               number within the list that made them; two people never share it
    middle            one or two words, or empty
    national_id       12 digits that agree with sex, century and year of birth; None: never given or forgotten
    insurance_number  15 characters
    old_card          9 digits, for those who were adults before the 12-digit card
    twin_key          the other twin
    """

    key: int
    family: str
    middle: str
    given: str
    birth_date: date
    gender: Gender
    national_id: str | None
    insurance_number: str | None
    old_card: str | None
    phone: str
    address: Address
    mother_name: str
    household_id: int
    twin_key: int | None = None

    @property
    def full_name(self) -> str:
        return _full(self.family, self.middle, self.given)

    def age(self, on: date = TODAY) -> int:
        return on.year - self.birth_date.year - ((on.month, on.day) < (self.birth_date.month, self.birth_date.day))


def people(count: int, seed: int, province: str) -> list[SyntheticPerson]:
    """`count` people of "bac-ninh", "thai-nguyen" or "ha-noi", by households; the same for a seed."""
    census = _Census(Random(f"{seed}/{province}"), province)  # noqa: S311
    found: list[SyntheticPerson] = []
    while len(found) < count:
        found.extend(census.household())
    return [_alone_if_cut(person, count) for person in found[:count]]


def household_of(person: SyntheticPerson, among: Sequence[SyntheticPerson]) -> list[SyntheticPerson]:
    """The others under the same roof."""
    return [other for other in among if other.household_id == person.household_id and other.key != person.key]


def generation(birth_date: date) -> Generation:
    """Whose names a person has: elder before 1980, adult up to 2004, child after."""
    return "elder" if birth_date.year < 1980 else "adult" if birth_date.year < 2005 else "child"


def national_id(rng: Random, *, prefix: str, birth_date: date, gender: Gender) -> str:
    """Twelve digits: place, century and sex, year, six of chance. There is no check digit."""
    century_and_sex = (birth_date.year // 100 - 19) * 2 + (gender == "female")
    return f"{prefix}{century_and_sex}{birth_date.year % 100:02d}{rng.randrange(10**6):06d}"


def insurance_number(rng: Random, *, birth_date: date) -> str:
    """Group, benefit, issuing province 00 (none), then ten digits that stay the same for life."""
    group = rng.choice(_CARD_GROUPS[generation(birth_date)].split())
    return f"{group}{rng.choice('44445123')}00{rng.randrange(10**8):010d}"


def phone_number(rng: Random) -> str:
    return f"010{rng.randrange(10**7):07d}"


def _alone_if_cut(person: SyntheticPerson, count: int) -> SyntheticPerson:
    cut = person.twin_key is not None and person.twin_key >= count
    return replace(person, twin_key=None) if cut else person


@cache
def _weights(*path: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    weights: Mapping[str, float] = table("names.json")
    for step in path:
        weights = weights[step]  # type: ignore[assignment]
    return tuple(weights), tuple(accumulate(weights.values()))


def _pick(rng: Random, *path: str) -> str:
    names, cumulative = _weights(*path)
    return rng.choices(names, cum_weights=cumulative)[0]


def _full(family: str, middle: str, given: str) -> str:
    return " ".join(part for part in (family, middle, given) if part)


class _Census:
    """Draws households; remembers what is needed so that no number is given twice and some names are."""

    def __init__(self, rng: Random, province: str) -> None:
        self._rng = rng
        self._province = province
        self._place: dict[str, Any] = table("places.json")[province]
        self._households = 0
        self._made: list[SyntheticPerson] = []
        self._taken: set[str] = set()

    def household(self) -> list[SyntheticPerson]:
        """Parents, perhaps one of their own parents, and the children that still live with them."""
        rng = self._rng
        self._households += 1
        start = len(self._made)
        home = _Home(self._households, self._address(), phone_number(rng))
        mother_age = min(88, max(20, round(rng.gauss(48, 17))))
        mother, father = self._parents(home, mother_age)
        if mother_age < 50 and rng.random() < 0.2:
            self._elder(home, family=father.family if father else mother.family, age=mother_age + rng.randint(22, 34))
        self._children(home, mother, father, mother_age)
        return self._made[start:]

    def _parents(self, home: "_Home", mother_age: int) -> tuple[SyntheticPerson, SyntheticPerson | None]:
        mother = self._person(home, gender="female", birth_date=self._born(mother_age))
        if self._rng.random() < 0.2:
            return mother, None
        age = max(20, mother_age + self._rng.randint(-3, 6))
        return mother, self._person(home, gender="male", birth_date=self._born(age))

    def _elder(self, home: "_Home", *, family: str, age: int) -> None:
        gender: Gender = "female" if self._rng.random() < 0.65 else "male"
        own = family if gender == "male" else None
        self._person(home, gender=gender, birth_date=self._born(age), family=own)

    def _children(
        self, home: "_Home", mother: SyntheticPerson, father: SyntheticPerson | None, mother_age: int
    ) -> None:
        rng = self._rng
        for _ in range(rng.choices((0, 1, 2, 3), (18, 30, 42, 10))[0]):
            age = mother_age - rng.randint(19, 38)
            if not 0 <= age < 26:  # the others have left home
                continue
            newborn = age == 0 and rng.random() < 0.3
            born = TODAY - timedelta(days=rng.randrange(28)) if newborn else self._born(age)
            child = self._child(home, mother, father, born)
            if rng.random() < _TWINS:
                self._twin(home, child)

    def _child(
        self, home: "_Home", mother: SyntheticPerson, father: SyntheticPerson | None, born: date
    ) -> SyntheticPerson:
        gender: Gender = "female" if self._rng.random() < 0.47 else "male"
        family = (father or mother).family
        after_father = father is not None and gender == "male" and self._rng.random() < _NAMED_AFTER_FATHER
        name = (family, father.middle, father.given) if father and after_father else None
        return self._person(
            home, gender=gender, birth_date=born, family=family, name=name, mother_name=mother.full_name
        )

    def _twin(self, home: "_Home", first: SyntheticPerson) -> None:
        second = self._person(
            home,
            gender=first.gender if self._rng.random() < 0.7 else "male" if first.gender == "female" else "female",
            birth_date=first.birth_date,
            family=first.family,
            mother_name=first.mother_name,
        )
        card = first.insurance_number
        self._made[-1] = replace(
            second,
            given=second.given if second.given != first.given else "Sinh",
            middle=first.middle if second.gender == first.gender else second.middle,
            insurance_number=card and self._next_card(card),
            phone=first.phone,
            twin_key=first.key,
        )
        self._made[first.key] = replace(first, twin_key=second.key)

    def _person(
        self,
        home: "_Home",
        *,
        gender: Gender,
        birth_date: date,
        family: str | None = None,
        name: tuple[str, str, str] | None = None,
        mother_name: str | None = None,
    ) -> SyntheticPerson:
        rng = self._rng
        if name is None:
            name, birth_date = self._named(gender, birth_date, family)
        age = (TODAY - birth_date).days // 365
        person = SyntheticPerson(
            key=len(self._made),
            family=name[0],
            middle=name[1],
            given=name[2],
            birth_date=birth_date,
            gender=gender,
            national_id=self._national_id(birth_date, gender, home, age),
            insurance_number=None if rng.random() < 0.07 else self._card(birth_date),
            old_card=f"9{rng.randrange(10**8):08d}" if birth_date.year < 2000 and rng.random() < 0.85 else None,
            phone=home.phone if age < 15 or rng.random() < 0.4 else phone_number(rng),
            address=home.address,
            mother_name=mother_name or self._mother_of(birth_date),
            household_id=home.number,
        )
        self._made.append(person)
        return person

    def _named(self, gender: Gender, birth_date: date, family: str | None) -> tuple[tuple[str, str, str], date]:
        """A name; now and then, for who founds a household, that of a stranger born in the same year."""
        rng = self._rng
        if family is None and self._made and rng.random() < _NAMESAKES:
            other = rng.choice(self._made)
            if other.gender == gender and other.age() >= 18:
                day = birth_date.replace(year=other.birth_date.year, day=min(birth_date.day, 28))
                return (other.family, other.middle, other.given), day
        own = family or self._surname()
        return (
            own,
            self._middle(gender, generation(birth_date)),
            self._given(gender, birth_date),
        ), birth_date

    def _surname(self) -> str:
        extra = table("names.json")["surnames_extra"].get(self._province)
        if extra and self._rng.random() < 0.08:
            return _pick(self._rng, "surnames_extra", self._province)
        return _pick(self._rng, "surnames")

    def _middle(self, gender: Gender, cohort: Generation) -> str:
        words = int(_pick(self._rng, "words", gender, cohort))
        if words == 2:
            return ""
        first = _pick(self._rng, "middle", gender, cohort)
        if words == 3:
            return first
        second = _pick(self._rng, "second_middle", gender)
        return f"{first} {second}" if second != first else first

    def _given(self, gender: Gender, birth_date: date) -> str:
        return _pick(self._rng, "given", gender, generation(birth_date))

    def _mother_of(self, birth_date: date) -> str:
        cohort = generation(birth_date.replace(year=birth_date.year - 25, day=1))
        given = _pick(self._rng, "given", "female", cohort)
        return _full(self._surname(), self._middle("female", cohort), given)

    def _national_id(self, birth_date: date, gender: Gender, home: "_Home", age: int) -> str | None:
        without = 0.1 if age < 14 else 0.06 if age > 70 else 0.02
        if (TODAY - birth_date).days < 60 or self._rng.random() < without:
            return None
        prefix = _NUMBER_PREFIX[home.address.former_province]
        return self._unused(lambda: national_id(self._rng, prefix=prefix, birth_date=birth_date, gender=gender))

    def _card(self, birth_date: date) -> str:
        return self._unused(lambda: insurance_number(self._rng, birth_date=birth_date))

    def _next_card(self, card: str) -> str | None:
        """The card that the same clerk wrote next; None when somebody else already holds it."""
        number = f"{int(card[5:]) + 1:010d}"
        if number in self._taken:
            return None
        self._taken.add(number)
        return card[:5] + number

    def _unused(self, draw: Callable[[], str]) -> str:
        while (number := draw())[-10:] in self._taken:
            pass
        self._taken.add(number[-10:])
        return number

    def _born(self, age: int) -> date:
        return TODAY - timedelta(days=round(age * 365.25) + self._rng.randrange(365))

    def _address(self) -> Address:
        rng, names = self._rng, table("names.json")
        commune = rng.choice(self._place["communes"])
        in_town = commune["name"].startswith("Phường")
        street = f"số {rng.randint(1, 320)} đường {rng.choice(names['streets'])}"
        return Address(
            line=street if in_town else rng.choice(names["hamlets"]),
            commune=commune["name"],
            commune_code=commune["code"],
            province=self._place["name"],
            province_code=self._place["code"],
            former_district=commune["former_district"],
            former_province=commune["former_province"],
        )


@dataclass(frozen=True, slots=True)
class _Home:
    number: int
    address: Address
    phone: str
