"""What every file of this room does with rows: moments as text, insert once, upsert, and listing newest first."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Row, Select, Table, bindparam, func, select, tuple_

from adapters.store.codec import load
from adapters.store.dialects import insert
from adapters.store.session import Session
from registry.searches import Cursor

Noun = TypeVar("Noun")
Values = dict[str, Any]
NEVER = ""
"""Sorts before every moment: newest first, it comes last."""
_LARGEST_CHUNK = 500
_TURN = select(func.pg_advisory_xact_lock(bindparam("turn", type_=BigInteger)))


class Part:
    """One port over the connection of its unit of work.

    In a writing unit what is read by id stays locked until the end, so that reading, judging and replacing is one
    act on PostgreSQL as it is on SQLite, where one unit writes at a time.
    """

    __slots__ = ("_connection", "_writing")

    def __init__(self, connection: Session, *, writing: bool) -> None:
        self._connection, self._writing = connection, writing

    def _row(self, statement: Select[Any], **values: Any) -> Any:
        return self._connection.execute(_locked(statement) if self._writing else statement, values).first()

    def _noun(self, kind: type[Noun], statement: Select[Any], **values: Any) -> Noun | None:
        """The noun in the column `body` of the one row, or None."""
        row = self._row(statement, **values)
        return None if row is None else load(kind, row.body)

    def _nouns(self, kind: type[Noun], statement: Select[Any], **values: Any) -> tuple[Noun, ...]:
        return tuple(load(kind, row.body) for row in self._connection.execute(statement, values))


@cache
def _locked(statement: Select[Any]) -> Select[Any]:
    return statement.with_for_update(key_share=True)


def moment(value: datetime | None) -> str:
    """A moment as it is stored and sorted: UTC to the microsecond. None sorts before all."""
    if value is None:
        return NEVER
    try:
        aware = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:  # the first or last day of the calendar, east or west of Greenwich
        aware = value.replace(tzinfo=UTC)
    return aware.isoformat(timespec="microseconds")


@cache
def once(table: Table, dialect: str) -> Any:
    """An insert that does nothing where a unique column holds the value already."""
    return insert(table, dialect).on_conflict_do_nothing().inline().execution_options(preserve_rowcount=True)


def insert_once(connection: Session, table: Table, values: Values) -> bool:
    """False, and nothing changed, where a unique column holds the value already. Does not doom the unit."""
    return connection.execute(once(table, connection.dialect.name), values).rowcount == 1


def take_turns(connection: Session, about: str) -> None:
    """PostgreSQL: wait for every transaction that has said the same, until it has ended."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.blake2b(about.encode(), digest_size=8).digest(), "big", signed=True)
        connection.execute(_TURN, {"turn": key})


@cache
def _upsert(table: Table, dialect: str, columns: frozenset[str]) -> Any:
    statement = insert(table, dialect)
    keys = [column.name for column in table.primary_key.columns]
    changed = {name: statement.excluded[name] for name in sorted(columns) if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def upsert(connection: Session, table: Table, values: Values) -> None:
    """Insert, or replace the row with the same primary key."""
    connection.execute(_upsert(table, connection.dialect.name, frozenset(values)), values)


def upsert_all(connection: Session, table: Table, rows: Sequence[Values]) -> None:
    """The same with many rows of the same columns, at least one."""
    if len(rows) == 1:
        upsert(connection, table, rows[0])
    else:
        connection.execute(_upsert(table, connection.dialect.name, frozenset(rows[0])), rows)


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A table whose nouns are listed newest first, by (`when`, id) keyset and in chunks.

    `conditions` are those that SQL knows, by name, each with a parameter of that name; `record_id` is always one.
    """

    table: Table
    when: str
    conditions: Mapping[str, ColumnElement[bool]]

    def newest_first(
        self,
        connection: Session,
        wanted: Values,
        *,
        record_ids: Sequence[str] | None,
        after: Cursor | None = None,
        chunk: int = 50,
    ) -> Iterator[str]:
        """Bodies, lazily. Each record is a stream of its own, so that the index alone gives the order."""
        if record_ids is None:
            streams = [self._stream(connection, wanted, after, chunk)]
        else:
            whose: list[Values] = [{**wanted, "record_id": record_id} for record_id in dict.fromkeys(record_ids)]
            streams = [self._stream(connection, values, after, chunk) for values in whose]
        rows = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=itemgetter(0, 1), reverse=True)
        return (row.body for row in rows)

    def _stream(self, connection: Session, wanted: Values, after: Cursor | None, chunk: int) -> Iterator[Row[Any]]:
        place = (moment(after.performed), after.id) if after else None
        size = max(10, min(chunk + 1, _LARGEST_CHUNK))
        while True:
            values = {**wanted, "size": size}
            if place is not None:
                values |= {"place_when": place[0], "place_id": place[1]}
            rows = connection.execute(self._page(frozenset(wanted), place is not None), values).all()
            yield from rows
            if len(rows) < size:
                return
            place, size = (rows[-1][0], rows[-1][1]), min(size * 2, _LARGEST_CHUNK)

    def _page(self, conditions: frozenset[str], continued: bool) -> Select[Any]:
        return _page(self, conditions, continued)

    def counts(self, connection: Session, wanted: Values, record_ids: Sequence[str] | None) -> dict[str, int]:
        """How many rows there are of each sensitivity."""
        values = wanted if record_ids is None else {**wanted, "record_ids": list(record_ids)}
        return {row[0]: row[1] for row in connection.execute(_counted(self, frozenset(values)), values)}


@cache
def _page(listing: Listing, conditions: frozenset[str], continued: bool) -> Select[Any]:
    table = listing.table
    when, id_ = table.c[listing.when], table.c.id
    statement = select(when, id_, table.c.body).where(*(listing.conditions[name] for name in sorted(conditions)))
    if continued:
        statement = statement.where(tuple_(when, id_) < tuple_(bindparam("place_when"), bindparam("place_id")))
    return statement.order_by(when.desc(), id_.desc()).limit(bindparam("size"))


@cache
def _counted(listing: Listing, conditions: frozenset[str]) -> Select[Any]:
    table = listing.table
    wanted = [
        table.c.record_id.in_(bindparam("record_ids", expanding=True)) if name == "record_ids"
        else listing.conditions[name]
        for name in sorted(conditions)
    ]  # fmt: skip
    return select(table.c.sensitivity, func.count()).where(*wanted).group_by(table.c.sensitivity)


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The column holds one of the values of the parameter `name`."""
    return column.in_(bindparam(name, expanding=True))
