"""A code means elsewhere what a map says, and what no map says is a gap, not a guess."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.clinical import Result
from registry.code_maps import MOST_GAPS, UNIT, CodeGap, CodeMaps, Gaps, gaps, loinc_of, read_map
from registry.coded import LOINC, RESULT_CODE, UCUM, CodedValue
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


def test_gaps_are_counted_by_code_and_by_unit_and_nothing_else_is_said() -> None:
    urea = Result("Ure", "5", (CodedValue("U1", RESULT_CODE),), "mmol/l")
    mapped = Result("Glucose", "7", (CodedValue("15074-8", LOINC), OWN), "mmol/L", unit_code="mmol/L")
    assert gaps([urea, mapped, urea, Result("X", "1")]) == (
        CodeGap("code", "U1", RESULT_CODE, "Ure", 2),
        CodeGap("unit", "mmol/l", None, "Ure", 2),
        CodeGap("code", "", None, "X", 1),
    )


def test_gaps_of_many_files_are_one_count_and_no_endless_list() -> None:
    found = Gaps()
    for _ in range(2):
        found.merge(gaps([Result("Ure", "5", (CodedValue("U1", RESULT_CODE),))]))
    assert found.found() == (CodeGap("code", "U1", RESULT_CODE, "Ure", 2),)
    found.look(Result("Ure", "5", (CodedValue(str(number)),)) for number in range(MOST_GAPS + 10))
    assert len(found.found()) == MOST_GAPS


def test_a_unit_is_in_ucum_only_where_a_map_says_so() -> None:
    units = {**MAP, "from": UNIT, "entries": {"mmol/l": [{"system": UCUM, "code": "mmol/L"}]}}
    maps = CodeMaps((read_map(json.dumps(units)),))
    assert (maps.unit("mmol/l"), maps.unit("mmol"), maps.unit("")) == ("mmol/L", "", "")


@pytest.mark.parametrize("wrong", [{"entries": []}, {"version": ""}, {"entries": {"G1": [{"code": "1"}]}}])
def test_a_map_that_is_half_a_map_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        read_map(json.dumps({**MAP, **wrong}))


def test_contrast_decides_the_code_of_an_examination_where_it_has_one() -> None:
    assert [
        code.code if (code := loinc_of(Examination("CT", region, contrast))) else None
        for region, contrast in (("brain", False), ("brain", True), ("upper_abdomen", True), ("toe", None))
    ] == ["30799-1", "24727-0", "41806-1", None]
