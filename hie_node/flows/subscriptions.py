"""Standing questions of this hospital's systems: kept, shown to their own system, and answered for what was missed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from adapters.callback import NotAllowed, Places
from adapters.store.unit import UnitOfWork
from consent.commands import EventsListed, FindSubscriptions, ListEvents, ReadSubscription, SaveSubscription
from consent.decide import Decision
from consent.errors import SubscriptionRefused
from consent.subscriptions import Delivery, Event, Status, Subscription
from hie_node import secrets_kept
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.flows.permission import consents_for
from hie_node.house import House, new_id
from registry.commands import Found, Page
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.errors import ConditionFitsSeveral, NotFound, UnknownPatient, VersionConflict

TELL = "tell-subscriber"
"""The job that brings one subscription up to date; there is one of it for each, so that what is told stays in order."""
MOST_EVENTS = 500
"""That one answer lists; the numbers say where to go on."""
_USE = b"headers of subscriptions"

Focus = DocumentEntry | SubmissionSet | Folder


def places_of(house: House) -> Places:
    """Where messages may go, as the administrator set it."""
    told = house.settings.subscriptions
    return Places(told.endpoints, str(house.settings.home / told.authority) if told.authority else "")


def wake(unit: UnitOfWork, one: Subscription, at: datetime) -> None:
    """Have the endpoint told of what it does not know yet."""
    unit.jobs.enqueue(TELL, {"id": one.id}, run_at=at, dedup_key=f"subscription:{one.id}")


def save_subscription(act: Act, command: SaveSubscription) -> Subscription | Found[Subscription]:
    """ITI-110. A new question, and one that is put anew, begins with a handshake; what happened keeps its numbers."""
    act.action, act.direction = ("C" if command.id is None else "U"), "changed"
    _check_asker(act)
    if not command.off:
        _check_endpoint(act.house, command)
    with act.unit() as unit:
        unit.takes_turns(f"subscriptions of {act.caller.requester.client_id}")
        if command.unless is not None:
            known = _found(act, unit, command.unless)
            if len(known) > 1:
                raise ConditionFitsSeveral("Subscription")
            if known:
                return Found(known[0])
        before = _own(act, unit, command.id) if command.id else None
        if before is not None and command.expected_version not in (None, before.version):
            raise VersionConflict("Subscription", expected=str(command.expected_version), found=str(before.version))
        _check_number(act, unit, before, off=command.off)
        person = _whose(act, unit, command)
        made = _made(act, command, before, person)
        unit.subscriptions.save(made)
        wake(unit, made, act.now)
        act.items = [made.id]
        return made


def _made(act: Act, command: SaveSubscription, before: Subscription | None, person: Identified | None) -> Subscription:
    asker = replace(act.caller.requester, reason="", declared=None, token_id="")
    delivery = before.delivery if before else Delivery()
    return Subscription(
        id=before.id if before else new_id(),
        client_id=asker.client_id,
        requester=asker,
        question=command.question,
        since=before.since if before else act.now,
        status=Status.OFF if command.off else Status.REQUESTED,
        record_id=person.first.id if person else None,
        secret=_sealed(act.house, command, before),
        version=before.version + 1 if before else 1,
        updated=act.now,
        delivery=replace(delivery, failing_since=None, tries=0, next_try=None, parted=False),
    )


def _check_asker(act: Act) -> None:
    asker = act.caller.requester
    if not asker.client_id:
        raise SubscriptionRefused("Subscription", "a system that asks with a token of its own")
    if asker.purpose.is_emergency:
        raise SubscriptionRefused("Subscription", "a purpose that lasts; an emergency does not")


def _check_endpoint(house: House, command: SaveSubscription) -> None:
    try:
        places_of(house).allowed(command.question.channel.endpoint)
    except NotAllowed as refusal:
        raise SubscriptionRefused("Subscription.channel.endpoint", refusal.expected) from refusal


def _check_number(act: Act, unit: UnitOfWork, before: Subscription | None, *, off: bool) -> None:
    most = act.house.settings.subscriptions.most
    mine = [one for one in unit.subscriptions.of_client(act.caller.requester.client_id) if one.is_heard]
    if not off and (before is None or not before.is_heard) and len(mine) >= most:
        raise SubscriptionRefused("Subscription", f"at most {most} of one system")


def _whose(act: Act, unit: UnitOfWork, command: SaveSubscription) -> Identified | None:
    if not command.patient.is_given:
        return None
    person = identify(act, unit, command.patient)
    if person is None:
        raise UnknownPatient("of this subscription")
    act.about(person.first)
    return person


def _sealed(house: House, command: SaveSubscription, before: Subscription | None) -> str:
    """The values of all headers; one that stays as it was is looked up by its name. Raises SubscriptionRefused."""
    earlier = dict(headers_of(house, before)) if before else {}
    values: list[tuple[str, str]] = []
    for name, value in command.headers:
        kept = value if value is not None else earlier.get(name)
        if kept is None:
            raise SubscriptionRefused("Subscription.channel.header", "the value of each new header")
        values.append((name, kept))
    return secrets_kept.sealed(house, json.dumps(values), use=_USE) if values else ""


def headers_of(house: House, one: Subscription) -> list[tuple[str, str]]:
    """Name and value of each header that goes along."""
    text = secrets_kept.opened(house, one.secret, use=_USE) if one.secret else None
    return [(name, value) for name, value in json.loads(text)] if text else []


def _own(act: Act, unit: UnitOfWork, subscription_id: str) -> Subscription:
    """Another system's subscription is none. Raises NotFound."""
    one = unit.subscriptions.subscription(subscription_id)
    if one is None or not act.caller.requester.client_id or one.client_id != act.caller.requester.client_id:
        raise NotFound("Subscription")
    return one


