"""The log of feeds stays quick however often a system sends the same."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from adapters.store.unit import Storage
from registry.feeds import FeedItem
from tests.adapters.store.samples import NOW

SAME = "SELECT body FROM feed_item WHERE digest = 'd' AND id <> 'x' ORDER BY received LIMIT 1"


def test_the_earliest_of_many_with_the_same_bytes_is_found(storage: Storage) -> None:
    with storage.begin() as unit:
        for n in (3, 1, 2):
            item = FeedItem(f"i{n}", "hl7v2", f"name {n}", NOW + timedelta(seconds=n), "refused", "d" * 64, 1)
            unit.feeds.save(item, sealed=b"x")
    with storage.read() as unit:
        first, second = (unit.feeds.first_with("d" * 64, other_than=one) for one in ("i3", "i1"))
        assert first is not None and second is not None and (first.id, second.id) == ("i1", "i2")
        assert unit.feeds.first_with("e" * 64, other_than="i1") is None


def test_a_system_that_repeats_itself_for_a_month_slows_nothing(storage: Storage) -> None:
    """The plan of the database, which is the same at a million rows: nothing is sorted, nothing read as a whole."""
    with storage.begin() as unit:
        connection = unit.feeds._connection.connection
        on_postgresql = connection.engine.dialect.name == "postgresql"
        if on_postgresql:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.execute(text(("EXPLAIN " if on_postgresql else "EXPLAIN QUERY PLAN ") + SAME)).all()
    plan = " ".join(str(row) for row in rows)
    assert "ix_feed_item_digest_received" in plan and "Sort" not in plan and "B-TREE" not in plan, plan
