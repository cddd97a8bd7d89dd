"""What a FHIR search asks: parameters, and their values as tokens, dates, strings and references.

Nothing is ignored: what cannot be read is a BadRequest that names the parameter and never repeats its value.

Source: HL7 FHIR R4, 3.1.1 Search, https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal, TypeAlias, cast

from adapters.fhir.issues import BadRequest
from adapters.fhir.structure import is_resource_name
from registry.local_time import VIET_NAM

MAX_PARAMETERS = 100
MAX_VALUES = 100
MAX_VALUE_BYTES = 8 * 1024
# No summer time since 1975; a fixed offset needs no time zone database on the hospital's machine.

Prefix: TypeAlias = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
StringMatch: TypeAlias = Literal["starts", "exact", "contains"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MODIFIER = re.compile(r"[A-Za-z][A-Za-z0-9:_-]{0,127}")
_CHAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]{0,255}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_DATE = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb|ap)?"
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<zone>Z|[+ -][0-9]{2}:[0-9]{2})?)?)?)?"
)
_TO_THE_SECOND = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


# ---- parameters ----


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a search; repeated parameters stay separate, since all of them must hold.

    `subject:Patient.name:exact=Lan,Hoa` has the name `subject`, the modifier `Patient`, the chain
    `name:exact` and the values `Lan` and `Hoa`, of which one must hold. Values keep the escapes `\\|`,
    `\\$`, `\\,` and `\\\\` for the type that reads them.
    """

    name: str
    modifier: str | None
    chain: str | None
    values: tuple[str, ...]

    @property
    def missing(self) -> bool | None:
        """What `:missing` asks for, None without it."""
        return self.values == ("true",) if self.modifier == "missing" else None

    def chained(self) -> Parameter:
        """What the chain asks of the resource at its other end. ValueError without a chain."""
        if self.chain is None:
            raise ValueError(f"{self.name} has no chain")
        return _parameter(self.chain, self.values)


def parse_query(pairs: Iterable[tuple[str, str]]) -> list[Parameter]:
    """The parameters of a query, from names and values already freed of URL encoding. Raises BadRequest."""
    parameters: list[Parameter] = []
    for name, value in pairs:
        if len(parameters) == MAX_PARAMETERS:
            raise BadRequest(f"A search has at most {MAX_PARAMETERS} parameters.")
        parameters.append(_parameter(name, _values(name, value)))
    return parameters


