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
from typing import NamedTuple, TypeAlias

from adapters.insurance.regular import RegularTable
from adapters.insurance.tables import Column, Table, tables
from adapters.insurance.values import is_number, read_list, read_moment
from adapters.xml_door import XmlElement, XmlTooDeep, parse_table

Root: TypeAlias = XmlElement | RegularTable
"""Of a table, parsed or read without."""

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


def tag_of(element: Root) -> str:
    """The name of an element in capitals, without its namespace."""
    name: str = element.tag
    return name.rpartition("}")[2].upper()


def read_rows(root: Root, table_name: str, strange: Deviations, *, max_depth: int) -> Iterator[Row]:
    """Every element below the root that holds columns is a row, wherever the exporter put it. Raises XmlTooDeep."""
    missing, rows = _required(table_name), 0
    for row in _rows_of(root, _Form(table_name), strange, max_depth):
        if not row:
            continue
        rows += 1
        missing = missing - row.keys() if missing else missing
        yield row
    if rows and missing:
        strange.note(table_name, _without(missing))


def _rows_of(root: Root, form: _Form, strange: Deviations, max_depth: int) -> Iterator[Row]:
    if isinstance(root, RegularTable):
        if form.fits(root):
            return (form.row(form.columns(tags), texts, strange) for tags, texts in root.rows)
        root = parse_table(root.text, max_bytes=len(root.text), max_depth=max_depth)
    return _rows_below(root, form, strange, max_depth)


def _rows_below(root: XmlElement, form: _Form, strange: Deviations, max_depth: int) -> Iterator[Row]:
    waiting = [(root, 1)]
    while waiting:
        element, depth = waiting.pop()
        if depth > max_depth:
            raise XmlTooDeep(f"nested deeper than {max_depth} levels")
        children = list(element)
        columns = None if any(map(len, children)) else form.columns(tuple(child.tag for child in children))
        if columns is None:
            row, inner = form.split(children, strange)
            waiting.extend((each, depth + 1) for each in reversed(inner))
            yield row
        else:
            yield form.row(columns, [child.text for child in children], strange)


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


class _Bound(NamedTuple):
    """A column, its longest length, and its kind as far as it is checked: n, t, d or nothing."""

    name: str
    longest: float
    kind: str


@lru_cache(maxsize=64)
def _bounds(table_name: str) -> Mapping[str, _Bound]:
    table = tables().get(table_name)
    return {
        name: _Bound(
            name, column.max_length or math.inf, "" if column.kind == "s" or name == "NGAY_SINH" else column.kind
        )
        for name, column in (table.columns.items() if table else ())
    }


@lru_cache(maxsize=64)
def _bounds_of(table_name: str, tags: tuple[str, ...]) -> Sequence[_Bound]:
    """The columns behind the tags; nothing where one is no column of the table, or stands twice."""
    places = [_place_of(tag, tables().get(table_name)) for tag in tags]
    names = [name for name, column, _ in places if column is not None]
    return tuple(map(_bounds(table_name).__getitem__, names)) if len(set(names)) == len(tags) else ()


class _Form:
    """How the rows of one table in one file are written; exporters write each row like the one before."""

    def __init__(self, table_name: str) -> None:
        self.name, self.table = table_name, tables().get(table_name)
        self._bounds = _bounds(table_name)
        self._last: tuple[str, ...] = ()
        self._columns: Sequence[_Bound] = ()

    def fits(self, regular: RegularTable) -> bool:
        """Whether its wrappers are those of the table, and all that is in them belongs to it."""
        holders = self.table.tags if self.table else frozenset()
        return all(tag.upper() in holders for tag in regular.wrappers) and all(
            self.columns(tags) for tags in {tags for tags, _ in regular.rows}
        )

    def columns(self, tags: tuple[str, ...]) -> Sequence[_Bound] | None:
        """The columns behind the tags; None where one is no column of the table, or stands twice."""
        if tags != self._last:
            columns = _bounds_of(self.name, tags) if sum(map(len, tags)) <= _LONGEST_FORM else ()
            if len(columns) != len(tags):
                return None
            self._last, self._columns = tags, columns
        return self._columns

    def row(self, columns: Sequence[_Bound] | None, texts: Sequence[str | None], strange: Deviations) -> dict[str, str]:
        """A row of columns that stand there once and without markup."""
        row = {}
        for column, text in zip(columns or (), texts, strict=True):
            if text and (text := text.strip()):
                name, longest, kind = column
                row[name] = text
                if text != "0" and (kind or len(text) > longest):
                    self._check(column, text, strange)
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
        for name, text in row.items():
            if name in self._bounds:
                self._check(self._bounds[name], text, strange)
        return row, inner

    def _check(self, column: _Bound, text: str, strange: Deviations) -> None:
        """Length and kind of a value; one that is not of its kind is kept, and said."""
        name, longest, kind = column
        if text == "0":
            return
        if len(text) > longest:
            strange.note(self.name, f"{name} is longer than {longest} characters")
        if kind == "n":
            if not is_number(text):
                strange.note(self.name, f"{name} is no number")
        elif kind and read_moment(text) is None and not all(map(read_moment, read_list(text))):
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
