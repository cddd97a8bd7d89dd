"""The primitive types of FHIR and what may stand in them.

Source: HL7 FHIR R4, 2.24.0.1, https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from string import ascii_letters, digits
from typing import Any, TypeAlias

from adapters.fhir.json_format import FORBIDDEN_CHARACTER
from adapters.fhir.narrative import fault_of_narrative

Check: TypeAlias = Callable[[Any], str | None]
"""What is wrong with a value, None if nothing; never a word of the value itself."""

LONGEST_STRING = 1024 * 1024
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}

_YEAR = r"(?!0000)[0-9]{4}"
_MONTH = r"-(?:0[1-9]|1[0-2])"
_DAY = r"-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = re.compile(f"{_YEAR}(?:{_MONTH}(?:{_DAY})?)?")
_DATE_TIME = re.compile(f"{_YEAR}(?:{_MONTH}(?:{_DAY}(?:T{_TIME}{_ZONE})?)?)?")
_INSTANT = re.compile(f"{_YEAR}{_MONTH}{_DAY}T{_TIME}{_ZONE}")
_SPACES = " \t\r\n"
_LETTERS = (ascii_letters + digits + "+/").encode()
"""Of base64."""


def kind_of(value: object) -> str:
    """The JSON kind of a value in words: "an array"."""
    return _KINDS.get(type(value), "a number")


def _shaped(pattern: str | re.Pattern[str], expected: str) -> Check:
    fullmatch = re.compile(pattern).fullmatch

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"expected a string, found {kind_of(value)}"
        return None if fullmatch(value) else f"expected {expected}"

    return check


def _dated(pattern: re.Pattern[str], expected: str) -> Check:
    shape = _shaped(pattern, expected)

    def check(value: Any) -> str | None:
        fault = shape(value)
        # Days up to 28 are in every month; the pattern has seen to the rest.
        if fault is None and len(value) >= 10 and value[8:10] > "28":
            try:
                date.fromisoformat(value[:10])
            except ValueError:
                return "this day is not in the calendar"
        return fault

    return check


def _whole(least: int, expected: str) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return f"expected a number, found {kind_of(value)}"
        if not isinstance(value, int) or not least <= value < 2**31:
            return f"expected {expected}"
        return None

    return check


def _string(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, found {kind_of(value)}"
    if not value:
        return "a string may not be empty"
    if len(value) > LONGEST_STRING:
        return f"a string has at most {LONGEST_STRING} characters"
    return "a character that FHIR does not permit" if FORBIDDEN_CHARACTER.search(value) else None


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"expected true or false, found {kind_of(value)}"


def _decimal(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return f"expected a number, found {kind_of(value)}"
    return None


def _base64(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, found {kind_of(value)}"
    padded = value.rstrip(_SPACES)
    bare = padded.rstrip("=")
    rest = bare.encode("ascii", "replace").translate(None, _LETTERS)
    letters = len(padded) - len(rest)
    is_whole = letters > 0 and letters % 4 == 0 and len(padded) - len(bare) <= 2
    return None if is_whole and not rest.strip(_SPACES.encode()) else "expected base64"


def _xhtml(value: Any) -> str | None:
    return fault_of_narrative(value) if isinstance(value, str) else f"expected a string, found {kind_of(value)}"


CHECKS: Mapping[str, Check] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _shaped(r"\S+", "a URL without white space"),
    "code": _shaped(r"\S+(?:\s\S+)*", "a code: no white space at its ends, no double space"),
    "date": _dated(_DATE, "YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": _dated(_DATE_TIME, "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss and a time zone"),
    "decimal": _decimal,
    "id": _shaped(r"[A-Za-z0-9.-]{1,64}", "1 to 64 letters, digits, - and ."),
    "instant": _dated(_INSTANT, "YYYY-MM-DDThh:mm:ss and a time zone"),
    "integer": _whole(-(2**31), "a whole number of 32 bits"),
    "markdown": _string,
    "oid": _shaped(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", "urn:oid: and an OID"),
    "positiveInt": _whole(1, "a whole number from 1 to 2147483647"),
    "string": _string,
    "time": _shaped(_TIME, "hh:mm:ss"),
    "unsignedInt": _whole(0, "a whole number from 0 to 2147483647"),
    "uri": _shaped(r"\S+", "a URI without white space"),
    "url": _shaped(r"\S+", "a URL without white space"),
    "uuid": _shaped(r"urn:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "urn:uuid: and a UUID"),
    "xhtml": _xhtml,
}
