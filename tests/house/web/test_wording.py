"""Every word of the pages exists in both languages, and in the words that people here use."""

from __future__ import annotations

import re
import string
from importlib.resources import files
from pathlib import Path

from consent.disclosures import Direction
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Role
from hie_node.web.wording import LANGUAGES, wordings
from registry.answers import OutcomeKind
from registry.matching import Agreement

WEB = Path(str(files("hie_node.web")))
_USED = re.compile(r"""(?:\bt|\bsay|looks\.say)\(\s*['"]([\w.\-/]+)['"]\s*[,)]""")


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


def test_patients_are_spoken_of_as_the_law_does() -> None:
    text = " ".join(said["vi"].lower() for said in wordings().values())
    text += " ".join(file.read_text("utf-8").lower() for file in WEB.glob("templates/*.html"))
    assert "phá kính" not in text and "bệnh nhân" not in text
