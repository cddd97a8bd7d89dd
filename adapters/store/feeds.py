"""The log of feeds: what came, what became of it, and the bytes themselves where they are small, sealed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import BigInteger, and_, bindparam, delete, func, literal_column, select, true

from adapters.store.codec import dump, load
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import feed_item
from registry.feeds import FeedItem, FeedSearch

_ITEM = select(feed_item.c.body).where(feed_item.c.id == bindparam("id"))
_SEALED = select(feed_item.c.sealed).where(feed_item.c.id == bindparam("id"))
_SAME = (
    select(feed_item.c.body)
    .where(feed_item.c.digest == bindparam("digest"), feed_item.c.id != bindparam("id"))
    .order_by(feed_item.c.received)
    .limit(1)
)
_FORGET = delete(feed_item).where(feed_item.c.received < bindparam("moment"))
_OWNERS = select(feed_item.c.owner).where(feed_item.c.received < bindparam("moment")).distinct()
_SIZE = {"sqlite": "json_extract(feed_item.body, '$.size')", "postgresql": "(feed_item.body::json ->> 'size')::bigint"}
_KEPT = {
    dialect: select(func.count(), func.sum(literal_column(size, BigInteger))).where(
        feed_item.c.feed == bindparam("feed"),
        feed_item.c.outcome == bindparam("outcome"),
        feed_item.c.received >= bindparam("since"),
    )
    for dialect, size in _SIZE.items()
}


class FeedLog(Part):
    """Items by id; a replay changes the item it is about."""

    __slots__ = ()

    def save(self, item: FeedItem, *, sealed: bytes | None = None) -> None:
        """Add the item, or say what became of it now; sealed bytes stay when none are given."""
        values = {
            "id": item.id,
            "feed": item.feed,
            "received": moment(item.received),
            "outcome": item.outcome,
            "digest": item.digest,
            "owner": item.owner,
            "body": dump(item),
        }
        upsert(self._connection, feed_item, values if sealed is None else {**values, "sealed": sealed})

    def item(self, item_id: str) -> FeedItem | None:
        return self._noun(FeedItem, _ITEM, id=item_id)

    def sealed(self, item_id: str) -> bytes | None:
        row = self._row(_SEALED, id=item_id)
        return None if row is None else row.sealed

    def first_with(self, digest: str, *, other_than: str) -> FeedItem | None:
        """The earliest item with these bytes."""
        return self._noun(FeedItem, _SAME, digest=digest, id=other_than)

    def find(self, search: FeedSearch) -> Iterator[FeedItem]:
        """Newest first."""
        wanted = and_(
            feed_item.c.feed.startswith(search.feed, autoescape=True) if search.feed else true(),
            feed_item.c.outcome == search.outcome if search.outcome else true(),
            feed_item.c.received >= moment(search.since),
        )
        order = (feed_item.c.received.desc(), feed_item.c.id.desc())
        rows = self._connection.execute(select(feed_item.c.body).where(wanted).order_by(*order).limit(search.limit))
        return (load(FeedItem, row.body) for row in rows)

    def counts(self, since: datetime) -> dict[str, dict[str, int]]:
        """How many of each outcome, by feed."""
        found = self._connection.execute(
            select(feed_item.c.feed, feed_item.c.outcome, func.count())
            .where(feed_item.c.received >= moment(since))
            .group_by(feed_item.c.feed, feed_item.c.outcome)
            .order_by(feed_item.c.feed)
        )
        counted: dict[str, dict[str, int]] = {}
        for feed, outcome, number in found:
            counted.setdefault(feed, {})[outcome] = number
        return counted

    def kept_since(self, feed: str, outcome: str, since: datetime) -> tuple[int, int]:
        """How many items of a feed ended so, and the bytes that are kept of them."""
        wanted = {"feed": feed, "outcome": outcome, "since": moment(since)}
        number, size = self._connection.execute(_KEPT[self._connection.dialect.name], wanted).one()
        return number, int(size or 0)

    def owners_before(self, moment_: datetime) -> list[str]:
        """Whose keys keep what came before."""
        rows = self._connection.execute(_OWNERS, {"moment": moment(moment_)})
        return [row.owner for row in rows if row.owner]

    def forget_before(self, moment_: datetime) -> int:
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
