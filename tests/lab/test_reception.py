"""Every error of a reception desk does what its name says, and nothing else."""

import unicodedata
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from hie_node.lab.people import TODAY, SyntheticPerson, people
from hie_node.lab.reception import FAULTS, NO_DIRT, TYPICAL_DIRT, Registration, as_registered

LAN = replace(
    people(1, 1, "bac-ninh")[0],
    family="Vũ",
    middle="Đình",
    given="Quý",
    old_card="912345678",
    national_id="927065123456",
    insurance_number="GD4000012345678",
    birth_date=TODAY.replace(year=1965, month=3, day=7),
)
CHILD = replace(LAN, key=1, birth_date=TODAY - timedelta(days=3000), given="Hòa")
NEWBORN = replace(LAN, key=2, birth_date=TODAY - timedelta(days=5), mother_name="Lê Thị Đào", given="An")


def typed(person: SyntheticPerson, name: str, *household: SyntheticPerson, seed: int = 0) -> Registration:
    return as_registered(person, Random(seed), {name: 1.0}, household=household)


def every(person: SyntheticPerson, name: str) -> set[str]:
    return {typed(person, name, seed=seed).name for seed in range(40)}


def test_a_careful_desk_writes_the_truth() -> None:
    found = as_registered(LAN, Random(1), NO_DIRT)
    assert (found.name, found.birth_date, found.national_id) == ("Vũ Đình Quý", "19650307", "927065123456")
    assert (found.birth_iso, found.address, found.truth) == ("1965-03-07", str(LAN.address), LAN)
    assert found.applied == frozenset()


def test_there_are_twenty_two_classes_and_a_typical_rate_for_each() -> None:
    assert len(FAULTS) == 22
    assert set(TYPICAL_DIRT) == set(FAULTS)


def test_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError):
        as_registered(LAN, Random(1), {"no_such_error": 1.0})


def test_an_error_that_changes_nothing_is_not_reported() -> None:
    assert typed(LAN, "newborn_under_mother").applied == frozenset()
    assert typed(LAN, "twin").applied == frozenset()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_marks", {"Vu Dinh Quy"}),
        ("d_stroke", {"Vũ Dình Quý", "Vũ Ðình Quý"}),
        ("i_y", {"Vũ Đình Quí"}),
        ("legacy_bytes", {"Vò §×nh Quý", "Vuõ Ñình Quyù"}),
        ("spacing_and_case", {"VŨ ĐÌNH QUÝ", "Vũ  Đình Quý", "Vũ\u00a0Đình\u00a0Quý", " Vũ Đình Quý "}),
        ("name_order", {"Đình Quý Vũ", "Quý Đình Vũ"}),
        ("dropped_middle", {"Vũ Quý"}),
        ("regional_surname", {"Võ Đình Quý"}),
        ("joined_middle", {"Vũ Đìnhquý"}),
    ],
)
def test_a_name_is_mistyped_as_the_class_says(name: str, expected: set[str]) -> None:
    assert every(LAN, name) == expected
    assert typed(LAN, name).applied == {name}


def test_the_tone_moves_to_where_the_newer_school_puts_it() -> None:
    assert typed(CHILD, "tone_place").name == "Vũ Đình Hoà"
    assert typed(replace(LAN, given="Thủy"), "tone_place").name == "Vũ Đình Thuỷ"
    assert typed(LAN, "tone_place").name == "Vũ Đình Quý"


def test_decomposed_text_looks_the_same_and_is_not() -> None:
    found = typed(LAN, "decomposed").name
    assert found != LAN.full_name
    assert unicodedata.normalize("NFC", found) == LAN.full_name


def test_a_birth_date_loses_its_day_or_swaps_it() -> None:
    assert {typed(LAN, "year_only", seed=seed).birth_date for seed in range(40)} == {"19650000", "19650101"}
    assert typed(LAN, "day_month_swapped").birth_date == "19650703"
    late = replace(LAN, birth_date=LAN.birth_date.replace(day=27))
    assert typed(late, "day_month_swapped").applied == frozenset()


def test_a_year_alone_reads_as_a_year() -> None:
    assert replace(typed(LAN, "sex_unknown"), birth_date="19650000").birth_iso == "1965"


def test_a_newborn_is_registered_under_the_mother() -> None:
    assert every(NEWBORN, "newborn_under_mother") == {"Lê Thị Đào", "CB Lê Thị Đào", "Con bà Lê Thị Đào"}
    assert typed(NEWBORN, "newborn_under_mother").national_id is None


def test_old_cards_and_new_cards_of_the_same_person() -> None:
    assert typed(LAN, "old_card").national_id == "912345678"
    card = typed(LAN, "new_card_prefix").insurance_number
    assert card is not None
    assert card[:3] != "GD4"
    assert card[-10:] == "0012345678"


def test_numbers_of_relatives_land_on_the_wrong_record() -> None:
    mother = replace(LAN, key=9, phone="0107777777", insurance_number="HT3000099999999", national_id="927165999999")
    assert typed(CHILD, "relative_phone", mother).phone == mother.phone
    assert typed(CHILD, "borrowed_card", mother).insurance_number == mother.insurance_number
    assert typed(CHILD, "parent_number", mother).national_id == mother.national_id
    assert typed(LAN, "parent_number", mother).applied == frozenset()


def test_without_a_household_an_invented_relative_serves() -> None:
    for name in ("relative_phone", "borrowed_card", "parent_number"):
        assert typed(CHILD, name).applied == {name}


def test_the_sex_is_not_determined() -> None:
    assert typed(LAN, "sex_unknown").gender == "unknown"


def test_an_old_address_names_the_province_or_district_of_before() -> None:
    found = {typed(LAN, "old_address", seed=seed).address for seed in range(40)}
    assert LAN.address.before_2025 in found
    assert str(LAN.address) not in found


def test_of_a_twin_only_what_twins_share_is_left() -> None:
    first = replace(CHILD, twin_key=5)
    found = typed(first, "twin")
    assert (found.name, found.national_id, found.insurance_number) == ("Vũ Đình H.", None, None)
    assert found.birth_date == f"{first.birth_date:%Y%m%d}"


def test_every_class_happens_somewhere_in_a_province() -> None:
    rng, seen = Random(2), set[str]()
    for person in people(12000, 5, "bac-ninh"):
        seen |= as_registered(person, rng, TYPICAL_DIRT).applied
    assert seen == set(FAULTS)
