"""One HL7 v2 message: segments, fields, repetitions, components, subcomponents, each cut only when it is asked for.

Strict about what could change a meaning (delimiters, a second header, bounds), lenient about how it is written: CR, LF
or CRLF at the ends, a line break inside a text. Reading costs time and memory in proportion to the bytes, whatever they
are: pieces are counted before they are cut. What an escape stands for is text, and is never cut again.

Source: HL7 2.8, chapter 2: 2.5 (message construction), 2.7 (escape sequences), 2.14.9 (MSH)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from adapters.hl7v2.charsets import decode
from adapters.hl7v2.errors import BadValue, Malformed, MissingField
from registry.errors import TooLarge

MAX_MESSAGE = 20 << 20
"""Bytes: a report with its PDF; images travel as DICOM."""

MAX_SEGMENTS = 10_000
MAX_PIECES = 1_000
"""Fields of a segment, repetitions of a field, components of a repetition."""

MAX_REPETITIONS = 50_000
"""Of all fields of a message together, counted beyond the first of each."""

MAX_VALUE = 64 << 10
"""Characters of one value, except where a field is read as a text or a file."""

MAX_TEXT = 4 << 20
"""Characters of a text: the longest report is a hundredth of it."""

MAX_ESCAPES = 50_000
"""Of one text."""

NULL = '""'
"""The sender says that there is no value, which is more than saying nothing."""

_FOR_THE_ANSWER = (3, 4, 5, 6, 10, 11, 12)
"""Fields of the header without which nobody could be answered, and the log not say whose message it was."""

_HEADER = re.compile(rb"MSH[^\w\s]")
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
_BREAK = re.compile(r"\.(br|sp|in|ti|sk|ce)\s*[+-]?\d*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VERSION = re.compile(r"2\.([1-9])(?:\.(\d))?(?![\d.])")
USUAL_VERSION = (2, 5)
_SILENT = re.compile(r"[HN]|\.(fi|nf)|[CM][0-9A-Fa-f]{4,6}|Z.*")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2. Source: HL7 2.8: 2.5.4."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @staticmethod
    def of(header: str) -> Delimiters:
        """From the header line. Raises Malformed where a letter, a space or the same sign twice would separate."""
        field = header[3]
        rest = header[4:].split(field, 1)[0]
        default = Delimiters(field)
        signs = (rest + default.encoding[len(rest) :])[:4]
        found = Delimiters(field, *signs)
        together = field + signs
        plain = all(33 <= ord(sign) < 127 and not sign.isalnum() and sign != '"' for sign in together)
        if not rest or len(rest) > 5 or len(set(together)) != 5 or not plain:
            raise Malformed("MSH^1^2", "expected four different signs that separate; nothing was stored")
        return found

    @property
    def encoding(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.subcomponent

    def written(self, text: str) -> str:
        """Text as it stands in a field."""
        if text.isalnum():
            return text
        codes = _codes(self)
        return "".join(codes.get(sign, sign) for sign in text)


@lru_cache(maxsize=64)
def _codes(delimiters: Delimiters) -> dict[str, str]:
    mark = delimiters.escape
    codes = {
        delimiters.field: f"{mark}F{mark}",
        delimiters.component: f"{mark}S{mark}",
        delimiters.subcomponent: f"{mark}T{mark}",
        delimiters.repetition: f"{mark}R{mark}",
        mark: f"{mark}E{mark}",
        "\n": f"{mark}.br{mark}",
    }
    # a control character would end the segment or the frame for the receiver
    return codes | {chr(code): f"{mark}X{code:02X}{mark}" for code in (*range(10), *range(11, 32))}


@lru_cache(maxsize=64)
def _escapes(mark: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(mark)}([^{re.escape(mark)}]{{1,4096}}){re.escape(mark)}")


class Field:
    """One repetition of a field."""

    __slots__ = ("_message", "location", "raw")

    def __init__(self, raw: str, message: Message, location: str) -> None:
        self.raw, self._message, self.location = raw, message, location

    @property
    def is_null(self) -> bool:
        """The sender deletes the value."""
        return self.raw == NULL

    def raw_component(self, number: int) -> str:
        """A component as it was written, of any length."""
        parts = _cut(self.raw, self._message.delimiters.component, self.location)
        return parts[number - 1] if number <= len(parts) else ""

    def text(self, component: int = 1, subcomponent: int = 1) -> str:
        """A value, unescaped, without spaces around it; empty where it is missing or deleted."""
        part = self.raw_component(component)
        parts = _cut(part, self._message.delimiters.subcomponent, self.location)
        value = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
        if len(value) > MAX_VALUE:
            raise BadValue(self.location, f"more than {MAX_VALUE} characters")
        return "" if value == NULL else self._message.unescape(value).strip()

    def whole(self, *, longest: int = MAX_VALUE) -> str:
        """The repetition as one text, its components still separated: for what has no components (ST, TX, FT)."""
        if len(self.raw) > longest:
            raise BadValue(self.location, f"more than {longest} characters")
        if self.raw.count(self._message.delimiters.escape) > 2 * MAX_ESCAPES:
            raise BadValue(self.location, f"more than {MAX_ESCAPES} escapes in one text")
        return "" if self.is_null else self._message.unescape(self.raw)


class Segment:
    """One segment; `place` is its number among those of its name, from 1."""

    __slots__ = ("_fields", "_message", "name", "place", "raw")

    def __init__(self, raw: str, message: Message, place: int) -> None:
        self.raw, self._message, self.place = raw, message, place
        self.name = raw[:3]
        self._fields: list[str] | None = None

    def field(self, number: int) -> str:
        """A field as it was written, all its repetitions; empty where it is missing."""
        if self._fields is None:
            self._fields = _cut(self.raw, self._message.delimiters.field, f"{self.name}^{self.place}")
            if self.name == "MSH":
                self._fields.insert(1, self._message.delimiters.field)
        return self._fields[number] if number < len(self._fields) else ""

    def location(self, number: int) -> str:
        """As ERR-2 names it."""
        return f"{self.name}^{self.place}^{number}"

    def repetitions(self, number: int) -> list[Field]:
        """What stands in a field; empty where it is."""
        raw = self.field(number)
        if not raw:
            return []
        where = self.location(number)
        parts = _cut(raw, self._message.delimiters.repetition, where)
        self._message.count_repetitions(len(parts) - 1, where)
        return [Field(part, self._message, f"{where}^{count}") for count, part in enumerate(parts, 1) if part]

    def first(self, number: int) -> Field:
        """The first repetition, which may be empty."""
        found = self.repetitions(number)
        return found[0] if found else Field("", self._message, self.location(number))

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """The value that most fields have one of."""
        return self.first(number).text(component, subcomponent)

    def required(self, number: int, component: int = 1) -> str:
        """Raises MissingField where it is empty."""
        value = self.text(number, component)
        if not value:
            raise MissingField(self.location(number))
        return value


class Message:
    """A message as it was read. `deviations` say what had to be overlooked; they name fields, never values."""

    __slots__ = ("_counted", "_escapes", "_repetitions", "charset", "delimiters", "deviations", "segments")

    def __init__(self, lines: list[str], delimiters: Delimiters, charset: str, deviations: list[str]) -> None:
        self.delimiters, self.charset, self.deviations = delimiters, charset, deviations
        self._escapes = _escapes(delimiters.escape)
        self._repetitions, self._counted = 0, set[str]()
        places: dict[str, int] = {}
        segments = []
        for line in lines:
            places[line[:3]] = places.get(line[:3], 0) + 1
            segments.append(Segment(line, self, places[line[:3]]))
        self.segments = tuple(segments)

    @property
    def header(self) -> Segment:
        return self.segments[0]

    @property
    def kind(self) -> tuple[str, str]:
        """Type and event: ADT, A04."""
        return self.header.text(9, 1).upper(), self.header.text(9, 2).upper()

    @property
    def version(self) -> tuple[int, ...]:
        return spoken_version(self.header.text(12))

    @property
    def control_id(self) -> str:
        return self.header.text(10)

    def all(self, name: str) -> Iterator[Segment]:
        """The segments of this name, in order."""
        return (segment for segment in self.segments if segment.name == name)

    def one(self, name: str) -> Segment:
        """The first segment of this name. Raises Malformed where there is none."""
        for segment in self.all(name):
            return segment
        raise Malformed(f"{name}^1", f"the segment {name} is required; nothing was stored")

    def patient(self) -> Segment:
        """The PID of a message about one patient. Raises Malformed where there is none, or one of somebody else."""
        first, *others = [self.one("PID"), *list(self.all("PID"))[1:]]
        for other in others:
            if other.field(3) != first.field(3):
                where = f"PID^{other.place}"
                raise Malformed(where, "a second patient in a message about one; nothing was stored")
            self.note("the segment PID stands more than once; the first counts")
        return first

    def count_repetitions(self, more: int, where: str) -> None:
        """Raises BadValue where all fields that were asked for hold too many; each is counted once."""
        if more and where not in self._counted:
            self._counted.add(where)
            self._repetitions += more
            if self._repetitions > MAX_REPETITIONS:
                raise BadValue(where, f"more than {MAX_REPETITIONS} repetitions in the message")

    def note(self, text: str) -> None:
        """Something that was overlooked."""
        if text not in self.deviations:
            self.deviations.append(text)

    def unescape(self, raw: str) -> str:
        """What the characters of a value stand for."""
        if self.delimiters.escape not in raw:
            return raw
        return self._escapes.sub(self._meaning, raw)

    def _meaning(self, found: re.Match[str]) -> str:
        code = found.group(1)
        signs = self.delimiters
        plain = {"F": signs.field, "S": signs.component, "T": signs.subcomponent, "R": signs.repetition}
        if code in plain:
            return plain[code]
        if code == "E":
            return signs.escape
        if hexadecimal := _HEX.fullmatch(code):
            return bytes.fromhex(hexadecimal.group(1)).decode(self.charset, "replace")
        if _BREAK.fullmatch(code):
            return "\n"
        return "" if _SILENT.fullmatch(code) else found.group()


def spoken_version(told: str) -> tuple[int, ...]:
    """MSH-12 as numbers, (2, 3, 1); the usual one where it names none that there is."""
    found = _VERSION.match(told)
    return (2, *(int(part) for part in found.groups() if part)) if found else USUAL_VERSION


def echoed(raw: str) -> str:
    """What was received as it can stand in an answer: nothing in it ends a segment or a frame."""
    return raw if raw.isprintable() else _CONTROL.sub(" ", raw)


def _cut(raw: str, sign: str, where: str) -> list[str]:
    parts = raw.split(sign, MAX_PIECES)
    if len(parts) > MAX_PIECES:
        raise BadValue(where, f"more than {MAX_PIECES} parts")
    return parts


def read_message(data: bytes) -> Message:
    """Raises Malformed, BadValue, or TooLarge."""
    if len(data) > MAX_MESSAGE:
        raise TooLarge("message", limit=MAX_MESSAGE)
    data = data.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n \t")
    if _HEADER.match(data) is None:
        raise Malformed("MSH^1", "the segment MSH is required at the beginning; nothing was stored")
    if b"\0" in data or b"\x0bMSH" in data:
        raise Malformed("", "a control character that begins or ends messages stands inside; nothing was stored")
    decoded = decode(data, header_field(data, 18))
    deviations = [decoded.deviation] if decoded.deviation else []
    delimiters = Delimiters.of(_first_line(decoded.text))
    lines = _lines(decoded.text, delimiters, deviations)
    read = Message(lines, delimiters, decoded.charset, deviations)
    _ = (read.kind, *map(read.header.text, _FOR_THE_ANSWER))
    return read


def header_field(data: bytes, number: int) -> str:
    """A field of the header of a message that could not be read as a whole; empty where even that fails."""
    line = _first_line(data[:MAX_VALUE].decode("latin-1").lstrip("\ufeffï»¿\x0b\r\n \t"))
    if not line.startswith("MSH") or len(line) < 5:
        return ""
    fields = line.split(line[3], 30)
    return fields[number - 1].split("~")[0].strip() if number <= len(fields) else ""


def _first_line(text: str) -> str:
    ends = [end for end in (text.find("\r"), text.find("\n")) if end >= 0]
    return text[: min(ends)] if ends else text


def _lines(text: str, delimiters: Delimiters, deviations: list[str]) -> list[str]:
    """The segments. The end of the header says what ends all; a line that is none belongs to the text before it."""
    end = "\n" if "\r" not in text or 0 <= text.find("\n") < text.find("\r") else "\r"
    if text.count(end) > MAX_SEGMENTS:
        raise BadValue("", f"more than {MAX_SEGMENTS} segments")
    segments: list[list[str]] = []
    for raw in text.split(end):
        line = raw.strip("\r\n") if end == "\n" else raw.removeprefix("\n")
        if _is_segment(line, delimiters.field):
            if line.startswith("MSH") and segments:
                raise Malformed("MSH^2", "a second message begins inside; nothing was stored")
            segments.append([line])
        elif line.strip():
            segments[-1].append(line)
    if any(len(parts) > 1 for parts in segments):
        deviations.append("a line break stands unescaped inside a field; kept as text")
    return ["\n".join(parts) for parts in segments]


def _is_segment(line: str, field: str) -> bool:
    return _SEGMENT_NAME.fullmatch(line, 0, 3) is not None and line[3:4] in (field, "")
