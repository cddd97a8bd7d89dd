"""What closes a document for certain, and the words that a person has to read before it leaves, however written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from consent import closed_lists
from consent.closed_lists import ClosedLists, read_lists, sensitivity
from registry.coded import HIV, ICD10, UNREVIEWED_TEXT, CodedValue
from registry.errors import InvalidValue

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


def test_the_shipped_lists_have_a_version_and_a_source() -> None:
    told = json.loads(Path(closed_lists.__file__).with_suffix(".json").read_text("utf-8"))
    assert closed_lists.shipped().version == told["version"] and "71/2020/QH14" in told["source"]


@pytest.mark.parametrize("code", ["56888-1", "25836-8", "7917-8"])
def test_a_test_for_hiv_closes_its_document(code: str) -> None:
    assert sensitivity((CodedValue(code, "http://loinc.org"),)) == (HIV,)
    assert sensitivity((CodedValue(code, "urn:own"),)) == ()


OWN = ClosedLists(
    "own-1",
    words=frozenset({"phong kham so 7", "hep c*", "ngoai tru*"}),
    codes={"urn:own": frozenset({"XN-77"}), ICD10: frozenset({"A50"})},
)


def test_a_hospital_adds_to_the_lists_and_takes_nothing_away() -> None:
    both = closed_lists.shipped().and_more(OWN)
    assert both.sensitivity((CodedValue("XN-77", "urn:own"),)) == (HIV,)
    assert both.sensitivity((CodedValue("A50.1", ICD10),)) == both.sensitivity((CodedValue("B20", ICD10),)) == (HIV,)
    for text in ("Khám tại Phòng khám số 7.", "viêm gan hẹp cấp", "HIV âm tính", "theo ngoại trúc"):
        assert both.sensitivity(texts=(text,)) == (UNREVIEWED_TEXT,), text
    assert both.sensitivity(texts=("phòng khám số 8",)) == ()
    assert both.sensitivity(tables=("XML6",)) == both.sensitivity(medicines=("Dolutegravir 50mg",)) == (HIV,)
    assert both.version == f"{closed_lists.shipped().version} and own-1"
    assert ClosedLists("empty").sensitivity((CodedValue("B20", ICD10),), medicines=("x",), texts=("HIV",)) == ()


def test_a_beginning_of_a_word_alone_is_found_too() -> None:
    assert ClosedLists("1", words=frozenset({"retro*"})).sensitivity(texts=("thuốc kháng retrovirus",)) == (
        UNREVIEWED_TEXT,
    )
    assert ClosedLists("1", words=frozenset({"retro"})).sensitivity(texts=("thuốc kháng retrovirus",)) == ()


def test_lists_are_read_as_they_are_written_with_signs_or_without() -> None:
    found = read_lists('{"version": "1", "words": ["Khoa Truyền Nhiễm", "Đặc biệt*"], "codes": {"urn:own": [" X1 "]}}')
    assert found.sensitivity(texts=("chuyển khoa truyền nhiễm",)) == (UNREVIEWED_TEXT,)
    assert found.sensitivity(texts=("đặc biệthóa",)) == (UNREVIEWED_TEXT,)
    assert found.has(CodedValue("X1", "urn:own"))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"version": 1}', '{"version": "1", "wrods": []}', '{"version": "1", "words": "hiv"}',
        '{"version": "1", "words": [" "]}', '{"version": "1", "codes": []}', '{"version": "1", "codes": {"x": [1]}}',
    ],
)  # fmt: skip
def test_lists_that_are_not_understood_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        read_lists(text)
