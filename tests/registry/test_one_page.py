"""A patient on one page: every line says whose it is, and nothing is left out in silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry.clinical import Medication, Problem, Result
from registry.coded import EPISODE_SUMMARY, ICD10, CodedValue
from registry.conclusions import conclusion_of
from registry.documents import Attachment, DocumentEntry
from registry.earlier import Earlier
from registry.examinations import Examination
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.one_page import MOST, one_page
from registry.summary import Summary

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BAC_NINH = HomeCommunityId("urn:oid:2.25.27001")


def place(home: HomeCommunityId | None) -> str:
    return "Bắc Ninh" if home == BAC_NINH else "Bạch Mai"


def test_each_line_has_its_day_and_its_source() -> None:
    summary = Summary(
        problems=(Problem(CodedValue("I10", ICD10), "Tăng huyết áp", NOW),),
        medications=(Medication("Amlodipin", strength="5 mg", dose="1 viên/ngày", ordered=NOW),),
        results=(Result("Glucose", "9.8", unit="mmol/L", resulted=NOW),),
        withheld=2,
    )
    ct = Earlier(
        BAC_NINH, NOW, Examination("CT", "brain", False), "CT sọ não", conclusion="Không xuất huyết.", learnt=NOW
    )
    paper = DocumentEntry(
        "p", "urn:uuid:1", "2.25.9", PatientIdentifier("urn:oid:2.25.1", "1"), "r",
        Attachment("text/plain", 1, "a" * 40, "", title="Giấy ra viện"), home=BAC_NINH,
    )  # fmt: skip
    data = replace(
        paper, type=EPISODE_SUMMARY, attachment=replace(paper.attachment, content_type="application/fhir+json")
    )
    page = one_page(summary, [ct], [data, paper], place)
    told = {section.name: [(line.text, line.source) for line in section.lines] for section in page.sections}
    assert told == {
        "diagnoses": [("I10 Tăng huyết áp", "Bạch Mai")],
        "medicines": [("Amlodipin 5 mg, 1 viên/ngày", "Bạch Mai")],
        "results": [("Glucose: 9.8 mmol/L", "Bạch Mai")],
        "imaging": [("CT sọ não: Không xuất huyết.", "Bắc Ninh")],
        "papers": [("Giấy ra viện", "Bắc Ninh")],
    }
    assert page.withheld == 2


def test_what_does_not_fit_the_page_is_counted() -> None:
    many = tuple(Problem(None, f"bệnh {n}", NOW) for n in range(MOST + 3))
    section = one_page(Summary(problems=many), [], [], place).sections[0]
    assert (len(section.lines), section.more) == (MOST, 3)
    assert [one.lines for one in one_page(Summary(), [], [], place).sections] == [()] * 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MÔ TẢ\nBình thường.\n\nKẾT LUẬN\nKhông thấy xuất huyết.\nBác sĩ đọc: A", "Không thấy xuất huyết."),
        ("Kết luận: U não thùy trán.\nĐề nghị: chụp CHT", "U não thùy trán."),
        ("KẾT LUẬN:\n- Viêm phổi.\n- Tràn dịch ít.\n\nNgày 01/02", "- Viêm phổi. - Tràn dịch ít."),
        ("IMPRESSION: no bleed", "no bleed"),
        ("Không thấy gì.", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_conclusion_is_what_stands_under_its_heading(text: str, said: str) -> None:
    assert conclusion_of(text) == said


def test_a_very_long_conclusion_is_cut_where_one_sees_it() -> None:
    assert conclusion_of("KẾT LUẬN: " + "x" * 900).endswith("…")