def split_unescaped(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash takes back; escapes stay in the parts."""
    parts = re.findall(rf"((?:\\.|[^\\{re.escape(separator)}]|\\\Z)*+)(?:{re.escape(separator)}|\Z)", text, re.DOTALL)
    # The pattern matches once more, emptily, at the end of a text that does not end in a separator.
    return parts if text.endswith(separator) and not _ends_escaped(text) else parts[:-1] if text else [""]


def unescape(text: str) -> str:
    r"""The text with `\,` `\|` `\$` and `\\` read as the characters they stand for."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _ends_escaped(text: str) -> bool:
    before = text[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _parameter(name: str, values: tuple[str, ...]) -> Parameter:
    head, dot, chain = name.partition(".")
    base, colon, modifier = head.partition(":")
    if (
        not _NAME.fullmatch(base)
        or (colon and not _MODIFIER.fullmatch(modifier))
        or (dot and not _CHAIN.fullmatch(chain))
    ):
        raise BadRequest("A search parameter has a name that cannot be one.")
    if modifier == "missing" and values not in (("true",), ("false",)):
        raise BadRequest(f"{base}:missing is true or false.")
    return Parameter(base, modifier or None, chain or None, values)


def _values(name: str, text: str) -> tuple[str, ...]:
    shown = name if _CHAIN.fullmatch(name) else "A search parameter"
    if text.count(",") >= MAX_VALUES * MAX_VALUE_BYTES or len(text) > MAX_VALUES * MAX_VALUE_BYTES:
        raise BadRequest(f"{shown} is longer than a search may be.")
    values = tuple(split_unescaped(text, ","))
    if len(values) > MAX_VALUES:
        raise BadRequest(f"{shown} has {len(values)} values; at most {MAX_VALUES} are read.")
    for value in values:
        if not value.strip():
            raise BadRequest(f"{shown} has an empty value.")
        if len(value.encode("utf-8", "replace")) > MAX_VALUE_BYTES:
            raise BadRequest(f"{shown} has a value of more than {MAX_VALUE_BYTES} bytes.")
        if not value.isprintable() and re.search("[\x00-\x1f\x7f\ud800-\udfff]", value):
            raise BadRequest(f"{shown} has a value with a character that cannot be searched for.")
    return values


# ---- tokens ----


@dataclass(frozen=True, slots=True)
class TokenValue:
    """A code or identifier, in one of four forms.

    code          system None: the code in any system
    system|code   both
    |code         system "": the code that has no system
    system|       code None: any code of the system
    """

    system: str | None
    code: str | None

    @classmethod
    def parse(cls, text: str) -> TokenValue:
        parts = [unescape(each) for each in split_unescaped(text, "|")]
        if len(parts) == 1:
            return cls(None, parts[0])
        if len(parts) > 2 or not any(parts):
            raise BadRequest("A token is code, system|code, |code or system|.")
        return cls(parts[0], parts[1] or None)

    def matches(self, system: str | None, code: str | None) -> bool:
        return (self.system is None or self.system == (system or "")) and (self.code is None or self.code == code)


# ---- dates ----


@dataclass(frozen=True, slots=True)
class DateValue:
    """A point in time as imprecise as it was written: from `low` up to but without `high`, aware and UTC."""

    prefix: Prefix
    low: datetime
    high: datetime

    @classmethod
    def parse(cls, text: str, *, zone: tzinfo = VIET_NAM) -> DateValue:
        found = _DATE.fullmatch(text)
        if found is None:
            raise BadRequest("A date is searched as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss] with a prefix.")
        low, high = _bounds(found, zone)
        return cls(cast(Prefix, found["prefix"] or "eq"), low, high)

    def matches_interval(self, low: datetime | None, high: datetime | None, *, now: datetime | None = None) -> bool:
        """Whether what happened from `low` up to `high` fits; None is an open end.

        now  widens `ap` by a tenth of the distance to it, as the specification proposes; without it `ap` is
        overlap
        """
        low, high = low or _EARLIEST, high or _LATEST
        inside = self.low <= low and high <= self.high
        match self.prefix:
            case "eq":
                return inside
            case "ne":
                return not inside
            case "gt":
                return high > self.high
            case "lt":
                return low < self.low
            case "ge":
                return inside or high > self.high
            case "le":
                return inside or low < self.low
            case "sa":
                return low >= self.high
            case "eb":
                return high <= self.low
            case "ap":
                slack = abs(now - self.low) / 10 if now else timedelta(0)
                return low < _later(self.high, slack) and high > _later(self.low, -slack)


def interval(text: str, *, zone: tzinfo = VIET_NAM) -> tuple[datetime, datetime]:
    """From when up to but without when a FHIR date, dateTime or instant reaches; aware and UTC."""
    found = _DATE.fullmatch(text)
    if found is None or found["prefix"]:
        raise BadRequest("This is no date of FHIR.")
    return _bounds(found, zone)


def beginning(text: str) -> datetime:
    """The first of the two; most moments have a second and a time zone, which Python reads many times faster."""
    if _TO_THE_SECOND.fullmatch(text):
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(text).astimezone(UTC)
    return interval(text)[0]


def _bounds(found: re.Match[str], zone: tzinfo) -> tuple[datetime, datetime]:
    year, month, day = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
    try:
        start = datetime(year, month, day, tzinfo=_zone(found["zone"], zone))
        if found["hour"]:
            start = start.replace(hour=int(found["hour"]), minute=int(found["minute"]))
            return _time_bounds(start, found)
        if found["day"]:
            return _utc(start), _utc(_later(start, timedelta(days=1)))
        months = year * 12 + (month if found["month"] else 12)
        end = start.replace(year=months // 12, month=months % 12 + 1) if months < 120_000 else _LATEST
    except ValueError:
        raise BadRequest("This day or time is not in the calendar.") from None
    return _utc(start), _utc(end)


def _time_bounds(start: datetime, found: re.Match[str]) -> tuple[datetime, datetime]:
    second, fraction = int(found["second"] or 0), (found["fraction"] or "")[:6]
    if second > 60:
        raise ValueError("second")
    if not found["second"]:
        precision = timedelta(minutes=1)
    else:
        precision = timedelta(microseconds=10 ** (6 - len(fraction)))
    # A leap second, 60, is read as the second after it.
    low = _later(start, timedelta(seconds=second, microseconds=int(fraction.ljust(6, "0"))))
    return _utc(low), _utc(_later(low, precision))


def _zone(text: str | None, otherwise: tzinfo) -> tzinfo:
    if text is None:
        return otherwise
    if text == "Z":
        return UTC
    # A plus sign that was not encoded in the URL arrives as a space.
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("zone")
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if moment.year == 1 else _LATEST


def _later(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return _EARLIEST if by < timedelta(0) else _LATEST


# ---- strings ----


@dataclass(frozen=True, slots=True)
class StringValue:
    """A text to search for: at the start of the value, anywhere in it, or the whole of it to the letter."""

    text: str
    match: StringMatch = "starts"

    @classmethod
    def parse(cls, text: str, modifier: str | None = None) -> StringValue:
        if modifier not in (None, "exact", "contains"):
            raise BadRequest("A string is searched without modifier, with :exact or with :contains.")
        return cls(unescape(text), cast(StringMatch, modifier or "starts"))

    def matches(self, value: str) -> bool:
        if self.match == "exact":
            return unicodedata.normalize("NFC", value) == unicodedata.normalize("NFC", self.text)
        folded, wanted = fold(value), fold(self.text)
        return wanted in folded if self.match == "contains" else folded.startswith(wanted)


def fold(text: str) -> str:
    """The text without case, tones, accents and superfluous white space; đ is d."""
    bare = (each for each in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(each))
    return " ".join("".join(bare).replace("đ", "d").split())


# ---- references ----


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """What a reference points to: `id`, `Type/id`, an absolute URL, or (`:identifier`) an identifier."""

    type: str | None = None
    id: str | None = None
    url: str | None = None
    version: str | None = None
    identifier: TokenValue | None = None

    @classmethod
    def parse(cls, text: str, modifier: str | None = None) -> ReferenceValue:
        if modifier == "identifier":
            return cls(identifier=TokenValue.parse(text))
        if modifier is not None and not is_resource_name(modifier):
            raise BadRequest("A reference is searched without modifier, with :identifier or with a resource type.")
        text = unescape(text)
        path, _, version = text.partition("/_history/")
        *base, kind, identity = ["", "", *path.split("/")]
        named = is_resource_name(kind) and _ID.fullmatch(identity) is not None
        if "#" in text or (version and not (named and _ID.fullmatch(version))):
            raise _unreadable_reference()
        if ":" in text:
            # urn:uuid:…, or a URL that may end in Type/id
            found = cls(kind if named else None, identity if named else None, text, version or None)
        elif named and len(base) == 2:
            found = cls(kind, identity, None, version or None)
        elif not kind and len(base) == 1 and _ID.fullmatch(identity):
            found = cls(modifier, identity)
        else:
            raise _unreadable_reference()
        if modifier and found.type not in (None, modifier):
            raise BadRequest("The reference is of another type than its modifier says.")
        return found


def _unreadable_reference() -> BadRequest:
    return BadRequest("A reference is searched as id, Type/id or absolute URL.")
