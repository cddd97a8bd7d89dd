"""What somebody waits for has the line; a transfer ahead takes what its budget leaves at this hour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hie_node.ahead_tables import Line, TransfersAhead
from hie_node.init import derived_community
from hie_node.lines import BURST, Lines, LineTaken
from hie_node.setting_tables import UnsafeSettings
from hie_node.settings import load
from registry.answers import Community
from registry.directory import Peer
from registry.identifiers import FacilityCode
from tests.house.hospital import make_house

MORNING = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
"""Nine o'clock in Viet Nam."""
NIGHT = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
PIECE = bytes(250_000)


class Watch:
    """A clock that moves when somebody rests."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.rests: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def rest(self, seconds: float) -> None:
        self.seconds += seconds
        self.rests.append(seconds)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def peer_of(facility: str) -> Peer:
    home = derived_community(facility)
    return Peer(Community(home, FacilityCode(facility), "Bệnh viện thử"), "https://127.0.0.1:1", ())


BAC_NINH, THAI_NGUYEN = peer_of("27001"), peer_of("19001")


def lines(folder: Path, watch: Watch, **table: object) -> Lines:
    return Lines(TransfersAhead(**table), folder, clock=watch, rest=watch.rest)  # type: ignore[arg-type]


def seconds_for(one: Lines, watch: Watch, peer: Peer, pieces: int, now: datetime) -> float:
    started = watch.seconds
    assert sum(1 for _ in one.within_budget(peer, iter([PIECE] * pieces), lambda: now)) == pieces
    return watch.seconds - started


@pytest.mark.parametrize(("now", "share"), [(MORNING, 0.5), (NIGHT, 1.0)])
def test_a_transfer_ahead_takes_its_share_of_the_line_at_this_hour(
    tmp_path: Path, watch: Watch, now: datetime, share: float
) -> None:
    one = lines(tmp_path, watch, mbit=20.0, clinic_share=0.5, other_share=1.0)
    bytes_a_second = 20e6 / 8 * share
    assert seconds_for(one, watch, BAC_NINH, 40, now) == pytest.approx(40 * len(PIECE) / bytes_a_second - BURST)


def test_each_line_has_a_budget_of_its_own(tmp_path: Path, watch: Watch) -> None:
    one = lines(tmp_path, watch, mbit=100.0, lines=(Line("27001", 10.0, clinic_share=0.2),))
    assert seconds_for(one, watch, BAC_NINH, 10, MORNING) == pytest.approx(10 * len(PIECE) / (10e6 / 8 * 0.2) - BURST)
    assert seconds_for(one, watch, THAI_NGUYEN, 10, MORNING) == pytest.approx(0.4 - BURST), "not held up by the other"


def test_two_transfers_over_one_line_share_its_budget(tmp_path: Path, watch: Watch) -> None:
    one = lines(tmp_path, watch, mbit=20.0, clinic_share=0.5)
    started = watch.seconds
    both = [one.within_budget(BAC_NINH, iter([PIECE] * 10), lambda: MORNING) for _ in range(2)]
    for _ in zip(*both, strict=True):
        pass
    assert watch.seconds - started == pytest.approx(20 * len(PIECE) / (10e6 / 8) - BURST)


def test_in_hours_without_a_share_nothing_is_fetched_ahead(tmp_path: Path, watch: Watch) -> None:
    one = lines(tmp_path, watch, clinic_share=0.0)
    assert (one.is_open(BAC_NINH, MORNING), one.is_open(BAC_NINH, NIGHT)) == (False, True)
    with pytest.raises(LineTaken):
        next(one.within_budget(BAC_NINH, iter([PIECE]), lambda: MORNING))


def test_who_waits_for_something_takes_the_line_from_a_transfer_ahead(tmp_path: Path, watch: Watch) -> None:
    other_process, one = lines(tmp_path, watch), lines(tmp_path, watch)
    flowing: Iterator[bytes] = one.within_budget(BAC_NINH, iter([PIECE] * 3), lambda: NIGHT)
    next(flowing)
    with other_process.waited_for(BAC_NINH.home), other_process.waited_for(BAC_NINH.home):
        assert one.is_taken(BAC_NINH.home) and not one.is_open(BAC_NINH, NIGHT)
        assert one.is_open(THAI_NGUYEN, NIGHT), "only that line"
        with pytest.raises(LineTaken):
            next(flowing)
    assert one.is_open(BAC_NINH, NIGHT)
    assert next(one.within_budget(BAC_NINH, iter([PIECE]), lambda: NIGHT)) == PIECE


def test_a_short_wait_only_rests_the_transfer(tmp_path: Path, watch: Watch) -> None:
    one = lines(tmp_path, watch)
    holding = one.waited_for(BAC_NINH.home)
    holding.__enter__()

    def rest(seconds: float) -> None:
        watch.rest(seconds)
        if len(watch.rests) == 3:
            holding.__exit__(None, None, None)

    resting = replace(one, rest=rest)
    assert next(resting.within_budget(BAC_NINH, iter([PIECE]), lambda: NIGHT)) == PIECE
    assert len(watch.rests) >= 3


@pytest.mark.parametrize(
    "table",
    [{"clinic_share": 1.5}, {"other_share": -0.1}, {"clinic_from": 25}, {"mbit": 0.0}, {"lines": (Line("1", -1.0),)}],
)
def test_shares_and_hours_that_mean_nothing_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(UnsafeSettings, match=r"\[ahead\]"):
        TransfersAhead(**table).check()  # type: ignore[arg-type]


def test_the_budget_of_each_line_is_read_from_the_settings(tmp_path: Path) -> None:
    house = make_house(tmp_path)
    house.storage.close()
    file = house.settings.home / "node.toml"
    lines_of_it = (
        '[ahead]\ndays = 7\nmbit = 200\n[[ahead.lines]]\nfacility = "19001"\nmbit = 20.0\nclinic_share = 0.1\n'
    )
    file.write_text(file.read_text("utf-8") + lines_of_it, "utf-8")
    table = load(house.settings.home).ahead
    assert (table.days, table.bytes_per_second("27001", MORNING)) == (7, 200e6 / 8 * 0.5)
    assert (table.bytes_per_second("19001", MORNING), table.bytes_per_second("19001", NIGHT)) == (250_000, 2_500_000)
    file.write_text(file.read_text("utf-8") + "speed = 3\n", "utf-8")
    with pytest.raises(UnsafeSettings, match=r"\[ahead.lines\]"):
        load(house.settings.home)
