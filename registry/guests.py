"""Names from elsewhere: what is written in no Vietnamese syllables is compared as the rest of the world does it.

In Vietnam one letter or one tone makes another name, so likeness proves nothing. A name such as "Lindholm, Matthew" is
long and rare: there a likeness of letters says "mistyped", the order of its words says nothing, and an address of
streets and numbers is as much the person's own. Both sides have to be such names; else the rules of `levels` hold.

Source of the measure: Jaro 1989, with Winkler's weight for the first letters (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from registry.name_words import BARE_SURNAMES
from registry.syllables import is_syllable

_LIKE = 0.84
_LIKE_IN_A_LINE = 0.8
AS_A_WHOLE = 0.94
"""Of a name without its spaces, which starts alike for a whole family."""
_WINKLER = 0.1
_FIRST_LETTERS = 4


def is_guest(words: Sequence[str]) -> bool:
    """Whether a name is none of this country: plain Latin letters, no surname from here among its words, and half of
    them and more no syllables of the language; `words` as they are written, lower case."""
    if not words or not all(word.isascii() and word.isalpha() for word in words):
        return False
    if any(word.replace("y", "i") in BARE_SURNAMES for word in words):
        return False
    return 2 * sum(map(is_syllable, words)) <= len(words)


@lru_cache(maxsize=65536)
def alike(one: str, other: str, least: float = _LIKE) -> bool:
    """Equal or mistyped."""
    return one == other or (min(len(one), len(other)) > 2 and likeness(one, other) >= least)


def likeness(one: str, other: str) -> float:
    """Jaro-Winkler, 0 to 1."""
    reach = max(len(one), len(other)) // 2 - 1
    taken, mine = [False] * len(other), []
    for place, letter in enumerate(one):
        for at in range(max(0, place - reach), min(len(other), place + reach + 1)):
            if not taken[at] and other[at] == letter:
                taken[at] = True
                mine.append(letter)
                break
    if not mine:
        return 0.0
    theirs = [letter for letter, used in zip(other, taken, strict=True) if used]
    exchanged = sum(a != b for a, b in zip(mine, theirs, strict=True)) / 2
    found = len(mine)
    jaro = (found / len(one) + found / len(other) + (found - exchanged) / found) / 3
    first = 0
    while first < min(_FIRST_LETTERS, len(one), len(other)) and one[first] == other[first]:
        first += 1
    return jaro + first * _WINKLER * (1 - jaro)


def words_in_common(mine: Sequence[str], theirs: Sequence[str]) -> tuple[int, int]:
    """How many words of two names are equal, and how many more are mistyped; each is used once."""
    left, other, equal = list(theirs), [], 0
    for word in mine:
        if word in left:
            left.remove(word)
            equal += 1
        else:
            other.append(word)
    mistyped = 0
    for word in other:
        near = next((there for there in left if alike(word, there)), None)
        if near is not None:
            left.remove(near)
            mistyped += 1
    return equal, mistyped


@lru_cache(maxsize=65536)
def lines_alike(one: str, other: str) -> bool:
    """Two address lines that name one house: most letters of the shorter stand in words that the longer has as well,
    mistyped or not; "19" and "place" alone name none."""
    few, many = sorted((one.split(), other.split()), key=len)
    if len(few) < 2:
        return alike(one, other, _LIKE_IN_A_LINE)
    left, found = list(many), 0
    for word in few:
        match = next((w for w in left if w == word or (not word.isdigit() and alike(word, w, _LIKE_IN_A_LINE))), None)
        if match is not None:
            left.remove(match)
            found += len(word)
    return 3 * found >= 2 * sum(map(len, few))
