"""Lists of registrations as CSV: what `hie mpi link` and `hie mpi evaluate` read and write.

Columns, all but the first optional and any of them dirty; unknown ones are ignored:
record_id, recorded_at, source, channel, local_id, full_name, family_name, middle_name, given_name, sex, birth_date,
national_id, insurance_number, phone, address_line, commune, district, province, guardian_name.
The truth adds `person`, and `applied`: what was done to the line, separated by blanks.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

from registry.errors import InvalidValue
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.people import Address, BirthDate, Demographics, Gender, HumanName
from registry.traits import Traits, traits_of

_LONGEST = 255
_SEXES: Mapping[str, Gender] = {
    "1": "male", "nam": "male", "trai": "male", "m": "male", "male": "male",
    "2": "female", "nu": "female", "nữ": "female", "gai": "female", "gái": "female", "f": "female", "female": "female",
}  # fmt: skip
_YEAR_FIRST = re.compile(r"(\d{4})(?:\D+(\d{1,2})(?:\D+(\d{1,2}))?)?")
_UNBROKEN = re.compile(r"(\d{4})(\d{2})(\d{2})?")
_DAY_FIRST_UNBROKEN = re.compile(r"(\d{2})(\d{2})(\d{4})")
_DAYS_OF_A_SPREADSHEET = re.compile(r"[1-4]\d{4}")
_FIRST_DAY_OF_A_SPREADSHEET = date(1899, 12, 30)
_DAY_FIRST = re.compile(r"(?:(\d{1,2})\D+)?(?:(\d{1,2})\D+)?(\d{4})")
_SEVERAL = re.compile(r"[;,/]")
_AROUND = re.compile(r"^\D+|\.0$|\D+$")
_TIME = re.compile(r"(?:[T ]\d{2}:\d{2}.*|(?<=^\d{8})\d{4,6})$")


@dataclass(frozen=True, slots=True)
class ListedPatient:
    """One line of a list; `person` is the truth where the list has it."""

    record_id: str
    identifiers: tuple[PatientIdentifier, ...]
    demographics: Demographics
    recorded: date | None = None
    person: str | None = None
    applied: frozenset[str] = frozenset()

    @property
    def traits(self) -> Traits:
        """As it is compared."""
        return self.read_for(abroad=False)

    def read_for(self, *, abroad: bool) -> Traits:
        """As it is compared by a model of this country, or by one for lists from abroad."""
        return traits_of(self.identifiers, self.demographics, recorded=self.recorded, abroad=abroad)


COLUMNS = ("record_id", "recorded_at", "source", "channel", "local_id", "full_name", "family_name", "middle_name",
           "given_name", "sex", "birth_date", "national_id", "insurance_number", "phone", "address_line", "commune",
           "district", "province", "guardian_name")  # fmt: skip
_READ = frozenset({*COLUMNS, "person", "applied"}) - {"channel"}
_DELIMITERS = ",;\t|"
_LONGEST_FIELD = 1 << 20
csv.field_size_limit(_LONGEST_FIELD)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file is written: its encoding, what separates its columns, and where the known ones stand."""

    encoding: str
    delimiter: str
    places: tuple[tuple[int, str], ...]


def listed(row: Mapping[str, str]) -> ListedPatient:
    """One line by the names of its columns."""
    return _listed(_id_of(row["record_id"]), {name: _plain(value) for name, value in row.items()})


def count_lines(path: Path) -> int:
    """How many registrations a list holds, after a look at all that would make it useless.

    Raises InvalidValue where a column or a record_id is missing, a record_id comes twice, or the file is no list.
    """
    form, seen = _form(path), set()
    place = next(n for n, name in form.places if name == "record_id")
    for number, cells in _rows(path, form):
        record_id = _id_of(cells[place]) if place < len(cells) else ""
        if not record_id:
            raise InvalidValue(f"line {number}: record_id", expected="the id of the record")
        # one number for each, since a list may have millions
        if (known := hash(record_id)) in seen:
            raise InvalidValue(f"line {number}: record_id", expected="an id of its own; another line has this one")
        seen.add(known)
    return len(seen)


