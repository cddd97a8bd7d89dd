"""Statements on one connection: written in SQLAlchemy, prepared once, then given to the driver as they are.

SQLAlchemy works out each execution anew, which costs several times what SQLite needs to answer. A statement that is
kept by its module (most are) is therefore compiled at its second use and goes to the driver from then on. What is made
for one use, and what needs more than plain values, takes the way through SQLAlchemy.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase

from adapters.store.engine import translated

Values = Mapping[str, Any]
_SEVERAL = re.compile(r"__\[POSTCOMPILE_(\w+)\]")
_named: Any = namedtuple
_MOST_FORMS = 16
"""Ways in which one statement is used, by the columns it is given; one with more is made by its caller, not kept."""


class Found(Protocol):
    """What came of a statement: rows that answer to their columns' names, and how many were touched."""

    @property
    def rowcount(self) -> int: ...
    def first(self) -> Any: ...
    def one(self) -> Any: ...
    def all(self) -> Sequence[Any]: ...
    def scalar(self) -> Any: ...
    def scalar_one(self) -> Any: ...
    def scalars(self) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a statement that the driver has run. Implements `Found`."""

    rows: Sequence[Any]
    rowcount: int

    def first(self) -> Any:
        return self.rows[0] if self.rows else None

    def one(self) -> Any:
        (row,) = self.rows
        return row

    def all(self) -> Sequence[Any]:
        return self.rows

    def scalar(self) -> Any:
        return self.rows[0][0] if self.rows else None

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalars(self) -> Iterator[Any]:
        return (row[0] for row in self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as the driver takes it.

    names    of its parameters in their order, where the driver counts them; else empty
    several  parameters that stand for as many values as are given
    """

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    several: frozenset[str]
    row: Any

    def run(self, driver: Any, values: Values) -> Rows | None:
        """None where the values want more than is prepared: an empty list, one of several kinds."""
        text, given = self.text, {**self.constants, **values}
        if self.several:
            if not all(isinstance(given[name], list) and given[name] for name in self.several):
                return None
            text = _SEVERAL.sub(lambda found: ", ".join("?" * len(given[found[1]])), text)
            flat = (given[name] if name in self.several else (given[name],) for name in self.names)
            cursor = driver.execute(text, [value for group in flat for value in group])
        else:
            cursor = driver.execute(text, [given[name] for name in self.names] if self.names else given)
        if cursor.description is None:
            return Rows((), cursor.rowcount)
        made = self.row
        return Rows([made(row) for row in cursor.fetchall()], cursor.rowcount)

    @property
    def repeats(self) -> bool:
        """Whether the driver may run it many times in one call: it counts its parameters, and nothing comes back."""
        return bool(self.names) and self.row is None and not self.several

    def run_many(self, driver: Any, many: Sequence[Values]) -> Rows:
        """Once for each set of values."""
        whole = ({**self.constants, **values} for values in many) if self.constants else many
        given = [[values[name] for name in self.names] for values in whole]
        return Rows((), driver.executemany(self.text, given).rowcount)


class Statements:
    """The prepared statements of one engine, shared by its connections."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, dict[tuple[str, ...], Prepared | None]] = WeakKeyDictionary()

    def prepared(self, statement: Executable, values: Values) -> Prepared | None:
        """None for a statement that is new, or that SQLAlchemy has to run."""
        forms = self._known.get(statement)
        if forms is None:
            self._known[statement] = {}
            return None
        key = tuple(values) if isinstance(statement, UpdateBase) else ()
        if key not in forms and len(forms) < _MOST_FORMS:
            forms[key] = self._prepare(statement, key)
        return forms.get(key)

    def _prepare(self, statement: Executable, columns: tuple[str, ...]) -> Prepared | None:
        compiled: Any = statement.compile(dialect=self._dialect, column_keys=list(columns) or None)  # type: ignore[attr-defined]
        several = frozenset(bind.key for bind in compiled.post_compile_params)
        if not isinstance(compiled, SQLCompiler) or not self._is_plain(compiled, several):
            return None
        names = [column.keyname for column in compiled._result_columns]
        kind = _named("Row", names, rename=True)
        row = kind._make if names else None
        # a constant may be NULL: what has to be given is told by `required` alone
        constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        return Prepared(str(compiled), tuple(compiled.positiontup or ()), constants, several, row)

    def _is_plain(self, compiled: SQLCompiler, several: frozenset[str]) -> bool:
        """Whether the driver's values are the values, and nothing is left to fill in at each use."""
        if compiled._bind_processors or compiled.literal_execute_params or (several and not compiled.positional):
            return False
        if {found[1] for found in _SEVERAL.finditer(str(compiled))} != several:
            return False
        kinds = (column.type for column in compiled._result_columns)
        return all(kind.dialect_impl(self._dialect).result_processor(self._dialect, None) is None for kind in kinds)


class Session:
    """One connection of the pool while a unit of work has it."""

    __slots__ = ("_driver", "_statements", "connection")

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.connection, self._statements = connection, statements
        self._driver: Any = connection.connection.driver_connection

    @property
    def dialect(self) -> Dialect:
        return self.connection.dialect

    def execute(self, statement: Any, values: Values | Sequence[Values] | None = None) -> Found:
        """Run one statement, with one set of values or with many."""
        if values is None:
            values = {}
        if isinstance(values, Mapping) and (prepared := self._statements.prepared(statement, values)) is not None:
            try:
                found = prepared.run(self._driver, values)
            except Exception as error:
                raise self._failed(error) from error
            if found is not None:
                return found
        elif isinstance(values, Sequence) and values and self.dialect.name == "sqlite":
            repeated = self._statements.prepared(statement, values[0])
            if repeated is not None and repeated.repeats:
                try:
                    return repeated.run_many(self._driver, values)
                except Exception as error:
                    raise self._failed(error) from error
        return self.connection.execute(statement, values)

    def command(self, text: str) -> None:
        """A word of transaction control, past SQLAlchemy, which would not understand it."""
        try:
            self._driver.execute(text)
        except Exception as error:
            raise self._failed(error) from error

    @property
    def in_transaction(self) -> bool:
        """SQLite: whether the transaction stands; some failures end it by themselves."""
        return bool(self._driver.in_transaction)

    @property
    def doomed(self) -> bool:
        """A statement of this unit has failed."""
        return bool(self.connection.info.get("doomed"))

    def end(self) -> None:
        """Close the connection itself, whatever became of the pool that it came from."""
        self.connection.detach()
        self.connection.close()

    def absolve(self) -> None:
        self.connection.info.pop("doomed", None)

    def _failed(self, error: Exception) -> Exception:
        """As SQLAlchemy would report it: the unit is doomed, a lost connection is let go, trouble gets its noun."""
        self.connection.info["doomed"] = True
        lost = self.dialect.is_disconnect(error, self._driver, None)  # type: ignore[arg-type]
        if lost:
            self.connection.invalidate()
        told = translated(error, lost=lost)
        return error if told is None else told
