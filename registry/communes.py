"""Where somebody lives, at the level that survived the reform of 2025: the new commune, or what was written.

A table turns names into codes of communes; `communes.json` is a small one, a hospital may give a larger. What it does
not know is compared as text. Districts are never needed. Source: NQ 202/2025/QH15 (34 provinces, no districts).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from registry.encodings import readable
from registry.syllables import bare
from registry.vietnamese import composed

CommuneTable = Mapping[str, str]
"""Folded name of a commune, old or new ("kinh bac"), with its folded province where it needs one, to its code."""

_COMMUNE = re.compile(r"(?:xa|phuong|thi tran|p|x|tt)\b\.? ?(?=\S)")
_OLD_LEVEL = re.compile(r"(?:huyen|quan|thi xa|h|q|tx)\b\.? ?(?=\S)")
_PROVINCE = re.compile(r"(?:tinh|thanh pho|tp|t)\b\.? ?(?=\S)")
_DIGIT = re.compile(r"\d")
_POSTCODE = re.compile(r"\d{4,6}")
_SPACES = re.compile(r"[^\w/]+")


class Place(NamedTuple):
    """commune   its code, or its folded name
    line      house and street or hamlet, folded
    old       written with a district: the commune may have another name by now
    postcode  digits that stand alone; here nobody writes them, elsewhere nearly everybody
    """

    commune: str = ""
    line: str = ""
    old: bool = False
    postcode: str = ""

    @property
    def narrow(self) -> bool:
        """A house number, not a hamlet of hundreds."""
        return _DIGIT.search(self.line) is not None and len(self.line) > 8


NOWHERE = Place()


@cache
def shipped_table() -> CommuneTable:
    """The communes that come with the program."""
    table: dict[str, str] = json.loads(Path(__file__).with_name("communes.json").read_text("utf-8"))["communes"]
    return table


@lru_cache(maxsize=65536)
def place_of(text: str, commune: str | None, province: str | None = None) -> Place:
    """Read an address with the shipped table; `commune` is a code or a name where the source told it apart."""
    return read_place(text, commune, province, table=shipped_table())


def read_place(text: str, commune: str | None, province: str | None, *, table: CommuneTable) -> Place:
    parts = [part for part in (_folded(part) for part in readable(composed(text)).split(",")) if part]
    if commune:
        named = _folded(commune)
        code = _code(named, _folded(province or ""), table)
        return Place(code, _line(parts, named), _is_old(parts), _postcode(parts, named))
    place = _commune_at(parts)
    if place is None:
        return Place("", parts[0] if parts else "", _is_old(parts), _postcode(parts, ""))
    line = " ".join(parts[:place])
    return Place(_code(parts[place], parts[-1], table), line, _is_old(parts), _postcode(parts, parts[place]))


def _commune_at(parts: list[str]) -> int | None:
    """The part that calls itself a commune, else the second from the end of "line, commune, province"."""
    for place, part in enumerate(parts):
        if _COMMUNE.match(part):
            return place
    return len(parts) - 2 if len(parts) >= 3 else None


def _line(parts: list[str], commune: str) -> str:
    for place, part in enumerate(parts):
        if part == commune or _COMMUNE.match(part):
            return " ".join(parts[:place])
    return parts[0] if parts else ""


def _postcode(parts: list[str], commune: str) -> str:
    """Behind the line, and not the code of the commune itself."""
    return next((part for part in parts[1:] if part != commune and _POSTCODE.fullmatch(part)), "")


def _is_old(parts: list[str]) -> bool:
    """A level between commune and province is named: written before July 2025, or out of habit."""
    return len(parts) >= 4 or any(_OLD_LEVEL.match(part) for part in parts[1:])


def _code(part: str, province: str, table: CommuneTable) -> str:
    if part.isdigit():
        return part
    name, within = _COMMUNE.sub("", part, count=1), _PROVINCE.sub("", province, count=1)
    return table.get(f"{name}|{within}") or table.get(name) or name


@lru_cache(maxsize=65536)
def _folded(part: str) -> str:
    return _SPACES.sub(" ", bare(part.lower())).strip()
