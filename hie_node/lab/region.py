"""Another invented region, made on purpose unlike `people.py`: a matcher that was tuned on one is tried on the other.

Other frequencies of names, households of three generations, brothers and sisters who share a middle name, sons named
as their fathers, twins whose names differ by a mark, elders born "on 1 January", guests with foreign names, communes
that no table of this program knows. Nothing here is taken from a register; numbers belong to nobody (see `people.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

TODAY = date(2026, 11, 20)

_GUEST = 0.004
_FAMILIES = """
nguyễn:30 trần:11 lê:9 phạm:7 huỳnh:4 hoàng:3 phan:4 võ:3 vũ:3 đặng:2.5 bùi:2.2 đỗ:1.8 hồ:1.6 ngô:1.4 dương:1.3
lý:1 trương:2 đinh:1 đoàn:.9 lâm:.9 mai:.8 trịnh:.8 đào:.8 cao:.6 hà:.6 tô:.4 lương:.7 thái:.4 châu:.4 tạ:.4
phùng:.4 quách:.2 kiều:.2 thạch:.5 kim:.3 sơn:.2 danh:.2 nông:.4 hoàng:.6 vi:.3 lò:.3 giàng:.2 ma:.2 tôn:.2 từ:.2
"""
_MIDDLES = {
    "f": """
thị:45 ngọc:9 thị ngọc:3 thị thu:4 thị kim:3 thị thanh:3 thị mỹ:2 kim:3 thanh:3 thu:2 mỹ:2 bích:2 hồng:2 phương:2
minh:2 thị hồng:2 thị bích:2 diễm:1 tuyết:1 quỳnh:1 bảo:1.5 gia:1 thảo:1 khánh:1.5 -:1.2
""",
    "m": """
văn:30 minh:6 hữu:5 đức:4 ngọc:4 quốc:4 thanh:4 hoàng:4 công:3 đình:3 xuân:2 quang:3 trọng:2 tấn:2 thành:2 anh:2
gia:3 bảo:1.5 nhật:1.5 tuấn:1 văn minh:.5 hữu đức:.5 đăng:1 duy:1 phước:1 hoài:1 -:1.5
""",
}
_GIVEN = {
    "f": """
lan:2 lân:.3 hoa:2.5 hòa:.4 mai:2 hương:2.5 hường:.9 hồng:2 hằng:2 hạnh:2 hà:2 nga:2.6 ngà:.3 thủy:2 thúy:2 thùy:1
loan:1.5 liên:1.5 yến:1.6 oanh:1 phượng:1.5 phương:2.5 tuyết:1.3 dung:1.4 vân:1.6 trang:2.6 linh:2.6 thảo:2.4
ngọc:2.4 trâm:1.2 trinh:1.1 nhung:1.5 huệ:.9 huế:.5 cúc:.8 sáu:.5 bảy:.4 năm:.5 tư:.5 ba:.5 út:.4 gái:.6 anh:3
vy:2.2 vi:.4 nhi:2.2 thư:2 hân:1.8 như:1.6 ngân:1.6 my:1 mỹ:.6 quỳnh:1.4 châu:.9 tiên:1 chi:1 diệp:.5 hiền:1.8
hiên:.3 duyên:1.2 thơm:.5 thắm:.5 tâm:1 tám:.3 kiều:.6 ánh:.8 an:.8 ân:.3 khánh:.5 giang:.6 trúc:.7 xuân:.9 đào:.5
""",
    "m": """
