"""What the rules need from the outside, as small Protocols."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consent.consents import Consent
from consent.disclosures import Disclosure
from consent.merkle import Frontier
from consent.receipts import ConsentReceipt
from registry.identifiers import HomeCommunityId
from registry.searches import Cursor


class Consents(Protocol):
    """Consents of this hospital's patients, every version of them."""

    def save(self, consent: Consent) -> None: ...
    def consent(self, consent_id: str) -> Consent | None: ...
    def version(self, consent_id: str, version: int) -> Consent | None: ...
    def versions(self, consent_id: str) -> tuple[Consent, ...]: ...
    def of_records(self, record_ids: Sequence[str]) -> tuple[Consent, ...]: ...
    def search(
        self, *, record_ids: Sequence[str] | None, statuses: Sequence[str] | None, limit: int
    ) -> tuple[Consent, ...]: ...


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A receipt that another hospital's question brought, or that we sent: with the signed form."""

    receipt: ConsentReceipt
    jws: str
    withdrawn: datetime | None = None

    def ends(self, receipt: ConsentReceipt) -> bool:
        """Whether the withdrawal speaks of this receipt: one that was issued after it is a new word of the patient."""
        return self.withdrawn is not None and receipt.issued <= self.withdrawn


class Receipts(Protocol):
    """Receipts that came with questions, and to whom ours went."""

    def keep(self, receipt: ConsentReceipt, jws: str, *, now: datetime) -> None: ...
    def kept(self, receipt_id: str) -> KeptReceipt | None: ...
    def withdraw(self, receipt_id: str, signer: HomeCommunityId, withdrawn: datetime) -> bool: ...
    def sent(self, receipt_id: str, holders: Sequence[HomeCommunityId]) -> None: ...
    def holders_of(self, receipt_id: str) -> tuple[HomeCommunityId, ...]: ...
    def withdrawn_by(self, signer: HomeCommunityId, *, limit: int) -> tuple[tuple[str, datetime], ...]: ...
    def ended_at(self, holder: HomeCommunityId, *, limit: int) -> tuple[tuple[str, datetime], ...]: ...


@dataclass(frozen=True, slots=True)
class Seal:
    """A signed head of the log of disclosures: how many rows, their root, when, and the signature over all three."""

    size: int
    frontier: Frontier
    sealed: datetime
    signature: str


@dataclass(frozen=True, slots=True)
class UnreadableSeal:
    """What stands in the place of a seal over so many rows, and is none."""

    size: int


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A sealed row as it stands in the database now.

    leaf               the hash of its bytes
    found_as_it_reads  the columns by which it is searched say what those bytes say
    """

    position: int
    leaf: bytes
    found_as_it_reads: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """One patient whose record somebody looked at, or tried to: how often, and when first and last."""

    record_id: str
    times: int
    first: datetime
    last: datetime


class Disclosures(Protocol):
    """The record of disclosures: rows are added and never changed."""

    def add(self, disclosure: Disclosure) -> None: ...
    def disclosure(self, disclosure_id: str) -> Disclosure | None: ...
    def search(
        self,
        *,
        record_ids: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        subject: str | None = None,
        other: HomeCommunityId | None = None,
        after: Cursor | None = None,
        limit: int = 100,
    ) -> tuple[Disclosure, ...]: ...
    def count_found(
        self,
        *,
        record_ids: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        subject: str | None = None,
        other: HomeCommunityId | None = None,
    ) -> int:
        """How many rows a search finds, wherever a page ended."""
        ...

    def breadth(self, since: datetime, until: datetime) -> tuple[tuple[str, str | None, int], ...]:
        """Person, other hospital, and how many different patients they opened in this time."""
        ...

    def hospitals(self, since: datetime, until: datetime) -> dict[str, int]:
        """By other hospital, how many different patients it opened in this time."""
        ...

    def opened(
        self, *, subject: str | None, other: HomeCommunityId | None, since: datetime, until: datetime
    ) -> tuple[Opened, ...]:
        """Which patients this person, or this hospital, opened; the latest first."""
        ...

    def of_other(
        self, other: HomeCommunityId, *, since: datetime, until: datetime, limit: int
    ) -> tuple[Disclosure, ...]:
        """Rows with this hospital on the other side, oldest first."""
        ...

    def sealed_rows(self, first: int, last: int) -> Iterator[tuple[int, Disclosure]]:
        """Position and row, positions `first` to before `last`, as they stand in the database now."""
        ...

    def sealed_bodies(self, first: int, last: int) -> Iterator[str]:
        """The same rows as the very text that was sealed."""
        ...

    def sealed_leaves(self, first: int, last: int) -> Iterator[SealedRow]:
        """The same, by the hash of what stands there, whether it can be read or not."""
        ...

    def unsealed(self, limit: int) -> tuple[tuple[int, bytes], ...]:
        """Row number and leaf hash of the oldest rows that no seal covers yet, oldest first."""
        ...

    def add_seal(self, seal: Seal, rows: Sequence[int]) -> None:
        """Give these rows the positions up to `seal.size`, and keep the seal."""
        ...

    def seals(self) -> Iterator[Seal | UnreadableSeal]: ...
    def seal_over(self, size: int) -> Seal | None: ...
    def last_seal(self) -> Seal | None: ...
    def count(self) -> int: ...


class SpentTokens(Protocol):
    """Which one-use tokens were used; shared by all workers, durable, forgotten after their expiry."""

    def spend(self, issuer: str, token_id: str, *, expires: datetime) -> None:
        """Raise TokenReplayed when it was spent before."""
        ...

    def forget_before(self, moment: datetime) -> int: ...
