"""Blocking keys in memory: whom a key leads to, in some thirty bytes a key and without an object for each.

Python's dictionary would take four times as much and stop everything while it grows. Here each of some hundred tables
grows for itself. A table is open addressing over one flat array, so that a look at a key touches one place in memory;
most keys lead to one number, which stands in the table itself, and those who share a key are a chain.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

_TABLES = 256
"""So many that none takes longer than a few hundredths of a second to grow, so few that all stay at hand."""
_TABLE_BITS = _TABLES.bit_length() - 2
_SMALLEST = 16
_FULL = 0.6
_END = -1
_ONE = 1 << 32
_NUMBER = _ONE - 1


class KeyIndex:
    """Numbers (of persons, of records) under keys; a key holds each number once.

    A table has two words for each key: its hash, and how many numbers it has, in the upper half, with the only number
    or the start of the chain in the lower. A key that is not there has none. Places are even.
    """

    def __init__(self, crowd: Callable[[str], int]) -> None:
        """`crowd`: more numbers than this under a key say nothing."""
        self._crowd = crowd
        self._tables = [_empty(_SMALLEST) for _ in range(_TABLES)]
        self._counts = [0] * _TABLES
        self._numbers, self._next = array("i"), array("i")

    def add(self, key: str, number: int) -> None:
        """Put the number in front of those under the key; a crowd takes no more."""
        hashed = hash(key)
        which = hashed & (_TABLES - 1)
        table = self._tables[which]
        place = _place(table, hashed)
        entry = table[place + 1]
        if not entry:
            if 2 * self._counts[which] > _FULL * len(table):
                table = self._tables[which] = _grown(table)
                place = _place(table, hashed)
            table[place], table[place + 1] = hashed, _ONE | number
            self._counts[which] += 1
        elif entry >> 32 <= self._crowd(key):
            following = entry & _NUMBER if entry >= 2 * _ONE else self._linked(entry & _NUMBER, _END)
            table[place + 1] = (entry & ~_NUMBER) + _ONE | self._linked(number, following)

    def _linked(self, number: int, following: int) -> int:
        self._numbers.append(number)
        self._next.append(following)
        return len(self._numbers) - 1

    def find(self, key: str) -> list[int]:
        """Whom the key leads to, the latest first; nobody where it leads to a crowd."""
        return self.find_all((key,)).get(key, [])

    def find_all(self, keys: Iterable[str]) -> dict[str, list[int]]:
        """Of those keys that lead to anybody, and to no crowd: to whom, the latest first."""
        tables, found = self._tables, {}
        for key in keys:
            hashed = hash(key)
            table = tables[hashed & (_TABLES - 1)]
            mask = len(table) - 2
            place = (hashed >> _TABLE_BITS) & mask
            while entry := table[place + 1]:
                if table[place] == hashed:
                    if entry < 2 * _ONE:
                        found[key] = [entry & _NUMBER]
                    elif entry >> 32 <= self._crowd(key):
                        found[key] = self._chain(entry & _NUMBER)
                    break
                place = (place + 2) & mask
        return found

    def _chain(self, link: int) -> list[int]:
        found, numbers, following = [], self._numbers, self._next
        while link != _END:
            found.append(numbers[link])
            link = following[link]
        return found


def _empty(keys: int) -> array[int]:
    return array("q", bytes(16 * keys))


def _place(table: array[int], hashed: int) -> int:
    """Where the key is, or where it would go: the entry there is empty."""
    mask = len(table) - 2
    place = (hashed >> _TABLE_BITS) & mask
    while table[place + 1] and table[place] != hashed:
        place = (place + 2) & mask
    return place


def _grown(table: array[int]) -> array[int]:
    larger = array("q", bytes(16 * len(table)))
    mask = len(larger) - 2
    for hashed, entry in zip(table[::2], table[1::2], strict=True):
        if entry:
            place = (hashed >> _TABLE_BITS) & mask
            while larger[place + 1]:
                place = (place + 2) & mask
            larger[place], larger[place + 1] = hashed, entry
    return larger
