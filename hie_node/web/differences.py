"""Two spellings beside each other, with what differs marked as a person sees it: a tone, a đ, two swapped digits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher

from registry.vietnamese import folded

_DATE = re.compile(r"(\d\d)/(\d\d)/(\d{4})")

Piece = tuple[str, bool]
"""Some letters, and whether they are other letters on the other side."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Both sides in pieces; `kind` says in one word how they differ, and is empty where no word fits."""

    mine: tuple[Piece, ...]
    theirs: tuple[Piece, ...]
    kind: str = ""


def difference(mine: str, theirs: str) -> Difference:
    one, other = (unicodedata.normalize("NFC", text) for text in (mine, theirs))
    if not one or not other or one == other:
        return Difference(_whole(one), _whole(other))
    kinds = _OF_NUMBERS if any(c.isdigit() for c in one + other) else _OF_WORDS
    kind = next((name for name, holds in kinds if holds(one, other)), "")
    return Difference(*_pieces(one, other), kind)


def _whole(text: str) -> tuple[Piece, ...]:
    return ((text, False),) if text else ()


def _pieces(one: str, other: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        left += [(one[a:b], tag != "equal")] if b > a else []
        right += [(other[c:d], tag != "equal")] if d > c else []
    return tuple(left), tuple(right)


def _only_case(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _only_d(one: str, other: str) -> bool:
    return _without_d(one) == _without_d(other)


def _without_d(text: str) -> str:
    return text.casefold().replace("đ", "d")


def _only_marks(one: str, other: str) -> bool:
    return folded(one) == folded(other)


def _swapped_digits(one: str, other: str) -> bool:
    """Two neighbours in each other's place, as fast fingers type them."""
    apart = _apart(one, other)
    return len(apart) == 2 and apart[1] == apart[0] + 1 and one[apart[0]] == other[apart[1]] != one[apart[1]]


def _one_digit(one: str, other: str) -> bool:
    return len(_apart(one, other)) == 1


def _apart(one: str, other: str) -> list[int]:
    """Where two numbers of the same length differ; nowhere for what are no numbers."""
    if len(one) != len(other) or not any(c.isdigit() for c in one):
        return []
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return places if all(one[place].isdigit() and other[place].isdigit() for place in places) else []


def _day_and_month(one: str, other: str) -> bool:
    first, second = _DATE.fullmatch(one), _DATE.fullmatch(other)
    return bool(first and second) and first.groups() == (second[2], second[1], second[3])  # type: ignore[union-attr, index]


def _other_order(one: str, other: str) -> bool:
    return sorted(folded(one).split()) == sorted(folded(other).split())


def _fewer_words(one: str, other: str) -> bool:
    """One leaves out what the other has: a middle name, mostly."""
    few, many = sorted((folded(one).split(), folded(other).split()), key=len)
    rest = iter(many)
    return bool(few) and len(few) < len(many) and all(word in rest for word in few)


_Kinds = tuple[tuple[str, Callable[[str, str], bool]], ...]
_OF_NUMBERS: _Kinds = (("day-month", _day_and_month), ("swapped", _swapped_digits), ("one-digit", _one_digit))
_OF_WORDS: _Kinds = (
    ("case", _only_case),
    ("d", _only_d),
    ("marks", _only_marks),
    ("order", _other_order),
    ("fewer", _fewer_words),
)
