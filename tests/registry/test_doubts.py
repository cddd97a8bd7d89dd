"""What a registrar sees first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry.doubts import most_pressing_first
from registry.ports import Review

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def doubt(name: str, kind: str, *, hours: int) -> Review:
    return Review(name, kind, "record", "person", (), NOON + timedelta(hours=hours))


def test_what_may_have_mixed_two_patients_comes_before_look_alikes_however_new_these_are() -> None:
    reviews = [
        doubt("old look-alike", "look-alike", hours=1),
        doubt("new look-alike", "look-alike", hours=9),
        doubt("text", "free-text", hours=10),
        doubt("old overlay", "overlay", hours=0),
        doubt("new overlay", "overlay", hours=5),
        doubt("told by a peer", "changed-elsewhere", hours=2),
    ]
    found = [one.id for one in most_pressing_first(reviews)]
    assert found == ["new overlay", "old overlay", "told by a peer", "new look-alike", "old look-alike", "text"]
    assert [one.id for one in most_pressing_first(reversed(reviews))] == found
