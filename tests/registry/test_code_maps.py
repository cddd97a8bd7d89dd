"""A code means elsewhere what a map says, and what no map says is a gap, not a guess."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.clinical import Result
from registry.code_maps import CodeMaps, gaps, loinc_of, read_map
from registry.coded import LOINC, RESULT_CODE, CodedValue
from registry.errors import InvalidValue
from registry.examinations import Examination

GLUCOSE = {"system": LOINC, "code": "15074-8", "display": "Glucose [Moles/volume] in Blood"}
MAP: dict[str, Any] = {
    "name": "results",
    "version": "2026-11",
    "source": "laboratory of the hospital",
    "from": RESULT_CODE,
    "entries": {"G1": [GLUCOSE]},
}
OWN = CodedValue("G1", RESULT_CODE)


def test_a_mapped_result_carries_its_loinc_code_first_and_its_own() -> None:
    maps = CodeMaps((read_map(json.dumps(MAP)),))
    assert [code.code for code in maps.result((OWN,))] == ["15074-8", "G1"]
    assert maps.result((CodedValue("G1", "urn:other"),)) == (CodedValue("G1", "urn:other"),)


def test_gaps_are_counted_by_code_and_nothing_else_is_said() -> None:
    urea = Result("Ure", "5", (CodedValue("U1", RESULT_CODE),))
    mapped = Result("Glucose", "7", (CodedValue("15074-8", LOINC), OWN))
    assert gaps([urea, mapped, urea, Result("X", "1")]) == [(CodedValue("U1", RESULT_CODE), "Ure", 2), (None, "X", 1)]


@pytest.mark.parametrize("wrong", [{"entries": []}, {"version": ""}, {"entries": {"G1": [{"code": "1"}]}}])
def test_a_map_that_is_half_a_map_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        read_map(json.dumps({**MAP, **wrong}))


def test_contrast_decides_the_code_of_an_examination_where_it_has_one() -> None:
    assert [
        code.code if (code := loinc_of(Examination("CT", region, contrast))) else None
        for region, contrast in (("brain", False), ("brain", True), ("upper_abdomen", True), ("toe", None))
    ] == ["30799-1", "24727-0", "41806-1", None]