def read_list(path: Path) -> Iterator[ListedPatient]:
    """The lines of a file, in its order. Raises InvalidValue where it is no list, or a line has no record_id."""
    form = _form(path)
    place = next(n for n, name in form.places if name == "record_id")
    for number, cells in _rows(path, form):
        width = len(cells)
        record_id = _id_of(cells[place]) if place < width else ""
        if not record_id:
            raise InvalidValue(f"line {number}: record_id", expected="the id of the record")
        yield _listed(
            record_id,
            {name: plain for n, name in form.places if n < width and cells[n] and (plain := _plain(cells[n]))},
        )


def read_truth(path: Path) -> list[ListedPatient]:
    """A list whose truth is known. Raises InvalidValue where it is none: without the column, without a line, or with an
    id twice, every figure would be about nothing."""
    if "person" not in {name for _, name in _form(path).places}:
        raise InvalidValue("line 1", expected="the column person beside those of a list: who each line really is")
    if not count_lines(path):
        raise InvalidValue("line 2", expected="a registration")
    return list(read_list(path))


def _rows(path: Path, form: _Form) -> Iterator[tuple[int, list[str]]]:
    """The lines below the head that hold anything, with their numbers."""
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        lines = csv.reader(_printable(file), delimiter=form.delimiter)
        next(lines, None)
        try:
            for cells in lines:
                if cells:
                    yield lines.line_num, cells
        except csv.Error as error:
            expected = "fields of at most a million characters; perhaps a quotation mark is left open"
            raise InvalidValue(f"line {lines.line_num}", expected=expected) from error


def _form(path: Path) -> _Form:
    """Told by the first line, which has to name the columns."""
    with path.open("rb") as file:
        encoding = _encoding(file.read(_LONGEST_FIELD))
    with path.open(encoding=encoding, errors="replace", newline="") as lines:
        head = lines.readline(_LONGEST_FIELD)
    for delimiter in _DELIMITERS:
        names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
        if "record_id" in names:
            known = tuple((n, name) for n, name in enumerate(names) if name in _READ)
            if len({name for _, name in known}) < len(known):
                raise InvalidValue("line 1", expected="every column once")
            return _Form(encoding, delimiter, known)
    raise InvalidValue("line 1", expected=f"names of columns, record_id among them: {', '.join(COLUMNS)}")


