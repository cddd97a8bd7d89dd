"""Vietnamese names as they are compared: the original is kept elsewhere, for display.

Two forms of a name: with tones (`toned`), which separates Lan from Lân, and without (`folded`), which finds both.
Handled for every text: composed and decomposed Unicode, đ/Đ/Ð, upper case, spaces of all kinds, tone placed on either
vowel (hoà/hòa, thuỷ/thủy), i for y (Lí/Lý), titles. For names of persons also (`syllables`): bytes read with the wrong
table, keystrokes of an input method, joined words. "Con bà" is a person of its own kind (`newborn`). Source of the
error classes: common Vietnamese registration practice.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from registry.encodings import readable
from registry.keystrokes import untyped
from registry.name_words import BARE_SURNAMES
from registry.syllables import BASES, apart, bare, is_syllable

_TITLES = frozenset(
    {"ông", "bà", "anh", "chị", "em", "cháu", "bé", "cụ", "cô", "bs", "ths", "gs", "ts", "mr", "mrs", "ms"}
)
_BEFORE_NAMES = _TITLES | {"bn", "bác"}
_BARE_TITLES = frozenset(bare(title) for title in _BEFORE_NAMES)
_NEWBORN = re.compile(
    r"(?:cb|c\W?b|b\W?s?\W?g|bs?t|(?:tre |be )?(?:so sinh )?(?:be (?:trai |gai ))?(?:con|be|tre|so sinh)(?: cua)?"
    r" (?:ba|chi|me|san phu))\W*(\d?)\W+(.+)"
)
_CHILD_OF = re.compile(rf"con\W*(\d?)\W+((?:{'|'.join(sorted(BARE_SURNAMES))})\W+\w.*)".replace("i", "[iy]"))
"""A mother's full name right after the word; "Con" is no surname."""
_ORDER = re.compile(r"(.*?)\W*(?:con thu |con |thu |so )?(\d)\W*")
_UNKNOWN = re.compile(
    r"\b(vo danh|khong (ro|ten|biet|xac dinh)|chua (ro|biet|xac dinh)|unknown|nguoi la|vo gia cu|no ?name|anonymous"
    r"|(benh nhan|bn) (x|a|nam|nu|\d+)$|nan nhan|tu thi|khong ten|chua (co|dat) ten|bi bo roi|john doe|jane doe)\b"
)
_FINAL_Y = re.compile(r"(?<![aâ])y$")
_ANY_Y = re.compile(r"(?<![aâ])y")
_LETTERS = re.compile(r"[^\w?]+|[\d_]+")
_NOT_IN_WORDS = re.compile(r"[^\w?]+|_+")
_BROKEN = re.compile("\ufffd+")
_CAMEL = re.compile(r"(?<=[a-zà-ỹđ])(?=[A-ZĐ][a-zà-ỹ])")
_DIGITS = re.compile(r"\d+")
_VOWELS = "aeiouy"


def composed(text: str) -> str:
    """NFC with single ordinary spaces; Ð (eth, a common typing fault) becomes Đ."""
    return " ".join(unicodedata.normalize("NFC", text).replace("Ð", "Đ").replace("ð", "đ").split())


def toned(name: str) -> str:
    """Lower case, one spelling per syllable, the tone as a digit at the end: "Thuý Hoà" gives "thui1 hoa2"."""
    return " ".join(syllable(word) for word in words(name))


def folded(name: str) -> str:
    """Lower-case base letters only: what remains when marks are lost. "Nguyễn Đức Quý" gives "nguien duc qui"."""
    return " ".join(bare(word).replace("y", "i") for word in words(name))


def same_words(text: str) -> str:
    """By what two names of a test or a medicine are the same: all but case and spaces counts, for T3 is not T4."""
    return " ".join(composed(text).casefold().split())


def words(name: str) -> list[str]:
    """The syllables of a name without titles and punctuation; a question mark stands for a lost letter."""
    plain = _LETTERS.sub(" ", composed(name).replace("^", " ").lower())
    parts = plain.split()
    while len(parts) > 2 and parts[0] in _TITLES:
        parts = parts[1:]
    return parts


