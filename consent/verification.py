"""What a look through the whole sealed record found, and the order for one that runs beside the work of the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the record; `position` counts rows from 0."""

    position: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what is wrong with it.

    kept    heads of this record that other hospitals hold and that it was held against
    silent  hospitals that keep heads and did not answer, by facility code
    notes   what was lost in a return from a backup that the officer answers for: no secret, and not mended either
    """

    rows: int
    seals: int
    unsealed: int
    findings: tuple[Finding, ...]
    kept: int = 0
    silent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """One verification that somebody asked for, while it waits, runs, and afterwards.

    by           who asked, and `name` as people call them
    done, total  sealed rows that were computed again so far, and how many there are
    found        None until it has ended
    """

    id: str
    asked: datetime
    by: str
    name: str = ""
    done: int = 0
    total: int = 0
    ended: datetime | None = None
    found: Verification | None = None
