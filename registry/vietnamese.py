"""Vietnamese names as they are compared: the original is kept elsewhere, for display.

Two forms of a name: with tones (`toned`), which separates Lan from Lân, and without (`folded`), which finds both.
Handled: composed and decomposed Unicode, đ/Đ/Ð, upper case, spaces of all kinds, tone placed on either vowel
(hoà/hòa, thuỷ/thủy), i for y (Lí/Lý), titles and "con bà". Source of the error classes: common Vietnamese
registration practice (no diacritics, legacy bytes, joined words).
"""

from __future__ import annotations

import re
import unicodedata

_TONES = {"\u0300": "2", "\u0301": "1", "\u0303": "4", "\u0309": "3", "\u0323": "5"}
_TITLES = frozenset({"ông", "bà", "anh", "chị", "em", "cháu", "bé", "cụ", "bs", "ths", "gs"})
_NEWBORN = re.compile(r"^(con|cb|trẻ|bé|sơ sinh)\s+(của\s+)?(bà|chị|mẹ|sản phụ)\s+", re.IGNORECASE)
_FINAL_Y = re.compile(r"(?<![aâ])y$")
_LETTERS = re.compile(r"[^\w?]+|[\d_]+")


def composed(text: str) -> str:
    """NFC with single ordinary spaces; Ð (eth, a common typing fault) becomes Đ."""
    return " ".join(unicodedata.normalize("NFC", text).replace("Ð", "Đ").replace("ð", "đ").split())


def toned(name: str) -> str:
    """Lower case, one spelling per syllable, the tone as a digit at the end: "Thuý Hoà" gives "thui1 hoa2"."""
    return " ".join(_syllable(word) for word in words(name))


def folded(name: str) -> str:
    """Lower-case base letters only: what remains when marks are lost. "Nguyễn Đức Quý" gives "nguien duc qui"."""
    return " ".join(_bare(word) for word in words(name))


def words(name: str) -> list[str]:
    """The syllables of a name without titles and punctuation; a question mark stands for a lost letter."""
    plain = _LETTERS.sub(" ", composed(name).replace("^", " ").lower())
    parts = plain.split()
    while len(parts) > 2 and parts[0] in _TITLES:
        parts = parts[1:]
    return parts


def is_newborn_placeholder(name: str) -> bool:
    """True for "Con bà Nguyễn Thị Hoa": the name of a mother, not of this patient."""
    return _NEWBORN.match(composed(name)) is not None


def _syllable(word: str) -> str:
    letters, tone = [], ""
    for character in unicodedata.normalize("NFD", word):
        if character in _TONES:
            tone = _TONES[character]
        else:
            letters.append(character)
    return _FINAL_Y.sub("i", unicodedata.normalize("NFC", "".join(letters))) + tone


def _bare(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word.replace("đ", "d"))
    base = "".join(c for c in decomposed if not unicodedata.combining(c))
    return base.replace("y", "i")


def has_marks(name: str) -> bool:
    """Whether the writer used Vietnamese marks at all; only then does a missing tone mean anything."""
    return any(unicodedata.combining(c) for c in unicodedata.normalize("NFD", name)) or "đ" in name.lower()


def letters_agree(one: str, other: str) -> bool:
    """Equal but for question marks, which stand for a letter that some system lost."""
    if "?" not in one and "?" not in other:
        return one == other
    return len(one) == len(other) and all(a == b or "?" in (a, b) for a, b in zip(one, other, strict=True))
