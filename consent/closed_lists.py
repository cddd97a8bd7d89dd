"""What never leaves a hospital by default, recognised by table, code, medicine and, for a person to read, by words.

The lists are data with a version (`closed_lists.json`); a hospital can add to them and take nothing away.
Source: Law 71/2020/QH14 Art. 30 (who may know an HIV status).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Any
from unicodedata import normalize

from registry.coded import HIV, ICD10, UNREVIEWED_TEXT, CodedValue
from registry.errors import InvalidValue
from registry.vietnamese import folded

_WORD = re.compile(r"\w+")
_SETS = ("tables", "columns", "routes", "medicines", "words")
_NAMES = frozenset({"about", "version", "source", "codes", *_SETS})
_NEVER = re.compile(r"(?!)")
_REMEMBERED, _REMEMBERED_LENGTH = 256, 16 << 10


@dataclass(frozen=True)
class ClosedLists:
    """One version of the lists.

    tables     insurance tables, and `columns` of other tables
    routes     codes of why somebody came (insurance, MA_DOITUONG_KCB)
    codes      by code system; a code of ICD-10 stands for those below it too
    medicines  how a word of their names begins, without signs
    words      as they stand in a text without signs, one or several; one that ends in * stands for what begins so
    """

    version: str
    tables: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    medicines: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def sensitivity(
        self,
        codes: Iterable[CodedValue] = (),
        *,
        medicines: Iterable[str] = (),
        texts: Iterable[str] = (),
        tables: Iterable[str] = (),
        columns: Iterable[str] = (),
        route: str = "",
    ) -> tuple[CodedValue, ...]:
        """The labels that close a document: HIV where structured data say so, "unreviewed" where only words do."""
        if self.tables & set(tables) or self.columns & set(columns) or route in self.routes:
            return (HIV,)
        if any(map(self.has, codes)) or any(self._medicine.search(_fold(each)) for each in medicines):
            return (HIV,)
        return (UNREVIEWED_TEXT,) if any(map(self._mentioned_in, texts)) else ()

    def has(self, code: CodedValue) -> bool:
        """A code of the lists, or one without a system that looks like a diagnosis of them."""
        if code.system in (ICD10, None):
            return self._diagnosis.match(code.code) is not None
        return code.code in self.codes.get(code.system, ())

    def and_more(self, other: ClosedLists) -> ClosedLists:
        """Whatever is on either."""
        both = {name: getattr(self, name) | getattr(other, name) for name in _SETS}
        systems = self.codes.keys() | other.codes.keys()
        codes = {one: self.codes.get(one, frozenset()) | other.codes.get(one, frozenset()) for one in systems}
        return ClosedLists(f"{self.version} and {other.version}", **both, codes=codes)

    @cached_property
    def _diagnosis(self) -> re.Pattern[str]:
        return _any_of((re.escape(code).replace(r"\.", r"\.?") for code in self.codes.get(ICD10, ())), before=r"\s*")

    @cached_property
    def _medicine(self) -> re.Pattern[str]:
        return _any_of(map(re.escape, self.medicines), before=r"\b")

    @cached_property
    def _phrase(self) -> re.Pattern[str]:
        return _any_of(
            (re.escape(each.removesuffix("*")) + (r"\w*" if each.endswith("*") else "") for each in self.words),
            before=r"\b",
            after=r"\b",
        )

    @cached_property
    def _first_words(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """How phrases begin: whole words, and beginnings of words."""
        first = [each.split()[0] for each in self.words]
        return (
            frozenset(each for each in first if not each.endswith("*")),
            tuple(each.removesuffix("*") for each in first if each.endswith("*")),
        )

    def _mentioned_in(self, text: str) -> bool:
        return self._lately(text) if len(text) <= _REMEMBERED_LENGTH else self._looked_up(text)

    @cached_property
    def _lately(self) -> Callable[[str], bool]:
        """The same text is asked about when it is read, for each form that it takes, and when it is judged."""
        return lru_cache(maxsize=_REMEMBERED)(self._looked_up)

    def _looked_up(self, text: str) -> bool:
        # a text repeats itself: each of its words is looked at once
        distinct = set(map(_fold_word, _words(" ".join(set(text.split())))))
        whole, beginnings = self._first_words
        # most texts have no word that one of the phrases begins with, and are not searched
        if whole.isdisjoint(distinct) and not (beginnings and any(word.startswith(beginnings) for word in distinct)):
            return False
        return self._phrase.search(_fold(text)) is not None


def _any_of(patterns: Iterable[str], *, before: str = "", after: str = "") -> re.Pattern[str]:
    listed = "|".join(sorted(patterns))
    return re.compile(f"{before}(?:{listed}){after}", re.IGNORECASE) if listed else _NEVER


def read_lists(text: str) -> ClosedLists:
    """From JSON in the form of `closed_lists.json`; raises InvalidValue for what is not understood.

    A list with a name that is mistyped would leave open what somebody wanted closed.
    """
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise InvalidValue("closed lists", expected="JSON") from error
    if not isinstance(found, dict) or set(found) - _NAMES or not isinstance(found.get("version"), str):
        raise InvalidValue("closed lists", expected="an object with version and any of " + ", ".join(sorted(_NAMES)))
    codes = found.get("codes", {})
    if not isinstance(codes, dict):
        raise InvalidValue("codes", expected="lists of codes by code system")
    sets = {name: _texts(name, found.get(name, [])) for name in _SETS}
    sets |= {name: frozenset(map(_spelled, sets[name])) for name in ("medicines", "words")}
    return ClosedLists(found["version"], **sets, codes={one: _texts(one, listed) for one, listed in codes.items()})


def _texts(name: str, listed: Any) -> frozenset[str]:
    if not isinstance(listed, list) or not all(isinstance(each, str) and _WORD.search(each) for each in listed):
        raise InvalidValue(name, expected="a list of texts")
    return frozenset(map(str.strip, listed))


def _spelled(phrase: str) -> str:
    """As texts are compared, the star at the end kept."""
    return _fold(phrase) + ("*" if phrase.endswith("*") else "")


@cache
def shipped() -> ClosedLists:
    """The version that comes with the program."""
    return read_lists(files("consent").joinpath("closed_lists.json").read_text("utf-8"))


def sensitivity(codes: Iterable[CodedValue] = (), **told: Any) -> tuple[CodedValue, ...]:
    """By the lists that come with the program."""
    return shipped().sensitivity(codes, **told)


def _fold(text: str) -> str:
    return " ".join(map(_fold_word, _words(text)))


def _words(text: str) -> list[str]:
    # composed first: a tone that stands as a character of its own would end its word
    return _WORD.findall(normalize("NFC", text))


@lru_cache(maxsize=1 << 14)
def _fold_word(word: str) -> str:
    # `folded` turns y into i and drops digits; digits matter for CD4, so they are kept apart
    return folded(word) if word.isalpha() else word.lower()
