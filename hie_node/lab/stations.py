"""Patient lists of a third kind, to try a matcher on what it was never tuned on: each desk has its own way to err.

Not accidents field by field as in `exports.py`, but six kinds of desks, each with one way to go wrong: a scanner of
identity cards, the insurance gateway, a commune station that writes what it hears, an old program without marks, a
private clinic that asks for a telephone and an age, and paper read by a machine. Households share surnames and
telephones. Names by the published samples (hoten.org); numbers belong to nobody (see `people.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from hie_node.lab import spelling
from hie_node.lab.exports import Row

TODAY = date(2026, 11, 20)
DESKS: Mapping[str, Mapping[str, float]] = {
    "clean": {"scanner": 0.75, "gateway": 0.25},
    "realistic": {"scanner": 0.3, "gateway": 0.34, "station": 0.1, "old": 0.08, "clinic": 0.12, "paper": 0.06},
    "hostile": {"scanner": 0.06, "gateway": 0.2, "station": 0.24, "old": 0.2, "clinic": 0.18, "paper": 0.12},
}
_SURNAMES = """Nguyễn 38 Trần 11 Lê 9 Phạm 7 Hoàng 4 Huỳnh 1 Phan 4 Vũ 3 Võ 1 Đặng 2 Bùi 2 Đỗ 2 Hồ 1 Ngô 1 Dương 1
Nông 1 Triệu 1 Lục 1 Đàm 1 Bế 1 Chu 1 Đoàn 1 Trịnh 1"""
_MIDDLE = {"m": "Văn 35 Đức 8 Minh 6 Quang 6 Hữu 5 Xuân 4 Công 4 Đình 4 Thế 3 Ngọc 3 Bá 2 Trọng 2 Mạnh 2",
           "f": "Thị 55 Ngọc 6 Thu 5 Thanh 4 Hồng 3 Minh 3 Bích 2 Kim 2 Phương 2 Khánh 2 Thùy 2"}  # fmt: skip
_GIVEN = {
    "m": """Tuấn 27 Hoàng 25 Huy 22 Anh 20 Hiếu 20 Hùng 20 Nam 20 Sơn 19 Đức 19 Dũng 17 Thành 16 Đạt 16 Cường 16 Long 15
 Trung 15 Hải 14 Nguyên 14 Thắng 14 Minh 13 Duy 11 Tiến 11 Quang 11 Phúc 11 Tài 10 Toàn 10 Hưng 9 Phong 9 Tùng 9
 Khánh 9 Quân 8 Lâm 8 Vinh 8 Bình 8 Mạnh 8 Thịnh 5 Tâm 5 Lợi 4 Thọ 4 Hòa 5 Chiến 5 Tú 4 Kiên 6 Việt 6""",
    "f": """Trang 42 Thảo 35 Linh 30 Anh 25 Phương 22 Hằng 21 Huyền 21 Hiền 20 Hương 17 Ngọc 17 Dung 17 Nhung 17 Thủy 16
 Nhi 16 Duyên 15 Vân 15 Quỳnh 15 Nga 15 Yến 15 Trinh 15 Thương 13 Uyên 13 Hạnh 13 Ngân 12 Oanh 12 Trâm 12 Ly 12 Mai 11
 Phượng 11 Thúy 11 Hoa 10 Lan 12 Liên 8 Tâm 6 Hòa 6 Bình 4 Loan 8 Xuân 5 Hà 14""",
}
_HEARD = (("Ch", "Tr"), ("Tr", "Ch"), ("S", "X"), ("X", "S"), ("D", "Gi"), ("Gi", "D"), ("L", "N"), ("N", "L"))
_MISREAD = str.maketrans("1738560", "7183605")
_COMMUNES = (
    "Xã Đại Đồng;Xã Tân Chi;Phường Hạp Lĩnh;Xã Phú Lâm;Xã Trung Nghĩa;Xã Yên Trung;Xã Hòa Tiến;Phường Vân Dương;"
    "Xã Việt Đoàn;Xã Cảnh Hưng;Xã Minh Đạo;Xã Lạc Vệ;Phường Nam Sơn"
)


@dataclass(slots=True, eq=False)
class Villager:
    key: int
    name: tuple[str, str, str]
    sex: str
    born: date
    number: str
    old_number: str
    card: str
    phone: str
    house: str
    village: str
    mother: str
    sibling: Villager | None = None
    local: dict[str, str] = field(default_factory=dict)


def _drawn(rng: Random, text: str) -> str:
    words = text.split()
    return rng.choices(words[::2], [float(weight) for weight in words[1::2]])[0]


class _Villages:
    def __init__(self, seed: int) -> None:
        self.rng = Random(f"stations/{seed}")  # noqa: S311
        self.people: list[Villager] = []

    def grow(self, count: int) -> list[Villager]:
        villages = max(20, count // 500)
        known = _COMMUNES.split(";")
        names = [f"{known[n % len(known)]} {n // len(known) or ''}".strip() for n in range(villages)]
        while len(self.people) < count:
            self._house(self.rng.choice(names))
        return self.people

    def _house(self, village: str) -> None:
        rng = self.rng
        surname = _drawn(rng, _SURNAMES)
        house, phone = f"Thôn {rng.randint(1, 9)}", self._phone()
        age = rng.randint(22, 80)
        mother = self._one(_drawn(rng, _SURNAMES), "f", self._day(age), house, village, self._phone())
        self._one(surname, "m", self._day(age + rng.randint(-3, 8)), house, village, phone)
        before: Villager | None = None
        for _ in range(rng.choice((0, 1, 2, 2, 3))):
            born = self._day(max(0, age - rng.randint(19, 38)))
            if before is not None and rng.random() < 0.02:
                born = before.born
            own = phone if born.year > 2008 else self._phone()
            child = self._one(surname, rng.choice("mf"), born, house, village, own, mother=" ".join(mother.name))
            child.sibling, before = before, child

    def _day(self, age: int) -> date:
        return TODAY - timedelta(days=age * 365 + self.rng.randrange(365))

    def _phone(self) -> str:
        return f"010{self.rng.randrange(10**7):07d}"

    def _one(
        self, surname: str, sex: str, born: date, house: str, village: str, phone: str, *, mother: str = ""
    ) -> Villager:
        rng = self.rng
        given = _drawn(rng, _GIVEN[sex])
        middle = _drawn(rng, _MIDDLE[sex]) + (f" {_drawn(rng, _MIDDLE[sex])}" if rng.random() < 0.2 else "")
        century = (born.year // 100 - 19) * 2 + (sex == "f")
        number = f"9{rng.choice(('27', '24', '19'))}{century}{born.year % 100:02d}{rng.randrange(10**6):06d}"
        old = f"9{rng.randrange(10**8):08d}" if born.year < 2004 else ""
        one = Villager(
            len(self.people), (surname, middle, given), sex, born, number, old, f"{rng.randrange(10**10):010d}",
            phone, house, village, mother,
        )  # fmt: skip
        self.people.append(one)
        return one


def listed_by_stations(count: int, seed: int, level: str) -> Iterator[Row]:
    """`count` lines in an order of chance; `person` is the truth and `applied` says which desk wrote the line."""
    rng = Random(f"stations/lines/{seed}")  # noqa: S311
    people, desks = _Villages(seed).grow(count // 3 + 20), DESKS[level]
    comings = [one for one in people for _ in range(rng.choices((1, 2, 3, 5, 9), (25, 25, 25, 18, 7))[0])]
    rng.shuffle(comings)
    for place, one in enumerate(comings[:count]):
        kind = rng.choices(list(desks), list(desks.values()))[0]
        source = f"{kind}-{rng.randint(1, 4)}"
        if source not in one.local or rng.random() < 0.1:
            one.local[source] = f"{kind[0].upper()}{rng.randrange(10**8):08d}"
        row = _WRITTEN[kind](one, rng)
        yield {
            "record_id": f"s{place}", "source": source, "channel": kind, "local_id": one.local[source],
            "person": str(one.key), "applied": kind, **row,
        }  # fmt: skip


def _scanner(one: Villager, rng: Random) -> Row:
    """The card says all of it, where there is one; the telephone is asked for now and then."""
    return {
        "full_name": " ".join(one.name), "sex": "Nam" if one.sex == "m" else "Nữ", "birth_date": f"{one.born:%d%m%Y}",
        "national_id": one.number if one.born.year < 2015 or rng.random() < 0.4 else "",
        "address_line": f"{one.house}, {one.village}, Bắc Ninh", "phone": one.phone if rng.random() < 0.4 else "",
        "guardian_name": one.mother if one.born.year > 2012 else "",
    }  # fmt: skip


def _gateway(one: Villager, rng: Random) -> Row:
    """The insurance number is sure, a relative's card now and then; a year alone where the card has no more."""
    lent = one.sibling if one.sibling is not None and rng.random() < 0.01 else one
    year_only = one.born.year < 1960 and rng.random() < 0.3
    return {
        "full_name": " ".join(one.name).upper(), "sex": "1" if one.sex == "m" else "2",
        "birth_date": f"{one.born:%Y}00000000" if year_only else f"{one.born:%Y%m%d}0000",
        "insurance_number": f"{rng.choice(('DN4', 'GD4', 'HT2', 'TE1'))}00{lent.card}",
        "national_id": one.number if rng.random() < 0.5 else "",
        "address_line": f"{one.village}, huyện Tiên Du" if rng.random() < 0.6 else "",
    }  # fmt: skip


