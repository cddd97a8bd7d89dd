"""Paper: headings, texts, facts, tables and lines to sign on, as one PDF file in which Vietnamese is Vietnamese.

The same blocks and the same moment give the same bytes. The letters travel in the file (DejaVu Sans, `adapters/fonts`),
so it looks the same on a hospital's old printer. A letter that the font lacks prints as an empty box.
Source: ISO 32000-1 (PDF 1.7); fpdf2 lays it out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpdf import FPDF

MEDIA_TYPE = "application/pdf"
FONTS = Path(__file__).parent / "fonts"
FAMILY = "dejavu"
TEXT, SMALL = 10.0, 8.0
"""Points."""
MARGIN, LINE, GAP = 18.0, 5.2, 2.4
"""Millimetres."""
SIGNING_ROOM, INK = 24.0, 0.5
HEADING_POINTS = {1: 14.0, 2: 11.0, 3: 10.0}


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 1 is the title of the paper, in the middle; 2 a section, 3 a part of one."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences; line breaks in them stay."""

    text: str
    strong: bool = False
    centred: bool = False
    small: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list. `mark` stands before each item; `1.` counts them, `☐` and `☒` are boxes."""

    items: Sequence[str]
    mark: str = "•"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known, line by line: a name and its value; an empty value leaves room to write."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a head that is repeated on each page. `widths` are shares; absent: equal ones."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Ink:
    """What somebody drew to sign: lines of points (x, y) on a field, counted from its upper left corner."""

    width: int
    height: int
    lines: Sequence[Sequence[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Signatures:
    """Who signs, side by side: a role, a line of small print, and a name below the room where one signs.

    inks  what they drew, in the same order; None for who signs by hand
    said  the sentence that they sign, on the same page as the signatures
    """

    people: Sequence[tuple[str, str, str]]
    inks: Sequence[Ink | None] = ()
    said: str = ""


Block = Heading | Paragraph | Bullets | Facts | Grid | Signatures


def write_pdf(blocks: Iterable[Block], *, title: str, language: str, created: datetime, footer: str = "") -> bytes:
    """The blocks on as many A4 pages as they need.

    title     in the properties of the file; `language` likewise (`vi`, `en`)
    created   aware; what the file says of its own making
    footer    at the bottom of each page, beside the number of the page
    """
    paper = _paper(title, language, created, footer)
    for block in blocks:
        _LAY[type(block)](paper, block)
    return bytes(paper.output())


def _paper(title: str, language: str, created: datetime, footer: str) -> FPDF:
    from fpdf import FPDF

    for name in ("fpdf", "fontTools"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they quote the letters that a font lacks

    class Paper(FPDF):
        def footer(self) -> None:
            self.set_y(-MARGIN + 4)
            self.set_font(FAMILY, size=SMALL)
            self.cell(self.epw * 0.85, LINE, footer)
            self.cell(self.epw * 0.15, LINE, f"{self.page_no()}/{{nb}}", align="R")

    paper = Paper(format="A4")
    paper.set_creation_date(created)
    paper.set_title(title)
    paper.set_lang(language)
    paper.set_margin(MARGIN)
    paper.set_auto_page_break(True, MARGIN)
    paper.add_font(FAMILY, "", FONTS / "DejaVuSans.ttf")
    paper.add_font(FAMILY, "B", FONTS / "DejaVuSans-Bold.ttf")
    paper.add_page()
    return paper


def _text(paper: FPDF, text: str, *, points: float = TEXT, strong: bool = False, align: str = "L") -> None:
    paper.set_font(FAMILY, "B" if strong else "", points)
    paper.multi_cell(0, LINE * points / TEXT, text, align=align, new_x="LMARGIN", new_y="NEXT")


def _heading(paper: FPDF, block: Heading) -> None:
    points = HEADING_POINTS[block.level]
    paper.ln(GAP)
    if paper.will_page_break(4 * LINE):  # a heading stays with what it heads
        paper.add_page()
    _text(paper, block.text, points=points, strong=True, align="C" if block.level == 1 else "L")
    paper.ln(GAP / 2)


def _paragraph(paper: FPDF, block: Paragraph) -> None:
    align = "C" if block.centred else "L"
    _text(paper, block.text, points=SMALL if block.small else TEXT, strong=block.strong, align=align)
    paper.ln(GAP / 2)


def _bullets(paper: FPDF, block: Bullets) -> None:
    for number, item in enumerate(block.items, 1):
        mark = f"{number}." if block.mark == "1." else block.mark
        paper.set_font(FAMILY, size=TEXT)
        paper.cell(7, LINE, mark)
        paper.multi_cell(0, LINE, item, align="L", new_x="LMARGIN", new_y="NEXT")
    paper.ln(GAP / 2)


def _facts(paper: FPDF, block: Facts) -> None:
    paper.set_font(FAMILY, size=TEXT)
    with paper.table(col_widths=(35, 65), first_row_as_headings=False, text_align="LEFT", line_height=LINE) as table:
        for name, value in block.rows:
            table.row((name, value))
    paper.ln(GAP / 2)


def _grid(paper: FPDF, block: Grid) -> None:
    from fpdf.fonts import FontFace

    paper.set_font(FAMILY, size=SMALL)
    widths = tuple(block.widths) if block.widths else None
    style = FontFace(emphasis="BOLD")
    with paper.table(col_widths=widths, text_align="LEFT", line_height=LINE * 0.85, headings_style=style) as table:
        for row in (block.head, *block.rows):
            table.row(tuple(row))
    paper.ln(GAP / 2)


def _signatures(paper: FPDF, block: Signatures) -> None:
    if paper.will_page_break(SIGNING_ROOM + 6 * LINE):  # nobody signs on an empty page
        paper.add_page()
    if block.said:
        _text(paper, block.said)
    width = paper.epw / max(len(block.people), 1)
    top = below = paper.get_y() + GAP
    for place, (role, small, name) in enumerate(block.people):
        left = paper.l_margin + place * width
        if place < len(block.inks) and (ink := block.inks[place]):
            _draw(paper, ink, left=left, top=top + 2 * LINE, width=width, height=SIGNING_ROOM - 2 * LINE)
        for text, points, strong, down in (
            (role, TEXT, True, 0.0),
            (small, SMALL, False, LINE),
            (name, TEXT, False, SIGNING_ROOM),
        ):
            paper.set_font(FAMILY, "B" if strong else "", points)
            paper.set_xy(left, top + down)
            paper.multi_cell(width, LINE * points / TEXT, text, align="C", new_x="LEFT", new_y="NEXT")
        below = max(below, paper.get_y())
    paper.set_xy(paper.l_margin, max(below + GAP, top + SIGNING_ROOM + 2 * LINE))


def _draw(paper: FPDF, ink: Ink, *, left: float, top: float, width: float, height: float) -> None:
    """The lines as they were drawn, as large as the room allows, in the middle of it."""
    scale = min(width * 0.9 / ink.width, height / ink.height)
    left += (width - ink.width * scale) / 2
    with paper.local_context(line_width=INK, stroke_cap_style="round", stroke_join_style="round"):
        for line in ink.lines:
            paper.polyline([(left + x * scale, top + y * scale) for x, y in line])


_LAY: dict[type, Callable[[FPDF, Any], None]] = {
    Heading: _heading,
    Paragraph: _paragraph,
    Bullets: _bullets,
    Facts: _facts,
    Grid: _grid,
    Signatures: _signatures,
}
