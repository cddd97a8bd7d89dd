"""One request on its way through the house: who asks, what was decided, and the row that records it.

A flow opens its unit of work through the act, so that decisions, changes and their record commit together or not at
all; a one-use token is spent in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from adapters.ids import ordered_id
from adapters.store.unit import UnitOfWork
from adapters.trust.peer_tokens import new_token_id
from consent.consents import Consent, Provision, labels_of
from consent.decide import AccessRequest, Decision, Item, decide, may_show_something
from consent.disclosures import Action, Direction, Disclosure
from consent.emergency import EmergencyAccess, begun, is_declared
from consent.reasons import Reason
from consent.receipts import ConsentReceipt
from consent.requesters import Requester
from hie_node.house import House, new_id
from registry.answered import Answered
from registry.answers import CommunityOutcome
from registry.coded import CodedValue
from registry.commands import Provided
from registry.documents import DocumentEntry
from registry.errors import Gone, NotFound, NotUnique, RegistryError
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import SourceRecord
from registry.studies import Study

EMERGENCY_NOTICE = "emergency-notice"
"""The job that tells the data protection officer of an emergency."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the door, once authenticated.

    token_expires  set for a one-use token: it is spent with the first unit of work
    receipts       written requests that the question carried, verified, with their signed form
    residual       rules that came with the token and narrow what is shown
    only_record    the record of the one patient that a token of this node is for
    """

    requester: Requester
    door: str
    token_expires: datetime | None = None
    receipts: tuple[tuple[ConsentReceipt, str], ...] = ()
    residual: tuple[Provision, ...] = ()
    only_record: str | None = None

    @property
    def is_peer(self) -> bool:
        return self.door == "peer"


@dataclass
class Act:
    """One transaction of one caller. Decisions collect here; `unit()` writes them down.

    exchange  the id of the question between hospitals, the same in the records of both: at the holder the id of the
              token that came, at the asking hospital that of the tokens it sends
    heard  what became of each hospital that was asked; kept with the record of the answers
    also   what becomes durable together with the effect, and only with it
    provided  what publishing did, known before its unit ends
    only_records  the records of the one patient that the caller's token is for, once a unit is open
    """

    house: House
    caller: Caller
    transaction: str
    action: Action = "R"
    direction: Direction = "disclosed"
    query: str = ""
    now: datetime = field(init=False)
    patient: PatientIdentifier | None = None
    record_id: str | None = None
    items: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    consents: set[str] = field(default_factory=set)
    other: HomeCommunityId | None = None
    exchange: str = ""
    extra_rows: list[Disclosure] = field(default_factory=list)
    heard: list[CommunityOutcome] = field(default_factory=list)
    token_spent: bool = False
    also: Callable[[UnitOfWork], None] | None = None
    only_records: frozenset[str] = frozenset()
    provided: Provided | None = None
    recorded: bool = field(default=False, init=False)
    _by_labels: dict[tuple[datetime, tuple[CodedValue, ...]], Decision] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.now = self.house.now()
        if self.caller.is_peer:
            self.other = self.caller.requester.home
            self.exchange = self.caller.requester.token_id
        self.exchange = self.exchange or new_token_id()

    @contextmanager
    def unit(self) -> Iterator[UnitOfWork]:
        """The act's unit of work. The record of the act is its last statement; without it nothing commits.

        "Not here" is an answer, so it is recorded and then raised; every other error undoes the unit.
        """
        refusal: RegistryError | None = None
        with self.house.storage.begin() as unit:
            self._spend_token(unit)
            self._bind(unit)
            try:
                yield unit
            except (NotFound, NotUnique, Gone) as error:
                refusal = error
                self.items.clear()
            self.write_down(unit)
            if self.also is not None and refusal is None:
                self.also(unit)
        self.recorded = self.token_spent = True
        self.heard.clear()
        if refusal is not None:
            raise refusal

    def begin_anew(self) -> None:
        """Its unit was undone: forget what it had noted."""
        self.items.clear()
        self.reasons.clear()
        self.consents.clear()
        self.extra_rows.clear()
        self.heard.clear()

    @contextmanager
    def about_nobody(self) -> Iterator[UnitOfWork]:
        """A unit of work in which nothing of a patient is seen or changed: no row, but the token is spent."""
        with self.house.storage.begin() as unit:
            self._spend_token(unit)
            yield unit
        self.token_spent = True

    def fork(self) -> Act:
        """An act of the same caller about another patient: it gets a row of its own."""
        return replace(
            self,
            items=[],
            reasons=Counter(),
            consents=set(),
            extra_rows=[],
            heard=[],
            patient=None,
            record_id=None,
            also=None,
            provided=None,
        )

    def _spend_token(self, unit: UnitOfWork) -> None:
        requester = self.caller.requester
        if self.caller.token_expires and not self.token_spent:
            unit.tokens.spend(str(requester.home), requester.token_id, expires=self.caller.token_expires)

    def _bind(self, unit: UnitOfWork) -> None:
        """A token for one patient is for each record of that person, as they are linked now."""
        person_id = unit.patients.person_of(self.caller.only_record) if self.caller.only_record else None
        if person_id is not None:
            self.only_records = frozenset(record.id for record in unit.patients.records_of(person_id))

    def write_down(self, unit: UnitOfWork) -> None:
        """The row of this act, and of each other patient it touched; emergency access also waits for a review."""
        if self._is_emergency():
            note_emergency(self, unit, self.record_id)
        unit.disclosures.add(self.row())
        for row in self.extra_rows:
            if Reason.EMERGENCY.value in row.reasons:
                note_emergency(self, unit, row.record_id)
            unit.disclosures.add(row)
        self.extra_rows.clear()
        if self.heard:
            unit.peer_answers.add(Answered(one.community.home, one.kind, self.now, one.seconds) for one in self.heard)

    def _is_emergency(self) -> bool:
        """Something is shown only for an emergency, or another hospital is asked in one."""
        if Reason.EMERGENCY.value in self.reasons:
            return True
        policy = self.house.policy
        asked = self.direction == "asked" and policy.emergency_access
        return asked and is_declared(self.caller.requester, policy.emergency_roles, now=self.now)

    def row(self, *, complete: bool = True, bytes_sent: int | None = None) -> Disclosure:
        """The act as it is written down."""
        return Disclosure(
            id=ordered_id(),
            recorded=self.now,
            direction=self._direction(),
            action=self.action,
            transaction=self.transaction,
            requester=self.caller.requester,
            patient=self.patient,
            record_id=self.record_id,
            items=tuple(self.items),
            reasons=dict(self.reasons),
            consents=tuple(sorted(self.consents)),
            other=self.other,
            exchange=self.exchange,
            outcome=0,
            complete=complete,
            bytes_sent=bytes_sent,
            query=self.query,
        )

    def _direction(self) -> Direction:
        if self.direction == "disclosed" and not self.items and self.reasons:
            return "refused"
        return self.direction

    def about(self, record: SourceRecord) -> None:
        """Whom this act is about."""
        self.patient, self.record_id = record.identifier, record.id

    def judge(self, item: DocumentEntry | Study, consents: Sequence[Consent]) -> Decision:
        """Decide on one item and remember the reason."""
        decision = self.weigh(item, consents)
        self.count(decision, 1)
        if decision.permit:
            self.items.append(item.id)
        return decision

    def weigh(self, item: DocumentEntry | Study, consents: Sequence[Consent]) -> Decision:
        """Decide on one item without writing it down."""
        if consents or self.caller.residual or self.caller.only_record is not None:
            return self.decide(item_of(item), consents, record_id=item.record_id)
        # while nobody has said anything, rules look at nothing but its labels
        key = (self.now, item.sensitivity)
        known = self._by_labels.get(key)
        if known is None:
            known = self._by_labels[key] = self.decide(Item(labels_of(item.sensitivity)), consents)
        return known

    def decide(self, item: Item, consents: Sequence[Consent], *, record_id: str | None = None) -> Decision:
        """On what may be no item at all but what several have in common; of whom this act is about."""
        if self.caller.only_record is not None and (record_id or self.record_id) not in self.only_records:
            return Decision(False, Reason.OUTSIDE)
        ask = AccessRequest(self.caller.requester, self.house.home, item, self.caller.residual)
        return decide(ask, consents, self.house.policy, now=self.now)

    def may_show_something(self, consents: Sequence[Consent]) -> bool:
        """Whether any item could be shown at all, decided without a look at one."""
        ask = AccessRequest(self.caller.requester, self.house.home)
        return may_show_something(ask, consents, self.house.policy, now=self.now)

    def count(self, decision: Decision, number: int) -> None:
        if number:
            self.reasons[decision.reason.value] += number
        if decision.consent_id and decision.permit:
            self.consents.add(decision.consent_id)

    def refused(self, reason: Reason) -> None:
        self.reasons[reason.value] += 1


def note_emergency(act: Act, unit: UnitOfWork, record_id: str | None) -> EmergencyAccess:
    """The emergency that this act is part of: begun with its first look, and then the officer is told of it."""
    asker = act.caller.requester
    unit.takes_turns(f"emergency of {record_id}")
    known = unit.emergencies.running(record_id, act.now)
    same = next((one for one in known if one.is_same(asker, record_id, act.now)), None)
    if same is not None:
        return same
    access = begun(new_id(), asker, record_id, now=act.now, calendar=act.house.settings.calendar)
    unit.emergencies.save(access)
    unit.jobs.enqueue(EMERGENCY_NOTICE, {"id": access.id}, run_at=act.now, dedup_key=f"emergency:{access.id}")
    return access


def item_of(item: DocumentEntry | Study) -> Item:
    """What rules look at of a document or a study."""
    if isinstance(item, Study):
        return Item(labels_of(item.sensitivity), item.id, item.study_instance_uid, item.started)
    authors = {a.person for a in item.authors if a.person} | {a.institution for a in item.authors if a.institution}
    encounters = frozenset(f"{one.system}|{one.value}" for one in item.encounters)
    return Item(labels_of(item.sensitivity), item.id, item.unique_id, item.performed, frozenset(authors), encounters)
