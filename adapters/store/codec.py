"""Nouns to JSON text and back, for any frozen dataclass of the inner rooms.

A converter is compiled once for each type from its annotations. A dataclass of plain values only (a code, an
identifier, an instance) is an array of its fields in order, any other an object in which a field at its default is
left out: so the order of the former and the defaults of the latter are part of the format, and a change to them is
a migration. Reading back constructs the noun, so its own checks run again.
"""

from __future__ import annotations

import base64
import dataclasses
import types
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from threading import RLock
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from registry.errors import InvalidValue
from registry.local_time import iso

Noun = TypeVar("Noun")
Turn = Callable[[Any], Any]


class _Both(NamedTuple):
    """How a value is turned for JSON and back; None where it stays as it is."""

    pack: Turn | None
    unpack: Turn | None


_SCALARS = (str, int, float, bool)
_KEPT = 1024
_PLAIN = _Both(None, None)
_compiled: dict[Any, _Both] = {}
_unfinished: dict[Any, _Both] = {}
_compiling = RLock()


def dump(noun: object) -> str:
    """A noun as JSON text. Raises InvalidValue where it holds what is neither Unicode nor JSON."""
    return dump_as(type(noun), noun)


def dump_as(kind: Any, value: Any) -> str:
    """A value of an annotated type, such as `tuple[CodedValue, ...]`, as JSON text."""
    pack = _both(kind).pack
    try:
        return orjson.dumps(value if pack is None else pack(value)).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidValue("text", expected="valid Unicode and plain JSON values") from error


def load(kind: type[Noun], text: str) -> Noun:
    """Read back what `dump` gave: equal to the noun that went in."""
    noun: Noun = load_as(kind, text)
    return noun


def load_as(kind: Any, text: str) -> Any:
    """Read back what `dump_as` gave."""
    unpack = _both(kind).unpack
    value = orjson.loads(text)
    return value if unpack is None else unpack(value)


def _both(kind: Any) -> _Both:
    known = _compiled.get(kind)
    if known is not None:
        return known
    with _compiling:  # what is not finished may be seen by the thread that finishes it, and by no other
        return _compiled.get(kind) or _unfinished.get(kind) or _compile(kind)


def _compile(kind: Any) -> _Both:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        # a provision holds provisions: the entry has to stand before its fields are looked at
        _unfinished[kind] = _later(kind)
        _compiled[kind] = _dataclass(kind)
        del _unfinished[kind]
    else:
        _compiled[kind] = _simple(kind)
    return _compiled[kind]


def _later(kind: type) -> _Both:
    """What `kind` will be compiled to, looked up when it is first used."""

    def pack(noun: Any) -> Any:
        turn = _both(kind).pack
        return noun if turn is None else turn(noun)

    def unpack(stored: Any) -> Any:
        turn = _both(kind).unpack
        return stored if turn is None else turn(stored)

    return _Both(pack, unpack)


def _dataclass(kind: type) -> _Both:
    hints = get_type_hints(kind)
    if all(_without_none(hint) in _SCALARS for hint in hints.values()):
        return _flat(kind, hints)
    declared = dataclasses.fields(kind)
    packing = tuple((field.name, _default(field), _pack_of_given(field, hints[field.name])) for field in declared)
    values_of = _all_of([field.name for field in declared])
    unpacking = {field.name: _both(hints[field.name]).unpack for field in declared}

    def pack(noun: Any) -> dict[str, Any]:
        stored = {}
        for (name, default, turn), value in zip(packing, values_of(noun), strict=True):
            if value is not default and (default is None or value != default):
                stored[name] = value if turn is None else turn(value)
        return stored

    def unpack(stored: dict[str, Any]) -> Any:
        turned = {}
        for name, value in stored.items():
            turn = unpacking[name]
            turned[name] = value if turn is None else turn(value)
        return kind(**turned)

    return _Both(pack, unpack)


def _all_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The values under these names, in one step; `attrgetter` gives one alone without a tuple."""
    return attrgetter(*names) if len(names) > 1 else lambda noun: tuple(getattr(noun, name) for name in names)


def _pack_of_given(field: dataclasses.Field[Any], hint: Any) -> Turn | None:
    """A field that may be None is left out where it is, so nobody has to ask again."""
    return _both(hint if _default(field) is not None else _without_none(hint)).pack


def _flat(kind: type, hints: dict[str, Any]) -> _Both:
    """An array of plain values. Texts only: the same few codes and identifiers come again and again, so keep some."""
    make = kind
    if all(_without_none(hint) is str for hint in hints.values()):
        make = lru_cache(maxsize=_KEPT)(kind)  # type: ignore[assignment]
    names = tuple(hints)
    if len(names) == 1:
        return _Both(attrgetter(names[0]), make)
    return _Both(attrgetter(*names), lambda stored: make(*stored))


def _without_none(hint: Any) -> Any:
    inner = [one for one in get_args(hint) if one is not types.NoneType]
    return inner[0] if get_origin(hint) in (types.UnionType, Union) and len(inner) == 1 else hint


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _simple(kind: Any) -> _Both:
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _SCALARS or kind is Any or origin in (Literal, dict):
        return _PLAIN
    if origin in (types.UnionType, Union):
        return _optional(_both(_without_none(kind)))
    if origin is tuple and inner[1:] == (...,):
        return _sequence(tuple, _both(inner[0]))
    if origin is frozenset:
        return _sequence(frozenset, _both(inner[0]))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _Both(str, kind)
    known = _BY_TYPE.get(kind)
    if known is None:
        raise TypeError(f"no JSON form for {kind}")
    return known


_BY_TYPE: dict[type, _Both] = {
    datetime: _Both(iso, datetime.fromisoformat),
    date: _Both(date.isoformat, date.fromisoformat),
    bytes: _Both(lambda value: base64.b64encode(value).decode(), base64.b64decode),
}


def _optional(both: _Both) -> _Both:
    pack, unpack = both
    return _Both(
        None if pack is None else lambda value: None if value is None else pack(value),
        None if unpack is None else lambda value: None if value is None else unpack(value),
    )


def _sequence(made: Callable[[Any], Any], both: _Both) -> _Both:
    pack, unpack = both
    return _Both(
        list if pack is None else lambda values: [pack(value) for value in values],
        made if unpack is None else lambda values: made([unpack(value) for value in values]),
    )
