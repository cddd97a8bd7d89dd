"""Keystrokes of an input method that was switched off: "Nguyeenx" (Telex) and "Nguye6n4" (VNI) are "Nguyễn".

Undone only where the result is a syllable and the input is not. Source: the Telex and VNI typing conventions.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from registry.syllables import is_syllable

_TELEX_TONES = {"s": "\u0301", "f": "\u0300", "r": "\u0309", "x": "\u0303", "j": "\u0323"}
_VNI_TONES = {"1": "\u0301", "2": "\u0300", "3": "\u0309", "4": "\u0303", "5": "\u0323"}
_TELEX_LETTERS = (("dd", "đ"), ("aa", "â"), ("ee", "ê"), ("oo", "ô"), ("aw", "ă"), ("uow", "ươ"), ("ow", "ơ"),
                  ("uw", "ư"))  # fmt: skip
_TELEX_LATE = (("a", "a", "â"), ("e", "e", "ê"), ("o", "o", "ô"), ("a", "w", "ă"), ("o", "w", "ơ"), ("u", "w", "ư"))
_VNI_LETTERS = {"6": {"a": "â", "e": "ê", "o": "ô"}, "7": {"o": "ơ", "u": "ư"}, "8": {"a": "ă"}, "9": {"d": "đ"}}
_NUCLEUS = re.compile(r"[aăâeêioôơuưy]+")
_DIGITS = re.compile(r"[1-9]")


@lru_cache(maxsize=65536)
def untyped(word: str) -> str:
    """The word that somebody meant to type, lower case and composed; unchanged where it is a word already."""
    if is_syllable(word) or len(word) < 2 or not word.isascii():
        return word
    if _DIGITS.search(word):
        meant = _from_vni(word)
        return meant if meant is not None and is_syllable(meant) else word
    for meant in _telex_readings(word):
        if not meant.isascii() and is_syllable(meant):
            return meant
    return word


def _telex_readings(word: str) -> list[str]:
    """With the tone typed last or right after its vowel, and marks typed in place or late."""
    readings = [_with_letters(word, "")]
    for place in range(len(word) - 1, 0, -1):
        tone = _TELEX_TONES.get(word[place])
        if tone is not None:
            readings.append(_with_letters(word[:place] + word[place + 1 :], tone))
    return readings


def _with_letters(word: str, tone: str) -> str:
    for typed, meant in _TELEX_LETTERS:
        word = word.replace(typed, meant)
    if not is_syllable(word):
        word = _late_mark(word)
    return _toned(word, tone)


def _late_mark(word: str) -> str:
    """ "Nguyene": the mark of a vowel typed at the end of the word."""
    for vowel, key, meant in _TELEX_LATE:
        if word.endswith(key) and vowel in word[:-1]:
            return word[:-1].replace(vowel, meant, 1)
    return word


def _from_vni(word: str) -> str | None:
    letters, tone = "", ""
    for character in word:
        if character in _VNI_TONES and not tone:
            tone = _VNI_TONES[character]
        elif character in _VNI_LETTERS:
            for vowel, meant in _VNI_LETTERS[character].items():
                before, found, after = letters.rpartition(vowel)
                if found:
                    letters = before + meant + after
                    break
            else:
                return None
        elif character.isdigit():
            return None
        else:
            letters += character
    return _toned(letters.replace("uơ", "ươ"), tone)


def _toned(word: str, tone: str) -> str:
    """The tone on the last vowel of the nucleus; where exactly does not matter, comparison takes it off again."""
    nucleus = _NUCLEUS.search(word)
    if not tone or nucleus is None:
        return word
    return unicodedata.normalize("NFC", word[: nucleus.end()] + tone + word[nucleus.end() :])
