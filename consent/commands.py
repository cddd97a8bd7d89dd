"""What can be asked about consents and the record of disclosures, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.consents import Consent
from consent.disclosures import Disclosure
from consent.reconciling import Entry
from consent.requesters import PurposeOfUse, Role
from consent.subscriptions import Event, Question, Subscription, Wanted
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.searches import ANYBODY, Cursor, PatientSelector


@dataclass(frozen=True, slots=True)
class PreviewConsent:
    """What would that hospital see of this patient's things here? Answered with a tuple of Foreseen.

    asking    facility code, community or id in the directory of the hospital that would ask
    proposed  a consent that is not recorded, to be decided with as if it were
    """

    patient: PatientSelector
    asking: str
    role: Role = Role.DOCTOR
    purpose: PurposeOfUse = PurposeOfUse.TREAT
    proposed: Consent | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One thing as a hospital would meet it: shown or not, and why."""

    id: str
    what: str
    performed: datetime | None
    permit: bool
    reason: str
    consent_id: str | None
    is_study: bool = False


@dataclass(frozen=True, slots=True)
class RecordConsent:
    """ITI-108 create and update. Answered with Consent as stored, or Found[Consent] where one fits `unless`.

    consent    its `record_id` is filled in by the flow, from `consent.patient` or `patient`
    patient    how the message names the patient
    evidence   the signed request itself, where the message carries it (bytes, media type)
    """

    consent: Consent
    patient: PatientSelector = ANYBODY
    evidence: tuple[bytes, str] | None = None
    create: bool = True
    expected_version: int | None = None
    unless: FindConsents | None = None


@dataclass(frozen=True, slots=True)
class ReadConsent:
    """One consent, or an earlier version. Answered with Consent."""

    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class FindConsents:
    """ITI-108 search. Answered with Page[Consent]. `actor` as `Actor.is_named` takes it."""

    patient: PatientSelector = ANYBODY
    ids: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    actor: str | None = None
    deleted_too: bool = False
    limit: int = 50
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class DeleteConsent:
    """ITI-108 delete: the consent is withdrawn and kept as history. Answered with Consent."""

    id: str


@dataclass(frozen=True, slots=True)
class FindSubscriptions:
    """ITI-113: the caller's own. Answered with Page[Subscription]; `where` are the other conditions."""

    ids: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    where: tuple[Callable[[Subscription], bool], ...] = ()


@dataclass(frozen=True, slots=True)
class SaveSubscription:
    """ITI-110: put a standing question, or put it anew. Answered with Subscription, or Found[Subscription].

    id       None: a new one
    headers  name and value of each header of its channel; None for a value that stays as it was
    patient  whom it is about, for a topic of one patient
    off      it is not heard any more
    """

    question: Question
    headers: tuple[tuple[str, str | None], ...] = ()
    patient: PatientSelector = ANYBODY
    off: bool = False
    id: str | None = None
    expected_version: int | None = None
    unless: FindSubscriptions | None = None


@dataclass(frozen=True, slots=True)
class ReadSubscription:
    """One of the caller's own. Answered with Subscription."""

    id: str


@dataclass(frozen=True, slots=True)
class ListEvents:
    """What happened for a subscription of the caller, from a number to another. Answered with EventsListed."""

    id: str
    first: int = 1
    last: int | None = None
    content: Wanted | None = None


@dataclass(frozen=True, slots=True)
class EventsListed:
    """The events in order, each with what it was about, where that may be shown at this moment.

    shown  the DocumentEntry or SubmissionSet by the number of the event
    """

    subscription: Subscription
    events: tuple[Event, ...]
    shown: Mapping[int, Any]
    content: Wanted


@dataclass(frozen=True, slots=True)
class WithdrawReceipt:
    """A peer says that the patient took a written request back. `jws` is the signed withdrawal. Answered with bool."""

    jws: str


@dataclass(frozen=True, slots=True)
class FindDisclosures:
    """AuditEvent search (ITI-81): who saw what. Answered with Page[Disclosure], newest first.

    since, until  from `since` until before `until`
    subject       the person who asked; `other` the hospital on the other side
    where         the other conditions, for the flow to apply with `accepts`
    """

    patient: PatientSelector = ANYBODY
    ids: tuple[str, ...] | None = None
    identifier: PatientIdentifier | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject: str | None = None
    other: HomeCommunityId | None = None
    where: tuple[Callable[[Disclosure], bool], ...] = ()
    limit: int = 50
    after: Cursor | None = None

    def accepts(self, disclosure: Disclosure) -> bool:
        return all(condition(disclosure) for condition in self.where)


@dataclass(frozen=True, slots=True)
class KeepHead:
    """A peer asks that the head of its record is kept for it. `jws`: as it signed it. Answered with HeadKept."""

    jws: str


@dataclass(frozen=True, slots=True)
class HeadKept:
    """That a head is kept, signed by the keeper; or, as `conflict`, the head of the asker that it cannot follow."""

    cosignature: str = ""
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class ListKeptHeads:
    """A peer asks which heads of its own record are kept here. Answered with them, as that peer signed them."""


@dataclass(frozen=True, slots=True)
class ListExchanges:
    """A peer asks what is on record here of its own questions, from `since` until before `until`.

    Answered with ExchangesListed.
    """

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ExchangesListed:
    """The entries, and from when on there are more where one answer does not hold all."""

    entries: tuple[Entry, ...]
    more_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListWithdrawals:
    """A peer that came back from a backup asks which requests are withdrawn. Answered with WithdrawalsListed."""


@dataclass(frozen=True, slots=True)
class WithdrawalsListed:
    """For a hospital that forgot: our withdrawals that it was to be told of, signed, and its own, as it told us.

    ours   JWS
    yours  id of the request, and when it was taken back
    """

    ours: tuple[str, ...] = ()
    yours: tuple[tuple[str, datetime], ...] = ()
