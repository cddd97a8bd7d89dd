"""When a list is in, persons are looked at once more: what later registrations taught counts for the earlier ones."""

from __future__ import annotations

import pytest

from hie_node.lab.evaluation import Known, evaluate
from hie_node.lab.exports import HOSTILE, REALISTIC, exported
from hie_node.patient_lists import listed
from registry.linking import Linker
from registry.matching import Zone
from registry.settling import Settled, room, settle
from registry.weighing import REUSED, Weighing
from registry.weights import shipped
from tests.registry.test_linking import LAN, read

BARE = {"full_name": "Tran Hoang Nam", "sex": "1", "birth_date": "2001-07-19"}


def settled(*rows: dict[str, str]) -> tuple[Linker, Settled]:
    weighing = Weighing(shipped())
    linker = Linker(weighing)
    for row in rows:
        linker.add(read(**row))
    return linker, settle(linker)


def test_a_number_that_came_later_joins_what_stood_apart() -> None:
    year = {"full_name": "Nguyễn Thị Lan", "sex": "2", "birth_date": "1958"}
    first = year | {"phone": "0101234567"}
    second = year | {"national_id": "960158004321"}
    whole = LAN | {"phone": "0107777777", "commune": "", "address_line": ""}
    between = LAN | {"national_id": "", "commune": "", "address_line": ""}
    linker, found = settled(first, second, whole, between)
    assert len(set(linker.persons)) == 1, found


def test_a_record_without_marks_that_fits_two_twins_is_taken_out_and_asked_about() -> None:
    home = {"phone": "0102074122"}
    first = BARE | home | {"full_name": "Trần Hoàng Nam", "national_id": "989201633902"}
    unclear = BARE | home
    twin = BARE | home | {"full_name": "Trần Hoàng Năm", "national_id": "989201153430"}
    weighing = Weighing(shipped())
    linker = Linker(weighing)
    placed = [linker.add(read(**row)) for row in (first, unclear, twin)]
    assert placed[1].zone is Zone.LINK, "nobody knew of a twin yet"
    found = settle(linker)
    assert linker.persons == (0, 1, 2)
    assert found.parted == (1,)
    asked = {frozenset((doubt.record, doubt.other)) for doubt in found.doubts}
    assert {frozenset((0, 1)), frozenset((1, 2))} <= asked


def test_the_first_record_of_a_person_can_be_taken_out_too() -> None:
    home = {"phone": "0102074122"}
    first = BARE | home | {"full_name": "Trần Hoàng Nam", "national_id": "989201633902"}
    twin = BARE | home | {"full_name": "Trần Hoàng Năm", "national_id": "989201153430"}
    linker, _ = settled(BARE | home, first, first, twin)
    assert linker.persons == (0, 1, 1, 3)
    assert list(linker.members(1)) == [1, 2]


def test_one_local_number_of_two_people_is_asked_however_little_they_resemble() -> None:
    owner = LAN | {"local_id": "7"}
    other = {"full_name": "Trần Văn Bảy", "sex": "Nam", "birth_date": "1990-05-05", "source": "BV01", "local_id": "7"}
    linker, found = settled(owner, other)
    assert linker.persons == (0, 1)
    assert [(doubt.record, doubt.other, doubt.evidence) for doubt in found.doubts] == [(1, 0, (REUSED,))]


def test_two_persons_are_asked_about_once_and_not_when_they_became_one() -> None:
    doubtful = LAN | {"national_id": "", "sex": "Nam", "local_id": "4"}
    linker, found = settled(LAN, doubtful, doubtful, doubtful)
    assert len(set(linker.persons)) == 2
    assert len(found.doubts) == 1
    joined, found = settled(LAN, LAN, LAN)
    assert set(joined.persons) == {0}
    assert found.doubts == ()


def test_a_year_that_was_counted_from_an_age_is_found_and_asked_about_and_contradicts_nothing() -> None:
    exact = LAN | {"local_id": "1"}
    counted = LAN | {"national_id": "", "birth_date": "1959", "source": "BV02", "local_id": "5"}
    linker, found = settled(exact, counted)
    assert linker.persons == (0, 1)
    assert [(doubt.record, doubt.other) for doubt in found.doubts] == [(1, 0)]
    card = {"insurance_number": "GD4000071345628"}
    assert settled(exact | card, counted | card)[0].persons == (0, 0)
    off = settled(exact | card, counted | card | {"birth_date": "1962"})
    assert off[0].persons == (0, 1)
    assert "the birth date contradicts it" in off[1].doubts[0].evidence


def test_another_full_date_is_not_hidden_by_a_record_without_one() -> None:
    undated = LAN | {"birth_date": ""}
    stranger = LAN | {"birth_date": "04/07/1990", "national_id": "", "phone": "", "source": "BV02"}
    linker, _ = settled(LAN, undated, stranger)
    assert linker.persons == (0, 0, 2)


def known(seed: int, count: int = 4_000, *, hostile: bool = False) -> list[Known]:
    rows = (listed(row) for row in exported(count, seed, HOSTILE if hostile else REALISTIC))
    return [Known(one.traits, one.person, one.applied) for one in rows]


def test_the_queue_stays_within_what_people_have_time_for_and_is_worth_it() -> None:
    found = evaluate(known(33), shipped())
    assert found.reviews_per_1000 <= 23
    assert found.share_true >= 0.7
    assert found.after.recall >= 0.985


@pytest.mark.parametrize(("clear", "weak"), [(0, 190), (100, 90), (190, 0), (250, 0), (285, 0), (300, 45), (560, 825)])
def test_weak_doubts_fill_what_the_clear_ones_leave_and_more_only_on_a_list_full_of_doubts(
    clear: int, weak: int
) -> None:
    assert room(clear, registrations=10_000, queue=19) == weak


def test_a_short_list_may_ask_about_all_of_it() -> None:
    assert room(3, registrations=50, queue=19) == 17


@pytest.mark.parametrize("hostile", [False, True])
def test_the_second_look_finds_more_and_links_nobody_wrongly(hostile: bool) -> None:
    registrations = known(32, hostile=hostile)
    linker = Linker(Weighing(shipped()))
    linker.add_all(one.traits for one in registrations)
    first, found = linker.persons, evaluate(registrations, shipped())
    assert len(set(found.clusters)) <= len(set(first)) + len(registrations) // 200
    assert found.unaided.false_merges <= 2
    assert found.after.recall >= (0.9 if hostile else 0.985)
