"""Subscription: a standing question as it is written, and as it is shown to the system that put it.

The values of the channel's headers go in and never come out again. A header that is sent back as it was shown stays.

Sources: IHE DSUBm 1.0, 2:3.110; HL7 Subscriptions R5 Backport 1.1, profile backport-subscription (FHIR R4)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from adapters.callback import unfit_headers
from adapters.fhir import Resource, iti66_find_document_lists, iti67_find_document_references
from adapters.fhir.conditional import as_search
from adapters.fhir.elements import Element, filled, instant, read_moment
from adapters.fhir.issues import Issue, Unprocessable
from adapters.fhir.kept import give_back, keep, without
from adapters.fhir.writing import meta
from adapters.wire import WireRequest
from consent.commands import SaveSubscription
from consent.subscriptions import TOPICS, Channel, Kind, Question, Subscription, Wanted
from registry.searches import ANYBODY, DocumentSearch, SubmissionSearch

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
PROFILE = f"{BACKPORT}subscription"
FILTERS: dict[Kind, frozenset[str]] = {
    "DocumentReference": frozenset({
        "author.family", "author.given", "category", "event", "facility", "format", "security-label", "setting",
        "status", "type",
    }),
    "List": frozenset(["code", "designationType", "identifier", "source.family", "source.given", "sourceId", "status"]),
    "Folder": frozenset(["code", "designationType", "identifier", "source.family", "source.given", "status"]),
}  # fmt: skip
"""Search parameters that a filter may use, besides those of the patient. Source: DSUBm 1.0, 2:3.110.8 (topics)"""
OF_PATIENT = frozenset({"patient", "patient.identifier"})
MOST_FILTERS = 10
LONGEST_TEXT = 1000
AS_IT_WAS = "(kept secret)"
_PAYLOADS = ("application/fhir+json", "application/fhir+xml")
_CONTENTS = ("empty", "id-only", "full-resource")


def read_subscription(body: Resource, request: WireRequest) -> SaveSubscription:
    """What a message puts; whose it is and its id are for the flow to say. Raises FhirError, SubscriptionRefused."""
    # an element may be there by its extensions alone, and then says nothing
    topic = TOPICS.get(body.get("criteria", ""))
    if topic is None:
        raise _refused("code-invalid", "This topic is not known here; see Basic?code=SubscriptionTopic.", "criteria")
    if body.get("status") not in ("requested", "active", "off"):
        raise _refused("value", "A subscription is requested or put off; the rest is up to this node.", "status")
    filters = _filters(body)
    searches = tuple(read_filter(text, topic.url, request) for text in filters)
    if topic.of_one_patient and (len(searches) != 1 or not searches[0].patient.is_given):
        raise _refused("required", "This topic needs one filter with patient or patient.identifier.", "criteria")
    lines = tuple(line or "" for line in body["channel"].get("header", ()))
    if unfit := unfit_headers(lines):
        raise _refused("value", f"Not a header that may be sent along: {', '.join(unfit)}.", "channel.header")
    headers = tuple(_header(line) for line in lines)
    question = Question(
        topic=topic.url,
        filters=filters,
        channel=_channel(body["channel"], tuple(name for name, _ in headers)),
        reason=body.get("reason", ""),
        end=read_moment(body.get("end")),
    )
    return SaveSubscription(
        replace(question, extra=_rest(body, question)),
        headers=headers,
        patient=searches[0].patient if topic.of_one_patient else ANYBODY,
        off=body.get("status") == "off",
    )


def _channel(element: Element, headers: tuple[str, ...]) -> Channel:
    if element.get("type") != "rest-hook":
        raise _refused("not-supported", "The only type of channel here is rest-hook.", "channel.type")
    if not element.get("endpoint"):
        raise _refused("required", "A rest-hook needs its endpoint.", "channel.endpoint")
    payload = element.get("payload", _PAYLOADS[0]).partition(";")[0].strip()
    if payload not in _PAYLOADS:
        raise _refused("not-supported", f"The payload is one of {', '.join(_PAYLOADS)}.", "channel.payload")
    known = {"payload-content", "heartbeat-period", "timeout", "max-count"}
    unknown = [one for one in element.get("extension", ()) if one["url"].removeprefix(BACKPORT) not in known]
    if any(one["url"].startswith(BACKPORT) for one in unknown):
        raise _refused("not-supported", "Other channels than rest-hook are not there.", "channel.extension")
    content = _extension(element.get("_payload"), "payload-content", "valueCode") or "empty"
    if content not in _CONTENTS:
        raise _refused("code-invalid", f"The content is one of {', '.join(_CONTENTS)}.", "channel.payload")
    return Channel(
        endpoint=element["endpoint"],
        payload=payload,
        content=cast(Wanted, content),
        headers=headers,
        heartbeat=_extension(element, "heartbeat-period", "valueUnsignedInt"),
        timeout=_extension(element, "timeout", "valueUnsignedInt"),
        most=_extension(element, "max-count", "valuePositiveInt"),
    )


def _header(line: str) -> tuple[str, str | None]:
    name, _, value = line.partition(":")
    return name.strip(), None if value.strip() == AS_IT_WAS else value.strip()


def _filters(body: Resource) -> tuple[str, ...]:
    told = [one for one in body.get("_criteria", {}).get("extension", ()) if one["url"].startswith(BACKPORT)]
    others = [one for one in told if one["url"] != f"{BACKPORT}filter-criteria"]
    texts = tuple(one.get("valueString", "") for one in told)
    if others:
        raise _refused("not-supported", "Of the extensions here only filter-criteria is known.", "criteria")
    if len(texts) > MOST_FILTERS or any(len(text) > LONGEST_TEXT for text in texts):
        raise _refused("too-costly", f"At most {MOST_FILTERS} filters of {LONGEST_TEXT} characters.", "criteria")
    return texts


def read_filter(text: str, topic_url: str, request: WireRequest) -> DocumentSearch | SubmissionSearch:
    """One filter as the search that it is. Raises FhirError and Unreadable for what this node cannot watch."""
    topic = TOPICS[topic_url]
    kind, question, _ = text.partition("?")
    asked = as_search(request, text)
    if asked is None or not question or kind != topic.resource:
        raise _refused(
            "invalid", f"A filter of this topic begins with {topic.resource}? and its parameters.", "criteria"
        )
    names = {name.partition(":")[0] for name, _ in asked.query}
    if unknown := names - FILTERS[topic.kind] - (OF_PATIENT if topic.of_one_patient else frozenset()):
        shown = sorted(one for one in unknown if one.replace("-", "").replace(".", "").isalnum())
        raise _refused("not-supported", f"This topic has no filter by {', '.join(shown) or 'that'}.", "criteria")
    if topic.kind == "DocumentReference":
        return iti67_find_document_references.decode(asked).search
    found = iti66_find_document_lists.decode(asked)
    if not (found.folders if topic.kind == "Folder" else found.submission_sets):
        raise _refused("invalid", "The code of the filter and the topic speak of different lists.", "criteria")
    return found.search


def subscription(one: Subscription) -> Resource:
    """As its own system sees it."""
    about = filled(id=one.id, meta=meta(one.version, one.updated, PROFILE), status=one.status.value, error=one.error)
    shown = give_back(_known(one.question), one.question.extra)
    return {"resourceType": "Subscription", **about, **without(shown, "resourceType")}


def _known(one: Question) -> Resource:
    channel = one.channel
    extensions = [
        {"url": BACKPORT + name, kind: value}
        for name, kind, value in (
            ("heartbeat-period", "valueUnsignedInt", channel.heartbeat),
            ("timeout", "valueUnsignedInt", channel.timeout),
            ("max-count", "valuePositiveInt", channel.most),
        )
        if value is not None
    ]
    filters = [{"url": f"{BACKPORT}filter-criteria", "valueString": text} for text in one.filters]
    return filled(
        resourceType="Subscription",
        end=instant(one.end),
        reason=one.reason,
        criteria=one.topic,
        _criteria={"extension": filters} if filters else None,
        channel=filled(
            extension=extensions,
            type="rest-hook",
            endpoint=channel.endpoint,
            payload=channel.payload,
            _payload={"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": channel.content}]},
            header=[f"{name}: {AS_IT_WAS}" for name in channel.headers],
        ),
    )


def _rest(body: Resource, question: Question) -> dict[str, Any]:
    """What else the message says: never the headers, which would be kept in the clear."""
    known = _known(question)
    unsaid = ("id", "meta", "status", "error")
    told = {**without(body, *unsaid), "channel": without(body["channel"], "header", "_header")}
    return keep(told, {**known, "channel": without(known["channel"], "header")})


def _extension(element: Element | None, name: str, kind: str) -> Any:
    found = [one for one in (element or {}).get("extension", ()) if one["url"] == BACKPORT + name]
    return found[0].get(kind) if found else None


def _refused(code: str, text: str, at: str) -> Unprocessable:
    return Unprocessable(Issue("error", code, text, (f"Subscription.{at}",)))
