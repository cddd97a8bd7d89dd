"""What closes a document for certain, and the words that a person has to read before it leaves, however written."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

import pytest

from consent.closed_lists import sensitivity
from registry.coded import HIV, ICD10, UNREVIEWED_TEXT, CodedValue

TELLING = (
    "Xét nghiệm HIV âm tính",
    "h i v (+)",
    "H.I.V dương tính",
    "điều trị kháng retrovirus bậc 1",
    "Hội chứng suy giảm miễn dịch mắc phải",
    "CD4: 350 tế bào/mm3",
    "phác đồ ARV",
    "bệnh SIDA",
)
HARMLESS = (
    "Suy thận giai đoạn 3, kháng sinh dự phòng",
    "Hi vọng hồi phục, vết mổ khô",
    "kháng thể kháng nhân, suy giảm trí nhớ",
    "arvedson, cd40, hivernal",
)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("text", TELLING)
def test_telling_words_hold_a_text_back(text: str, form: str) -> None:
    assert sensitivity(texts=(normalize(form, f"Kết luận: {text}."),)) == (UNREVIEWED_TEXT,)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("text", HARMLESS)
def test_words_that_only_look_like_them_do_not(text: str, form: str) -> None:
    assert sensitivity(texts=(normalize(form, text),)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        {"tables": ("XML1", "XML6")},
        {"columns": ("NGAYKD_HIV",)},
        {"route": "1.9"},
        {"codes": (CodedValue("B20.1", ICD10),)},
        {"codes": (CodedValue("A09", ICD10), CodedValue("z21"))},
        {"medicines": ("Paracetamol", "TENOFOVIR 300mg + Lamivudine")},
        {"medicines": (normalize("NFD", "thuốc ARV"),)},
        {"route": "1.9", "texts": ("không có gì",)},
        {"codes": (CodedValue("B24", ICD10),), "texts": ("nhiễm HIV",)},
    ],
)
def test_a_structured_sign_closes_a_document_for_certain(told: dict[str, Any]) -> None:
    assert sensitivity(**told) == (HIV,)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"tables": ("XML1", "XML2", "XML3")},
        {"columns": ("MA_LK",)},
        {"route": "1.1"},
        {"codes": (CodedValue("B25", ICD10), CodedValue("B20", "http://loinc.org"), CodedValue("R74", ICD10))},
        {"medicines": ("Paracetamol", "Marvelon")},
        {"texts": ("Suy thận",)},
    ],
)
def test_what_is_on_no_list_stays_open(told: dict[str, Any]) -> None:
    assert sensitivity(**told) == ()
