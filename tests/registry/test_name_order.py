"""Lists of Vietnamese names stand in the order in which people here look for them."""

from __future__ import annotations

import random
import unicodedata

from registry.name_order import by_given_name

IN_ORDER = [
    "Nguyễn Văn An",
    "Trần Thị An",
    "Lê Thị Ánh",
    "Phạm Văn Ân",
    "Nguyễn Thị Dung",
    "Nguyễn Thị Đào",
    "Trần Thị Hoa",
    "Trần Thị Hòa",
    "Trần Thị Hoá",
    "Lê Văn Hoàng",
    "Bùi Ngọc Lan",
    "Nguyễn Thị Lan",
    "Nguyễn Thị Lân",
    "Trần Quang Ơn",
    "Vũ Thị Ước",
]


def test_given_name_comes_first_then_the_letters_of_the_alphabet_then_tones() -> None:
    shuffled = random.Random(3).sample(IN_ORDER, len(IN_ORDER))
    assert sorted(shuffled, key=by_given_name) == IN_ORDER


def test_decomposed_letters_and_capitals_are_the_same_letters() -> None:
    for name in IN_ORDER:
        assert by_given_name(unicodedata.normalize("NFD", name).upper()) == by_given_name(name)


def test_whatever_stands_for_a_name_has_a_place() -> None:
    assert sorted(["", ".", "🂡", "O'Neil", "bs.minh 7"], key=by_given_name)
