"""Names as desks wrote them and systems damaged them: the same person is read out of all of them."""

from __future__ import annotations

import pytest

from hie_node.lab import spelling
from registry.encodings import readable
from registry.keystrokes import untyped
from registry.syllables import is_syllable
from registry.vietnamese import is_nobody, newborn, syllables

WINDOWS = {0x81, 0x8D, 0x8F, 0x90, 0x9D}


def as_windows(text: str) -> str:
    return "".join(bytes([b]).decode("latin-1" if b in WINDOWS else "cp1252") for b in text.encode())


@pytest.mark.parametrize("damage", [spelling.tcvn3_as_latin1, spelling.vni_as_latin1, as_windows])
@pytest.mark.parametrize("name", ["Nguyễn Thị Hường", "Lê Thị Đào", "Vũ Đình Quý", "Trần Văn Ước", "Hồ Thị Mỹ Dung"])
def test_wrong_bytes_are_read_right(damage, name: str) -> None:  # type: ignore[no-untyped-def]
    assert readable(damage(name)).lower() == name.lower()
    assert readable(name) == name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("nguyeenx", "nguyễn"), ("nguye6n4", "nguyễn"), ("phamj", "phạm"), ("dduwcs", "đức"), ("huowngf", "hường")],
)
def test_keystrokes_are_undone(typed: str, meant: str) -> None:
    assert untyped(typed) == meant


@pytest.mark.parametrize("word", ["lan", "hoa", "quang", "nguyên", "alex", "h", ""])
def test_what_is_a_word_already_stays(word: str) -> None:
    assert untyped(word) == word


def test_a_stop_never_carries_a_falling_tone() -> None:
    assert is_syllable("quốc")
    assert not is_syllable("quồc")
    assert not is_syllable("zan")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("NGUYỄN THỊ PHƯƠNGTHẢO", "nguyễn thị phương thảo"),
        ("NguyễnThịHoa", "nguyễn thị hoa"),
        ("Ông Trần Văn Bé", "trần văn bé"),
        ("Anh Thư", "anh thư"),
        ("Nguy?n Th? Hoa", "nguy?n th? hoa"),
        ("Tran Quanghuy", "tran quang huy"),
        ("  Nguyễn\u00a0 Văn\tAn 2 ", "nguyễn văn an"),
    ],
)
def test_words_of_a_name(written: str, words: str) -> None:
    assert " ".join(syllables(written)) == words


@pytest.mark.parametrize(
    ("written", "mother", "order"),
    [
        ("Con bà Nguyễn Thị Hoa", "Nguyễn Thị Hoa", 0),
        ("CB Lê Thị Đào", "Lê Thị Đào", 0),
        ("con ba nguyen thi hoa 2", "nguyen thi hoa", 2),
        ("CB1 Nguyễn Thị Hoa", "Nguyễn Thị Hoa", 1),
        ("Bé gái con bà Trần Thị Ngọc (con thứ 2)", "Trần Thị Ngọc", 2),
    ],
)
def test_a_newborn_is_known_by_its_mother(written: str, mother: str, order: int) -> None:
    child = newborn(written)
    assert child is not None
    assert (child.mother, child.order) == (mother, order)


def test_who_only_sounds_like_a_newborn_or_a_nobody_is_neither() -> None:
    assert newborn("Nguyễn Thị Con") is None
    assert not is_nobody("Võ Danh")
    assert is_nobody("BN vô danh 3")
    assert is_nobody("Khong ro ten")


@pytest.mark.parametrize("text", ["a" * 10_000, "\ufffd" * 300, "?" * 255, "\u0301" * 200, "Ã" * 255, "1" * 255])
def test_hostile_text_ends(text: str) -> None:
    syllables(text[:255])
    newborn(text[:255])


@pytest.mark.parametrize("name", ["B/G Mai Ngọc Anh", "BG MAI NGOC ANH", "B.G Mai Ngọc Anh", "BSG Mai Ngọc Anh"])
def test_a_babys_placeholder_is_known_however_it_is_shortened(name: str) -> None:
    found = newborn(name)
    assert found is not None
    assert found.mother.lower().startswith("mai ng")
