"""Standing questions, and what happened for each of them, numbered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, or_, select

from adapters.store.codec import dump
from adapters.store.rows import Part, any_of, insert_once, moment, upsert
from adapters.store.schema import subscription, subscription_event
from adapters.store.session import Session
from consent.subscriptions import Event, Kind, Subscription

_BY_ID = select(subscription.c.body).where(subscription.c.id == bindparam("id"))
_OF_CLIENT = (
    select(subscription.c.body).where(subscription.c.client_id == bindparam("client_id")).order_by(subscription.c.id)
)
_ALL = {heard: select(subscription.c.body).where(subscription.c.heard.is_(heard)) for heard in (True, False)}
_heard = and_(subscription.c.heard, subscription.c.kind == bindparam("of_kind"))
_HEARD_KINDS = select(subscription.c.kind).where(subscription.c.heard).distinct()
_LISTENING = (
    select(subscription.c.body)
    .where(_heard, or_(subscription.c.record_id.is_(None), any_of(subscription.c.record_id, "record_ids")))
    .order_by(subscription.c.id)
)
_EVENTS = (
    select(subscription_event.c.body)
    .where(
        subscription_event.c.subscription_id == bindparam("id"),
        subscription_event.c.number.between(bindparam("first"), bindparam("last")),
    )
    .order_by(subscription_event.c.number)
    .limit(bindparam("size"))
)
_FORGET = delete(subscription_event).where(
    subscription_event.c.occurred < bindparam("moment"),
    subscription_event.c.subscription_id == bindparam("id"),
    subscription_event.c.number <= bindparam("last"),
)


class Subscriptions(Part):
    """What is numbered stays until it was told and its time is over."""

    __slots__ = ("_heard",)

    def __init__(self, connection: Session, *, writing: bool) -> None:
        super().__init__(connection, writing=writing)
        self._heard: frozenset[str] | None = None

    def save(self, one: Subscription) -> None:
        """Add it, or put it in the place of the one with its id."""
        values = {
            "id": one.id,
            "client_id": one.client_id,
            "kind": one.topic.kind,
            "heard": one.is_heard,
            "record_id": one.record_id,
            "body": dump(one),
        }
        upsert(self._connection, subscription, values)

    def subscription(self, subscription_id: str) -> Subscription | None:
        """In a writing unit it is held until that ends."""
        return self._noun(Subscription, _BY_ID, id=subscription_id)

    def of_client(self, client_id: str) -> tuple[Subscription, ...]:
        return self._nouns(Subscription, _OF_CLIENT, client_id=client_id)

    def all(self, *, heard: bool) -> tuple[Subscription, ...]:
        return self._nouns(Subscription, _ALL[heard])

    def anybody_hears(self, kind: Kind) -> bool:
        """Whether there is any subscription that something of this kind could matter to; looked up once a unit."""
        if self._heard is None:
            self._heard = frozenset(row.kind for row in self._connection.execute(_HEARD_KINDS))
        return kind in self._heard

    def listening(self, kind: Kind, record_ids: Sequence[str]) -> tuple[Subscription, ...]:
        """Those of one of these records, and those of all patients."""
        return self._nouns(Subscription, _LISTENING, of_kind=kind, record_ids=list(record_ids))

    def add_event(self, subscription_id: str, event: Event) -> bool:
        """False where this change has its number already."""
        values = {
            "subscription_id": subscription_id,
            "number": event.number,
            "occurred": moment(event.occurred),
            "focus": event.focus,
            "version": event.version,
            "record_id": event.record_id,
            "body": dump(event),
        }
        return insert_once(self._connection, subscription_event, values)

    def events(self, subscription_id: str, first: int, last: int, *, limit: int) -> tuple[Event, ...]:
        """Numbers `first` to `last`, both included, in order."""
        return self._nouns(Event, _EVENTS, id=subscription_id, first=first, last=last, size=limit)

    def forget_events(self, one: Subscription, before: datetime) -> int:
        """Delete what is older and was told, or all that is older of one that is off."""
        last = one.delivery.acknowledged if one.is_heard else one.delivery.happened
        return int(self._connection.execute(_FORGET, {"moment": moment(before), "id": one.id, "last": last}).rowcount)
