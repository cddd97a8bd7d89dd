"""Paper that a hospital prints: Vietnamese in it stays Vietnamese, long tables go on, and the same is the same."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import zlib
from datetime import UTC, datetime

import pytest
from fontTools.ttLib import TTFont

from adapters.pdf import Bullets, Facts, Grid, Heading, Ink, Paragraph, Signatures, write_pdf
from tests.conformance.pdf import faults, is_whole

TRUETYPE = b"\x00\x01\x00\x00"
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
BLOCKS = (
    Heading("VĂN BẢN YÊU CẦU", level=1),
    Paragraph("Độc lập - Tự do - Hạnh phúc", strong=True, centred=True),
    Heading("1. Người bệnh"),
    Facts((("Họ và tên", "NGUYỄN THỊ HƯỜNG"), ("Số định danh", ""))),
    Bullets(("Bệnh viện A", "Bệnh viện B"), mark="☒"),
    Bullets(("một", "hai"), mark="1."),
    Grid(("Ngày", "Ai"), (("01/02/2026", "BS. Minh"),), widths=(30, 70)),
    Paragraph("chữ nhỏ", small=True),
    Signatures((("Người yêu cầu", "(ký)", ""), ("Người giải thích", "(ký)", "Lê Văn Tám"))),
)


def _paper(*blocks: object, footer: str = "") -> bytes:
    made = write_pdf(blocks, title="Thử", language="vi", created=NOW, footer=footer)  # type: ignore[arg-type]
    assert is_whole(made)
    return made


def _letters(pdf: bytes) -> set[int]:
    """What the fonts inside the file can show: a letter that is not there would be an empty box."""
    found: set[int] = set()
    for stream in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL):
        with contextlib.suppress(zlib.error):
            plain = zlib.decompress(stream)
            if plain.startswith(TRUETYPE):
                found |= set(TTFont(io.BytesIO(plain)).getBestCmap())
    return found


def drawn(pdf: bytes) -> int:
    """How many lines of signatures are in it; the lines of tables are written otherwise."""
    streams = re.findall(rb"stream\n(x.*?)\nendstream", pdf, re.DOTALL)
    return sum(zlib.decompress(one).count(b" l\n S\n") for one in streams)


def _pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))


def test_every_letter_of_a_vietnamese_name_is_in_the_file() -> None:
    name = "Nguyễn Thị Hường Đặng Ỷ Lữ Quỳnh Ẩn ẵ ợ ự ỹ"
    assert {ord(letter) for letter in name if letter != " "} <= _letters(_paper(Paragraph(name)))


def test_the_boxes_that_one_ticks_are_in_the_file() -> None:
    assert {0x2610, 0x2612} <= _letters(_paper(Bullets(("a",), mark="☐"), Bullets(("b",), mark="☒")))


def test_the_same_paper_is_the_same_bytes() -> None:
    assert _paper(*BLOCKS) == _paper(*BLOCKS)
    assert _paper(*BLOCKS).startswith(b"%PDF-1.")


def test_a_table_longer_than_a_page_goes_on_overleaf() -> None:
    rows = tuple((str(number), "x" * 60) for number in range(120))
    assert _pages(_paper(Grid(("Số", "Gì"), rows))) > 1
    assert _pages(_paper(*BLOCKS)) == 1


def test_nobody_signs_on_a_page_of_its_own_by_half() -> None:
    for lines in (40, 43, 46):
        pages = _pages(_paper(Paragraph("\n".join("x" * lines)), Signatures((("A", "", "B"),))))
        assert pages in (1, 2)


@pytest.mark.parametrize("text", ["", "\U0001f600 漢 ខ្មែរ", "a" * 500, "**not bold** <b>nor this</b>", "x\x00y"])
def test_whatever_a_field_holds_the_paper_is_made_and_nothing_of_it_is_logged(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        table = Grid((text,), ((text,),))
        assert _paper(Heading(text), Paragraph(text), Facts(((text, text),)), Bullets((text,)), table)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_foot_of_each_page_says_what_it_is() -> None:
    assert {ord(letter) for letter in "Trangừ"} <= _letters(_paper(Paragraph("x"), footer="Trang từ"))


def test_nobody_signs_on_a_page_without_the_sentence_that_is_signed() -> None:
    """However much stands above: beside the number of the page and the texts of who signs stands the sentence."""
    people = (("Người yêu cầu", "(ký)", "Lan"),)
    pages = range(30, 50)
    apart = [_last(_paper(*[Paragraph("dòng")] * n, Paragraph("Tôi yêu cầu"), Signatures(people))) for n in pages]
    together = [_last(_paper(*[Paragraph("dòng")] * n, Signatures(people, said="Tôi yêu cầu"))) for n in pages]
    assert min(apart) == 4 and min(together) == 5


def _last(pdf: bytes) -> int:
    """How many texts are on the last page."""
    streams = (zlib.decompress(one) for one in re.findall(rb"stream\n(x.*?)\nendstream", pdf, re.DOTALL))
    return [one.count(b" Td") for one in streams if b" Td" in one][-1]


def test_what_was_drawn_to_sign_is_drawn_again() -> None:
    people, ink = (("Người yêu cầu", "", "Lan"), ("Người giải thích", "", "Nga")), Ink(900, 260, [[(0, 0), (900, 260)]])
    assert drawn(_paper(Signatures(people))) == 0
    assert drawn(_paper(Signatures(people, (ink, None)))) == 1
    assert drawn(_paper(Signatures(people, (ink, ink)))) == 2


def test_the_judge_of_these_papers_sees_what_is_wrong() -> None:
    good = _paper(*BLOCKS)
    for old, new in (
        (b"endstream", b"endstreax"),
        (b"/Type /Page", b"/Type /Pagx"),
        (b"startxref\n", b"startxref\n1"),
    ):
        assert faults(good.replace(old, new, 1)), old
    assert faults(good[:-400]) and faults(b"%PDF-1.7 signed")
