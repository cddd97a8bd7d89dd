"""A standing question: a system of this hospital wants to be told when something of its kind happens.

What happens is numbered for each subscription, without gaps and in order; whether it may be shown is decided again
each time that it is told. Sources: IHE DSUBm 1.0; HL7 Subscriptions R5 Backport 1.1 (FHIR R4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from consent.errors import SubscriptionRefused
from consent.requesters import Requester

Change: TypeAlias = Literal["create", "update"]
Kind: TypeAlias = Literal["DocumentReference", "List", "Folder"]
"""Of what; a List is a submission set, and a folder is written as a List as well."""
Wanted: TypeAlias = Literal["empty", "id-only", "full-resource"]

LEAST_HEARTBEAT = 10
"""Seconds; more often tells nothing that a notification does not."""
LONGEST_PAUSE = timedelta(minutes=10)
HANDSHAKE_TRIES = 3
LOST_NUMBERS = 10_000
"""That a node leaves out when it comes back from a backup: some were given meanwhile, and none may mean two things."""
RESTORED = "this node came back from a backup: search for what the numbers left out, and subscribe anew"


class Status(StrEnum):
    """Source: FHIR R4, subscription-status."""

    REQUESTED = "requested"
    ACTIVE = "active"
    ERROR = "error"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Topic:
    """What can be subscribed to.

    of_one_patient  the filter names a patient, and may only then
    deprecations    of updates only those that take a document out of use
    """

    url: str
    title: str
    kind: Kind
    of_one_patient: bool
    changes: frozenset[Change]
    deprecations: bool = False

    @property
    def resource(self) -> str:
        return resource_type(self.kind)


def resource_type(kind: Kind) -> str:
    """As FHIR calls it."""
    return "List" if kind == "Folder" else kind


_BASE = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/DSUBm-SubscriptionTopic-"
_CREATED: frozenset[Change] = frozenset({"create"})
_CHANGED: frozenset[Change] = frozenset({"create", "update"})
_ROWS: tuple[tuple[str, str, Kind, frozenset[Change], bool], ...] = (
    ("DocumentReference-{}", "New documents", "DocumentReference", _CREATED, False),
    ("DocReference-{}-MinUpdate", "New and superseded documents", "DocumentReference", _CHANGED, True),
    ("DocReference-{}-AllEvents", "New and changed documents", "DocumentReference", _CHANGED, False),
    ("SubmissionSet-{}", "New submission sets", "List", _CREATED, False),
    ("Basic-Folder-Subscription", "New folders", "Folder", _CREATED, False),
    ("Folder-Subscription-for-Full-Events", "New and changed folders", "Folder", _CHANGED, False),
)
"""Name with a place for whose; of folders there are topics of one patient only. Source: DSUBm 1.0, 2:3.110.8"""


def _topics() -> Iterator[Topic]:
    for name, title, kind, changes, deprecations in _ROWS:
        yield Topic(_BASE + name.format("PatientDependent"), f"{title} of a patient", kind, True, changes, deprecations)
        if "{}" in name:
            yield Topic(_BASE + name.format("MultiPatient"), title, kind, False, changes, deprecations)


TOPICS: Mapping[str, Topic] = {one.url: one for one in _topics()}


@dataclass(frozen=True, slots=True)
class Channel:
    """Where and how somebody is told.

    endpoint   `https://…`
    payload    media type of the message
    content    how much of what happened is in it
    headers    names of the headers that go along; their values are sealed apart
    heartbeat  seconds without a message after which one says that all is well; None: never
    timeout    seconds that the endpoint has to answer
    most       events in one message
    """

    endpoint: str
    payload: str = "application/fhir+json"
    content: Wanted = "empty"
    headers: tuple[str, ...] = ()
    heartbeat: int | None = None
    timeout: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        if self.heartbeat is not None and self.heartbeat < LEAST_HEARTBEAT:
            raise SubscriptionRefused("Subscription.channel", f"a heartbeat of {LEAST_HEARTBEAT} seconds or more")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far the telling has come.

    happened       number of the last event; those up to `acknowledged` were taken by the endpoint
    told           when a message was last taken
    failing_since, tries, next_try   while it is not
    parted     it was told that its subscription is off
    """

    happened: int = 0
    acknowledged: int = 0
    told: datetime | None = None
    failing_since: datetime | None = None
    tries: int = 0
    next_try: datetime | None = None
    parted: bool = False

    def failed(self, now: datetime) -> Delivery:
        """One more try that did not work; the pauses grow from two seconds to ten minutes."""
        pause = min(LONGEST_PAUSE, timedelta(seconds=2 ** min(self.tries + 1, 10)))
        return Delivery(
            self.happened, self.acknowledged, self.told, self.failing_since or now, self.tries + 1, now + pause
        )

    def taken(self, number: int, now: datetime) -> Delivery:
        """The endpoint has everything up to this number."""
        return Delivery(self.happened, max(self.acknowledged, number), now)


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to be told of, and how.

    topic    its canonical URL
    filters  as they were written: `DocumentReference?patient=…`; one of them has to hold, where there are any
    extra    what the message said besides
    """

    topic: str
    filters: tuple[str, ...]
    channel: Channel
    reason: str = ""
    end: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """The standing question of one system.

    requester  on whose behalf, as it was when the question was put; an emergency ends, so none is kept
    record_id  a source record of the patient, for a topic of one patient
    secret     the values of the channel's headers, sealed
    since      when it was put: what happened before is not told
    error      the last reason why the endpoint could not be told
    """

    id: str
    client_id: str
    requester: Requester
    question: Question
    since: datetime
    status: Status = Status.REQUESTED
    record_id: str | None = None
    secret: str = field(default="", repr=False)
    error: str = ""
    version: int = 1
    updated: datetime | None = None
    delivery: Delivery = Delivery()

    @property
    def topic(self) -> Topic:
        return TOPICS[self.question.topic]

    @property
    def channel(self) -> Channel:
        return self.question.channel

    @property
    def is_heard(self) -> bool:
        """Whether what happens is numbered for it: also while its endpoint cannot be told."""
        return self.status is not Status.OFF

    def after_restore(self, now: datetime) -> Subscription:
        """Nobody knows what was told since the backup: its system has to look, and to ask for more."""
        delivery = replace(self.delivery, happened=self.delivery.happened + LOST_NUMBERS)
        changed = replace(self, status=Status.ERROR, error=RESTORED, delivery=delivery)
        return replace(changed, version=self.version + 1, updated=now)

    def is_over(self, now: datetime) -> bool:
        return self.question.end is not None and now >= self.question.end


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `focus` is the id of a DocumentReference or List; it was made in `version`."""

    number: int
    occurred: datetime
    kind: Kind
    focus: str
    version: int
    change: Change
    record_id: str

    @property
    def resource(self) -> str:
        return resource_type(self.kind)
