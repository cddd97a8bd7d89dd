"""Resource Subscription and its search: a system of this hospital asks to be told, looks how that stands, and what
it may have missed. Each system sees its own subscriptions only.

Source: IHE DSUBm 1.0, 2:3.110 and 2:3.113; HL7 Subscriptions R5 Backport 1.1, $status and $events
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adapters.fhir import outcome
from adapters.fhir.conditional import as_search, not_selective
from adapters.fhir.elements import filled
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.notification import Told, notification, subscription_status
from adapters.fhir.operations import named, unusable
from adapters.fhir.preconditions import expected_version, refuse_implicit_rules
from adapters.fhir.reading import read_resource
from adapters.fhir.search_controls import Asked, one_value, read_search
from adapters.fhir.search_values import TokenValue
from adapters.fhir.subscription import read_subscription, subscription
from adapters.fhir.writing import answer_format, created, meta_now, respond, searchset, version_url
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from consent.commands import EventsListed, FindSubscriptions, ListEvents, ReadSubscription, SaveSubscription
from consent.subscriptions import TOPICS, Status, Subscription
from registry.commands import Found, Page

SEARCH_PARAMETERS = {
    "_id": "token",
    "criteria": "string",
    "filter-criteria": "string",
    "payload": "token",
    "status": "token",
    "topic": "uri",
    "type": "token",
    "url": "uri",
}
_OPERATIONS = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"
OPERATIONS = {"$status": f"{_OPERATIONS}status", "$events": f"{_OPERATIONS}events"}
_TOPIC = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
EXTENSIONS = tuple({"url": _TOPIC, "valueCanonical": url} for url in TOPICS)
MOST_BYTES = 256 * 1024


# ---- put ----


def decode_create(request: WireRequest) -> SaveSubscription:
    condition = as_search(request, request.header("if-none-exist"))
    unless = decode_search(condition) if condition else None
    if unless is not None and unless == FindSubscriptions():
        raise not_selective()
    return _put(request, unless=unless)


def decode_update(request: WireRequest) -> SaveSubscription:
    return _put(request, id=request.params["id"], expected_version=expected_version(request))


def _put(request: WireRequest, **more: Any) -> SaveSubscription:
    body, _ = read_resource(request, "Subscription", MOST_BYTES)
    refuse_implicit_rules(body)
    if "id" in more and body.get("id") != more["id"]:
        text = "the id in the resource is not the one in the URL; nothing was stored"
        raise BadRequest(Issue("error", "invalid", text, ("Subscription.id",)))
    put = read_subscription(body, request)
    return SaveSubscription(put.question, put.headers, put.patient, put.off, **more)


def encode_created(stored: Subscription | Found[Subscription], request: WireRequest) -> WireResponse:
    if isinstance(stored, Found):
        resource = subscription(stored.item)
        return respond(request, resource, headers=(("Location", version_url(request, resource)),))
    return created(request, subscription(stored))


def encode(stored: Subscription, request: WireRequest) -> WireResponse:
    return respond(request, subscription(stored))


def decode_read(request: WireRequest) -> ReadSubscription:
    answer_format(request)
    return ReadSubscription(request.params["id"])


# ---- search ----


def decode_search(request: WireRequest) -> FindSubscriptions:
    return _question(read_search(request, SEARCH_PARAMETERS))


def _question(asked: Asked) -> FindSubscriptions:
    statuses = tuple(_codes(asked, "status")) if asked.named("status") else None
    if statuses and not set(statuses) <= {one.value for one in Status}:
        raise BadRequest("status is one of " + ", ".join(one.value for one in Status) + ".")
    ids = tuple(_codes(asked, "_id")) if asked.named("_id") else None
    where = [_condition(name, one_value(each)) for name in _CONDITIONS for each in asked.named(name)]
    return FindSubscriptions(ids, statuses, tuple(where))


_CONDITIONS: Mapping[str, Callable[[Subscription, str], bool]] = {
    "topic": lambda one, wanted: one.question.topic == wanted,
    "criteria": lambda one, wanted: one.question.topic.startswith(wanted),
    "url": lambda one, wanted: one.channel.endpoint == wanted,
    "filter-criteria": lambda one, wanted: any(text.startswith(wanted) for text in one.question.filters),
    "payload": lambda one, wanted: one.channel.payload == wanted,
    "type": lambda one, wanted: wanted == "rest-hook",
}


def _condition(name: str, wanted: str) -> Callable[[Subscription], bool]:
    return lambda one: _CONDITIONS[name](one, wanted)


def _codes(asked: Asked, name: str) -> list[str]:
    return [TokenValue.parse(value).code or "" for each in asked.named(name) for value in each.values]


def encode_search(page: Page[Subscription], request: WireRequest) -> WireResponse:
    asked = read_search(request, SEARCH_PARAMETERS)
    return searchset(request, asked.shown(page), subscription, used=asked.used, warnings=asked.warnings)


# ---- $status and $events ----


def decode_statuses(request: WireRequest) -> FindSubscriptions:
    given = _given(request, "id", "status")
    ids = tuple(value for name, value in given if name == "id")
    statuses = tuple(value for name, value in given if name == "status")
    return FindSubscriptions(ids or None, statuses or None)


def encode_status(one: Subscription, request: WireRequest) -> WireResponse:
    return encode_statuses(Page((one,)), request)


def encode_statuses(page: Page[Subscription], request: WireRequest) -> WireResponse:
    entries = [
        {
            "fullUrl": f"{request.base}/Subscription/{one.id}/$status",
            "resource": subscription_status(one, "query-status", (), {}, base=request.base),
            "search": {"mode": "match"},
        }
        for one in page.items
    ]
    link = [{"relation": "self", "url": f"{request.base}{request.path.partition('/fhir')[2]}"}]
    bundle = {"resourceType": "Bundle", "meta": meta_now(), "type": "searchset", "total": len(entries)}
    return respond(request, bundle | filled(link=link, entry=entries))


def decode_events(request: WireRequest) -> ListEvents:
    given = dict(_given(request, "eventsSinceNumber", "eventsUntilNumber", "content"))
    content = given.get("content")
    if content not in (None, "empty", "id-only", "full-resource"):
        raise unusable("content", "expected empty, id-only or full-resource")
    last = _number(given, "eventsUntilNumber")
    return ListEvents(request.params["id"], _number(given, "eventsSinceNumber") or 1, last, content)  # type: ignore[arg-type]


def _given(request: WireRequest, *names: str) -> list[tuple[str, str]]:
    """The parameters of an operation: in the URL, or as Parameters in the body."""
    answer_format(request)
    given = [(name, value) for name, value in request.query if name in names]
    if request.method == "POST" and request.length:
        body, _ = read_resource(request, "Parameters", MOST_BYTES)
        given += [(name, _text(one)) for name in names for one in named(body, name)]
    return given


def _text(parameter: dict[str, Any]) -> str:
    return next((str(value) for name, value in parameter.items() if name.startswith("value")), "")


def _number(given: dict[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise unusable(name, "expected the number of an event")
    return int(text)


def encode_events(listed: EventsListed, request: WireRequest) -> WireResponse:
    told = [Told(event, listed.shown.get(event.number)) for event in listed.events]
    bundle = notification(
        listed.subscription, "query-event", told, content=listed.content, base=request.base, home=request.home
    )
    return respond(request, bundle)


# ---- rows ----


def _row(
    name: str,
    title: str,
    route: tuple[str, str],
    parts: tuple[type, Callable[[WireRequest], Any], Callable[[Any, WireRequest], WireResponse]],
    scope: str,
    *,
    discloses: bool = False,
) -> Transaction:
    command, decode, encode_ = parts
    return Transaction(
        name,
        title,
        source=f"IHE DSUBm 1.0, 2:3.{name.removeprefix('ITI-')}",
        route=route,
        command=command,
        decode=decode,
        encode=encode_,
        error=outcome.error,
        scope=("Subscription", scope),
        form=scope == "s" and "$" not in route[1],
        discloses=discloses,
    )


_STATUS = (ReadSubscription, decode_read, encode_status)
_STATUSES = (FindSubscriptions, decode_statuses, encode_statuses)
_EVENTS = (ListEvents, decode_events, encode_events)
CREATE = _row(
    "ITI-110",
    "Subscribe",
    ("POST", "/Subscription"),
    (SaveSubscription, decode_create, encode_created),
    "c",
    discloses=True,
)
UPDATE = _row(
    "ITI-110",
    "Change a subscription, or put it off",
    ("PUT", "/Subscription/<id>"),
    (SaveSubscription, decode_update, encode),
    "u",
    discloses=True,
)
READ = _row(
    "ITI-113", "Read a subscription", ("GET", "/Subscription/<id>"), (ReadSubscription, decode_read, encode), "r"
)
SEARCH = _row(
    "ITI-113",
    "Find subscriptions",
    ("GET", "/Subscription"),
    (FindSubscriptions, decode_search, encode_search),
    "s",
)


def _both(title: str, path: str, parts: Any, *, discloses: bool = False) -> Iterable[Transaction]:
    return (_row("ITI-113", title, (verb, path), parts, "r", discloses=discloses) for verb in ("GET", "POST"))


TRANSACTIONS = (
    CREATE,
    UPDATE,
    READ,
    SEARCH,
    *_both("How subscriptions stand", "/Subscription/$status", _STATUSES),
    *_both("How a subscription stands", "/Subscription/<id>/$status", _STATUS),
    *_both("What happened for a subscription", "/Subscription/<id>/$events", _EVENTS, discloses=True),
)
