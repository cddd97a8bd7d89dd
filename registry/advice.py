"""What a doctor is told at the moment of ordering, and what the doctor answers: commands and their results.

The same for every way to order: CDS Hooks, the form on the doctor's page, HL7 v2 orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from registry.answers import Community, OutcomeKind
from registry.coded import CodedValue
from registry.documents import DocumentEntry
from registry.done_before import Match
from registry.earlier import Earlier
from registry.identifiers import HomeCommunityId
from registry.ledger import Entry, Verdict
from registry.ordered import Ordered
from registry.searches import PatientSelector

Asking = Literal["never", "stale", "always"]
"""Whether other hospitals are asked: not at all, where what is remembered is not fresh, or in any case."""


@dataclass(frozen=True, slots=True)
class RequestedService:
    """One order as its system writes it.

    reference  how that system calls it, so that a card can be about it
    codes      of what is ordered, in whatever systems
    texts      the same in words
    diagnoses  ICD-10 codes of the reason
    """

    reference: str
    codes: tuple[CodedValue, ...] = ()
    texts: tuple[str, ...] = ()
    diagnoses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """Has it been done? Answered with OrderAdvice.

    via      the way it came: `order-select`, `order-sign`, `patient-view`, `page`, `hl7v2`
    person   the doctor, where the caller is a system that speaks for one
    history  all earlier CT and MRI are wanted, whatever is ordered
    """

    patient: PatientSelector
    requested: tuple[RequestedService, ...] = ()
    via: str = "page"
    asking: Asking = "stale"
    person: str = ""
    history: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one other hospital, and when it was asked last."""

    community: Community
    kind: OutcomeKind
    asked: datetime


@dataclass(frozen=True, slots=True)
class Advice:
    """One order, and what was done before that bears on it, the likest first. `card` names it in the ledger."""

    card: str
    ordered: Ordered
    matches: tuple[Match, ...]

    @property
    def stands_in(self) -> bool:
        return bool(self.matches) and self.matches[0].stands_in

    @property
    def comparable(self) -> bool:
        """Whether ordering it would be a repeat: something is the same examination, however old."""
        return bool(self.matches) and self.matches[0].likeness.answers


@dataclass(frozen=True, slots=True)
class OrderAdvice:
    """All of it.

    record_id  the patient here; None where nobody is known
    history    all earlier CT and MRI, newest first, where they were asked for; `papers` all other documents likewise
    lines      one for each other hospital that was asked, now or before
    places     the hospitals of what is shown
    table      version of the validity table, and `table_status` what it is worth
    """

    record_id: str | None
    advices: tuple[Advice, ...] = ()
    history: tuple[Earlier, ...] = ()
    papers: tuple[DocumentEntry, ...] = ()
    lines: tuple[Line, ...] = ()
    places: tuple[Community, ...] = ()
    table: str = ""
    table_status: str = ""
    not_unique: bool = False

    @property
    def missing(self) -> tuple[Line, ...]:
        """Hospitals of which it is not known what they have."""
        return tuple(line for line in self.lines if line.kind is not OutcomeKind.ANSWERED)

    def place(self, home: HomeCommunityId) -> str:
        """The name of a hospital that something shown is from."""
        return next((one.name for one in self.places if one.home == home), str(home))


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """What a doctor decided about one card: use what is there, or repeat, and why."""

    card: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnswerCards:
    """Decisions for the ledger. Answered with Decided."""

    answers: tuple[CardAnswer, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What was entered."""

    entries: tuple[Entry, ...]
