"""Telling subscribers: what happened gets its numbers, and each endpoint its messages, one after the other.

A message is on record before it leaves. What an endpoint does not take is tried again with growing pauses, in the
same order; after `give_up` hours its subscription is in error, and `$events` tells what it missed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from adapters.callback import NotAllowed, NotTaken, post
from adapters.fhir.json_format import to_json
from adapters.fhir.notification import Occasion, Told, notification
from adapters.fhir.subscription import read_filter
from adapters.fhir.xml_format import to_xml
from adapters.store.jobs import Job
from adapters.store.unit import UnitOfWork
from adapters.wire import WireRequest
from consent.subscriptions import HANDSHAKE_TRIES, Event, Status, Subscription
from hie_node import log
from hie_node.acts import Act, Caller
from hie_node.clients import registered
from hie_node.due import claimed
from hie_node.flows.changes import HAPPENED
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.subscriptions import (
    TELL,
    Focus,
    decide,
    focus_of,
    headers_of,
    places_of,
    wake,
    what_may_be_shown,
)
from hie_node.house import House
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import StorageUnavailable

LEASE = 15
"""Seconds beyond what an endpoint may take: after them the work of a process that was killed is taken up again."""
AT_ONCE = 8
MOST_CHANGES = 100
MOST_EVENTS = 20
"""Events in one message, where the subscription does not say less."""
PAUSE = 0.25
GONE = "the system is not admitted any more"


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to an endpoint now. `last` is the number of the last event in it."""

    subscription: Subscription
    occasion: Occasion
    body: bytes
    last: int


def run(house: House, stopping: Callable[[], bool]) -> None:
    """Until told to stop, beside the other tasks: an endpoint that is slow holds nobody else up."""
    wait, running = threading.Event(), set[Future[None]]()
    with ThreadPoolExecutor(AT_ONCE, "telling") as pool:
        while not stopping():
            more = False
            with _logged():
                more = number_what_happened(house)
                running = {one for one in running if not one.done()}
                running |= tell_subscribers(house, pool, most=AT_ONCE - len(running))
            if not more:
                wait.wait(PAUSE)


@contextmanager
def _logged() -> Iterator[None]:
    """What goes wrong is written down; its job comes again when its lease is over."""
    try:
        yield
    except StorageUnavailable as failure:
        log.storage_unavailable("job subscriptions", failure)
    except Exception as error:
        log.fault("job subscriptions", error, "")


# ---- numbers ----


def number_what_happened(house: House) -> bool:
    """Each change gets the next number of every subscription that it matters to; done with its job, or not at all.

    True where there may be more of it.
    """
    jobs = claimed(house, HAPPENED, lease=LEASE, limit=MOST_CHANGES)
    for job in jobs:
        with house.storage.begin() as unit:
            _number(house, unit, job.payload)
            unit.jobs.done(job.id)
    return len(jobs) == MOST_CHANGES


def _number(house: House, unit: UnitOfWork, change: dict[str, Any]) -> None:
    at = datetime.fromisoformat(change["at"])
    event = Event(0, at, change["kind"], change["id"], change["version"], change["change"], "")
    item = focus_of(unit, event)
    person = by_record_id(unit, item.record_id) if item is not None and item.record_id else None
    if item is None or person is None or item.record_id is None:
        return
    event = replace(event, record_id=item.record_id)
    # whether it is what was asked for is a matter of what it was then; whether it may be shown, of what it is now
    then = unit.documents.version(event.focus, event.version) if event.kind == "DocumentReference" else item
    if then is None:
        return
    deprecated = event.change == "update" and _is_taken_out_of_use(unit, event, then)
    for candidate in unit.subscriptions.listening(event.kind, person.record_ids):
        one = unit.subscriptions.subscription(candidate.id)
        if one is None or (event.change == "update" and one.topic.deprecations and not deprecated):
            continue
        if _fits(house, one, then) and _may_be_told(house, unit, one, event, item, person):
            _give_number(house, unit, one, event)


def _is_taken_out_of_use(unit: UnitOfWork, event: Event, then: Focus) -> bool:
    before = unit.documents.version(event.focus, event.version - 1) if isinstance(then, DocumentEntry) else None
    current = DocumentStatus.CURRENT
    return before is not None and before.status is current and then.status is not current


def _give_number(house: House, unit: UnitOfWork, one: Subscription, event: Event) -> None:
    number = one.delivery.happened + 1
    if not unit.subscriptions.add_event(one.id, replace(event, number=number)):
        return
    one = replace(one, delivery=replace(one.delivery, happened=number))
    unit.subscriptions.save(one)
    if one.status is Status.ACTIVE:
        wake(unit, one, house.now())


