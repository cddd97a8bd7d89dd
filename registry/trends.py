"""The same laboratory value over time: what was measured, in which unit, and each reading as it was written, where.

Pure. Nothing is converted and nothing is judged: two units are two trends, unless a map says that two spellings are
one, and no reference range is assumed, since the laboratory's own is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from registry.clinical import Result
from registry.identifiers import HomeCommunityId
from registry.vietnamese import composed, same_words

_NUMBER = re.compile(r"[<>≤≥]?\s*(-?\d+(?:[.,]\d+)?)")
_EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
"""`250.000`: thousands or decimals, nobody can tell."""
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value as written; `number` is None for words and for what can be read in two ways; beyond a limit it is the
    limit. `home` is the hospital that measured it. What its laboratory says of it does not make it another one."""

    value: str
    number: float | None
    when: datetime | None
    home: HomeCommunityId
    normal: str = field(default="", compare=False)
    flags: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Trend:
    """All readings of one thing, oldest first; there is at least one."""

    name: str
    unit: str
    readings: tuple[Reading, ...]

    @property
    def latest(self) -> Reading:
        return self.readings[-1]

    @property
    def is_often(self) -> bool:
        return len(self.readings) > 1

    @property
    def numbers(self) -> tuple[tuple[datetime, float], ...]:
        """What can be drawn: readings that are numbers and have a time."""
        return tuple((one.when, one.number) for one in self.readings if one.when and one.number is not None)


def trends(results: Iterable[tuple[HomeCommunityId, Result]]) -> tuple[Trend, ...]:
    """One for each thing that was measured, what was measured last first. The same reading of two files of a hospital
    counts once."""
    grouped: dict[tuple[object, str], dict[Reading, Result]] = {}
    for home, one in results:
        # the sign behind a number and the spelling of a unit stay: mg is not Mg
        key = (_meaning(one) or same_words(one.name), one.unit_code or composed(one.unit))
        grouped.setdefault(key, {})[_reading(one, home)] = one
    found = [_trend(readings) for readings in grouped.values()]
    return tuple(sorted(found, key=lambda one: (one.latest.when or _LONG_AGO, one.name), reverse=True))


def _meaning(one: Result) -> tuple[str, str | None] | None:
    """Of what was measured; two hospitals may show the same code with other words."""
    return (one.codes[0].code, one.codes[0].system) if one.codes else None


def _trend(readings: dict[Reading, Result]) -> Trend:
    ordered = sorted(readings, key=lambda one: one.when or _LONG_AGO)
    newest = readings[ordered[-1]]
    return Trend(newest.name, composed(newest.unit), tuple(ordered))


def _reading(one: Result, home: HomeCommunityId) -> Reading:
    value = composed(one.value)
    number = _NUMBER.fullmatch(value)
    is_clear = number is not None and not _EITHER.fullmatch(number[1].lstrip("-"))
    known = float(number[1].replace(",", ".")) if number and is_clear else None
    return Reading(value, known, one.resulted, home, one.normal, one.flags)
