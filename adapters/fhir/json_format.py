"""FHIR JSON: bytes to a resource and back, exact to the last digit and safe against hostile bodies.

Names may stand once in an object, numbers keep their digits (an int up to 18 digits, otherwise a Decimal),
and every text can also be written as XML, so no control characters and no half characters.

Source: HL7 FHIR R4, 2.6.2 JSON, https://hl7.org/fhir/R4/json.html; RFC 8259
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NoReturn

import orjson

from adapters.fhir import Resource
from adapters.fhir.issues import BadRequest, ContentTooLarge, Issue

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 64
# A body of 10 MB in ordinary use holds a third of this; one made of tiny values would fill the memory.
MAX_VALUES = 1_000_000
MAX_DIGITS = 100
MAX_EXPONENT = 300
_LONGEST_INT = 18

_NO_BRACKETS = bytes(each for each in range(256) if each not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# What XML 1.0 cannot carry, FHIR's string does not allow either (2.24.0.1).
_FORBIDDEN_ESCAPE = re.compile(rb"\\u(?:00[01]|[dD][89a-fA-F]|[fF]{3}[eEfF])")
_LAST_OF_THE_PLANE = b"\xef\xbf"
FORBIDDEN_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parse_json(body: bytes, *, max_bytes: int = MAX_BYTES) -> Resource:
    """The resource in a JSON body. Raises BadRequest, or ContentTooLarge above `max_bytes`."""
    if len(body) > max_bytes:
        raise ContentTooLarge(f"The body has {len(body)} bytes; at most {max_bytes} are read.")
    _refuse_deep_or_crowded(body)
    try:
        resource = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"Not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    _refuse_forbidden_characters(body, resource)
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise BadRequest(Issue("error", "structure", "A JSON object with a resourceType was expected."))
    return resource


def to_json(resource: Resource) -> bytes:
    """The resource as UTF-8 JSON without extra white space; names keep their order."""
    return orjson.dumps(resource, default=_number)


def decimal_text(number: Decimal) -> str:
    """The number with exactly the digits it has: 1.50 stays 1.50, 1E+2 is not made up to 100."""
    _, digits, exponent = number.as_tuple()
    if isinstance(exponent, int) and -30 < exponent <= 0 and len(digits) <= MAX_DIGITS:
        return format(number, "f")
    if not number.is_finite():
        raise ValueError("a FHIR decimal is a finite number")
    return str(number)


def decimal_of(text: str) -> Decimal:
    """The decimal as written; ValueError where it is no number or beyond every reasonable size."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters; at most {MAX_DIGITS} are read")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"a number beyond 1E{MAX_EXPONENT}")
    return number


def integer_of(text: str) -> int | Decimal:
    """An int, or a Decimal where it has more digits than any integer of FHIR."""
    return int(text) if len(text) <= _LONGEST_INT else decimal_of(text)


def _refuse_deep_or_crowded(body: bytes) -> None:
    crowded = ContentTooLarge(f"The body has more than {MAX_VALUES} values.")
    if body.count(b'"') > 2 * MAX_VALUES:
        raise crowded
    bare = _without_strings(body)
    brackets = bare.translate(None, _NO_BRACKETS)
    if bare.count(b",") > MAX_VALUES or len(brackets) > 2 * MAX_VALUES:
        raise crowded
    # Up to the first mistake the reader sees the same brackets as this count, so it never goes deeper.
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _without_strings(body: bytes) -> bytes:
    """What stands between the strings of a body: without escaped quotes every second piece is a string."""
    return b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadRequest(Issue("error", "structure", "An object has the same name twice."))
    return members


def _integer(text: str) -> int | Decimal:
    try:
        return integer_of(text)
    except ValueError as error:
        raise BadRequest(f"The body has {error}.") from None


def _decimal(text: str) -> Decimal:
    try:
        return decimal_of(text)
    except ValueError as error:
        raise BadRequest(f"The body has {error}.") from None


def _constant(_: str) -> NoReturn:
    raise BadRequest("NaN and Infinity are not JSON.")


def _refuse_forbidden_characters(body: bytes, value: Any) -> None:
    # Raw control characters are refused by the reader; only U+FFFE and U+FFFF and escapes can bring in the
    # rest. Most senders escape every Vietnamese letter, so it matters which escapes they are.
    if _LAST_OF_THE_PLANE not in body and _FORBIDDEN_ESCAPE.search(body) is None:
        return
    for text in _texts(value):
        found = FORBIDDEN_CHARACTER.search(text)
        if found:
            raise BadRequest(f"The character U+{ord(found.group()):04X} cannot stand in a FHIR string.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from value
        for each in value.values():
            yield from _texts(each)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    raise TypeError(f"{type(value).__name__} has no form in FHIR JSON")
