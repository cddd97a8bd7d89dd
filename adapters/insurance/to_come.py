"""Times of what has happened cannot lie ahead: one that does is a slip of somebody's hand, and nothing is sorted by it.

A result of next year would stand before every true one. Such a time is kept as it was written, where a reader of the
text sees it with a word, and counts as unknown for all else. What may lie ahead is left alone: an appointment, the end
of a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from adapters.insurance.rows import Deviations, Row
from adapters.insurance.tables import tables
from adapters.insurance.values import Moment, read_birth_date, read_moment
from registry.documents import FAST_CLOCK
from registry.local_time import VIET_NAM

HAPPENED = (
    "NGAY_VAO",
    "NGAY_VAO_NOI_TRU",
    "NGAY_RA",
    "NGAY_YL",
    "NGAY_TH_YL",
    "NGAY_KQ",
    "NGAY_CT",
    "NGAY_SINHCON",
    "NGAY_CONCHET",
    "THOI_DIEM_DBLS",
)
"""Columns of any table that say when something was done, found or written."""

AS_WRITTEN = "(sau ngày nhận tệp, không dùng)"
"""Behind such a time in the text: after the day the file came, not used."""


def without_times_to_come(
    dossier: Mapping[str, tuple[Row, ...]], now: datetime, strange: Deviations
) -> dict[str, tuple[Row, ...]]:
    """The tables, with times that lie ahead made into words."""
    until = (now + FAST_CLOCK).astimezone(VIET_NAM)
    return {table: _checked(rows, table, until, strange) for table, rows in dossier.items()}


def _checked(rows: tuple[Row, ...], table: str, until: datetime, strange: Deviations) -> tuple[Row, ...]:
    written = f"{until:%Y%m%d%H%M%S}"
    columns = _columns(table)
    found: dict[int, dict[str, str]] = {}
    for place, row in enumerate(rows):
        for column in columns:
            # digits compare as times do; only what seems to lie ahead is looked at
            if (text := row.get(column)) and text > written[: len(text)] and (moment := _ahead(text, until)):
                found.setdefault(place, {})[column] = f"{moment.spoken} {AS_WRITTEN}"
                strange.note(table, f"{column} lies after the day the file came; not used as a time")
    if not found:
        return rows
    return tuple({**row, **found[place]} if place in found else row for place, row in enumerate(rows))


@lru_cache(maxsize=64)
def _columns(name: str) -> tuple[str, ...]:
    table = tables().get(name)
    return tuple(column for column in HAPPENED if table is None or column in table.columns)


def _ahead(text: str, until: datetime) -> Moment | None:
    moment = read_moment(text)
    return moment if moment and moment.at > until else None


def is_born_ahead(text: str, now: datetime) -> bool:
    """Whether NGAY_SINH names a day, a month or a year that has not begun."""
    born = read_birth_date(text)
    until = f"{(now + FAST_CLOCK).astimezone(VIET_NAM):%Y-%m-%d}"
    return born is not None and str(born) > until[: len(str(born))]


def spoken(text: str) -> str:
    """A time for a reader: also one that lies ahead, with its word; empty where it is none."""
    moment = read_moment(text)
    if moment:
        return moment.spoken
    return text if text.endswith(AS_WRITTEN) else ""
