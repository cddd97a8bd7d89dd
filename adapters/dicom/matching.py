"""How a key of a search matches: wildcards, lists, ranges of days. Source: DICOM PS3.4: C.2.2.2, PS3.18: 8.3.4."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable
from datetime import date

from adapters.dicom.errors import BadParameter

_TIMES = re.compile(r"(\d\d){0,3}(\.\d{1,6})?(-(\d\d){0,3}(\.\d{1,6})?)?", re.ASCII)

Matches = Callable[[str], bool]


def like(*patterns: str) -> Matches:
    """Equal to one of the patterns; `*` stands for any text, `?` for one character."""
    compiled = [re.compile(_expression(pattern)) for pattern in patterns]
    return lambda text: any(pattern.fullmatch(text) for pattern in compiled)


def name_like(pattern: str) -> Matches:
    """The same for a name, whatever its case, marks and spaces: `NGUYEN*` finds Nguyễn^Văn A."""
    matches = like(_plain(pattern))
    return lambda name: bool(name) and any(matches(_plain(group)) for group in name.split("="))


def date_range(name: str, value: str) -> tuple[date, date]:
    """`20240101`, `20240101-`, `-20241231` or `20240101-20241231`: first and last day, both included."""
    first, dash, last = value.partition("-")
    if not first and not last:
        raise BadParameter(name, "expected a day or a range of days, YYYYMMDD")
    begin = _day(name, first) if first else date.min
    if not dash:
        return begin, begin
    return begin, _day(name, last) if last else date.max


def time_range(name: str, value: str) -> tuple[str, str]:
    """`0800`, `080000-`, `-12` or `08-12`: first and last second as HHMMSS. A shorter time is all that it begins."""
    if value == "-" or not _TIMES.fullmatch(value):
        raise BadParameter(name, "expected a time or a range of times, HHMMSS")
    first, dash, last = (part.split(".", maxsplit=1)[0] for part in value.partition("-"))
    if not dash:
        last = first
    return first.ljust(6, "0"), last + "235959"[len(last) :]


def _expression(pattern: str) -> str:
    # fnmatch builds expressions that never try a star twice; brackets mean nothing in DICOM
    return fnmatch.translate(pattern.replace("[", "[[]"))


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFD", name.lower().replace("đ", "d").replace("ð", "d"))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(bare.replace("^", " ").split())


def _day(name: str, text: str) -> date:
    if not re.fullmatch(r"\d{8}", text, re.ASCII):
        raise BadParameter(name, "expected days as YYYYMMDD")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise BadParameter(name, "expected a day that exists") from error
