"""The field lists of the insurance file family, as facts: which columns a table has and how long a value may be.

Source: annexes of QĐ 130/QĐ-BYT and QĐ 4750/QĐ-BYT; names of QĐ 3176/QĐ-BYT and 4210/QĐ-BYT where they differ.
In `tables.json` a column reads `NAME`, then s (text), n (number), t (yyyymmddHHMM) or d (yyyymmdd) with its longest
length, `;` where values are joined by semicolons, `*` where the portal's check wants it filled.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

_COLUMN = re.compile(r"(?P<name>\w+) (?P<kind>[sntd])(?P<length>\d*)(?P<several>;?)(?P<required>\*?)")
Kind = Literal["s", "n", "t", "d"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `required` is what the portal's check wants; real files leave many of them empty."""

    name: str
    kind: Kind
    max_length: int | None
    several: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its tags from outside in, its columns, and other names under which columns arrive."""

    name: str
    title: str
    root: str | None
    list: str | None
    record: str | None
    columns: MappingProxyType[str, Column]
    other_names: MappingProxyType[str, str]
    tags: frozenset[str]
    """Tags that hold columns and are none themselves."""


@cache
def tables() -> MappingProxyType[str, Table]:
    """All tables by name, XML0 to XML15."""
    read = json.loads(files("adapters.insurance").joinpath("tables.json").read_text("utf-8"))
    return MappingProxyType({name: _table(name, facts) for name, facts in read.items()})


@cache
def names_by_tag() -> MappingProxyType[str, str]:
    """The table that a root tag belongs to; a list tag too, since files of QĐ 4210 begin with it."""
    found = {tag: table.name for table in tables().values() for tag in (table.list, table.root) if tag}
    return MappingProxyType(found)


@cache
def columns_of_table_6_alone() -> frozenset[str]:
    """Columns that only the HIV table has: they mean the same wherever else they turn up."""
    others = {column for table in tables().values() if table.name not in ("XML6", "XML15") for column in table.columns}
    return frozenset(tables()["XML6"].columns) - others - _ABOUT_TUBERCULOSIS


_ABOUT_TUBERCULOSIS = frozenset(
    {"LOAI_DTRI_LAO", "SANG_LOC_LAO", "PHACDO_DTRI_LAO", "NGAYBD_DTRI_LAO", "NGAYKT_DTRI_LAO", "KQ_DTRI_LAO"}
)


def _table(name: str, facts: dict[str, object]) -> Table:
    columns = [_column(str(written)) for written in _listed(facts["columns"])]
    root, inner, record = (facts[part] for part in ("root", "list", "record"))
    other_names = facts.get("other_names")
    return Table(
        name,
        str(facts["title"]),
        str(root) if root else None,
        str(inner) if inner else None,
        str(record) if record else None,
        MappingProxyType({column.name: column for column in columns}),
        MappingProxyType(other_names if isinstance(other_names, dict) else {}),
        frozenset(str(tag) for tag in (root, inner, record) if tag),
    )


def _listed(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


_KINDS: dict[str, Kind] = {"s": "s", "n": "n", "t": "t", "d": "d"}


def _column(written: str) -> Column:
    found = _COLUMN.fullmatch(written)
    assert found is not None
    length = found["length"]
    return Column(
        found["name"],
        _KINDS[found["kind"]],
        int(length) if length else None,
        bool(found["several"]),
        bool(found["required"]),
    )
