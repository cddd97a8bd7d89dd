"""What the ledger counts, what it estimates, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from registry.errors import InvalidValue
from registry.ledger import NO_REASON, RepeatReason, Told, entry, ledger, read_prices

NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)
TOLD = Told("c1", NOW, "r", "CT/brain/plain", "18.0165.0043", "27001", "27001.d", NOW, True, "order-sign")
PRICES = read_prices(
    "facility,code,since,amount\n01929,18.0165.0043,2025-01-01,1400000\n01929,18.0165.0043,2026-06-01,1300000\n"
)


def decided(verdict: str = "used", told: Told = TOLD, *, reason: str = "", facility: str = "01929"):  # type: ignore[no-untyped-def]
    return entry(told, verdict, reason=reason, role="doctor", facility=facility, prices=PRICES, now=NOW)  # type: ignore[arg-type]


def test_a_repeat_avoided_saves_what_it_would_have_cost_here_on_that_day() -> None:
    one = decided()
    assert (one.local, one.price_source, one.lowest) == (1_300_000, "facility", 550_100)
    assert PRICES.of("01929", "18.0165.0043_GT", date(2025, 7, 1)) == (1_400_000, "facility")


def test_where_the_hospital_has_no_price_the_national_list_is_named_as_the_source() -> None:
    assert (decided(facility="27001").local, decided(facility="27001").price_source) == (1_486_800, "national-2024")
    words_only = decided(told=replace(TOLD, service=""))
    assert (words_only.local, words_only.price_source) == (550_100, "national-2024-lowest")
    unknown = decided(told=replace(TOLD, service="", examination="CT/toe/plain"))
    assert unknown.local is None and ledger([unknown]).whole.unpriced == 1


def test_what_is_repeated_saves_nothing_and_says_why() -> None:
    sums = ledger([decided(), decided("repeated", reason="too-old"), decided("repeated", reason=NO_REASON)])
    assert (sums.whole.used, sums.whole.repeated, sums.whole.repeated_in_time) == (1, 2, 2)
    assert sums.whole.local == 1_300_000 and sums.whole.exposures == 1
    assert sums.by_reason == {"too-old": 1, NO_REASON: 1}
    with pytest.raises(InvalidValue):
        decided("repeated", reason="because")


def test_an_mri_avoided_is_no_exposure() -> None:
    assert decided(told=replace(TOLD, examination="MR/brain/plain")).exposure == 0


def test_a_month_is_that_of_this_country() -> None:
    assert decided().month == "2026-12"
    assert list(ledger([decided()]).by_month) == ["2026-12"]


def test_every_reason_of_the_draft_circular_is_there() -> None:
    assert {"clinical-change", "too-old", "poor-quality", "identity-doubt"} <= set(RepeatReason)


@pytest.mark.parametrize(
    "line", ["01929,18.0165.0043,soon,1", "01929,18.0165.0043,2026-01-01,-1", "a,b", "a,b,2026-01-01,x"]
)
def test_a_wrong_line_of_the_price_list_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_prices(f"facility,code,since,amount\n{line}\n")