hùng:2.6 dũng:2.2 dung:.1 tuấn:2.6 minh:2.2 nam:2 năm:.3 hải:2 long:1.8 lộc:.8 lâm:1 sơn:1.8 son:.1 bình:1.6
hòa:1.2 thành:2 thanh:1.2 thạnh:.4 cường:1.6 quang:1.3 vinh:1 vịnh:.2 phúc:1.5 phước:1 đức:1.8 đạt:1.6 tài:1.2
tại:.1 tân:.8 tấn:.6 tiến:1.4 tiên:.1 toàn:1 tùng:1.2 tú:1 tư:.4 trung:1.4 trí:1 khoa:1.1 khôi:.9 huy:2.4 hiếu:1.7
hiệp:.6 hoàng:1.6 hoan:.2 hoán:.1 khang:1.7 bảo:1.8 an:1 ân:.5 anh:1.2 kiệt:1.1 khánh:.9 duy:1.2 phát:1 phong:1.3
quân:1.2 quý:.7 thắng:1.4 thịnh:.8 việt:.8 vũ:.8 hậu:.6 hưng:1.2 hai:.4 ba:.4 tám:.3 chín:.3 út:.2 lợi:.5 nghĩa:.8
nhân:1 tâm:.7 thiện:.6 luân:.4
""",
}
_MARK_TWINS = """
lan/lân hoa/hòa hương/hường nga/ngà thủy/thúy phương/phượng huệ/huế hiền/hiên an/ân anh/ánh nam/năm thành/thanh
thanh/thạnh vinh/vịnh tân/tấn tiến/tiên tú/tư hoàng/hoan tài/tại dũng/dung long/lộc hân/hạnh minh/mạnh quân/quang
phúc/phước bảo/bao trang/trâm khang/khánh
"""
_GUESTS = """
John Smith; Maria Garcia Lopez; Kim Min Jun; Wang Xiao Ming; Sok Dara; Jean Dupont; Anna Ivanova; Park Ji Woo; Li
Wei; David Nguyen; Tanaka Yuki; Chen Mei Ling
"""
_FIRST = "Tân Phú Bình Long Vĩnh Mỹ Đông Tây Xuân Hòa Thạnh Phước Hưng An Lộc Thanh Trung Hiệp Nhơn Đại"
_SECOND = "Hưng Lộc Thành Phước Hiệp Thuận Lợi An Trạch Sơn Hải Giang Điền Thới Nghĩa Trị Khánh Hậu Quới Châu"
_STREETS = ("Trần Phú", "Lê Lợi", "Nguyễn Huệ", "Hùng Vương", "Lý Thường Kiệt", "Phan Đình Phùng", "Hai Bà Trưng",
            "Cách Mạng Tháng Tám")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Home:
    """Where somebody lives, with the names from before and after the districts went."""

    line: str
    old_commune: str
    district: str
    commune: str
    province: str


@dataclass(slots=True, eq=False)
class Inhabitant:
    """The truth about one of them. `numbers` by kind; `under_one_roof` are the others of the household."""

    key: int
    family: str
    middle: str
    given: str
    born: date
    sex: str
    home: Home
    phone: str
    mother: str = ""
    numbers: dict[str, str] = field(default_factory=dict)
    under_one_roof: list[Inhabitant] = field(default_factory=list)
    twin: Inhabitant | None = None
    guest: bool = False

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.family, self.middle, self.given) if part)

    def age(self, on: date) -> int:
        return (on - self.born).days // 365


def _weighted(text: str) -> tuple[list[str], list[float]]:
    pairs = [part.rsplit(":", 1) for part in _split(text)]
    return [name.replace("-", "") for name, _ in pairs], [float(weight) for _, weight in pairs]


def _split(text: str) -> list[str]:
    found: list[str] = []
    for word in text.split():
        if found and ":" not in found[-1]:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


_DRAWN = {
    "family": _weighted(_FAMILIES),
    **{f"middle {sex}": _weighted(text) for sex, text in _MIDDLES.items()},
    **{f"given {sex}": _weighted(text) for sex, text in _GIVEN.items()},
}


_ALIKE = dict(pair.split("/", 1) for pair in _MARK_TWINS.split())


class Region:
    """Households until there are enough people.

    twins      share of births that are two
    alike      of those, how many get names that differ by a mark or a letter
    new_year   of those born before 1965, how many have 1 January in their papers
    """

    def __init__(
        self, seed: int, *, twins: float = 0.013, alike: float = 0.3, new_year: float = 0.2, communes: int = 45
    ) -> None:
        self.rng = Random(f"region/{seed}")  # noqa: S311
        self.people: list[Inhabitant] = []
        self._twins, self._alike, self._new_year = twins, alike, new_year
        self._places = [self._place(n) for n in range(communes)]
        self._taken: set[str] = set()

    def grow(self, count: int) -> list[Inhabitant]:
        while len(self.people) < count:
            if self.rng.random() < _GUEST:
                self._guest()
            else:
                self._household()
        return self.people

    def _draw(self, of: str) -> str:
        names, weights = _DRAWN[of]
        return self.rng.choices(names, weights)[0].title()

    def _place(self, number: int) -> tuple[str, str, str, str]:
        rng, province = self.rng, ("Tỉnh Đồng Bằng", "Tỉnh Cao Sơn", "Thành phố Cửa Biển")[number % 3]
        old, new, town = (f"{rng.choice(_FIRST.split())} {rng.choice(_SECOND.split())}" for _ in range(3))
        kind = rng.choice(("Xã", "Xã", "Phường", "Thị trấn"))
        district = f"{'Quận' if number % 3 == 2 else 'Huyện'} {town}"
        kept = rng.random() < 0.4
        return f"{kind} {old}", district, f"{'Phường' if kind == 'Phường' else 'Xã'} {old if kept else new}", province

    def _home(self) -> Home:
        rng = self.rng
        place = rng.choice(self._places)
        line = f"{rng.randint(1, 400)} {rng.choice(_STREETS)}" if "Phường" in place[0] else ""
        line = line or f"{rng.choice(('Ấp', 'Thôn', 'Khóm', 'Tổ'))} {rng.randint(1, 12)}"
        return Home(line, *place)

    def _household(self) -> None:
        rng, home = self.rng, self._home()
        phone, start = self._phone(), len(self.people)
        age = min(92, max(19, round(rng.gauss(46, 18))))
        father = self._person("m", age + rng.randint(-2, 7), home) if rng.random() < 0.85 else None
        mother = self._person("f", age, home) if rng.random() < 0.93 or father is None else None
        if rng.random() < 0.3:
            family = father.family if father else ""
            self._person(rng.choice("fm"), min(99, age + rng.randint(20, 33)), home, family=family)
        for _ in range(rng.choices((0, 1, 2, 3, 4), (15, 28, 38, 14, 5))[0]):
            older = age - rng.randint(18, 40)
            if 0 <= older < 32:
                self._child(older, home, father, mother, start)
        members = self.people[start:]
        for one in members:
            one.under_one_roof = [other for other in members if other is not one]
            if one.age(TODAY) < 16 or rng.random() < 0.3:
                one.phone = phone

    def _child(self, age: int, home: Home, father: Inhabitant | None, mother: Inhabitant | None, start: int) -> None:
        rng, parent = self.rng, father or mother
        assert parent is not None
        sex = rng.choice("fm")
        child = self._person(sex, age, home, family=parent.family, mother=mother.name if mother else "")
        siblings = [one for one in self.people[start:-1] if one.sex == sex and one.born > parent.born]
        if siblings and rng.random() < 0.4:
            child.middle = siblings[-1].middle
        if father is not None and sex == "m" and rng.random() < 0.03:
            child.middle, child.given = father.middle, father.given
        if rng.random() < self._twins:
            self._twin_of(child)

    def _twin_of(self, one: Inhabitant) -> None:
        rng = self.rng
        sex = one.sex if rng.random() < 0.75 else rng.choice("fm")
        other = self._person(sex, 1, one.home, family=one.family, mother=one.mother, born=one.born)
        other.middle = one.middle if sex == one.sex else other.middle
        if rng.random() < self._alike:
            other.given = _ALIKE.get(one.given.lower(), other.given.lower()).title()
        while other.given == one.given:
            other.given = self._draw(f"given {sex}")
        other.numbers["insurance"] = f"{int(one.numbers['insurance']) + 1:010d}"
        one.twin, other.twin = other, one

    def _person(
        self, sex: str, age: int, home: Home, *, family: str = "", mother: str = "", born: date | None = None
    ) -> Inhabitant:
        rng = self.rng
        born = born or TODAY - timedelta(days=age * 365 + rng.randrange(365))
        if born.year < 1965 and rng.random() < self._new_year:
            born = date(born.year, 1, 1)
        mother = mother or f"{self._draw('family')} Thị {self._draw('given f')}"
        one = Inhabitant(
            len(self.people), family or self._draw("family"), self._draw(f"middle {sex}"), self._draw(f"given {sex}"),
            born, sex, home, self._phone(), mother,
        )  # fmt: skip
        self._give_numbers(one)
        self.people.append(one)
        return one

    def _give_numbers(self, one: Inhabitant) -> None:
        rng, born = self.rng, one.born
        century = (born.year // 100 - 19) * 2 + (one.sex == "f")
        place = rng.choice((960, 961, 977, 989))
        one.numbers["insurance"] = self._fresh(lambda: f"{rng.randrange(10**9):010d}")
        one.numbers["insurance before 2017"] = f"{rng.randrange(10**10):010d}"
        start = f"{place}{century}{born.year % 100:02d}"
        one.numbers["personal"] = self._fresh(lambda: f"{start}{rng.randrange(10**6):06d}")
        if born.year < 2003:
            one.numbers["old card"] = self._fresh(lambda: f"9{rng.randrange(10**8):08d}")

    def _fresh(self, draw: Callable[[], str]) -> str:
        while (number := draw()) in self._taken:
            pass
        self._taken.add(number)
        return number

    def _guest(self) -> None:
        rng = self.rng
        one = self._person(rng.choice("fm"), rng.randint(18, 75), self._home())
        family, _, rest = rng.choice(" ".join(_GUESTS.split()).split("; ")).partition(" ")
        one.family, one.middle, one.given, one.guest = family, *rest.rpartition(" ")[::2], True
        one.numbers = {"passport": f"{rng.choice('ABCEKMN')}{rng.randrange(10**7):07d}"}

    def _phone(self) -> str:
        return f"010{self.rng.randrange(10**7):07d}"
