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
from datetime import date
from pathlib import Path

from registry.errors import InvalidValue
from registry.identifiers import INSURANCE_NUMBER, PatientIdentifier, identity_number
from registry.people import Address, BirthDate, Demographics, Gender, HumanName

_LONGEST = 255
_SEXES: Mapping[str, Gender] = {
    "1": "male", "nam": "male", "m": "male", "male": "male",
    "2": "female", "nu": "female", "nữ": "female", "f": "female", "female": "female",
}  # fmt: skip
_YEAR_FIRST = re.compile(r"(\d{4})\D?(\d{2})?\D?(\d{2})?")
_DAY_FIRST = re.compile(r"(?:(\d{1,2})\D+)?(?:(\d{1,2})\D+)?(\d{4})")
_TIME = re.compile(r"(?:[T ]\d{2}:\d{2}.*|(?<=^\d{8})\d{4,6})$")


@dataclass(frozen=True, slots=True)
class ListedPatient:
    """One line of a list; `person` is the truth where the list has it."""

    record_id: str
    identifiers: tuple[PatientIdentifier, ...]
    demographics: Demographics
    person: str | None = None
    applied: frozenset[str] = frozenset()


def read_list(path: Path) -> Iterator[ListedPatient]:
    """The lines of a file, in its order. Raises InvalidValue where there is no record_id."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for place, row in enumerate(csv.DictReader(_printable(file)), start=2):
            record_id = (row.get("record_id") or "").strip()
            if not record_id:
                raise InvalidValue(f"line {place}: record_id", expected="the id of the record")
            yield _listed(record_id, {name: _plain(value) for name, value in row.items() if isinstance(value, str)})


def _printable(lines: Iterable[str]) -> Iterator[str]:
    return (line.replace("\0", "") for line in lines)


def _plain(value: str) -> str:
    return "".join(c if c.isprintable() else " " for c in value).strip()[: 4 * _LONGEST]


def _listed(record_id: str, row: Mapping[str, str]) -> ListedPatient:
    return ListedPatient(
        record_id,
        tuple(_numbers(row)),
        Demographics(
            name=_name(row),
            birth_date=birth_date(row.get("birth_date", "")),
            gender=_SEXES.get(row.get("sex", "").lower(), "unknown"),
            phones=tuple(part for part in re.split(r"[;,/]", row.get("phone", "")) if part.strip()),
            address=_address(row),
            mothers_name=row.get("guardian_name", "")[:_LONGEST] or None,
        ),
        row.get("person") or None,
        frozenset(row.get("applied", "").split()),
    )


def _name(row: Mapping[str, str]) -> HumanName | None:
    text = row.get("full_name", "")
    if not text:
        text = " ".join(part for n in ("family_name", "middle_name", "given_name") if (part := row.get(n, "")))
    return HumanName(text[:_LONGEST]) if text.strip() else None


def _numbers(row: Mapping[str, str]) -> Iterator[PatientIdentifier]:
    if local := row.get("local_id", "")[:_LONGEST]:
        source = re.sub(r"\W+", "-", row.get("source", "")) or "list"
        yield PatientIdentifier(f"urn:list:{source[:200]}", local)
    number = identity_number(row.get("national_id", ""))
    if number is not None:
        yield number
    card = row.get("insurance_number", "")[:_LONGEST]
    if card:
        yield PatientIdentifier(INSURANCE_NUMBER, card)


def _address(row: Mapping[str, str]) -> Address | None:
    line = row.get("address_line", "")
    parts = [line, *(row.get(name, "") for name in ("commune", "district", "province"))]
    text = ", ".join(part for part in parts if part)
    return Address(text, row.get("commune") or None, row.get("province") or None) if text else None


def birth_date(text: str) -> BirthDate | None:
    """Every form that hospitals write: 1958-03-21, 21/3/1958, 19580321, 19580000, 3/1958, 1958; else unknown."""
    plain = _TIME.sub("", text.strip())
    found = _YEAR_FIRST.fullmatch(plain)
    if found is not None:
        year, month, day = found.groups()
    else:
        found = _DAY_FIRST.fullmatch(plain)
        if found is None:
            return None
        day, month, year = found.groups()
        if month is None:
            day, month = None, day
    return _date(int(year), int(month or 0), int(day or 0))


def _date(year: int, month: int, day: int) -> BirthDate | None:
    if not 1850 < year <= date.today().year + 1:  # noqa: DTZ011
        return None
    if month > 12 and 0 < day <= 12:
        month, day = day, month
    try:
        return BirthDate(f"{year:04d}-{month:02d}-{day:02d}" if month and day else f"{year:04d}")
    except InvalidValue:
        return BirthDate(f"{year:04d}")
