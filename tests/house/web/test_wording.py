"""Every word of the pages exists in both languages, and in the words that people here use."""

from __future__ import annotations

import ast
import re
import string
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from consent.disclosures import Direction
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Role
from hie_node import checks, submission_feeds
from hie_node.flows import audit, quarantine
from hie_node.web.looks import Looks
from hie_node.web.remarks import remarks, spoken
from hie_node.web.wording import LANGUAGES, wordings
from registry import vetoes
from registry.answers import OutcomeKind
from registry.levels import FIELDS
from registry.matching import Agreement
from registry.weighing import HYPOTHESES, REUSED

ADAPTERS = Path(str(files("adapters")))
READERS = [*ADAPTERS.glob("insurance/*.py"), *ADAPTERS.glob("hl7v2/*.py")]
WEB = Path(str(files("hie_node.web")))
_USED = re.compile(r"""(?:\bt|\bsay|looks\.say)\(\s*['"]([\w.\-/]+)['"]\s*[,)]""")

_ACTS = re.compile(r"""\.act\(\s*"([\w-]+)""")


def facts_of(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_wording_is_there_in_both_languages_with_the_same_facts() -> None:
    for key, said in wordings().items():
        assert set(said) == set(LANGUAGES) and all(said.values()), key
        assert facts_of(said["vi"]) == facts_of(said["en"]), key


def test_every_wording_that_a_page_uses_is_there() -> None:
    used = {
        key
        for file in (*WEB.glob("*.py"), *WEB.glob("templates/*.html"))
        for key in _USED.findall(file.read_text("utf-8"))
    }
    assert len(used) > 100 and used - set(wordings()) == set()


def test_whatever_forbids_a_link_is_told_in_words_of_the_registrar() -> None:
    said = re.findall(r'return "([^"]+)"', Path(str(vetoes.__file__)).read_text("utf-8"))
    said += [vetoes.LIKE_TWINS, vetoes.TWO_NUMBERS, vetoes.WITHOUT_MARKS, vetoes.ONLY_A_YEAR, REUSED]
    assert len(said) >= 11
    assert {f"evidence.{one}" for one in said} - set(wordings()) == set()


def test_every_code_that_a_page_shows_has_words() -> None:
    shown = {
        *(f"role.{one}" for one in Role),
        *(f"outcome.{one}" for one in OutcomeKind),
        *(f"reason.{one}" for one in Reason),
        *(f"purpose.{one}" for one in PurposeOfUse),
        *(f"agreement.{one}" for one in Agreement),
        *(f"direction.{one}" for one in Direction.__args__),  # type: ignore[attr-defined]
    }
    assert shown - set(wordings()) == set()


def test_whatever_a_person_does_on_a_page_has_words_in_the_record() -> None:
    """A patient reads these rows."""
    acts = {name for file in WEB.glob("*.py") for name in _ACTS.findall(file.read_text("utf-8"))}
    assert len(acts) > 30 and {f"transaction.page {name}" for name in acts} - set(wordings()) == set()


def test_patients_are_spoken_of_as_the_law_does() -> None:
    text = " ".join(said["vi"].lower() for said in wordings().values())
    text += " ".join(file.read_text("utf-8").lower() for file in WEB.glob("templates/*.html"))
    assert "phá kính" not in text and "bệnh nhân" not in text


def test_every_light_of_the_node_has_words() -> None:
    called = [
        node for node in ast.walk(ast.parse(Path(checks.__file__).read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    said = [node.value for call in called for node in ast.walk(call) if isinstance(node, ast.Constant)]
    found = {f"found.{text}" for text in said if isinstance(text, str)} & set(wordings())
    assert len(found) >= 15
    for call in (one for one in called if ast.unparse(one.func) == "Check"):
        assert len(call.args) > 3 or _says_what_others_said(call), ast.unparse(call)


def _says_what_others_said(call: ast.Call) -> bool:
    """Errors, findings and warnings that come from elsewhere with words of their own."""
    text = ast.unparse(call.args[2])
    return text in ("str(error)", "text") or "finding" in text or "sealed" in text


@pytest.mark.parametrize("file", READERS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_remark_about_a_file_is_said_in_vietnamese_too(file: Path) -> None:
    for call in (one for one in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(one, ast.Call)):
        if ast.unparse(call.func) in ("strange.note", "message.note") and isinstance(
            call.args[-1], ast.Constant | ast.JoinedStr
        ):
            text = _as_said(call.args[-1])
            assert spoken(text, "vi"), text


def _as_said(text: ast.expr) -> str:
    """The text with a word in each hole."""
    if isinstance(text, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "XX" for one in text.values)
    assert isinstance(text, ast.Constant)
    return str(text.value)


def test_whatever_may_be_wrong_with_the_record_is_said_in_vietnamese_too() -> None:
    called = [
        one for one in ast.walk(ast.parse(Path(str(audit.__file__)).read_text("utf-8"))) if isinstance(one, ast.Call)
    ]
    said = [one.args[1] for one in called if ast.unparse(one.func) == "Finding"]
    texts = [_as_said(one) for one in said if isinstance(one, ast.Constant | ast.JoinedStr)]
    back = "this record was put back on 2026-11-29 03:00 to 7 rows"
    texts = [text for text in texts if not text.startswith("XX; ")]
    texts += [
        "the seal over 7 rows cannot be read",
        "a seal over 7 rows is known, and the record has none of this size",
    ]
    texts += [f"{back}; later ones are lost. bv.lan answers for it: disk"]
    texts += [f"27001 keeps a head over 9 rows; 7 are left; {back}, and nobody answers for it (hie audit answer)"]
    assert len(texts) >= 14
    for text in texts:
        assert spoken(text, "vi") and "rows" not in str(spoken(text, "vi")), text


def test_what_is_told_of_feeds_is_said_in_vietnamese_too() -> None:
    """A reason inside a remark as well."""
    for text in (
        *(submission_feeds.UNREAD, submission_feeds.REST, submission_feeds.NOT_KEPT),
        *(submission_feeds.SENT_AGAIN, submission_feeds.BEYOND),
        *(f"kept aside for a registrar, {why}" for why in (quarantine.ANOTHER_PERSON, quarantine.ANOTHER_PATIENT)),
        "report without its study: 2 studies of this examination around this time; a person has to choose",
        "study without its report: several reports fit",
    ):
        said = spoken(text, "vi")
        assert said and not re.search(r"\b(the|of|and|is)\b", said), text


def test_holes_of_remarks_are_the_same_in_both_languages() -> None:
    for english, vietnamese in remarks().items():
        assert facts_of(english) == facts_of(vietnamese), english


def test_every_field_that_is_weighed_has_words() -> None:
    shown = {f"weighed.{field}" for field in FIELDS} | {f"level.{one}" for all_ in FIELDS.values() for one in all_[1:]}
    shown |= {f"rival.{one}" for one in HYPOTHESES[1:]}
    assert shown - set(wordings()) == set()
    looks = Looks("vi", datetime.now(UTC))
    assert looks.evidence("given name same without marks +8.9 bits") == "tên: giống khi bỏ dấu (+8,9 bit)"
    assert looks.evidence("birth date same -0.5 bits") == "ngày sinh: giống (-0,5 bit)"
    weighed = ["sex same +0.5 bits", "phone different -2.0 bits"]
    told = ["+7.6 bits against a twin", "personal numbers are different", *weighed]
    assert looks.doubts(told) == ["hai số định danh khác nhau", "điện thoại: khác"]
    agreeing = [*told[:3], "personal number different -7.8 bits"]
    assert looks.doubts(agreeing) == ["hai số định danh khác nhau"]
    assert looks.doubts(weighed[:1]) == ["giới tính: giống"]
    assert looks.evidence("+14.0 bits against a twin") == "+14,0 bit, so với anh chị em sinh đôi"
