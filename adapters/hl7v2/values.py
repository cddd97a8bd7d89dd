"""Times and names as HL7 v2 writes them.

Source: HL7 2.8, chapter 2A: DTM (TS), XPN, XCN and CNN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from adapters.hl7v2.message import Delimiters, Field
from registry.errors import InvalidValue
from registry.local_time import VIET_NAM
from registry.people import BirthDate, HumanName
from registry.vietnamese import composed

_TIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:\.\d{1,4})?([+-]\d{4})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as it was written; `digits` of it are known (8: a day, which is not midnight)."""

    at: datetime
    digits: int

    @property
    def is_exact(self) -> bool:
        """At least the hour is known."""
        return self.digits >= 10

    @property
    def fhir(self) -> str:
        """FHIR dateTime in the precision it arrived with."""
        text = self.at.isoformat(timespec="seconds")
        return text if self.is_exact else text[: {4: 4, 6: 7}.get(self.digits, 10)]

    @property
    def spoken(self) -> str:
        """As a Vietnamese reader expects it."""
        return f"{self.at:%d/%m/%Y %H:%M}" if self.is_exact else f"{self.at:%d/%m/%Y}"


def read_moment(text: str) -> Moment | None:
    """None where it is no time that exists. Without a zone it is Vietnamese time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    *parts, zone = found.groups()
    digits = 2 + 2 * sum(part is not None for part in parts)
    try:
        at = datetime(*(int(part) if part else 1 for part in parts[:3]), *(int(part or 0) for part in parts[3:]))  # type: ignore[arg-type]  # noqa: DTZ001
        known = at.replace(tzinfo=_zone(zone) if zone else VIET_NAM)
        known.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Moment(known, digits)


def _zone(text: str) -> timezone:
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def written_moment(at: datetime) -> str:
    """MSH-7 and its kind, with the zone."""
    return f"{at.astimezone(VIET_NAM):%Y%m%d%H%M%S}+0700"


def read_birth_date(text: str) -> BirthDate | None:
    """PID-7. Month or day 00 say that only the rest is known; None where it is no such date."""
    digits = text[:8]
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (4, 6, 8):
        return None
    year, month, day = digits[:4], digits[4:6], digits[6:8]
    value = year if month in ("", "00") else f"{year}-{month}" if day in ("", "00") else f"{year}-{month}-{day}"
    try:
        return BirthDate(value)
    except InvalidValue:
        return None


def read_person_name(field: Field) -> HumanName | None:
    """XPN: surname, given and middle name. Vietnamese order is surname, middle, given.

    Many systems put the whole name into the first component.
    """
    family, given, middle = composed(field.text(1)), composed(field.text(2)), composed(field.text(3))
    rest = " ".join(filter(None, (middle, given)))
    text = f"{family} {rest}".strip()
    if not text or len(text) > 255:
        return None
    return HumanName(text, family, rest) if family and rest else HumanName.of(text)


def written_name(name: HumanName | None, signs: Delimiters) -> str:
    """XPN with the middle name told apart, as it is read."""
    if name is None:
        return ""
    whole = HumanName.of(name.text) if not (name.family and name.given) else name
    *middle, given = (whole.given or "").split() or [""]
    parts = (whole.family or "", given, " ".join(middle), "", "", "", "L")
    return signs.component.join(map(signs.written, parts)).rstrip(signs.component)


def read_staff_name(field: Field) -> str:
    """XCN (id, surname, given, middle) or NDL (the same as subcomponents of the first component)."""
    if not field.text(2) and field.text(1, 2):
        parts = (field.text(1, 2), field.text(1, 4), field.text(1, 3))
    else:
        parts = (field.text(2), field.text(4), field.text(3))
    return composed(" ".join(filter(None, parts)))[:255]
