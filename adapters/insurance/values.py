"""Values as the insurance family writes them: times of Viet Nam in digits, lists with semicolons, sex as a number.

Reading never guesses: what is not of the form is None, and the caller says so. An impossible birth date is treated
as unknown, because a missing one makes a link to another record less likely and a wrong one makes it wrong.
Source: notes on the columns in QĐ 130/QĐ-BYT and QĐ 4750/QĐ-BYT.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from registry.errors import InvalidValue
from registry.local_time import VIET_NAM, iso
from registry.people import BirthDate, Gender

_DIGITS = re.compile(r"\d{8}(?:\d{4}(?:\d{2})?)?", re.ASCII)
_BIRTH = re.compile(r"(\d{4})(?:(\d{2})(\d{2})(\d{4}(?:\d{2})?)?)?", re.ASCII)
_LIST = re.compile(r"[;,\n]")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)
_YEARS = range(1900, 2200)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as it was written: `at` in Vietnamese time; with `day_only` its hour is not known, and is not midnight.

    fhir    as FHIR's dateTime, in the precision it arrived with
    spoken  as a Vietnamese reader expects it
    """

    at: datetime
    day_only: bool = False
    fhir: str = field(init=False, repr=False, compare=False)
    spoken: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Here and once: the few times of a visit are said a hundred times in it."""
        day, hour = spoken_day(self.at), spoken_time(self.at)
        object.__setattr__(self, "fhir", f"{self.at:%Y-%m-%d}" if self.day_only else iso(self.at))
        object.__setattr__(self, "spoken", day if self.day_only else f"{day} {hour}")


def spoken_day(at: datetime) -> str:
    """Day, month, year; a page of results has fifty of them, and the C library takes its time over each."""
    return f"{at.day:02}/{at.month:02}/{at.year:04}"


def spoken_time(at: datetime) -> str:
    return f"{at.hour:02}:{at.minute:02}"


@lru_cache(maxsize=4096)
def read_moment(text: str) -> Moment | None:
    """yyyymmdd, yyyymmddHHMM or yyyymmddHHMMSS; None where it is none of them or no such time exists."""
    text = text.strip()
    if _DIGITS.fullmatch(text) is None or int(text[:4]) not in _YEARS:
        return None
    parts = [int(text[start : start + 2] or 0) for start in range(4, 14, 2)]
    try:
        at = datetime(int(text[:4]), *parts, tzinfo=VIET_NAM)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    return Moment(at, day_only=len(text) == 8)


def read_birth_date(text: str) -> BirthDate | None:
    """NGAY_SINH. Month and day 0000 (QĐ 130) or 0101 without an hour (QĐ 4210) say that only the year is known."""
    found = _BIRTH.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour = found.groups()
    known_hour = bool(hour and hour.strip("0"))
    if month in (None, "00") or ((month, day) == ("01", "01") and not known_hour):
        return _birth_date(year) if day in (None, "00", "01") else None
    return _birth_date(f"{year}-{month}" if day == "00" else f"{year}-{month}-{day}")


def _birth_date(value: str) -> BirthDate | None:
    try:
        return BirthDate(value)
    except InvalidValue:
        return None


def read_gender(text: str) -> Gender | None:
    """GIOI_TINH: 1 male, 2 female, 3 not determined; None where it is something else."""
    found: dict[str, Gender] = {"1": "male", "2": "female", "3": "unknown", "": "unknown"}
    return found.get(text.strip())


def read_list(text: str) -> tuple[str, ...]:
    """The values of a column that may hold several, without empty ones and without repetition."""
    if not text:
        return ()
    return tuple(dict.fromkeys(part for each in _LIST.split(text) if (part := each.strip())))


def is_number(text: str) -> bool:
    """A number with a point or a comma before its decimals."""
    return _NUMBER.fullmatch(text) is not None
