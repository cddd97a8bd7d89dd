"""The ledger: what doctors decided when they were told that an examination had been done, and what that is worth.

Counted are decisions: used, or repeated with a reason. Estimated are đồng: what the examination would have cost, by
the price list of this hospital on that day (`local`), and by the cheapest scanner class of it (`lowest`). An exposure
is one CT. Nothing is counted that nobody decided.
Sources: draft circular on mutual recognition (reasons to repeat are recorded), decision 3467/QĐ-BYT (prices).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from registry.errors import InvalidValue
from registry.examinations import Examination, Service, by_service_code, catalogue
from registry.local_time import VIET_NAM
from registry.pairing import parse_examination

Verdict = Literal["used", "repeated"]
EXPOSING = frozenset({"CT"})
NO_REASON = "unsaid"


class RepeatReason(StrEnum):
    """Why it is done again. The first four are those of the draft circular."""

    CHANGED = "clinical-change"
    OLD = "too-old"
    QUALITY = "poor-quality"
    IDENTITY = "identity-doubt"
    IMAGES = "images-not-available"
    PROTOCOL = "other-protocol"
    INTERVENTION = "before-intervention"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Told:
    """What a doctor was told with one card, so that the decision can be entered when it comes.

    card         the id of the card
    sender       facility code of the hospital that has the earlier examination
    service      service code of the order, where it has one
    earlier_id   registry id of the examination that it was about
    comparable   whether that is the examination that was ordered; what is only related is no repeat
    """

    card: str
    given: datetime
    record_id: str
    examination: str
    service: str
    sender: str
    earlier_id: str
    performed: datetime | None
    stands_in: bool
    via: str
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision. A card has one at most; a later answer to the same card takes its place."""

    card: str
    decided: datetime
    verdict: Verdict
    examination: str
    sender: str
    record_id: str
    reason: str = ""
    service: str = ""
    performed: datetime | None = None
    stood_in: bool = True
    via: str = ""
    role: str = ""
    local: int | None = None
    lowest: int | None = None
    price_source: str = ""

    @property
    def month(self) -> str:
        """`2026-11`, by this country's calendar."""
        return self.decided.astimezone(VIET_NAM).strftime("%Y-%m")

    @property
    def exposure(self) -> int:
        """1 where the examination exposes to X-rays."""
        return int(self.examination.partition("/")[0] in EXPOSING)


@dataclass(frozen=True, slots=True)
class Price:
    """What a facility takes for a service from a day on, in đồng."""

    facility: str
    code: str
    since: date
    amount: int


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of facilities; where a facility has none for a code, the national list of 2024 is the fallback."""

    prices: tuple[Price, ...] = ()

    def of(self, facility: str, code: str, day: date) -> tuple[int | None, str]:
        """The price on that day, and where it comes from: `facility`, `national-2024` or nothing."""
        service = by_service_code(code)
        wanted = service.code if service else code
        mine = [p for p in self.prices if p.facility == facility and p.code == wanted and p.since <= day]
        if mine:
            return max(mine, key=lambda price: price.since).amount, "facility"
        return (service.price, "national-2024") if service else (None, "")


def lowest_price(examination: Examination) -> int | None:
    """The cheapest scanner class of this examination in the national list: the careful estimate."""
    prices = [service.price for service in catalogue().values() if _is(service, examination)]
    return min(prices, default=None)


def _is(service: Service, examination: Examination) -> bool:
    same = (service.examination.modality, service.examination.region) == (examination.modality, examination.region)
    return same and examination.contrast in (None, service.examination.contrast)


def entry(
    told: Told, verdict: Verdict, *, reason: str, role: str, facility: str, prices: PriceList, now: datetime
) -> Entry:
    """The decision on one card, with what the examination would have cost here today. Raises InvalidValue."""
    if verdict == "repeated" and reason not in {*RepeatReason, NO_REASON}:
        raise InvalidValue("reason", expected=f"one of {', '.join(RepeatReason)}")
    examination = parse_examination(told.examination)
    low = lowest_price(examination) if examination else None
    local, source = prices.of(facility, told.service, now.astimezone(VIET_NAM).date()) if told.service else (None, "")
    if local is None and low is not None:
        local, source = low, "national-2024-lowest"
    return Entry(
        card=told.card,
        decided=now,
        verdict=verdict,
        examination=told.examination,
        sender=told.sender,
        record_id=told.record_id,
        reason=reason if verdict == "repeated" else "",
        service=told.service,
        performed=told.performed,
        stood_in=told.stands_in,
        via=told.via,
        role=role,
        local=local,
        lowest=low,
        price_source=source,
    )


@dataclass(frozen=True, slots=True)
class Sum:
    """What a number of decisions come to. `local` and `lowest` in đồng, of those that were used."""

    used: int = 0
    repeated: int = 0
    repeated_in_time: int = 0
    local: int = 0
    lowest: int = 0
    exposures: int = 0
    unpriced: int = 0

    @property
    def decisions(self) -> int:
        return self.used + self.repeated


def total(entries: Iterable[Entry]) -> Sum:
    """The sum of these decisions."""
    listed = list(entries)
    used = [one for one in listed if one.verdict == "used"]
    again = [one for one in listed if one.verdict == "repeated"]
    return Sum(
        len(used),
        len(again),
        sum(one.stood_in for one in again),
        sum(one.local or 0 for one in used),
        sum(one.lowest or 0 for one in used),
        sum(one.exposure for one in used),
        sum(one.local is None for one in used),
    )


@dataclass(frozen=True, slots=True)
class Ledger:
    """All decisions of a period, summed as they are asked about: by month, sender, examination and reason."""

    whole: Sum
    by_month: Mapping[str, Sum]
    by_sender: Mapping[str, Sum]
    by_examination: Mapping[str, Sum]
    by_reason: Mapping[str, int]


def ledger(entries: Sequence[Entry]) -> Ledger:
    """Sum up; months in their order, the others with the most decisions first."""
    reasons: dict[str, int] = {}
    for one in entries:
        if one.verdict == "repeated":
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
    by_reason = dict(sorted(reasons.items(), key=lambda item: -item[1]))
    months = dict(sorted(_by(entries, "month").items()))
    return Ledger(total(entries), months, _most(_by(entries, "sender")), _most(_by(entries, "examination")), by_reason)


def _by(entries: Iterable[Entry], name: str) -> dict[str, Sum]:
    groups: dict[str, list[Entry]] = {}
    for one in entries:
        groups.setdefault(getattr(one, name), []).append(one)
    return {key: total(group) for key, group in groups.items()}


def _most(groups: Mapping[str, Sum]) -> dict[str, Sum]:
    return dict(sorted(groups.items(), key=lambda item: -item[1].decisions))


def read_prices(text: str) -> PriceList:
    """`facility,code,since,amount` a line, since as 2026-01-01, amount in đồng. ValueError names the wrong line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip() or line.startswith("#") or cells == ["facility", "code", "since", "amount"]:
            continue
        try:
            facility, code, since, amount = cells
            found.append(Price(facility, code, date.fromisoformat(since), _amount(amount)))
        except ValueError as error:
            raise ValueError(f"line {number}: expected facility,code,since (2026-01-01),amount in đồng") from error
    return PriceList(tuple(found))


def _amount(text: str) -> int:
    amount = int(text)
    if amount < 0:
        raise ValueError("a negative price")
    return amount
