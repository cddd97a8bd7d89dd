"""Blocking keys in memory: whom a key leads to, in some thirty bytes a key and without an object for each.

Python's dictionary would take four times as much and stop everything while it grows. Here each of many small tables
grows for itself; a table is open addressing over flat arrays, and those who share a key are a chain.
"""

from __future__ import annotations

from array import array

_SHARDS = 1024
_SMALLEST = 16
_FULL = 0.66
_END = -1


class _Shard:
    """Keys of 64 bits, each with the head of its chain and how long that is."""

    __slots__ = ("count", "heads", "keys", "lengths", "mask")

    def __init__(self, slots: int) -> None:
        self.mask = slots - 1
        self.count = 0
        self.keys = array("q", bytes(8 * slots))
        self.heads = array("i", [_END]) * slots
        self.lengths = array("H", bytes(2 * slots))

    def slot(self, key: int) -> int:
        """Where the key is, or where it would go: the chain there is empty."""
        mask, keys, heads = self.mask, self.keys, self.heads
        slot = (key >> 10) & mask
        while heads[slot] != _END and keys[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def grown(self) -> _Shard:
        larger = _Shard(2 * (self.mask + 1))
        for slot, head in enumerate(self.heads):
            if head != _END:
                to = larger.slot(self.keys[slot])
                larger.keys[to], larger.heads[to], larger.lengths[to] = self.keys[slot], head, self.lengths[slot]
        larger.count = self.count
        return larger


class KeyIndex:
    """Numbers (of persons, of records) under keys; a key holds each number once."""

    def __init__(self) -> None:
        self._shards = [_Shard(_SMALLEST) for _ in range(_SHARDS)]
        self._numbers, self._next = array("i"), array("i")

    def add(self, key: str, number: int, *, most: int) -> None:
        """Put the number in front of those under the key; past `most` the key says nothing and takes no more."""
        hashed = hash(key)
        which = hashed & (_SHARDS - 1)
        shard = self._shards[which]
        slot = shard.slot(hashed)
        head = shard.heads[slot]
        if head == _END:
            if shard.count > _FULL * shard.mask:
                shard = self._shards[which] = shard.grown()
                slot = shard.slot(hashed)
            shard.keys[slot] = hashed
            shard.count += 1
        elif shard.lengths[slot] > most:
            return
        shard.heads[slot] = len(self._numbers)
        shard.lengths[slot] += 1
        self._numbers.append(number)
        self._next.append(head)

    def find(self, key: str, *, most: int) -> list[int]:
        """Whom the key leads to, the latest first; nobody where it leads to more than `most`."""
        hashed = hash(key)
        shard = self._shards[hashed & (_SHARDS - 1)]
        slot = shard.slot(hashed)
        entry = shard.heads[slot]
        if entry == _END or shard.lengths[slot] > most:
            return []
        if self._next[entry] == _END:
            return [self._numbers[entry]]
        found, numbers, following = [], self._numbers, self._next
        while entry != _END:
            found.append(numbers[entry])
            entry = following[entry]
        return found
