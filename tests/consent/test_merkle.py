"""The tree hash against the recursive definition of its standard, and against published heads."""

from __future__ import annotations

import hashlib

import pytest

from consent.merkle import Frontier, leaf_hash

ROWS = tuple(
    bytes.fromhex(row)
    for row in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
)  # fmt: skip
"""The eight entries with which implementations of RFC 6962 are compared."""


def defined(rows: tuple[bytes, ...]) -> bytes:
    """RFC 6962 section 2.1, as written: split at the largest power of two below the number of entries."""
    if not rows:
        return hashlib.sha256().digest()
    if len(rows) == 1:
        return hashlib.sha256(b"\x00" + rows[0]).digest()
    split = 1 << (len(rows) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + defined(rows[:split]) + defined(rows[split:])).digest()


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_published_heads(size: int, head: str) -> None:
    assert Frontier().append(map(leaf_hash, ROWS[:size])).root.hex() == head


def test_appending_in_any_two_parts_gives_the_head_that_the_standard_defines() -> None:
    rows = tuple(str(number).encode() for number in range(20))
    leaves = [leaf_hash(row) for row in rows]
    for size in range(len(rows) + 1):
        for cut in range(size + 1):
            tree = Frontier().append(leaves[:cut]).append(leaves[cut:size])
            assert (tree.size, tree.root) == (size, defined(rows[:size]))
            assert len(tree.roots) == size.bit_count()
