"""The rows of one table: columns by their official names, whatever the exporter did around them.

Nothing is refused here. A column that the table does not have, a value that is too long, markup in a text, a column
that stands twice: all of it is kept, and said once per column with the number of rows. Columns that the portal wants
filled and that no row of a table fills are said in one line, since exporters leave out many at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from typing import TypeAlias

from adapters.insurance.tables import Column, tables
from adapters.insurance.values import is_number, read_list, read_moment
from adapters.xml_door import XmlElement

Row: TypeAlias = Mapping[str, str]
"""Column to text, without the white space around it; an empty column is there and empty."""

MAX_DEVIATIONS = 100
_PLAIN_NAME = re.compile(r"[A-Z0-9_]{1,60}")


class Deviations:
    """What was strange, counted, so that a thousand rows with the same habit make one line."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, place: str, what: str) -> None:
        """`place` and `what` name tables and columns, never what stands in them."""
        key = (place, what)
        if key in self._counts or len(self._counts) < MAX_DEVIATIONS:
            self._counts[key] += 1
        else:
            self._counts["", "more deviations than are listed"] += 1

    def texts(self) -> tuple[str, ...]:
        return tuple(_line(place, what, count) for (place, what), count in self._counts.items())


def _line(place: str, what: str, count: int) -> str:
    line = f"{place}: {what}" if place else what
    return f"{line} ({count} times)" if count > 1 else line


def tag_of(element: XmlElement) -> str:
    """The name of an element in capitals, without its namespace."""
    name: str = element.tag
    return name.rpartition("}")[2].upper()


def read_rows(root: XmlElement, table_name: str, strange: Deviations) -> Iterator[Row]:
    """Every element below the root that holds columns is a row, wherever the exporter put it."""
    waiting, missing, rows = [root], _required(table_name), 0
    while waiting:
        element = waiting.pop()
        row, inner = _split(element, table_name, strange)
        if row:
            rows += 1
            missing = {name for name in missing if not row.get(name)} if missing else missing
            yield row
        waiting.extend(reversed(inner))
    if rows and missing:
        strange.note(table_name, _without(missing))


@lru_cache(maxsize=64)
def _required(table_name: str) -> Set[str]:
    table = tables().get(table_name)
    return frozenset(name for name, column in table.columns.items() if column.required) if table else frozenset()


def _without(missing: Set[str]) -> str:
    names = sorted(missing)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"required and empty in every row: {', '.join(names[:5])}{more}"


@lru_cache(maxsize=4096)
def _place_of(tag: str, table_name: str) -> tuple[str, Column | None, bool]:
    """The official name behind a tag, its column, and whether the tag only holds columns."""
    plain = tag.rpartition("}")[2].upper()
    table = tables().get(table_name)
    if table is None:
        return plain, None, False
    name = table.other_names.get(plain, plain)
    return name, table.columns.get(name), plain in table.tags


def _split(element: XmlElement, table_name: str, strange: Deviations) -> tuple[dict[str, str], list[XmlElement]]:
    """The columns of an element, and the elements in it that are rows or lists of them."""
    row: dict[str, str] = {}
    inner: list[XmlElement] = []
    for child in element:
        name, column, holds_columns = _place_of(child.tag, table_name)
        has_children = len(child)
        if column is None and (holds_columns or has_children):
            inner.append(child)
            continue
        text = _marked_up_text(child, table_name, name, strange) if has_children else (child.text or "").strip()
        if name in row:
            text = _twice(row[name], text, table_name, name, strange)
        row[name] = text
        if column is None and table_name in tables():
            strange.note(table_name, f"{_shown(name)} is not a column of this table; kept")
        elif column is not None and text:
            _check(text, column, table_name, strange)
    return row, inner


def _twice(before: str, text: str, table_name: str, name: str, strange: Deviations) -> str:
    """A column that stands twice: both values, since nobody knows which one was meant."""
    if not before or not text or before == text:
        return before or text
    strange.note(table_name, f"{_shown(name)} stands more than once in a row")
    return f"{before}\n{text}"


def _marked_up_text(element: XmlElement, table_name: str, name: str, strange: Deviations) -> str:
    strange.note(table_name, f"{_shown(name)} holds markup; its text is kept")
    return "\n".join(part for each in element.itertext() if (part := each.strip()))


def _check(text: str, column: Column, table_name: str, strange: Deviations) -> None:
    if column.max_length is not None and len(text) > column.max_length:
        strange.note(table_name, f"{column.name} is longer than {column.max_length} characters")
    if column.kind == "n":
        if not is_number(text):
            strange.note(table_name, f"{column.name} is no number")
    elif column.kind in "td" and column.name != "NGAY_SINH" and not all(map(read_moment, read_list(text))):
        strange.note(table_name, f"{column.name} is no time that exists")


def _shown(name: str) -> str:
    """A tag may hold anything; only one that looks like a column is repeated."""
    return name if _PLAIN_NAME.fullmatch(name) else "a column with an unusual name"
