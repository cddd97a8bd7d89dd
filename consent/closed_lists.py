"""What never leaves a hospital by default, recognised by table, code, medicine and, for a person to read, by words.

Source: Law 71/2020/QH14 Art. 30 (who may know an HIV status); insurance table 6 and the HIV columns of table 15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import normalize

from registry.coded import HIV, ICD10, UNREVIEWED_TEXT, CodedValue
from registry.vietnamese import folded

CLOSED_TABLES = frozenset({"XML6"})
CLOSED_COLUMNS = frozenset({"PHANLOAI_LAO_HIV", "NGAYKD_HIV", "BDDT_ARV", "NGAYBAT_DAU_DT_CTX"})
CLOSED_ROUTES = frozenset({"1.9"})
_CLOSED_DIAGNOSES = re.compile(r"\s*(B2[0-4]|Z21|R75|Z11\.?4|F02\.?4|O98\.?7)", re.IGNORECASE)
_MEDICINES = re.compile(
    r"\b(tenofovir|lamivudin|efavirenz|dolutegravir|zidovudin|nevirapin|abacavir|lopinavir|ritonavir|atazanavir"
    r"|emtricitabin|raltegravir|darunavir|bictegravir|rilpivirin|arv)",
)
_WORD = re.compile(r"\w+")
_WORDS = re.compile(r"\b(?:h ?i ?v|aids|sida|khang retro\w*|sui giam mien dich mac phai|arv|cd4)\b")
_FIRST_WORDS = frozenset({"hiv", "hi", "h", "aids", "sida", "khang", "sui", "arv", "cd4"})
"""A text without one of these is not searched: most have none."""


def sensitivity(
    codes: Iterable[CodedValue] = (),
    *,
    medicines: Iterable[str] = (),
    texts: Iterable[str] = (),
    tables: Iterable[str] = (),
    columns: Iterable[str] = (),
    route: str = "",
) -> tuple[CodedValue, ...]:
    """The labels that close a document: HIV where structured data say so, "unreviewed" where only words do."""
    if CLOSED_TABLES & set(tables) or CLOSED_COLUMNS & set(columns) or route in CLOSED_ROUTES:
        return (HIV,)
    if any(is_closed_diagnosis(code) for code in codes) or any(_MEDICINES.search(_fold(m)) for m in medicines):
        return (HIV,)
    if any(map(_mentions, texts)):
        return (UNREVIEWED_TEXT,)
    return ()


def is_closed_diagnosis(code: CodedValue) -> bool:
    """An ICD-10 code of the closed list, or one without a system that looks like it."""
    return code.system in (ICD10, None) and _CLOSED_DIAGNOSES.match(code.code) is not None


def _mentions(text: str) -> bool:
    words = _folded_words(text)
    return not _FIRST_WORDS.isdisjoint(words) and _WORDS.search(" ".join(words)) is not None


def _fold(text: str) -> str:
    return " ".join(_folded_words(text))


def _folded_words(text: str) -> list[str]:
    # composed first: a tone that stands as a character of its own would end its word
    return list(map(_fold_word, _WORD.findall(normalize("NFC", text))))


@lru_cache(maxsize=1 << 14)
def _fold_word(word: str) -> str:
    # `folded` turns y into i and drops digits; digits matter for CD4, so they are kept apart
    return folded(word) if word.isalpha() else word.lower()