def _encoding(start: bytes) -> str:
    """UTF-16 by its mark, else UTF-8 unless most that is not ASCII is no UTF-8: then Windows-1258, where tones stand
    behind vowels as marks of their own, else Windows-1252, as which older tables are known to arrive."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    text = start.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    if broken <= sum(letter > "\x7f" for letter in text) - broken:
        return "utf-8-sig"
    after = [normalize("NFD", before)[0].lower() in _VOWELS for before in _TONED.findall(_as_windows_1258(start))]
    return "cp1258" if after and sum(after) > 0.9 * len(after) else "cp1252"


def _as_windows_1258(start: bytes) -> str:
    return start.decode("cp1258", errors="replace")


_TONED = re.compile("(.)[\u0300\u0301\u0303\u0309\u0323]")
_VOWELS = frozenset("aeiouy")


def _printable(lines: Iterable[str]) -> Iterator[str]:
    return (line.replace("\0", "") for line in lines)


_CONTROL = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
"""What no reader ever sees, and no printable text has. U+0080 to U+00AD stay: in text that was read with the wrong
table they are letters."""


def _plain(value: str) -> str:
    value = value[: 4 * _LONGEST]
    return (value if value.isprintable() else _CONTROL.sub(" ", value)).strip(" ")


def _id_of(cell: str) -> str:
    """As the list has it, whole, since the answer has to name the same line."""
    return cell.strip()


def _digits(text: str) -> str:
    """Of a number: digits of any width as plain ones, spaces of any kind as blanks."""
    return text if text.isascii() else normalize("NFKC", text)


def _listed(record_id: str, row: Mapping[str, str]) -> ListedPatient:
    return ListedPatient(
        record_id,
        tuple(_numbers(row)),
        Demographics(
            name=_name(row),
            birth_date=birth_date(row.get("birth_date", "")),
            gender=_sex(row.get("sex", "")),
            phones=tuple(part for part in _several(row.get("phone", "")) if part.strip()),
            address=_address(row),
            mothers_name=row.get("guardian_name", "")[:_LONGEST] or None,
        ),
        _day(row.get("recorded_at", "")[:10]),
        row.get("person") or None,
        frozenset(row.get("applied", "").split()),
    )


@lru_cache(maxsize=256)
def _sex(text: str) -> Gender:
    return _SEXES.get(normalize("NFC", text).lower(), "unknown")


def _several(text: str) -> list[str]:
    """Numbers that stand in one field."""
    return _SEVERAL.split(_digits(text)) if text else []


def _name(row: Mapping[str, str]) -> HumanName | None:
    text = row.get("full_name", "")
    if not text:
        text = " ".join(part for n in ("family_name", "middle_name", "given_name") if (part := row.get(n, "")))
    return HumanName(text[:_LONGEST]) if text.strip() else None


def _numbers(row: Mapping[str, str]) -> Iterator[PatientIdentifier]:
    local = _digits(row.get("local_id", "")[:_LONGEST]).strip()
    if local and local.isprintable():
        yield PatientIdentifier(_giver(row.get("source", "")), local)
    for column, system in (("national_id", NATIONAL_ID), ("insurance_number", INSURANCE_NUMBER)):
        for number in _several(row.get(column, "")):
            if (typed := number.strip()) and len(typed) <= _LONGEST and typed.isprintable():
                yield PatientIdentifier(system, typed)


@lru_cache(maxsize=4096)
def _giver(source: str) -> str:
    """Who gave the local numbers of this source."""
    named = re.sub(r"\W+", "-", source) or "list"
    return f"urn:list:{named[:200]}"


@lru_cache(maxsize=16384)
def _day(text: str) -> date | None:
    """Of `recorded_at`; what is no date is not known."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _address(row: Mapping[str, str]) -> Address | None:
    line = row.get("address_line", "")
    parts = [line, *(row.get(name, "") for name in ("commune", "district", "province"))]
    text = ", ".join(part for part in parts if part)
    return Address(text, row.get("commune") or None, row.get("province") or None) if text else None


@lru_cache(maxsize=65536)
def birth_date(text: str) -> BirthDate | None:
    """Every form that hospitals write: 1958-03-21, 21/3/1958, 19580321, 19580000, 21031958, 3/1958, 1958, words between
    them, the days of a spreadsheet; else unknown. A year of two digits could be of either century and is unknown."""
    plain = _AROUND.sub("", _TIME.sub("", text.strip()))
    if found := _YEAR_FIRST.fullmatch(plain):
        year, month, day = found.groups()
    elif found := _DAY_FIRST.fullmatch(plain):
        day, month, year = found.groups()
        if month is None:
            day, month = None, day
    elif found := _UNBROKEN.fullmatch(plain):
        year, month, day = found.groups()
        turned = _DAY_FIRST_UNBROKEN.fullmatch(plain)
        if turned and _is_a_year(int(turned[3])) and not (_is_a_year(int(year)) and int(month) <= 12):
            # 19051958: the month of 1905 would be the 19th
            day, month, year = turned.groups()
    elif _DAYS_OF_A_SPREADSHEET.fullmatch(plain):
        return BirthDate(str(_FIRST_DAY_OF_A_SPREADSHEET + timedelta(days=int(plain))))
    else:
        return None
    return _date(int(year), int(month or 0), int(day or 0))


def _is_a_year(year: int) -> bool:
    return 1850 < year <= date.today().year + 1  # noqa: DTZ011


@lru_cache(maxsize=65536)
def _date(year: int, month: int, day: int) -> BirthDate | None:
    if not _is_a_year(year):
        return None
    if month > 12 and 0 < day <= 12:
        month, day = day, month
    try:
        return BirthDate(f"{year:04d}-{month:02d}-{day:02d}" if month and day else f"{year:04d}")
    except InvalidValue:
        return BirthDate(f"{year:04d}")
