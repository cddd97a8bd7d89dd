"""The tables of a hospital behind the card: validity, prices, own codes, quality levels; files in its home.

Each file may be absent: then what comes with the program holds. A file that was changed is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from hie_node.house import House
from registry.done_before import Levels, QualityLevel
from registry.errors import InvalidValue, Unreadable
from registry.identifiers import FacilityCode
from registry.ledger import PriceList, read_prices
from registry.local_time import VIET_NAM
from registry.ordered import OwnCodes, read_own_codes
from registry.validity import ValidityTable, read_tables, shipped

VALIDITY, PRICES, CODES, LEVELS = "validity.json", "prices.csv", "examination_codes.csv", "quality_levels.csv"
FILES = (VALIDITY, PRICES, CODES, LEVELS)
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class OrderingTables:
    """What the rule and the ledger look things up in."""

    validity: tuple[ValidityTable, ...]
    prices: PriceList
    codes: OwnCodes
    levels: Levels


def tables(house: House) -> OrderingTables:
    """As the files are now. Raises Unreadable for one that is wrong, with its line."""
    home = house.settings.home
    return OrderingTables(
        validity=_read(home / VALIDITY, read_tables) or shipped(),
        prices=_read(home / PRICES, read_prices) or PriceList(),
        codes=_read(home / CODES, read_own_codes) or {},
        levels=_levels(house, _read(home / LEVELS, read_levels) or ()),
    )


def _read(path: Path, read: Callable[[str], Read]) -> Read | None:
    try:
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _kept(path, changed, read)  # type: ignore[return-value]


@lru_cache(maxsize=16)
def _kept(path: Path, _changed: int, read: Callable[[str], object]) -> object:
    try:
        return read(path.read_text("utf-8-sig"))
    except (ValueError, InvalidValue) as error:
        raise Unreadable(path.name, str(error)) from error


def read_levels(text: str) -> tuple[tuple[str, QualityLevel], ...]:
    """`facility,level,since,until` a line, until may be empty."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip() or line.startswith("#") or cells == ["facility", "level", "since", "until"]:
            continue
        try:
            facility, level, since, until = cells
            found.append((facility, QualityLevel(level, _midnight(since), _midnight(until) if until else None)))
        except ValueError as error:
            raise ValueError(f"line {number}: expected facility,level,since,until with days as 2026-01-01") from error
    return tuple(found)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), VIET_NAM)


def _levels(house: House, rows: tuple[tuple[str, QualityLevel], ...]) -> Levels:
    """By community: the directory knows which facility is whose."""
    by_home: dict[object, tuple[QualityLevel, ...]] = {}
    directory = house.directory.current()
    for facility, level in rows:
        peer = directory.at(FacilityCode(facility))
        if peer is not None:
            by_home[peer.home] = (*by_home.get(peer.home, ()), level)
    return by_home  # type: ignore[return-value]
