"""A registrar sees at once how two spellings differ."""

from __future__ import annotations

import pytest

from hie_node.web.differences import difference


@pytest.mark.parametrize(
    ("mine", "theirs", "kind"),
    [
        ("Nguyễn Thị Lan", "Nguyễn Thị Lan", ""),
        ("NGUYỄN THỊ LAN", "Nguyễn Thị Lan", "case"),
        ("Nguyễn Thị Lan", "Nguyễn Thị Lân", "marks"),
        ("Nguyen Thi Lan", "Nguyễn Thị Lan", "marks"),
        ("Đỗ Văn Đức", "Dỗ Văn Dức", "d"),
        ("Nguyễn Thị Lan", "Lan Nguyễn Thị", "order"),
        ("Nguyễn Lan", "Nguyễn Thị Lan", "fewer"),
        ("Nguyễn Thị Lan", "Trần Văn Hùng", ""),
        ("027158004321", "027158004231", "swapped"),
        ("027158004321", "027158004324", "one-digit"),
        ("027158004321", "001090055555", ""),
        ("03/12/1958", "12/03/1958", "day-month"),
        ("21/03/1958", "12/03/1958", "swapped"),
        ("", "12/03/1958", ""),
    ],
)
def test_how_two_spellings_differ_is_said_in_one_word(mine: str, theirs: str, kind: str) -> None:
    assert difference(mine, theirs).kind == kind


def test_only_what_differs_is_marked_and_nothing_is_lost() -> None:
    seen = difference("Nguyễn Thị Lan", "Nguyễn Thị Lân")
    assert [text for text, differs in seen.mine if differs] == ["a"]
    assert [text for text, differs in seen.theirs if differs] == ["â"]
    assert "".join(text for text, _ in seen.mine) == "Nguyễn Thị Lan"
    assert difference("", "Lan").mine == ()


def test_a_letter_with_its_marks_apart_is_the_same_letter() -> None:
    assert difference("Nguye\u0302\u0303n", "Nguy\u1ec5n").kind == ""
