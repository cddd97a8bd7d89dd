"""An id tells which of two came first, and not which comes next."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import RFC_4122, UUID

from adapters.ids import ordered_id


def test_an_id_is_a_uuid_that_begins_with_its_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = UUID(ordered_id())
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert datetime.fromtimestamp((made.int >> 80) / 1000, UTC).year >= 2025


def test_what_comes_later_is_sorted_behind() -> None:
    first = ordered_id()
    time.sleep(0.002)
    assert first < ordered_id()


def test_nobody_guesses_the_next_one() -> None:
    made = [UUID(ordered_id()).int for _ in range(10_000)]
    assert len(set(made)) == len(made)
    chance = [(number >> 64 & 0xFFF) << 62 | number & (1 << 62) - 1 for number in made]
    for place in range(74):
        share = sum(number >> place & 1 for number in chance) / len(chance)
        assert 0.45 < share < 0.55, place