def _station(one: Villager, rng: Random) -> Row:
    """Written as it is heard: Chung for Trung, Sinh for Xinh; the household's telephone; no number at hand."""
    name = list(one.name)
    which = rng.randrange(3)
    for heard, meant in _HEARD:
        if rng.random() < 0.12 and name[which].startswith(heard):
            name[which] = meant + name[which][len(heard) :].lower()
            break
    return {
        "full_name": " ".join(name), "sex": rng.choice(("", "nam" if one.sex == "m" else "nu")),
        "birth_date": f"{one.born.day}/{one.born.month}/{one.born.year}" if rng.random() < 0.75 else str(one.born.year),
        "phone": one.phone if rng.random() < 0.7 else "", "address_line": one.house, "commune": one.village,
        "province": "Bắc Ninh", "guardian_name": one.mother if one.born.year > 2008 and rng.random() < 0.8 else "",
        "national_id": one.number if rng.random() < 0.15 else "",
    }  # fmt: skip


def _old_program(one: Villager, rng: Random) -> Row:
    """No marks, or those of TCVN3; three columns for the name; the old card; dates with day and month exchanged."""
    change: Callable[[str], str] = spelling.tcvn3_as_latin1 if rng.random() < 0.3 else spelling.without_marks
    family, middle, given = map(change, one.name)
    born = f"{one.born:%d-%m-%Y}" if rng.random() < 0.93 else f"{one.born:%m-%d-%Y}"
    return {
        "family_name": family, "middle_name": middle if rng.random() < 0.9 else "", "given_name": given,
        "sex": "M" if one.sex == "m" else "F", "birth_date": born if rng.random() < 0.7 else f"01/01/{one.born.year}",
        "national_id": one.old_number if rng.random() < 0.4 else "", "address_line": change(one.village),
        "phone": ".".join((one.phone[:4], one.phone[4:7], one.phone[7:])) if rng.random() < 0.3 else "",
    }  # fmt: skip