@dataclass(frozen=True, slots=True)
class Newborn:
    """What "Con bà Nguyễn Thị Hoa 2" says: whose child, and which of them; 0 where it does not say."""

    mother: str
    order: int


@lru_cache(maxsize=4096)
def newborn(name: str) -> Newborn | None:
    """Set where the name is that of a mother, not of this patient."""
    plain = composed(readable(name))
    unmarked = _unmarked(plain)
    found = _NEWBORN.fullmatch(unmarked) or _CHILD_OF.fullmatch(unmarked)
    if found is None:
        return None
    order, mother = found[1], plain[found.start(2) :]
    last = _ORDER.fullmatch(_unmarked(mother))
    if last is not None:
        mother, order = mother[: last.end(1)], last[2]
    return Newborn(mother, int(order or 0))


def is_newborn_placeholder(name: str) -> bool:
    """True for "Con bà Nguyễn Thị Hoa": the name of a mother, not of this patient."""
    return newborn(name) is not None


@lru_cache(maxsize=4096)
def is_nobody(name: str) -> bool:
    """True for "Bệnh nhân vô danh": a name that a desk gives to those it cannot name."""
    plain = composed(readable(name)).lower()
    return not plain.startswith("võ ") and _UNKNOWN.search(_unmarked(plain)) is not None


def _unmarked(text: str) -> str:
    """Base letters, in places that stay the same."""
    return text.lower().translate(BASES)


@lru_cache(maxsize=65536)
def syllables(name: str) -> tuple[str, ...]:
    """The words of a person's name, lower case, as they were meant: bytes, keystrokes and joined words repaired."""
    parts = _NOT_IN_WORDS.sub(" ", _BROKEN.sub("?", composed(readable(name))).replace("^", " ")).split()
    found = [word for part in parts for word in _meant(part)]
    while len(found) > 2 and _is_title(found[0]) and bare(found[1]).replace("y", "i") in BARE_SURNAMES:
        found = found[1:]
    return tuple(found)


@lru_cache(maxsize=65536)
def _meant(part: str) -> tuple[str, ...]:
    """One written word as the syllables it stands for."""
    found: list[str] = []
    for word in _CAMEL.sub(" ", part).split() if not part.isupper() else [part]:
        kept = _DIGITS.sub("", untyped(word.lower()))
        if kept:
            found.extend(_separated(kept))
    return tuple(found)


def _is_title(word: str) -> bool:
    """Without marks too; no title is a surname as it is written here ("Chi Nguyen" is a lady, "Chí" a name)."""
    return word in _BEFORE_NAMES or (word.isascii() and word in _BARE_TITLES)


def _separated(word: str) -> list[str]:
    """ "phươngthảo" is two words; the split into syllables nearest to the middle wins."""
    if len(word) < 4 or is_syllable(word) or "?" in word:
        return [word]
    places = sorted(range(2, len(word) - 1), key=lambda place: abs(2 * place - len(word)))
    for place in places:
        if bare(word[place]) not in _VOWELS and is_syllable(word[:place]) and is_syllable(word[place:]):
            return [word[:place], word[place:]]
    return [word]


@lru_cache(maxsize=65536)
def syllable(word: str) -> str:
    """One spelling a syllable, the tone as a digit at the end: "thuý" and "thúy" give "thui1"."""
    letters, tone = apart(word)
    return _FINAL_Y.sub("i", letters) + tone


@lru_cache(maxsize=65536)
def compared(word: str) -> str:
    """`syllable` for comparing names: inner y and đ are folded as well, since both are written either way ("Quình")."""
    letters, tone = apart(word)
    return _ANY_Y.sub("i", letters).replace("đ", "d") + tone


def has_marks(name: str) -> bool:
    """Whether the writer used Vietnamese marks at all; only then does a missing tone mean anything."""
    return any(unicodedata.combining(c) for c in unicodedata.normalize("NFD", name)) or "đ" in name.lower()


def letters_agree(one: str, other: str) -> bool:
    """Equal but for question marks, which stand for a letter that some system lost."""
    if "?" not in one and "?" not in other:
        return one == other
    return len(one) == len(other) and all(a == b or "?" in (a, b) for a, b in zip(one, other, strict=True))
