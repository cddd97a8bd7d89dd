"""What moved between this hospital and the others lately, and what broke off: from the record, nothing of a patient.

A transfer is a row of the record of disclosures that counted its bytes; it is written when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hie_node.house import House
from registry.identifiers import HomeCommunityId

SINCE, MOST_ROWS, MOST_SHOWN = timedelta(hours=24), 5000, 100
"""How far back is looked, in how many rows of the record at most, and how many transfers are listed."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One transfer; `other` is None where a person or system of this hospital got it."""

    when: datetime
    transaction: str
    received: bool
    other: HomeCommunityId | None
    size: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Line:
    """All transfers with one hospital."""

    other: HomeCommunityId | None
    sent: int
    received: int
    size: int
    broken: int


@dataclass(frozen=True, slots=True)
class Transfers:
    """By hospital, and the newest one by one. `cut` where the record of the day has more rows than are looked at."""

    lines: tuple[Line, ...]
    newest: tuple[Moved, ...]
    cut: bool


def transfers(house: House) -> Transfers:
    """Of the last day."""
    with house.storage.read() as unit:
        rows = unit.disclosures.search(since=house.now() - SINCE, limit=MOST_ROWS)
    moved = [
        Moved(row.recorded, row.transaction, row.direction == "received", row.other, row.bytes_sent, row.complete)
        for row in rows
        if row.bytes_sent is not None
    ]
    homes = dict.fromkeys(one.other for one in moved)
    lines = tuple(_line(home, [one for one in moved if one.other == home]) for home in homes)
    return Transfers(lines, tuple(moved[:MOST_SHOWN]), cut=len(rows) == MOST_ROWS)


def _line(other: HomeCommunityId | None, moved: Iterable[Moved]) -> Line:
    listed = list(moved)
    received = sum(one.received for one in listed)
    broken = sum(not one.complete for one in listed)
    return Line(other, len(listed) - received, received, sum(one.size for one in listed), broken)