def _may_be_told(
    house: House, unit: UnitOfWork, one: Subscription, event: Event, item: Focus, person: Identified
) -> bool:
    """Whether it is heard, and may be shown: what may not leaves no number behind."""
    heard = one.is_heard and not one.is_over(event.occurred) and event.occurred >= one.since
    if not heard or event.change not in one.topic.changes:
        return False
    act = Act(house, Caller(one.requester, "house"), "ITI-112")
    decisions = decide(act, unit, person, item)
    return bool(decisions) and all(decision.permit for decision in decisions)


def _fits(house: House, one: Subscription, item: Focus) -> bool:
    request = WireRequest("GET", "/fhir/Subscription", "house", base_of(house), house.home)
    searches = [read_filter(text, one.question.topic, request) for text in one.question.filters]
    return not searches or any(_holds(search, item) for search in searches)


def _holds(search: Any, item: Focus) -> bool:
    """All conditions but that on the patient, whom the subscription's record stands for."""
    if isinstance(item, DocumentEntry):
        return bool(search.fits(item))
    named = search.identifiers is None or bool({item.unique_id, item.entry_uuid} & set(search.identifiers))
    return named and all(condition(item) for condition in search.where)


def base_of(house: House) -> str:
    return f"{house.settings.house.url}/fhir"


# ---- messages ----


def tell_subscribers(house: House, pool: ThreadPoolExecutor, *, most: int = AT_ONCE) -> set[Future[None]]:
    """Begin to bring endpoints up to date whose time has come, up to `most` of them."""
    lease = house.settings.subscriptions.seconds + LEASE
    jobs = claimed(house, TELL, lease=lease, limit=most) if most else []
    return {pool.submit(_tell, house, job) for job in jobs}


def _tell(house: House, job: Job) -> None:
    with _logged():
        _bring_up_to_date(house, job)


def _bring_up_to_date(house: House, job: Job) -> None:
    message = _prepare(house, job)
    if message is None:
        return
    why_not = _send(house, message)
    with house.storage.begin() as unit:
        one = unit.subscriptions.subscription(message.subscription.id)
        if one is None or one.version != message.subscription.version:
            _finish(house, unit, job, one)
            return
        one = _taken(house, one, message) if why_not is None else _not_taken(house, one, why_not)
        unit.subscriptions.save(one)
        _finish(house, unit, job, one)


def _prepare(house: House, job: Job) -> Message | None:
    """What to send now, with its row in the record; None where there is nothing, and then the job says when again."""
    now = house.now()
    with house.storage.begin() as unit:
        one = unit.subscriptions.subscription(job.payload["id"])
        if one is not None and one.is_heard:
            one = _still_admitted(house, unit, one)
        occasion = _occasion(one, now) if one is not None else None
        if one is None or occasion is None:
            _finish(house, unit, job, one)
            return None
        told: list[Told] = []
        last = one.delivery.acknowledged
        if occasion == "event-notification" and one.is_heard:
            told = _what_to_tell(house, unit, one)
            last = told[-1].event.number if told else one.delivery.happened
        bundle = notification(one, occasion, told, content=one.channel.content, base=base_of(house), home=house.home)
    body = to_xml(bundle) if one.channel.payload.endswith("xml") else to_json(bundle)
    return Message(one, occasion, body, last)


def _still_admitted(house: House, unit: UnitOfWork, one: Subscription) -> Subscription:
    """Off where its end has come, or where the system may not ask any more."""
    client = registered(unit.people_of_the_house.client(one.client_id))
    kind = one.topic.kind
    admitted = (
        client is not None
        and one.requester.purpose in client.purposes
        and (one.channel.content == "empty" or client.scopes.cover(kind, "r"))
    )
    if admitted and not one.is_over(house.now()):
        return one
    error = one.error if admitted else GONE
    off = replace(one, status=Status.OFF, error=error, version=one.version + 1, updated=house.now())
    unit.subscriptions.save(off)
    return off


def _occasion(one: Subscription, now: datetime) -> Occasion | None:
    delivery = one.delivery
    if one.status is Status.OFF:
        # said once, to who was told of anything before (DSUBm 2:3.112.8); a system that is shut out hears nothing
        return None if delivery.parted or delivery.told is None or one.error == GONE else "event-notification"
    if one.status is Status.ERROR or (delivery.next_try is not None and delivery.next_try > now):
        return None
    if one.status is Status.REQUESTED:
        return "handshake"
    if delivery.happened > delivery.acknowledged:
        return "event-notification"
    return "heartbeat" if _heartbeat_due(one) is not None and _heartbeat_due(one) <= now else None  # type: ignore[operator]


