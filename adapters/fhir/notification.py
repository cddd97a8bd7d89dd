"""What a subscriber is told: a Bundle that begins with how its subscription stands.

Sources: IHE DSUBm 1.0, 2:3.112 and 2:3.113; HL7 Subscriptions R5 Backport 1.1, backport-subscription-notification-r4
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import uuid4

from adapters.fhir import Resource
from adapters.fhir.document_reference import document_reference
from adapters.fhir.elements import Element, filled, reference
from adapters.fhir.lists import list_of
from adapters.fhir.subscription import BACKPORT
from adapters.fhir.writing import meta_now, meta_time
from consent.subscriptions import Event, Subscription, Wanted
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.identifiers import HomeCommunityId

Occasion: TypeAlias = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]
STATUS_PROFILE = f"{BACKPORT}subscription-status-r4"
BUNDLE_PROFILE = f"{BACKPORT}subscription-notification-r4"


@dataclass(frozen=True, slots=True)
class Told:
    """One event and what it was about, where that may be shown at this moment."""

    event: Event
    item: DocumentEntry | SubmissionSet | Folder | None = None


def notification(
    one: Subscription,
    occasion: Occasion,
    told: Sequence[Told] = (),
    *,
    content: Wanted,
    base: str,
    home: HomeCommunityId,
) -> Resource:
    """The message of an occasion. What may not be shown keeps its number and says nothing else."""
    shown = {each.event.number: each for each in told if each.item is not None} if content != "empty" else {}
    first = {
        "fullUrl": uuid4().urn,
        "resource": subscription_status(one, occasion, told, shown, base=base),
        "request": {"method": "GET", "url": f"{base}/Subscription/{one.id}/$status"},
        "response": {"status": "200"},
    }
    about = [_focus(each, content, base=base, home=home) for each in shown.values()]
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {**meta_now(), "profile": [BUNDLE_PROFILE]},
        "type": "history",
        "timestamp": meta_now()["lastUpdated"],
        "entry": [first, *_once(about)],
    }


def subscription_status(
    one: Subscription, occasion: Occasion, told: Iterable[Told], shown: Mapping[int, Told], *, base: str
) -> Resource:
    """SubscriptionStatus in its form for R4."""
    parts: list[Element] = [
        {"name": "subscription", "valueReference": reference(f"{base}/Subscription/{one.id}")},
        {"name": "topic", "valueCanonical": one.question.topic},
        {"name": "status", "valueCode": one.status.value},
        {"name": "type", "valueCode": occasion},
        {"name": "events-since-subscription-start", "valueString": str(one.delivery.happened)},
        *({"name": "notification-event", "part": _event(each, shown, base)} for each in told),
    ]
    if one.error:
        parts.append({"name": "error", "valueCodeableConcept": {"text": one.error}})
    return {"resourceType": "Parameters", "id": str(uuid4()), "meta": meta_of(STATUS_PROFILE), "parameter": parts}


def meta_of(profile: str) -> Resource:
    return {"profile": [profile]}


def _event(told: Told, shown: Mapping[int, Told], base: str) -> list[Element]:
    event = told.event
    parts: list[Element] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": meta_time(event.occurred)},
    ]
    if event.number in shown:
        parts.append({"name": "focus", "valueReference": reference(_url(event, base))})
    return parts


def _focus(told: Told, content: Wanted, *, base: str, home: HomeCommunityId) -> Element:
    event, created = told.event, told.event.change == "create"
    request = (
        {"method": "POST", "url": event.resource}
        if created
        else {"method": "PUT", "url": f"{event.resource}/{event.focus}"}
    )
    resource = None
    if content == "full-resource" and told.item is not None:
        is_document = isinstance(told.item, DocumentEntry)
        resource = document_reference(told.item, base=base, home=home) if is_document else list_of(told.item)  # type: ignore[arg-type]
    return filled(
        fullUrl=_url(event, base),
        resource=resource,
        request=request,
        response={"status": "201" if created else "200"},
    )


def _once(entries: Iterable[Element]) -> list[Element]:
    """Of a thing that changed twice the newer form alone: a fullUrl stands once unless versions differ (bdl-7)."""
    return list({entry["fullUrl"]: entry for entry in entries}.values())


def _url(event: Event, base: str) -> str:
    return f"{base}/{event.resource}/{event.focus}"
