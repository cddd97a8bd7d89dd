"""A table as programs write it: wrappers, in them rows of columns in one order, and nothing else.

Such a text needs no tree. A pattern learnt from its first row reads each row in one step, which costs a third of
parsing it and walking its elements. Whatever is of another form (an attribute, a reference, a comment, columns in
changing order) is left to `adapters/xml_door.py`, which reads what is read here to the same rows.

Source: XML 1.0, 2.2 (characters), 2.4 (`]]>` in a text), 2.8 (declaration), 2.11 (ends of lines)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

MAX_WRAPPERS = 3
MAX_COLUMNS = 150
MOST_TAGS = 500_000
MOST_KEPT = 64
MOST_ORDERS = 4
"""Patterns that one table may teach: each takes milliseconds to make."""

_NAME = "[A-Za-z_][A-Za-z0-9_]{0,60}"
_BLANK = r"[ \t\n]*+"
_TEXT = "[^<>&]*+"
"""Without references, and without `]]>`."""
_DECLARATION = re.compile(rf'(?:<\?xml version="1\.0"(?: encoding="[A-Za-z][A-Za-z0-9._-]*")? ?\?>)?{_BLANK}')
_OPENING = re.compile(rf"<({_NAME})>{_BLANK}")
_COLUMN = re.compile(rf"<({_NAME})(?:/>|>{_TEXT}</\1>){_BLANK}")
_USUAL_BYTES = bytes(byte for byte in range(256) if byte >= ord(" ") or byte in b"\t\n\r")

RegularRow: TypeAlias = tuple[tuple[str, ...], Sequence[str | None]]
"""The columns that a row may have, and their texts: None for one that is missing or empty."""


@dataclass(frozen=True, slots=True)
class RegularTable:
    """Rows as they stand, in their order.

    wrappers  the tags around the columns, from outside in; the last is that of a row
    text      all of it in UTF-8, for who has to parse it after all
    """

    wrappers: tuple[str, ...]
    rows: Sequence[RegularRow]
    text: bytes

    @property
    def tag(self) -> str:
        """Of the root, as an element has it."""
        return self.wrappers[0]


def read_regular(text: bytes) -> RegularTable | None:
    """None for a text of any other form, well-formed or not. It is in UTF-8, and its length was bounded before."""
    if text.translate(None, _USUAL_BYTES) or text.count(b"<") > MOST_TAGS:
        return None
    written = text.decode("utf-8")
    if "\ufffe" in written or "\uffff" in written:
        return None
    if "\r" in written:
        written = written.replace("\r\n", "\n").replace("\r", "\n")
    begin = _DECLARATION.match(written)
    assert begin is not None  # it may be empty
    wrappers, first = _wrappers(written, begin.end())
    if not wrappers:
        return None
    rows, at = _rows(written, first, wrappers[-1])
    closing = _BLANK.join(("", *(f"</{tag}>" for tag in reversed(wrappers[:-1])), ""))
    return RegularTable(wrappers, rows, text) if rows and re.fullmatch(closing, written[at:]) else None


def _wrappers(written: str, at: int) -> tuple[tuple[str, ...], int]:
    """The tags around the first column, and where the first row begins; no tags where that is not soon found."""
    tags: tuple[str, ...] = ()
    begin = at
    while not (column := _COLUMN.match(written, at)) and len(tags) < MAX_WRAPPERS:
        opened = _OPENING.match(written, at)
        if opened is None:
            break
        tags, begin, at = (*tags, opened[1]), at, opened.end()
    return (tags, begin) if column else ((), at)


def _rows(written: str, at: int, tag: str) -> tuple[Sequence[RegularRow], int]:
    """All rows, and where they end; none where a row is of no form."""
    rows: list[RegularRow] = []
    order, learnt = _latest.get(tag, _NO_ORDER), 0
    while written.startswith(f"<{tag}>", at):
        found = order.pattern.match(written, at)
        if found is None:
            columns, learnt = _columns(written, at), learnt + 1
            if learnt > MOST_ORDERS or len(columns) > MAX_COLUMNS:
                return (), at
            order = _order(tag, columns)
            if (found := order.pattern.match(written, at)) is None:
                return (), at
        rows.append((order.columns, found.groups()))
        at = found.end()
    _remember(tag, order)
    return rows, at


def _columns(written: str, at: int) -> tuple[str, ...]:
    """Of the row that begins here."""
    opened = _OPENING.match(written, at)
    tags: list[str] = []
    at = opened.end() if opened else at
    while len(tags) <= MAX_COLUMNS and (found := _COLUMN.match(written, at)):
        tags.append(found[1])
        at = found.end()
    return tuple(tags)


class _Order(NamedTuple):
    """Columns in their order, and the pattern of a row that has some of them."""

    columns: tuple[str, ...]
    pattern: re.Pattern[str]


@lru_cache(maxsize=MOST_KEPT)
def _order(tag: str, columns: tuple[str, ...]) -> _Order:
    """The pattern never goes back over what it has read twice."""
    each = "".join(f"(?:<{column}(?:/>|>({_TEXT})</{column}>){_BLANK})?" for column in columns)
    return _Order(columns, re.compile(f"<{tag}>{_BLANK}{each}</{tag}>{_BLANK}"))


_NO_ORDER = _Order((), re.compile("(?!)"))
_latest: dict[str, _Order] = {}
"""By the tag of a row: as the last one was written, so the next file of the same sender will be."""


def _remember(tag: str, order: _Order) -> None:
    if tag not in _latest and len(_latest) >= MOST_KEPT:
        _latest.clear()
    _latest[tag] = order
