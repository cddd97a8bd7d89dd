"""What is learnt on a hospital's own records is sane, and is tried on others before anybody uses it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hie_node.lab.exports import REALISTIC, exported
from hie_node.patient_lists import listed
from registry.frequencies import frequencies_of
from registry.held_out import HeldOut, measured, split
from registry.levels import BORN, BORN_DIFFERENT, FIELDS, GIVEN, GIVEN_DIFFERENT, GIVEN_TONE, SAME, SEX, SEX_DIFFERENT
from registry.training import Training, train
from registry.traits import Traits
from registry.weights import Model, read, shipped, written


@cache
def records() -> list[Traits]:
    return [listed(row).traits for row in exported(4_000, 41, REALISTIC)]


@cache
def learnt() -> Training:
    return train(split(records())[0], shipped(), pairs=8_000)


def test_what_was_learnt_still_knows_what_speaks_for_and_against_a_person() -> None:
    rows = learnt().model.rows
    for field, against in ((GIVEN, GIVEN_DIFFERENT), (GIVEN, GIVEN_TONE), (BORN, BORN_DIFFERENT), (SEX, SEX_DIFFERENT)):
        assert rows[field][SAME][0] > rows[field][against][0]
    assert all(row[0] <= 0 for rows_of_field in rows for row in rows_of_field), "a share is at most one"
    assert len(rows) == len(FIELDS)
    assert 0 < learnt().same < 1


def test_learning_twice_gives_the_same_and_a_file_gives_it_back() -> None:
    again = train(split(records())[0], shipped(), pairs=8_000)
    assert again.model == learnt().model
    assert read(written(learnt().model)).rows == learnt().model.rows


def test_held_out_are_people_with_all_their_records_and_nobody_learns_from_them() -> None:
    learn, held = split(records())
    assert len(learn) + len(held) == len(records())
    numbers = [{n for one in part for n in one.personal - one.foreign} for part in (learn, held)]
    assert len(numbers[1]) > 50
    assert len(numbers[0] & numbers[1]) <= 2, "but for somebody else's number"


def test_the_learnt_model_is_tried_against_the_present_one_on_what_was_held_out() -> None:
    _, held = split(records())
    before, after = (measured(held, model, size=len(records())) for model in (shipped(), learnt().model))
    assert before.same == after.same > 20
    assert before.other == after.other
    assert after.found >= 0.95 * before.found
    assert after.mistaken <= before.mistaken + 1


def test_a_model_that_finds_less_or_links_strangers_is_called_worse() -> None:
    _, held = split(records())
    size = len(records())
    usual, strict, loose = (measured(held, model, size=size) for model in (shipped(), shy(), bold()))
    assert strict.worse_than(usual)
    assert loose.found >= usual.found
    assert HeldOut(10, 9, 10, 1).worse_than(HeldOut(10, 9, 10, 0))
    assert not HeldOut(10, 9, 10, 0).worse_than(HeldOut(10, 9, 10, 0))


def shy() -> Model:
    return replace(shipped(), link=200)


def bold() -> Model:
    return replace(shipped(), link=40)


def test_a_name_that_only_patients_of_unknown_sex_have_is_counted_too() -> None:
    rows = [("Nguyễn Văn Bảy", "Nam")] * 5 + [("Trần Sùng", "")] * 5
    told = [listed({"record_id": str(n), "full_name": name, "sex": sex}).traits for n, (name, sex) in enumerate(rows)]
    assert "sung2" in frequencies_of(told, shipped().frequencies).given