def read_subscription(act: Act, command: ReadSubscription) -> Subscription:
    with act.house.storage.read() as unit:
        return _own(act, unit, command.id)


def find_subscriptions(act: Act, command: FindSubscriptions) -> Page[Subscription]:
    """ITI-113: all of them; a system has few."""
    with act.house.storage.read() as unit:
        found = _found(act, unit, command)
    return Page(found, total=len(found))


def _found(act: Act, unit: UnitOfWork, command: FindSubscriptions) -> tuple[Subscription, ...]:
    client_id = act.caller.requester.client_id
    return tuple(
        one
        for one in (unit.subscriptions.of_client(client_id) if client_id else ())
        if (command.ids is None or one.id in command.ids)
        and (command.statuses is None or one.status.value in command.statuses)
        and all(condition(one) for condition in command.where)
    )


def list_events(act: Act, command: ListEvents) -> EventsListed:
    """`$events`: what happened, each decided again now."""
    with act.unit() as unit:
        one = _own(act, unit, command.id)
        last = one.delivery.happened if command.last is None else min(command.last, one.delivery.happened)
        events = unit.subscriptions.events(one.id, command.first, last, limit=MOST_EVENTS)
        shown = what_may_be_shown(act, unit, events)
        return EventsListed(one, events, shown, command.content or one.channel.content)


def what_may_be_shown(act: Act, unit: UnitOfWork, events: Sequence[Event]) -> dict[int, Focus]:
    """What these events were about, as it is now, by their numbers; each patient gets a row in the record."""
    shown: dict[int, Focus] = {}
    for record_id in dict.fromkeys(event.record_id for event in events):
        person = by_record_id(unit, record_id)
        if person is None:
            continue
        one = act.fork()
        one.direction = "disclosed"
        one.about(person.first)
        for event in (each for each in events if each.record_id == record_id):
            item = focus_of(unit, event)
            if item is not None and _judge(one, unit, person, item):
                shown[event.number] = item
        act.extra_rows.append(one.row())
    return shown


def focus_of(unit: UnitOfWork, event: Event) -> Focus | None:
    if event.kind == "List":
        return unit.documents.submission(event.focus)
    if event.kind == "Folder":
        return unit.documents.folder(event.focus)
    return unit.documents.entry(event.focus)


def _judge(act: Act, unit: UnitOfWork, person: Identified, item: Focus) -> bool:
    decisions = decide(act, unit, person, item)
    for decision in decisions:
        act.count(decision, 1)
    permitted = bool(decisions) and all(decision.permit for decision in decisions)
    if permitted and item.id not in act.items:
        act.items.append(item.id)
    return permitted


def decide(act: Act, unit: UnitOfWork, person: Identified, item: Focus) -> list[Decision]:
    """On the document; a list names documents, so each of them has to be one that may be seen."""
    consents = consents_for(act, unit, person, keep=False)
    if isinstance(item, DocumentEntry):
        return [act.weigh(item, consents)]
    members = [unit.documents.entry(member) for member in item.members]
    return [act.weigh(member, consents) for member in members if member is not None]
