"""Resource SubscriptionTopic Search: what can be subscribed to here. R4 has no such resource, so each is a Basic.

Source: IHE DSUBm 1.0, 2:3.114; HL7 Subscriptions R5 Backport 1.1, SubscriptionTopic in R4
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from adapters.fhir import Resource, outcome
from adapters.fhir.elements import Element
from adapters.fhir.search_controls import Asked, one_value, read_search
from adapters.fhir.search_values import TokenValue
from adapters.fhir.subscription import FILTERS, OF_PATIENT
from adapters.fhir.writing import answer_format, respond, searchset
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from consent.subscriptions import TOPICS, Topic
from registry.commands import Page
from registry.errors import NotFound
from registry.searches import Cursor

SEARCH_PARAMETERS = {
    "_id": "token",
    "code": "token",
    "derived-or-self": "uri",
    "resource": "uri",
    "status": "token",
    "url": "uri",
}
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
_R4B = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic."
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
_CODE = {"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}


@dataclass(frozen=True, slots=True)
class FindTopics:
    """Which topics there are; None for any. Answered with Page[Topic].

    resources  `DocumentReference`, `List`, or their definitions
    """

    ids: frozenset[str] | None = None
    urls: frozenset[str] | None = None
    resources: frozenset[str] | None = None
    none: bool = False

    def wants(self, topic: Topic) -> bool:
        known = {topic.resource, f"{_DEFINITION}{topic.resource}"}
        return (
            not self.none
            and (self.ids is None or topic_id(topic) in self.ids)
            and (self.urls is None or topic.url in self.urls)
            and (self.resources is None or bool(known & self.resources))
        )


@dataclass(frozen=True, slots=True)
class ReadTopic:
    """One topic. Answered with Topic."""

    id: str


def topic_id(topic: Topic) -> str:
    return topic.url.rpartition("/")[2]


def topic_named(topic_id_: str) -> Topic:
    """Raises NotFound."""
    found = next((one for one in TOPICS.values() if topic_id(one) == topic_id_), None)
    if found is None:
        raise NotFound("Basic")
    return found


def decode(request: WireRequest) -> FindTopics:
    asked = read_search(request, SEARCH_PARAMETERS)
    status, code = _values(asked, "status"), _values(asked, "code")
    other = (status is not None and "active" not in status) or (code is not None and _CODE["code"] not in code)
    urls = [frozenset({one_value(each)}) for each in asked.named("url", "derived-or-self")]
    resources = [frozenset({one_value(each)}) for each in asked.named("resource")]
    return FindTopics(
        ids=_values(asked, "_id"),
        urls=frozenset.intersection(*urls) if urls else None,
        resources=frozenset.union(*resources) if resources else None,
        none=other,
    )


def _values(asked: Asked, name: str) -> frozenset[str] | None:
    given = asked.named(name)
    return frozenset(TokenValue.parse(v).code or "" for each in given for v in each.values) if given else None


def encode(page: Page[Topic], request: WireRequest) -> WireResponse:
    asked = read_search(request, SEARCH_PARAMETERS)
    left = [each for each in page.items if asked.after is None or topic_id(each) > asked.after.id]
    shown = tuple(left[: asked.count])
    more = Cursor(None, topic_id(shown[-1])) if len(left) > len(shown) else None
    page = asked.shown(replace(page, items=shown, next=more))
    return searchset(request, page, topic_of, used=asked.used, warnings=asked.warnings)


def decode_read(request: WireRequest) -> ReadTopic:
    answer_format(request)
    return ReadTopic(request.params["id"])


def encode_read(topic: Topic, request: WireRequest) -> WireResponse:
    return respond(request, topic_of(topic))


def topic_of(topic: Topic) -> Resource:
    """The topic as a Basic."""
    return {
        "resourceType": "Basic",
        "id": topic_id(topic),
        "meta": {"versionId": "1"},
        "extension": [
            {"url": f"{_R5}url", "valueUri": topic.url},
            {"url": f"{_R5}title", "valueString": topic.title},
            {"url": f"{_R4B}resourceTrigger", "extension": [*_trigger(topic)]},
            *({"url": f"{_R4B}canFilterBy", "extension": _filter(topic, name)} for name in filters_of(topic)),
            {"url": f"{_R4B}notificationShape", "extension": [{"url": "resource", "valueUri": topic.resource}]},
        ],
        "modifierExtension": [{"url": f"{_R5}status", "valueCode": "active"}],
        "code": {"coding": [_CODE]},
    }


def filters_of(topic: Topic) -> list[str]:
    """Search parameters that a filter of this topic may use."""
    return sorted(FILTERS[topic.kind] | (OF_PATIENT if topic.of_one_patient else frozenset()))


def _trigger(topic: Topic) -> Iterator[Element]:
    yield {"url": "description", "valueMarkdown": topic.title}
    yield {"url": "resource", "valueUri": f"{_DEFINITION}{topic.resource}"}
    for change in sorted(topic.changes):
        yield {"url": "supportedInteraction", "valueCode": change}


def _filter(topic: Topic, name: str) -> list[Element]:
    return [{"url": "resource", "valueUri": topic.resource}, {"url": "filterParameter", "valueString": name}]


TRANSACTION = Transaction(
    "ITI-114",
    "Find topics of subscriptions",
    source="IHE DSUBm 1.0, 2:3.114",
    route=("GET", "/Basic"),
    command=FindTopics,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Basic", "s"),
    discloses=False,
    form=True,
)
READ = Transaction(
    "ITI-114",
    "Read a topic of subscriptions",
    source="IHE DSUBm 1.0, 2:3.114",
    route=("GET", "/Basic/<id>"),
    command=ReadTopic,
    decode=decode_read,
    encode=encode_read,
    error=outcome.error,
    scope=("Basic", "r"),
    discloses=False,
)
TRANSACTIONS = (TRANSACTION, READ)