def _heartbeat_due(one: Subscription) -> datetime | None:
    if one.channel.heartbeat is None or one.delivery.told is None:
        return None
    return one.delivery.told + timedelta(seconds=one.channel.heartbeat)


def _what_to_tell(house: House, unit: UnitOfWork, one: Subscription) -> list[Told]:
    first = one.delivery.acknowledged + 1
    most = min(one.channel.most or MOST_EVENTS, MOST_EVENTS)
    events = unit.subscriptions.events(one.id, first, one.delivery.happened, limit=most)
    act = Act(house, Caller(one.requester, "house"), "ITI-112")
    shown = what_may_be_shown(act, unit, events)
    for row in act.extra_rows:
        unit.disclosures.add(row)
    return [Told(event, shown.get(event.number)) for event in events]


def _send(house: House, message: Message) -> str | None:
    """None when the endpoint took it, else why not."""
    one = message.subscription
    most = house.settings.subscriptions.seconds
    headers = {
        "Content-Type": f"{one.channel.payload}; fhirVersion=4.0; charset=utf-8",
        "Accept": one.channel.payload,
        **dict(headers_of(house, one)),
    }
    try:
        seconds = min(most, one.channel.timeout or most)
        post(one.channel.endpoint, message.body, headers, places=places_of(house), seconds=seconds)
    except NotTaken as failure:
        return failure.reason
    except NotAllowed:
        return "not-allowed"
    return None


def _taken(house: House, one: Subscription, message: Message) -> Subscription:
    delivery = one.delivery.taken(message.last, house.now())
    if not one.is_heard:
        return replace(one, delivery=replace(delivery, parted=True))
    if message.occasion == "handshake":
        changed = {"status": Status.ACTIVE, "version": one.version + 1, "updated": house.now()}
        return replace(one, delivery=delivery, error="", **changed)  # type: ignore[arg-type]
    return replace(one, delivery=delivery, error="")


def _not_taken(house: House, one: Subscription, why_not: str) -> Subscription:
    now = house.now()
    if not one.is_heard:
        return replace(one, delivery=replace(one.delivery, parted=True))
    delivery = one.delivery.failed(now)
    waited = now - (delivery.failing_since or now) >= timedelta(hours=house.settings.subscriptions.give_up)
    no_handshake = one.status is Status.REQUESTED and delivery.tries >= HANDSHAKE_TRIES
    failing = replace(one, delivery=delivery, error=f"the endpoint could not be told: {why_not}")
    if not waited and not no_handshake and why_not != "not-allowed":
        return failing
    log.event("subscription in error", subscription=one.id, reason=why_not)
    return replace(failing, status=Status.ERROR, version=one.version + 1, updated=now)


def _finish(house: House, unit: UnitOfWork, job: Job, one: Subscription | None) -> None:
    """The job is done, and comes again when there is more to tell."""
    unit.jobs.done(job.id)
    again = _again(one, house.now()) if one is not None else None
    if one is not None and again is not None:
        wake(unit, one, again)


def _again(one: Subscription, now: datetime) -> datetime | None:
    if one.status in (Status.OFF, Status.ERROR):
        return None
    if one.delivery.next_try is not None:
        return one.delivery.next_try
    if one.status is Status.REQUESTED or one.delivery.happened > one.delivery.acknowledged:
        return now
    due = [moment for moment in (_heartbeat_due(one), one.question.end) if moment is not None]
    return min(due) if due else None


def forget(house: House) -> None:
    """What was told long ago, and subscriptions whose endpoint has been in error for as long."""
    before = house.now() - timedelta(days=house.settings.subscriptions.keep)
    with house.storage.begin() as unit:
        for one in (*unit.subscriptions.all(heard=True), *unit.subscriptions.all(heard=False)):
            unit.subscriptions.forget_events(_given_up(house, unit, one, before), before)


def _given_up(house: House, unit: UnitOfWork, one: Subscription, before: datetime) -> Subscription:
    if one.status is not Status.ERROR or one.updated is None or one.updated >= before:
        return one
    off = replace(one, status=Status.OFF, version=one.version + 1, updated=house.now())
    unit.subscriptions.save(off)
    return off
