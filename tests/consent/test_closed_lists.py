"""Words of a report that a person has to read before it leaves, however they are written."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from consent.closed_lists import sensitivity
from registry.coded import UNREVIEWED_TEXT

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
