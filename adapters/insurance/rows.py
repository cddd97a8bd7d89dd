"""The rows of one table: columns by their official names, whatever the exporter did around them.

Nothing is refused here. A column that the table does not have, a value that is too long, markup in a text, a column
that stands twice: all of it is kept, and said once per column with the number of rows. Columns that the portal wants
filled and that no row of a table fills are said in one line, since exporters leave out many at once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import TypeAlias

from adapters.insurance.tables import Column, Table, tables
from adapters.insurance.values import is_number, read_list, read_moment
from adapters.xml_door import XmlElement, XmlTooDeep

Row: TypeAlias = Mapping[str, str]
"""Column to text, without the white space around it; what is empty is left out."""

MAX_DEVIATIONS = 100
_LONGEST_FORM = 4000
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


def read_rows(root: XmlElement, table_name: str, strange: Deviations, *, max_depth: int) -> Iterator[Row]:
    """Every element below the root that holds columns is a row, wherever the exporter put it. Raises XmlTooDeep."""
    form = _Form(table_name)
    waiting, missing, rows = [(root, 1)], _required(table_name), 0
    while waiting:
        element, depth = waiting.pop()
        if depth > max_depth:
            raise XmlTooDeep(f"nested deeper than {max_depth} levels")
        children = list(element)
        row = form.quick_row(children, strange)
        if row is None:
            row, inner = form.split(children, strange)
            waiting.extend((each, depth + 1) for each in reversed(inner))
        if row:
            rows += 1
            missing = missing - row.keys() if missing else missing
            yield row
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


def _place_of(tag: str, table: Table | None) -> tuple[str, Column | None, bool]:
    """The official name behind a tag, its column, and whether the tag only holds columns."""
    plain = tag.rpartition("}")[2].upper()
    if table is None:
        return plain, None, False
    name = table.other_names.get(plain, plain)
    return name, table.columns.get(name), plain in table.tags


@lru_cache(maxsize=64)
def _names_of(table_name: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    """The columns behind the tags; nothing where one is no column of the table, or stands twice."""
    places = [_place_of(tag, tables().get(table_name)) for tag in tags]
    names = tuple(name for name, column, _ in places if column is not None)
    return names if len(set(names)) == len(tags) else ()


@lru_cache(maxsize=64)
def _bounds(table_name: str) -> Mapping[str, tuple[float, str]]:
    """The longest length of each column, and its kind as far as it is checked: n, t, d or nothing."""
    table = tables().get(table_name)
    return {
        name: (column.max_length or math.inf, "" if column.kind == "s" or name == "NGAY_SINH" else column.kind)
        for name, column in (table.columns.items() if table else ())
    }


class _Form:
    """How the rows of one table in one file are written; exporters write each row like the one before."""

    def __init__(self, table_name: str) -> None:
        self.name, self.table = table_name, tables().get(table_name)
        self._bounds = _bounds(table_name)
        self._last: list[str] = []
        self._names: Sequence[str] = ()

    def quick_row(self, children: Sequence[XmlElement], strange: Deviations) -> dict[str, str] | None:
        """A row of columns that all belong to the table, each once and without markup; None for any other element."""
        if not children:
            return {}
        if any(map(len, children)):
            return None
        tags = [child.tag for child in children]
        if tags != self._last:
            names = _names_of(self.name, tuple(tags)) if sum(map(len, tags)) <= _LONGEST_FORM else ()
            if not names:
                return None
            self._last, self._names = tags, names
        row = {}
        for name, child in zip(self._names, children, strict=True):
            if (text := child.text) and (text := text.strip()):
                row[name] = text
        self._check(row, strange)
        return row

    def split(self, children: Sequence[XmlElement], strange: Deviations) -> tuple[dict[str, str], list[XmlElement]]:
        """The columns of an element, and the elements in it that are rows or lists of them."""
        row: dict[str, str] = {}
        inner: list[XmlElement] = []
        for child in children:
            name, column, holds_columns = _place_of(child.tag, self.table)
            has_children = len(child)
            if column is None and (holds_columns or has_children):
                inner.append(child)
                continue
            if column is None and self.table is not None:
                strange.note(self.name, f"{_shown(name)} is not a column of this table; kept")
            text = _marked_up_text(child, self.name, name, strange) if has_children else (child.text or "").strip()
            if text:
                row[name] = _twice(row[name], text, self.name, name, strange) if name in row else text
        self._check(row, strange)
        return row, inner

    def _check(self, row: Row, strange: Deviations) -> None:
        """Length and kind of each value; a value that is not of its kind is kept, and said."""
        bounds = self._bounds
        for name, text in row.items():
            if text == "0" or name not in bounds:
                continue
            longest, kind = bounds[name]
            if len(text) > longest:
                strange.note(self.name, f"{name} is longer than {longest} characters")
            if not kind:
                continue
            if kind == "n":
                if not is_number(text):
                    strange.note(self.name, f"{name} is no number")
            elif read_moment(text) is None and not all(map(read_moment, read_list(text))):
                strange.note(self.name, f"{name} is no time that exists")


def _twice(before: str, text: str, table_name: str, name: str, strange: Deviations) -> str:
    """A column that stands twice: both values, since nobody knows which one was meant."""
    if before == text:
        return text
    strange.note(table_name, f"{_shown(name)} stands more than once in a row")
    return f"{before}\n{text}"


def _marked_up_text(element: XmlElement, table_name: str, name: str, strange: Deviations) -> str:
    strange.note(table_name, f"{_shown(name)} holds markup; its text is kept")
    return "\n".join(part for each in element.itertext() if (part := each.strip()))


def _shown(name: str) -> str:
    """A tag may hold anything; only one that looks like a column is repeated."""
    return name if _PLAIN_NAME.fullmatch(name) else "a column with an unusual name"
