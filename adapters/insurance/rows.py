"""The rows of one table: columns by their official names, whatever the exporter did around them.

Nothing is refused here. A column that the table does not have, a value that is too long, markup in a text, a column
that stands twice: all of it is kept, and said once per column with the number of rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from adapters.insurance.tables import Column, Table, tables
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
    table = tables().get(table_name)
    waiting = [root]
    while waiting:
        element = waiting.pop()
        row, inner = _split(element, table_name, table, strange)
        if row:
            yield row
        waiting.extend(reversed(inner))


def _split(
    element: XmlElement, table_name: str, table: Table | None, strange: Deviations
) -> tuple[dict[str, str], list[XmlElement]]:
    """The columns of an element, and the elements in it that are rows or lists of them."""
    row: dict[str, str] = {}
    inner: list[XmlElement] = []
    for child in element:
        tag = tag_of(child)
        name = table.other_names.get(tag, tag) if table else tag
        column = table.columns.get(name) if table else None
        if column is None and (len(child) or (table and tag in table.tags)):
            inner.append(child)
            continue
        text = _text(child, table_name, name, strange)
        if name in row and row[name] and text and row[name] != text:
            strange.note(table_name, f"{_shown(name)} stands more than once in a row")
            text = f"{row[name]}\n{text}"
        row[name] = text or row.get(name, "")
        if column is None:
            if table:
                strange.note(table_name, f"{_shown(name)} is not a column of this table; kept")
        elif text:
            _check(text, column, table_name, strange)
    return row, inner


def _text(element: XmlElement, table_name: str, name: str, strange: Deviations) -> str:
    if not len(element):
        return (element.text or "").strip()
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
