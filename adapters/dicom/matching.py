"""How a key of a search matches: wildcards, lists, ranges of days. Source: DICOM PS3.4: C.2.2.2, PS3.18: 8.3.4."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable
from datetime import date
from itertools import zip_longest

from adapters.dicom.errors import BadParameter

_TIME = r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?|60)?)?"
_TIMES = re.compile(rf"({_TIME})?(-({_TIME})?)?", re.ASCII)
_FIRST, _LAST = "000000.000000", "235959.999999"

Matches = Callable[[str], bool]


def like(*patterns: str) -> Matches:
    """Equal to one of the patterns; `*` stands for any text, `?` for one character."""
    compiled = [re.compile(_expression(pattern)) for pattern in patterns]
    return lambda text: any(pattern.fullmatch(text) for pattern in compiled)


def name_like(pattern: str) -> Matches:
    """The same for a name, whatever its case, marks and spaces: `NGUYEN*` finds Nguyễn^Văn A.

    A pattern with groups (alphabetic=ideographic=phonetic) compares each that it has with that of the name; one without
    fits any group. A component (family^given) may be given as one that matches nothing: `NGUYEN^*` finds Nguyễn.
    """
    wanted = [_group_like(group) if group else None for group in pattern.split("=")]
    if len(wanted) == 1 and wanted[0] is not None:
        only = wanted[0]
        return lambda name: bool(name) and any(only(group) for group in name.split("="))
    return lambda name: (
        bool(name)
        and all(
            matches is None or matches(group) for matches, group in zip_longest(wanted, name.split("="), fillvalue=None)
        )
    )


def _group_like(pattern: str) -> Callable[[str | None], bool]:
    """One group, as a whole or component by component."""
    whole = like(_plain(pattern))
    components = [like(_plain(one)) for one in pattern.split("^")]

    def matches(group: str | None) -> bool:
        if not group:
            return False
        if whole(_plain(group)):
            return True
        said = [_plain(one) for one in group.split("^")]
        said += [""] * (len(components) - len(said))
        return len(said) == len(components) and all(fits(one) for fits, one in zip(components, said, strict=True))

    return matches


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
    """`0800`, `080000.5-`, `-12`, `08-12`: first and last moment as HHMMSS.FFFFFF; a shorter time is all it begins."""
    if value in ("", "-") or not _TIMES.fullmatch(value):
        raise BadParameter(name, "expected a time or a range of times, HHMMSS.FFFFFF")
    first, dash, last = value.partition("-")
    if not dash:
        last = first
    return first + _FIRST[len(first) :], _lasting(last)


def _lasting(time: str) -> str:
    """The last moment that begins so."""
    return time + _LAST[len(time) :]


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
