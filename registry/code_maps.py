"""From one code system to another, as versioned data: what is not in a map is a gap that is reported, never guessed.

A hospital's own maps lie in its node's folder `codes/`, one JSON file each:

    {"name": "results", "version": "2026-11", "source": "who made it, from what",
     "from": "http://fhir.ehealth.gov.vn/core/CodeSystem/result",
     "entries": {"1234567": [{"system": "http://loinc.org", "code": "15074-8", "display": "Glucose [Moles/volume]"}]}}

A map from `unit` says what spellings of units are in UCUM: {"mmol/l": [{"system": "http://unitsofmeasure.org",
"code": "mmol/L"}]}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from registry.clinical import Result
from registry.coded import LOINC, UCUM, CodedValue
from registry.errors import InvalidValue
from registry.examinations import Examination

MOST_ENTRIES = 200_000
UNIT = "unit"
"""What a map of units maps from: the unit as it was written."""

MOST_GAPS = 1_000


@dataclass(frozen=True, slots=True)
class CodeMap:
    """One table. `system` is what it maps from; best target first."""

    name: str
    version: str
    source: str
    system: str
    entries: Mapping[str, tuple[CodedValue, ...]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class CodeMaps:
    """All tables of a node."""

    maps: tuple[CodeMap, ...] = ()

    def also(self, code: CodedValue) -> tuple[CodedValue, ...]:
        """The same in other systems; nothing where no map has it."""
        found = (one.entries.get(code.code, ()) for one in self.maps if one.system == code.system)
        return tuple(dict.fromkeys(value for values in found for value in values))

    def result(self, codes: Iterable[CodedValue]) -> tuple[CodedValue, ...]:
        """The codes of a result with what they mean elsewhere, LOINC first."""
        told = tuple(codes)
        every = dict.fromkeys((*(other for code in told for other in self.also(code)), *told))
        return tuple(sorted(every, key=lambda code: code.system != LOINC))

    def unit(self, written: str) -> str:
        """The UCUM code of a unit, empty where no map has it."""
        found = self.also(CodedValue(written, UNIT)) if written else ()
        return next((code.code for code in found if code.system == UCUM), "")


NO_MAPS = CodeMaps()


def read_map(text: str) -> CodeMap:
    """Raises InvalidValue with what is wrong; a map that is half understood would mislead a doctor."""
    try:
        told = json.loads(text)
        entries = {str(code): tuple(map(_target, targets)) for code, targets in told["entries"].items()}
        name, version, source, system = (_text(told[each]) for each in ("name", "version", "source", "from"))
        made = CodeMap(name, version, source, system, entries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValue("code map", expected=f"name, version, source, from, entries ({error})") from None
    if len(made.entries) > MOST_ENTRIES:
        raise InvalidValue("code map", expected=f"at most {MOST_ENTRIES} entries")
    return made


def _target(told: Mapping[str, Any]) -> CodedValue:
    return CodedValue(_text(told["code"]), _text(told["system"]), told.get("display"))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("expected a text that is not empty")
    return value


@dataclass(frozen=True, slots=True)
class CodeGap:
    """Something that results were told with, and no map holds.

    kind   `code`, which no LOINC code names, or `unit`, which no UCUM code does
    code   as it was written; empty where there was none
    name   one of the names of what was measured
    times  how often
    """

    kind: str
    code: str
    system: str | None
    name: str
    times: int = 1


class Gaps:
    """Gaps of many results; a code is counted once for all of its names."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str | None, str], list[Any]] = {}

    def look(self, results: Iterable[Result]) -> None:
        for one in results:
            if not any(code.system == LOINC for code in one.codes):
                code = one.codes[0] if one.codes else None
                self.add("code", code.code if code else "", code.system if code else None, one.name)
            if one.unit and not one.unit_code:
                self.add("unit", one.unit, None, one.name)

    def add(self, kind: str, code: str, system: str | None, name: str, times: int = 1) -> None:
        """Beyond the bound, what is new is not counted any more."""
        key = (kind, code, system, "" if code else name)  # without a code only the name tells two apart
        known = self._found.get(key)
        if known is not None:
            known[1] += times
        elif len(self._found) < MOST_GAPS:
            self._found[key] = [name, times]

    def merge(self, gaps: Iterable[CodeGap]) -> None:
        for one in gaps:
            self.add(one.kind, one.code, one.system, one.name, one.times)

    def found(self) -> tuple[CodeGap, ...]:
        """The most frequent first."""
        every = (CodeGap(*key[:3], name, times) for key, (name, times) in self._found.items())
        return tuple(sorted(every, key=lambda one: -one.times))


def gaps(results: Iterable[Result]) -> tuple[CodeGap, ...]:
    """What no map holds of these results; the most frequent first."""
    found = Gaps()
    found.look(results)
    return found.found()


@cache
def _examinations() -> dict[tuple[str, str, bool | None], CodedValue]:
    read = json.loads(files("registry").joinpath("examination_codes.json").read_text("utf-8"))
    return {
        (modality, region, contrast): CodedValue(code, LOINC, display)
        for modality, region, contrast, code, display in read["entries"]
    }


def loinc_of(examination: Examination) -> CodedValue | None:
    """The LOINC code of an examination; that of the region alone where contrast has none of its own."""
    asked = (examination.modality, examination.region)
    return _examinations().get((*asked, examination.contrast)) or _examinations().get((*asked, None))
