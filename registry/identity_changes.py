"""Who a patient is has changed: what is told to the hospitals that learnt it, and what came of telling them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from registry.identifiers import HomeCommunityId, PatientIdentifier


class IdentityChange(StrEnum):
    """What was decided about two records."""

    MERGED = "merged"
    SEPARATED = "separated"
    KEPT_APART = "kept-apart"


@dataclass(frozen=True, slots=True)
class Learnt:
    """Another hospital was shown something of a record here.

    numbers  those that it asked with or was given, and no other
    seen     when it last was
    """

    home: HomeCommunityId
    record_id: str
    numbers: tuple[PatientIdentifier, ...]
    seen: datetime


@dataclass(frozen=True, slots=True)
class IdentityNotice:
    """One notice between two hospitals, kept by both.

    home          the other hospital
    sent          whether this hospital told, else it was told
    record_ids    the records here that it is about
    made          when it was made here, or came
    heard         when the other hospital first gave an answer, whatever that was
    acknowledged  when it said that it has done what there was to do
    """

    id: str
    home: HomeCommunityId
    sent: bool
    change: IdentityChange
    record_ids: tuple[str, ...]
    made: datetime
    heard: datetime | None = None
    acknowledged: datetime | None = None

    @property
    def state(self) -> str:
        """One of received, waiting, told, acknowledged."""
        if not self.sent:
            return "received"
        if self.acknowledged is not None:
            return "acknowledged"
        return "told" if self.heard is not None else "waiting"


@dataclass(frozen=True, slots=True)
class ToldChange:
    """A notice as it travels: for one hospital, with the numbers that this one knows already."""

    id: str
    signer: HomeCommunityId
    recipient: HomeCommunityId
    change: IdentityChange
    numbers: tuple[PatientIdentifier, ...]
    made: datetime


@dataclass(frozen=True, slots=True)
class LearnChange:
    """A peer says that who a patient is has changed there. `jws` is its signed notice. Answered with bool."""

    jws: str


class Identities(Protocol):
    """What other hospitals learnt of patients here, and the notices of changes."""

    def learn(self, learnt: Iterable[Learnt]) -> None: ...
    def learnt_of(self, record_ids: Iterable[str]) -> tuple[Learnt, ...]: ...
    def keep(self, notice: IdentityNotice) -> bool: ...
    def notice(self, notice_id: str) -> IdentityNotice | None: ...
    def answered(self, notice_id: str, *, now: datetime, acknowledged: bool) -> None: ...
    def notices(self, *, limit: int) -> tuple[IdentityNotice, ...]: ...
    def forget_before(self, moment: datetime) -> int: ...


Group = tuple[HomeCommunityId, tuple[PatientIdentifier, ...], tuple[str, ...]]
"""A hospital, the numbers that it named for one patient, and the records here that it was shown something of."""


def groups(learnt: Iterable[Learnt]) -> tuple[Group, ...]:
    """By hospital, what it asked about as one patient: numbers that it never named together stay apart, so that no
    notice says which of them belong together."""
    found: list[tuple[HomeCommunityId, set[PatientIdentifier], set[str]]] = []
    for one in learnt:
        numbers, records = set(one.numbers), {one.record_id}
        for other in [group for group in found if group[0] == one.home and group[1] & numbers]:
            found.remove(other)
            numbers |= other[1]
            records |= other[2]
        found.append((one.home, numbers, records))
    return tuple((home, tuple(sorted(numbers)), tuple(sorted(records))) for home, numbers, records in found)
