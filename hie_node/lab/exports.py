"""Patient lists of a dozen hospitals as their programs export them, with the truth beside: the second generator.

Each hospital has habits of its own (one column for the name or three, marks or none, its form of dates and of sex,
which numbers it asks for), and each line its accidents. A patient comes back to the same hospital under the same local
number, mostly. The columns are those of `hie mpi link`, with `person` and `applied` besides.

`CLEAN`, `REALISTIC` and `HOSTILE` are assumptions, as are those of `registrations.py`, and deliberately other ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from hie_node.lab import spelling
from hie_node.lab.region import TODAY, Inhabitant, Region

Row = dict[str, str]
Dirt = Mapping[str, float]

CLEAN: Dirt = {
    "no personal": 0.2, "no insurance": 0.2, "no phone": 0.15, "no address": 0.03, "no guardian": 0.5,
    "upper case": 0.1, "tone place": 0.1, "i for y": 0.05, "decomposed": 0.02, "new phone": 0.04, "year only": 0.015,
    "moved": 0.02,
}  # fmt: skip
REALISTIC: Dirt = {
    "no personal": 0.47, "no insurance": 0.42, "no phone": 0.33, "no address": 0.12, "no guardian": 0.7,
    "no house": 0.25, "old card": 0.1, "upper case": 0.2, "no marks": 0.06, "tone place": 0.12, "i for y": 0.06,
    "decomposed": 0.03, "lost stroke": 0.015, "telex": 0.005, "vni keys": 0.004, "tcvn3": 0.006, "mojibake": 0.005,
    "question marks": 0.004, "letter wrong": 0.012, "tone wrong": 0.008, "dropped middle": 0.025, "joined": 0.01,
    "given first": 0.006, "title": 0.01, "regional": 0.02, "initials": 0.003, "new middle": 0.004,
    "changed name": 0.002, "year only": 0.06, "first of january": 0.02, "swapped": 0.01, "birth digit": 0.01,
    "year off": 0.006, "no birth date": 0.004, "sex wrong": 0.004, "sex unknown": 0.02, "new phone": 0.1,
    "phone of relative": 0.12,
    "moved": 0.06, "digit wrong": 0.012, "lost zero": 0.01, "wrong column": 0.01, "parent number": 0.08,
    "borrowed card": 0.004, "number of the one before": 0.003, "dummy number": 0.012, "dummy phone": 0.02,
    "overlay": 0.002, "nobody": 0.002, "newborn": 0.7, "new local id": 0.15,
}  # fmt: skip
HOSTILE: Dirt = {
    **{name: min(0.5, 3 * often) for name, often in REALISTIC.items()},
    "no personal": 0.7, "no insurance": 0.65, "no phone": 0.55, "no address": 0.35, "no guardian": 0.85,
    "no house": 0.5, "no marks": 0.25, "newborn": 0.9, "overlay": 0.004, "new local id": 0.4,
}  # fmt: skip
LEVELS: Mapping[str, Dirt] = {"clean": CLEAN, "realistic": REALISTIC, "hostile": HOSTILE}

COLUMNS = ("record_id", "recorded_at", "source", "channel", "local_id", "full_name", "family_name", "middle_name",
           "given_name", "sex", "birth_date", "national_id", "insurance_number", "phone", "address_line", "commune",
           "district", "province", "guardian_name", "person", "applied")  # fmt: skip
_SEX_CODES = ({"m": "1", "f": "2", "": "3"}, {"m": "Nam", "f": "Nữ", "": ""}, {"m": "M", "f": "F", "": "U"},
          {"m": "male", "f": "female", "": "unknown"}, {"m": "nam", "f": "nu", "": "khác"})  # fmt: skip
_NOBODIES = ("Vô danh", "BN vô danh nữ", "Không rõ họ tên", "Nạn nhân 2", "Chưa xác định", "UNKNOWN MALE",
             "Người lạ 01", "Bệnh nhân X", "Không tên")  # fmt: skip
_CHILD = ("Con bà {}", "CB {}", "CB. {}", "Con bà {} 1", "BÉ CON BÀ {}", "Trẻ sơ sinh con bà {}", "{}", "B/G {}",
          "con {}")  # fmt: skip
_DUMMIES = ("000000000000", "999999999999", "123456789012", "001001001001", "111111111111", "012345678901", "0",
            "000000000")  # fmt: skip
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%d-%m-%Y", "%Y%m%d0000")
_OUR_DAY = date(2025, 7, 1)
_CARDS_KEPT = date(2017, 8, 1)


@dataclass(slots=True)
class _Hospital:
    """One program: its habits never change."""

    number: int
    rng: Random
    split: bool = False
    plain: bool = False
    upper: bool = False
    joined_address: bool = False
    dates: str = "%Y-%m-%d"
    sexes: Mapping[str, str] = field(default_factory=dict)
    local: dict[int, str] = field(default_factory=dict)
    numbers: int = 100
    before: Row | None = None

    @classmethod
    def with_habits(cls, number: int, rng: Random) -> _Hospital:
        return cls(
            number, rng, split=rng.random() < 0.25, plain=rng.random() < 0.08, upper=rng.random() < 0.3,
            joined_address=rng.random() < 0.4, dates=rng.choice(_DATES),
            sexes=rng.choice(_SEX_CODES),
        )  # fmt: skip

    def local_id(self, one: Inhabitant, *, new: bool) -> str:
        if new or one.key not in self.local:
            self.numbers += self.rng.randint(1, 3)
            self.local[one.key] = f"{self.numbers:08d}"
        return self.local[one.key]


@dataclass(slots=True)
class _Visit:
    """What the accidents work on."""

    one: Inhabitant
    day: date
    at: _Hospital
    rng: Random
    name: list[str]
    sex: str
    born: str
    personal: str
    insurance: str
    phone: str
    home: tuple[str, str, str, str]
    guardian: str
    marks: Callable[[str], str] = str
    applied: list[str] = field(default_factory=list)
    nobody: bool = False


def exported(count: int, seed: int, dirt: Dirt, *, hospitals: int = 12, twins: float = 0.013) -> Iterator[Row]:
    """`count` lines in the order of their days; the same for a seed."""
    rng = Random(f"exports/{seed}")  # noqa: S311
    people = Region(seed, twins=twins, communes=max(9, count // 700)).grow(round(count / 2.4) + 20)
    houses = [_Hospital.with_habits(n, rng) for n in range(hospitals)]
    comings = sorted(_comings(people, houses, rng), key=lambda coming: coming[0])
    skipped = max(0, len(comings) - count) // 2
    for place, (day, one, at) in enumerate(comings[skipped : skipped + count]):
        yield _line(place, _visit(one, day, at, rng, dirt), dirt)


def _comings(
    people: list[Inhabitant], houses: list[_Hospital], rng: Random
) -> Iterator[tuple[date, Inhabitant, _Hospital]]:
    first = date(2016, 1, 1)
    for one in people:
        near = rng.sample(houses, 3)
        since = max(first, one.born)
        for _ in range(rng.choices((1, 2, 3, 4, 5, 8, 12), (38, 24, 16, 10, 6, 4, 2))[0]):
            day = since + timedelta(days=round((TODAY - since).days * rng.random() ** 0.7))
            yield day, one, rng.choices(near, (6, 3, 1))[0]
        if one.born > date(2024, 1, 1):
            yield one.born, one, near[0]


def _visit(one: Inhabitant, day: date, at: _Hospital, rng: Random, dirt: Dirt) -> _Visit:
    home = one.home
    place = (home.line, home.commune, "", home.province)
    if day < _OUR_DAY or rng.random() < 0.3:
        place = (home.line, home.old_commune, home.district, home.province)
    number = one.numbers.get("personal") or one.numbers.get("passport", "")
    if day.year < 2017 and "old card" in one.numbers:
        number = one.numbers["old card"]
    card = one.numbers.get("insurance" if day >= _CARDS_KEPT else "insurance before 2017", "")
    group = rng.choice(("DN4", "GD4", "HT3", "TE1", "HS4", "CN3")) + rng.choice(("79", "27", "00"))
    visit = _Visit(
        one, day, at, rng, [one.family, *one.middle.split(), one.given], one.sex, f"{one.born:%Y%m%d}", number,
        group + card if card else "", one.phone, place, one.mother if one.age(day) < 16 else "",
    )  # fmt: skip
    if at.upper:
        visit.name = [word.upper() for word in visit.name]
    for name, accident in ACCIDENTS.items():
        if rng.random() < dirt.get(name, 0.0) and accident(visit):
            visit.applied.append(name)
    if dirt.get("no marks") and at.plain:
        visit.marks = spelling.without_marks
        visit.applied.append("hospital without marks")
    return visit


def _line(place: int, visit: _Visit, dirt: Dirt) -> Row:
    at, rng = visit.at, visit.rng
    new = rng.random() < dirt.get("new local id", 0.05)
    local = at.local_id(visit.one, new=new)
    if "overlay" in visit.applied and at.before is not None:
        local = at.before["local_id"]
    words = [visit.marks(word) for word in visit.name]
    line, commune, district, province = map(visit.marks, visit.home)
    row = {
        "record_id": f"r{place}", "recorded_at": f"{visit.day:%Y-%m-%d}T{rng.randint(7, 17):02d}:15:00",
        "source": f"BV{at.number:02d}", "channel": "his", "local_id": local,
        "sex": at.sexes[visit.sex], "birth_date": _written(visit.born, at.dates), "national_id": visit.personal,
        "insurance_number": visit.insurance, "phone": visit.phone, "guardian_name": visit.marks(visit.guardian),
        "person": "" if visit.nobody else str(visit.one.key),
        "applied": " ".join(name.replace(" ", "_") for name in visit.applied),
    }  # fmt: skip
    row |= {"address_line": line, "commune": commune, "district": district, "province": province}
    if at.joined_address:
        joined = ", ".join(part for part in (line, commune, district, province) if part)
        row |= {"address_line": joined, "commune": "", "district": "", "province": ""}
    if at.split and len(words) > 1 and not visit.nobody and "newborn" not in visit.applied:
        row |= {"family_name": words[0], "middle_name": " ".join(words[1:-1]), "given_name": words[-1]}
    else:
        row["full_name"] = " ".join(words)
    at.before = row
    return row


def _written(born: str, form: str) -> str:
    if not born:
        return ""
    year, month, day = int(born[:4]), born[4:6], born[6:8]
    if month == "00":
        unknown = {"%Y%m%d": f"{year}0000", "%Y%m%d0000": f"{year}00000000", "%d/%m/%Y": f"00/00/{year}"}
        return unknown.get(form, str(year))
    return form.replace("%Y", str(year)).replace("%m", month).replace("%d", day)


def _blank(name: str) -> Callable[[_Visit], bool]:
    def accident(visit: _Visit) -> bool:
        had = bool(getattr(visit, name))
        setattr(visit, name, "")
        return had

    return accident


def _words(change: Callable[[str], str]) -> Callable[[_Visit], bool]:
    def accident(visit: _Visit) -> bool:
        before = list(visit.name)
        visit.name = change(" ".join(visit.name)).split(" ")
        return before != visit.name

    return accident


def _no_address(visit: _Visit) -> bool:
    visit.home = ("", "", "", "")
    return True


def _no_house(visit: _Visit) -> bool:
    visit.home = ("", *visit.home[1:])
    return True


def _moved(visit: _Visit) -> bool:
    rng = visit.rng
    ward = f"Phường {rng.choice('ABCDEGHK')}{rng.randint(1, 9)}"
    visit.home = (f"{rng.randint(1, 300)} Lê Duẩn", ward, "", visit.one.home.province)
    return True


def _others(visit: _Visit) -> list[Inhabitant]:
    return visit.one.under_one_roof


def _no_marks(visit: _Visit) -> bool:
    visit.marks = spelling.without_marks
    return True


def _letter_wrong(visit: _Visit) -> bool:
    rng, which = visit.rng, visit.rng.randrange(len(visit.name))
    word = visit.name[which]
    if len(word) < 2 or visit.one.guest:
        return False
    at, kind = rng.randrange(1, len(word)), rng.random()
    if kind < 0.35:
        word = word[:at] + word[at + 1 :]
    elif kind < 0.7:
        word = word[:at] + rng.choice("aeioungthc") + word[at + (kind < 0.5) :]
    else:
        word = word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    changed = word != visit.name[which]
    visit.name[which] = word
    return changed


def _tone_wrong(visit: _Visit) -> bool:
    """Another mark on one word: "Hường" for "Hương"."""
    which = visit.rng.randrange(len(visit.name))
    plain = spelling.without_marks(visit.name[which])
    at = next((n for n, letter in enumerate(plain) if letter in "aeiouy"), None)
    if at is None:
        return False
    visit.name[which] = plain[: at + 1] + visit.rng.choice("\u0301\u0300\u0323\u0309") + plain[at + 1 :]
    return True


def _dropped_middle(visit: _Visit) -> bool:
    if len(visit.name) < 3 or visit.one.guest:
        return False
    if len(visit.name) > 3 and visit.rng.random() < 0.6:
        del visit.name[visit.rng.randint(1, 2)]
    else:
        visit.name = [visit.name[0], visit.name[-1]]
    return True


def _joined(visit: _Visit) -> bool:
    if len(visit.name) < 3 or visit.one.guest:
        return False
    visit.name = [*visit.name[:-2], visit.name[-2] + visit.name[-1].lower()]
    return True


def _given_first(visit: _Visit) -> bool:
    family, *rest = visit.name
    if not rest or visit.nobody:
        return False
    visit.name = [rest[-1], *rest[:-1], family] if visit.rng.random() < 0.5 else [*rest, family]
    return True


def _title(visit: _Visit) -> bool:
    visit.name = [visit.rng.choice(("Ông", "Bà", "Bé", "Cháu", "BN")), *visit.name]
    return True


def _regional(visit: _Visit) -> bool:
    other = {"Vũ": "Võ", "Võ": "Vũ", "Hoàng": "Huỳnh", "Huỳnh": "Hoàng"}.get(visit.name[0])
    visit.name = [other or visit.name[0], *visit.name[1:]]
    return other is not None


def _initials(visit: _Visit) -> bool:
    visit.name = [visit.name[0], *(f"{word[0]}." for word in visit.name[1:-1]), visit.name[-1]]
    return len(visit.name) > 2


def _new_middle(visit: _Visit) -> bool:
    if len(visit.name) < 3:
        return False
    visit.name = [visit.name[0], visit.rng.choice(("Thị", "Văn", "Ngọc", "Minh")), visit.name[-1]]
    return True


def _changed_name(visit: _Visit) -> bool:
    visit.name = [*visit.name[:-1], visit.rng.choice(("Vy", "Khôi", "Thư", "Phong", "An"))]
    return True


def _born(change: Callable[[Random, int, int, int], tuple[int, int, int] | None]) -> Callable[[_Visit], bool]:
    def accident(visit: _Visit) -> bool:
        if not visit.born or visit.born[4:6] == "00":
            return False
        made = change(visit.rng, int(visit.born[:4]), int(visit.born[4:6]), int(visit.born[6:8]))
        if made is None:
            return False
        before, visit.born = visit.born, f"{made[0]:04d}{made[1]:02d}{made[2]:02d}"
        return before != visit.born

    return accident


def _digit(rng: Random, year: int, month: int, day: int) -> tuple[int, int, int]:
    if rng.random() < 0.5:
        return year, month, rng.choice((day % 28 + 1, (day + 9) % 28 + 1))
    return year, month % 12 + 1, min(day, 28)


def _relative(name: str, of: Callable[[Inhabitant], str], *, older: int = -200) -> Callable[[_Visit], bool]:
    def accident(visit: _Visit) -> bool:
        lent = [of(other) for other in _others(visit) if (visit.one.born - other.born).days > 365 * older and of(other)]
        if not lent or (older > 0 and visit.one.age(visit.day) > 17):
            return False
        setattr(visit, name, visit.rng.choice(lent))
        return True

    return accident


def _old_card(visit: _Visit) -> bool:
    visit.personal = visit.one.numbers.get("old card", visit.personal)
    return "old card" in visit.one.numbers


def _digit_wrong(visit: _Visit) -> bool:
    name = visit.rng.choice(("personal", "insurance", "phone"))
    text: str = getattr(visit, name)
    if len(text) < 8:
        return False
    at = visit.rng.randrange(4, len(text))
    setattr(visit, name, text[:at] + visit.rng.choice("0123456789") + text[at + 1 :])
    return True


def _lost_zero(visit: _Visit) -> bool:
    """A spreadsheet took numbers for numbers."""
    visit.personal, visit.phone = visit.personal.lstrip("0"), visit.phone.lstrip("0")
    return True


def _wrong_column(visit: _Visit) -> bool:
    visit.personal, visit.insurance = visit.insurance, visit.personal
    return True


def _before(visit: _Visit) -> bool:
    if visit.at.before is None or not visit.at.before["national_id"]:
        return False
    visit.personal = visit.at.before["national_id"]
    return True


def _overlay(visit: _Visit) -> bool:
    return visit.at.before is not None and visit.at.before["person"] != str(visit.one.key)


def _nobody(visit: _Visit) -> bool:
    visit.name, visit.nobody = visit.rng.choice(_NOBODIES).split(" "), True
    visit.personal = visit.insurance = visit.phone = visit.guardian = ""
    visit.born = f"{visit.born[:4]}0101" if visit.rng.random() < 0.7 else ""
    return True


def _newborn(visit: _Visit) -> bool:
    if (visit.day - visit.one.born).days > 28:
        return False
    mother = next((o for o in _others(visit) if o.name == visit.one.mother), None)
    visit.name = visit.rng.choice(_CHILD).format(visit.one.mother).split(" ")
    visit.personal, visit.guardian = "", visit.rng.choice(("", visit.one.mother))
    visit.insurance, visit.phone = "", mother.phone if mother else visit.phone
    return True


def _spoilt(field_name: str, value: Callable[[_Visit], str]) -> Callable[[_Visit], bool]:
    def accident(visit: _Visit) -> bool:
        before = getattr(visit, field_name)
        setattr(visit, field_name, value(visit))
        return bool(before != getattr(visit, field_name))

    return accident


def _other_year(rng: Random, year: int, month: int, day: int) -> tuple[int, int, int]:
    return year + rng.choice((-10, -1, 1)), month, min(day, 28)


def _question_marks(text: str) -> str:
    return "".join(c if ord(c) < 256 else "?" for c in text)


ACCIDENTS: Mapping[str, Callable[[_Visit], bool]] = {
    "newborn": _newborn,
    "nobody": _nobody,
    "old card": _old_card,
    "parent number": _relative("personal", lambda one: one.numbers.get("personal", ""), older=15),
    "borrowed card": _relative("insurance", lambda one: "GD479" + one.numbers.get("insurance", "")),
    "phone of relative": _relative("phone", lambda one: one.phone),
    "new phone": _spoilt("phone", lambda visit: f"010{visit.rng.randrange(10**7):07d}"),
    "moved": _moved,
    "no personal": _blank("personal"),
    "no insurance": _blank("insurance"),
    "no phone": _blank("phone"),
    "no address": _no_address,
    "no house": _no_house,
    "no guardian": _blank("guardian"),
    "number of the one before": _before,
    "dummy number": _spoilt("personal", lambda visit: visit.rng.choice(_DUMMIES)),
    "dummy phone": _spoilt("phone", lambda v: v.rng.choice(("0000000000", "0999999999", f"01055500{v.at.number:02d}"))),
    "digit wrong": _digit_wrong,
    "lost zero": _lost_zero,
    "wrong column": _wrong_column,
    "overlay": _overlay,
    "year off": _born(_other_year),
    "birth digit": _born(_digit),
    "swapped": _born(lambda rng, year, month, day: (year, day, month) if day <= 12 else None),
    "first of january": _born(lambda rng, year, month, day: (year, 1, 1)),
    "year only": _born(lambda rng, year, month, day: (year, 0, 0)),
    "no birth date": _blank("born"),
    "sex wrong": _spoilt("sex", lambda visit: "f" if visit.sex == "m" else "m"),
    "sex unknown": _blank("sex"),
    "changed name": _changed_name,
    "new middle": _new_middle,
    "regional": _regional,
    "dropped middle": _dropped_middle,
    "tone wrong": _tone_wrong,
    "letter wrong": _letter_wrong,
    "joined": _joined,
    "initials": _initials,
    "given first": _given_first,
    "title": _title,
    "i for y": _words(spelling.i_for_y),
    "tone place": _words(spelling.new_tone_place),
    "upper case": _words(str.upper),
    "lost stroke": _words(spelling.plain_d),
    "telex": _words(spelling.telex_keys),
    "vni keys": _words(spelling.vni_keys),
    "tcvn3": _words(spelling.tcvn3_as_latin1),
    "no marks": _no_marks,
    "mojibake": _words(spelling.utf8_as_windows),
    "question marks": _words(_question_marks),
    "decomposed": _words(spelling.decomposed),
}
"""Every accident by name, in the order in which they happen: whose it is, which words, how they are spelt."""
