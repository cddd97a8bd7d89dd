"""The sealed log: a Merkle tree over the rows, so that one signed head proves that none was changed or removed.

Source: RFC 6962 section 2.1 (tree hash with 0x00 for leaves and 0x01 for nodes). The frontier holds the roots of the
complete subtrees, largest first; appending needs nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


def leaf_hash(row: bytes) -> bytes:
    """SHA-256 over 0x00 and the canonical bytes of a row."""
    return hashlib.sha256(b"\x00" + row).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves by the roots of its complete subtrees."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def append(self, leaves: Iterable[bytes]) -> Frontier:
        """The tree with these leaf hashes added, in order."""
        size, roots = self.size, list(self.roots)
        for leaf in leaves:
            node, carry = leaf, size
            while carry & 1:
                node = _node(roots.pop(), node)
                carry >>= 1
            roots.append(node)
            size += 1
        return Frontier(size, tuple(roots))

    @property
    def root(self) -> bytes:
        """The head of the tree; of an empty one the hash of nothing."""
        if not self.roots:
            return hashlib.sha256(b"").digest()
        head = self.roots[-1]
        for root in reversed(self.roots[:-1]):
            head = _node(root, head)
        return head
