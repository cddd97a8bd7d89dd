"""Codes and units of a laboratory: mapped by what the hospital says, counted by sender where nothing is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hie_node import feeds
from hie_node.bootstrap import build
from hie_node.mappings import FILE
from hie_node.publishing import publisher
from registry.clinical import Result
from registry.code_maps import UNIT, CodeGap
from registry.coded import LOINC, RESULT_CODE, UCUM
from tests.house.hospital import Hospital, code
from tests.house.test_feeds import items, registers
from tests.house.test_insurance import VISIT, dropped

REPORT = """
MSH|^~\\&|LIS|BV_BN|HIE|HIE|20261102093000||ORU^R01^ORU_R01|{id}|P|2.5|||||||UNICODE UTF-8
PID|1||BN1^^^OWN^MR
OBR|1|P1|F1|CHEM^Sinh hóa^L|||20261102084500|||||||||||||||20261102093000||LAB|{status}
OBX|1|NM|GLU^Glucose^L||{value}|mmol/l|||||F
OBX|2|NM|XYZ^Chất lạ^L||2|đv|||||F
"""
GLUCOSE = {"system": LOINC, "code": "15074-8", "display": "Glucose [Moles/volume] in Blood"}
MAPPING = f'[[sender]]\napplication = "LIS"\n[sender.systems]\nL = "{RESULT_CODE}"\n'


def with_maps(hospital: Hospital) -> Hospital:
    """The same node, started again with maps of codes and units, and what the laboratory's names mean."""
    home = hospital.house.settings.home
    (home / "codes").mkdir()
    for name, system, entries in (
        ("results", RESULT_CODE, {"GLU": [GLUCOSE]}),
        ("units", UNIT, {"mmol/l": [{"system": UCUM, "code": "mmol/L"}]}),
    ):
        told = {"name": name, "version": "1", "source": "test", "from": system, "entries": entries}
        (home / "codes" / f"{name}.json").write_text(json.dumps(told), "utf-8")
    (home / FILE).write_text(MAPPING, "utf-8")
    hospital.house.storage.close()
    return Hospital(build(hospital.house.settings))


def results(hospital: Hospital) -> tuple[Result, ...]:
    (entry,) = hospital.documents("BN1")
    return entry.results


def reports(hospital: Hospital, value: str = "5.5", *, id: str = "2", status: str = "F") -> str:
    return code(hospital.tell(REPORT.format(id=id, value=value, status=status)))


def test_a_mapped_code_and_unit_stand_beside_what_was_sent(hospital: Hospital) -> None:
    registers(hospital)
    mapped = with_maps(hospital)
    assert reports(mapped) == "AA"
    glucose, strange = results(mapped)
    assert [(each.code, each.system) for each in glucose.codes] == [("15074-8", LOINC), ("GLU", RESULT_CODE)]
    assert (glucose.unit, glucose.unit_code) == ("mmol/l", "mmol/L")
    assert [(each.code, each.system) for each in strange.codes] == [("XYZ", RESULT_CODE)] and not strange.unit_code
    mapped.house.storage.close()


def test_gaps_are_counted_for_each_sender(hospital: Hospital, tmp_path: Path) -> None:
    registers(hospital)
    assert reports(hospital) == "AA" and reports(hospital, "6", id="3", status="C") == "AA"
    dropped(hospital, tmp_path, VISIT)
    found = feeds.gaps(hospital.house, since=hospital.house.now().replace(year=2020))
    assert set(found) == {"hl7v2 LIS|BV_BN", "insurance"}
    assert CodeGap("code", "GLU", None, "Glucose", 2) in found["hl7v2 LIS|BV_BN"]
    assert CodeGap("unit", "đv", None, "Chất lạ", 2) in found["hl7v2 LIS|BV_BN"]
    assert all(gap.system == RESULT_CODE for gap in found["insurance"] if gap.kind == "code" and gap.code)


def test_a_map_that_came_later_is_applied_by_reading_again(hospital: Hospital) -> None:
    registers(hospital)
    assert reports(hospital) == "AA"
    mapped = with_maps(hospital)
    house = mapped.house
    (item,) = [one for one in items(mapped) if one.gaps]
    after = feeds.replay(house, item, publisher(house, "test"))
    assert results(mapped)[0].codes[0].system == LOINC
    assert {gap.code for gap in after.gaps} == {"XYZ", "đv"}
    house.storage.close()


@pytest.mark.parametrize("status", ["C", "X"])
def test_reading_an_old_report_again_does_not_undo_what_came_since(hospital: Hospital, status: str) -> None:
    registers(hospital)
    assert reports(hospital) == "AA"
    (first,) = [one for one in items(hospital) if one.name == "2"]
    assert reports(hospital, "6", id="3", status=status) == "AA"
    before = hospital.documents("BN1", only_current=False)
    again = feeds.replay(hospital.house, replace(first), publisher(hospital.house, "test"))
    assert any("a later message" in note for note in again.deviations)
    assert hospital.documents("BN1", only_current=False) == before
