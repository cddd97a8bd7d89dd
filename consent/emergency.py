"""Emergency access ("truy cập khẩn cấp"): declared with a reason, short, told at once, looked at afterwards.

It is wider than what the patient allowed and never reaches a closed list. The law knows the emergency (Law
91/2025/QH15 Art. 19 k1 a, b: the burden of proof is ours), not this form of it; hours and days are this project's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from consent.requesters import Requester, Role
from consent.working_days import Calendar, after_working_days
from registry.identifiers import HomeCommunityId

LONGEST = timedelta(hours=4)
"""From the declaration; who still needs it declares it again, and somebody is told again."""
CLOCK_TOLERANCE = timedelta(seconds=10)
REVIEW_DAYS = 3
SHORTEST_TEXT = 3


class EmergencyReason(StrEnum):
    """The list from which a reason is chosen; its text says the rest."""

    UNCONSCIOUS = "unconscious"
    THREAT_TO_LIFE = "threat-to-life"
    CANNOT_SIGN = "cannot-sign"
    DISASTER = "disaster"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Declaration:
    """Why an emergency was declared. As a token carries it: `unconscious: struck by a lorry`."""

    reason: EmergencyReason
    text: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.text}"


def declaration(reason: str) -> Declaration | None:
    """What a requester declared; a text that names nothing of the list counts as `other`. None: nothing was.

    Our own pages want a text always; another hospital's may say one of the list alone, but not `other`.
    """
    code, _, rest = reason.partition(":")
    listed = next((one for one in EmergencyReason if one.value == code.strip().lower()), None)
    text = " ".join((reason if listed is None else rest).split())
    if listed in (None, EmergencyReason.OTHER) and len(text) < SHORTEST_TEXT:
        return None
    return Declaration(listed or EmergencyReason.OTHER, text)


def is_declared(requester: Requester, roles: frozenset[Role], *, now: datetime) -> bool:
    """A treating person declared it, said why, and not longer ago than it lasts."""
    if not requester.purpose.is_emergency or requester.role not in roles or declaration(requester.reason) is None:
        return False
    since = requester.declared
    return since is None or since - CLOCK_TOLERANCE <= now < since + LONGEST


Finding = Literal["justified", "unjustified"]


@dataclass(frozen=True, slots=True)
class Review:
    """What the data protection officer found."""

    finding: Finding
    by: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class EmergencyAccess:
    """One emergency of one patient, as this hospital saw it: its own declaration, or that of a hospital that asked.

    record_id  the patient here; None where the patient is not registered at this hospital
    home       where the person works who declared it
    ends       from then on it opens nothing; a new declaration is a new one of these
    due        by when it has to be reviewed
    told       when the notice to the data protection officer had gone out
    """

    id: str
    record_id: str | None
    home: HomeCommunityId
    subject: str
    name: str
    role: Role
    reason: EmergencyReason
    text: str
    declared: datetime
    ends: datetime
    due: datetime
    told: datetime | None = None
    review: Review | None = None

    @property
    def said(self) -> str:
        """The reason as a token carries it."""
        return str(Declaration(self.reason, self.text))

    def is_late(self, now: datetime) -> bool:
        """Nobody looked at it in time."""
        return (self.review.at if self.review else now) > self.due

    def is_same(self, requester: Requester, record_id: str | None, now: datetime) -> bool:
        """Another look under the same declaration."""
        known = (self.record_id, self.home, self.subject)
        return known == (record_id, requester.home, requester.subject) and self.declared <= now < self.ends


def begun(
    new_id: str, requester: Requester, record_id: str | None, *, now: datetime, calendar: Calendar
) -> EmergencyAccess:
    """The emergency that this first look begins; the requester has to have declared one."""
    said = declaration(requester.reason)
    assert said is not None
    declared = min(requester.declared or now, now)
    return EmergencyAccess(
        id=new_id,
        record_id=record_id,
        home=requester.home,
        subject=requester.subject,
        name=requester.name,
        role=requester.role,
        reason=said.reason,
        text=said.text,
        declared=declared,
        ends=declared + LONGEST,
        due=after_working_days(now, REVIEW_DAYS, calendar),
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """How often it was used, for what, by whom, and what the reviews found."""

    total: int
    open: int
    late: int
    by_reason: dict[str, int]
    by_role: dict[str, int]
    by_hospital: dict[str, int]
    by_finding: dict[str, int]


def statistics(accesses: Iterable[EmergencyAccess], *, now: datetime) -> Statistics:
    """Over these; nothing in it names a patient."""
    found = tuple(accesses)
    return Statistics(
        total=len(found),
        open=sum(one.review is None for one in found),
        late=sum(one.is_late(now) for one in found),
        by_reason=dict(Counter(one.reason.value for one in found)),
        by_role=dict(Counter(one.role.value for one in found)),
        by_hospital=dict(Counter(str(one.home) for one in found)),
        by_finding=dict(Counter(one.review.finding for one in found if one.review)),
    )


def findings_by_reason(accesses: Iterable[EmergencyAccess]) -> dict[EmergencyReason, Counter[str]]:
    """For each reason, in the order of the list, how many were found what; `waiting` where nobody has said it yet."""
    counted: dict[EmergencyReason, Counter[str]] = {reason: Counter() for reason in EmergencyReason}
    for one in accesses:
        counted[one.reason][one.review.finding if one.review else "waiting"] += 1
    return {reason: found for reason, found in counted.items() if found}
