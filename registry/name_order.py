"""The order of Vietnamese names in a list: by given name, then surname, then what stands between.

Letters in the order of the alphabet (a ă â b c d đ e ê …); tones count only where the letters are the same, in the
order level, falling, asking, tumbling, rising, heavy. Source: usual order of Vietnamese dictionaries.
"""

from __future__ import annotations

import unicodedata

_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_TONES = ("\u0300", "\u0309", "\u0303", "\u0301", "\u0323")
_LETTER_MARKS = frozenset({"\u0306", "\u0302", "\u031b"})
Key = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]


def by_given_name(name: str) -> Key:
    """What to sort by."""
    words = [word for word in name.lower().split() if word.strip(".,")]
    spelled = [_spelled(word) for word in (*words[-1:], *words[:-1])]
    return tuple(letters for letters, _ in spelled), tuple(tone for _, tone in spelled)


def _spelled(word: str) -> tuple[tuple[int, ...], int]:
    """The letters of a syllable, and its tone: on which vowel it is written is a matter of taste."""
    letters: list[str] = []
    tone = 0
    for sign in unicodedata.normalize("NFD", word):
        if sign in _TONES:
            tone = 1 + _TONES.index(sign)
        elif sign in _LETTER_MARKS and letters:
            letters[-1] = unicodedata.normalize("NFC", letters[-1] + sign)
        else:
            letters.append(sign)
    return tuple(_rank(letter) for letter in letters), tone


def _rank(letter: str) -> int:
    place = _ALPHABET.find(letter)
    return place if place >= 0 else len(_ALPHABET) + ord(letter[0])
