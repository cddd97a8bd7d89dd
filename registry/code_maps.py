"""From one code system to another, as versioned data: what is not in a map is a gap that is reported, never guessed.

A hospital's own maps lie in its node's folder `codes/`, one JSON file each:

    {"name": "results", "version": "2026-11", "source": "who made it, from what",
     "from": "http://fhir.ehealth.gov.vn/core/CodeSystem/result",
     "entries": {"1234567": [{"system": "http://loinc.org", "code": "15074-8", "display": "Glucose [Moles/volume]"}]}}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from registry.clinical import Result
from registry.coded import LOINC, CodedValue
from registry.errors import InvalidValue
from registry.examinations import Examination

MOST_ENTRIES = 200_000


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


def gaps(results: Iterable[Result]) -> list[tuple[CodedValue | None, str, int]]:
    """Results that no LOINC code names: code, one of its names, how often; the most frequent first."""
    counted: Counter[CodedValue | None] = Counter()
    names: dict[CodedValue | None, str] = {}
    for one in results:
        if not any(code.system == LOINC for code in one.codes):
            code = one.codes[0] if one.codes else None
            counted[code] += 1
            names.setdefault(code, one.name)
    return [(code, names[code], number) for code, number in counted.most_common()]


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