def _clinic(one: Villager, rng: Random) -> Row:
    """A telephone and what the patient says: a title, no middle name often, a year counted from an age."""
    family, middle, given = one.name
    title = rng.choice(("", "", "", "Chị ", "Anh ", "Bé ")) if one.sex == "f" else ""
    year = one.born.year + (rng.choice((-1, 1)) if rng.random() < 0.06 else 0)
    return {
        "full_name": title + (f"{family} {middle} {given}" if rng.random() < 0.75 else f"{family} {given}"),
        "sex": "Nam" if one.sex == "m" else "Nữ", "phone": one.phone if rng.random() < 0.9 else "",
        "birth_date": f"{one.born:%d/%m/%Y}" if rng.random() < 0.6 else str(year),
    }  # fmt: skip


def _paper(one: Villager, rng: Random) -> Row:
    """A machine takes 1 for 7 and 3 for 8, and loses marks that it cannot read."""

    def read(text: str, often: float) -> str:
        at = rng.randrange(len(text)) if text and rng.random() < often else -1
        return text if at < 0 else text[:at] + text[at].translate(_MISREAD) + text[at + 1 :]

    name = " ".join(one.name)
    return {
        "full_name": spelling.without_marks(name) if rng.random() < 0.2 else name,
        "sex": "Nam" if one.sex == "m" else "Nữ", "birth_date": read(f"{one.born:%d/%m/%Y}", 0.1),
        "national_id": read(one.number, 0.12) if rng.random() < 0.5 else "",
        "insurance_number": read(f"GD400{one.card}", 0.12) if rng.random() < 0.5 else "",
        "commune": one.village, "phone": read(one.phone, 0.1) if rng.random() < 0.4 else "",
    }  # fmt: skip


_WRITTEN: Mapping[str, Callable[[Villager, Random], Row]] = {
    "scanner": _scanner, "gateway": _gateway, "station": _station, "old": _old_program, "clinic": _clinic,
    "paper": _paper,
}  # fmt: skip
