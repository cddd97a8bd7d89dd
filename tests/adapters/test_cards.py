"""A scanned card names its owner; what is no card, or was spoiled on its way, does no harm."""

from __future__ import annotations

import pytest

from adapters.cards import read_card, written_date
from registry.errors import InvalidValue
from registry.identifiers import CITIZEN_ID, INSURANCE_NUMBER, NATIONAL_ID

IDENTITY = "027158004321|125012345|Nguyễn Thị Lan|21031958|Nữ|Thôn Mẫu, Xã Thử, Tỉnh Bắc Ninh|10052021"
NAME = "Nguyễn Thị Lan".encode().hex()
INSURANCE = f"7910000017|{NAME}|21/03/1958|2|-|27 - 001|01/01/2026|-|02/01/2026|-|-|4|01/01/2029|1a2b|-|6269|$"
OLD_INSURANCE = f"GD4277910000017|{NAME}|1958|2|{NAME}|27 - 001|01/01/2016|31/12/2016|$"


@pytest.mark.parametrize("tail", ["", "||||", "|\r\n"])
def test_the_identity_card_gives_numbers_name_date_and_sex(tail: str) -> None:
    card = read_card(IDENTITY + tail)
    assert card is not None
    assert [(n.system, n.value) for n in card.identifiers] == [
        (NATIONAL_ID, "027158004321"),
        (CITIZEN_ID, "125012345"),
    ]
    known = card.demographics
    assert (known.name and known.name.text, str(known.birth_date), known.gender) == (
        "Nguyễn Thị Lan",
        "1958-03-21",
        "female",
    )


def test_a_card_without_an_old_number_is_read() -> None:
    card = read_card(IDENTITY.replace("125012345", ""))
    assert card is not None and len(card.identifiers) == 1


@pytest.mark.parametrize(("text", "born"), [(INSURANCE, "1958-03-21"), (OLD_INSURANCE, "1958")])
def test_both_insurance_cards_give_number_name_date_and_sex(text: str, born: str) -> None:
    card = read_card(text)
    assert card is not None
    (number,) = card.identifiers
    assert number.system == INSURANCE_NUMBER and number.normal.value == "7910000017"
    known = card.demographics
    assert (known.name and known.name.text, str(known.birth_date), known.gender) == ("Nguyễn Thị Lan", born, "female")


@pytest.mark.parametrize("name", ["Nguy?n Th? Lan", "Nguye^~n Thi. Lan", "", "\ufffd", "x" * 300])
def test_a_name_that_the_keyboard_spoiled_is_left_out(name: str) -> None:
    card = read_card(IDENTITY.replace("Nguyễn Thị Lan", name))
    assert card is not None and card.demographics.name is None
    assert card.identifiers and card.demographics.birth_date


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|",
        "||||||||",
        "BN2600001",
        "Nguyễn Thị Lan",
        "https://example.vn/the|a|b|c|d|e",
        "1|2|3|4|5|6|7",
        "|" * 5000,
    ],
)
def test_what_is_no_card_is_none(text: str) -> None:
    assert read_card(text) is None


@pytest.mark.parametrize("spoiled", ["00000000", "31021958", "9999999999", "abc", "21/03/1700"])
def test_a_date_that_does_not_exist_is_left_out(spoiled: str) -> None:
    card = read_card(IDENTITY.replace("21031958", spoiled))
    assert card is not None and card.demographics.birth_date is None


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("21/03/1958", "1958-03-21"),
        ("21/3/1958", "1958-03-21"),
        ("21-3-1958", "1958-03-21"),
        ("21.03.1958", "1958-03-21"),
        ("21031958", "1958-03-21"),
        ("1958-03-21", "1958-03-21"),
        ("1958", "1958"),
    ],
)
def test_a_date_as_people_write_it(text: str, date: str) -> None:
    assert str(written_date(text)) == date


@pytest.mark.parametrize("text", ["", "21", "03/1958/21/1", "31/02/1958", "ngày 2", "21/03/58", "٢١/٠٣/١٩٥٨"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        written_date(text)
