"""JSON that two readers cannot read differently: no duplicate names, no NaN, an object on the outside.

Source: RFC 8259 section 4 (duplicate names are unpredictable), RFC 8725 section 2.6, RFC 8785 (canonical form).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import orjson


class NotStrictJson(ValueError):
    """Bytes that are not one strict JSON object; `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def read_object(content: bytes, *, limit: int) -> dict[str, Any]:
    """The object in `content`; raises NotStrictJson. At most `limit` bytes are looked at."""
    if len(content) > limit:
        raise NotStrictJson("oversize")
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_no_constant)
    except NotStrictJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrictJson("not-json") from error
    if not isinstance(found, dict):
        raise NotStrictJson("not-an-object")
    return found


def canonical(value: Any) -> bytes:
    """Sorted names, no white space, UTF-8: what is signed. Floats have no single spelling and are refused."""
    if _holds_a_float(value):
        raise NotStrictJson("float")
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise NotStrictJson("not-canonical") from error


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson("duplicate-name")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise NotStrictJson("not-json")


def _holds_a_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_a_float(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_a_float(inner) for inner in value)
    return isinstance(value, float)
