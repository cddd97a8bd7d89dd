"""The rows of tables 2, 3 and 4 as facts: medicines, services, results. What is on a closed list is left out.

A negative HIV test closes no dossier, but it is nobody's to pass on: neither its row nor its service becomes a fact.
Source: QĐ 4750/QĐ-BYT, tables 2, 3 and 4; Law 71/2020/QH14 Art. 30.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from adapters.insurance.closed import document_sensitivity
from adapters.insurance.imaging import bare_code
from adapters.insurance.rows import Deviations, Row
from adapters.insurance.values import read_moment
from registry.clinical import Medication, Result, Service
from registry.code_maps import CodeMaps
from registry.coded import MEDICINE_CODE, RESULT_CODE, SERVICE_CODE, CodedValue

_USUAL_CODE = 64


def medications(rows: Iterable[Row]) -> tuple[Medication, ...]:
    """Table 2."""
    return tuple(
        Medication(
            row["TEN_THUOC"],
            _code(row, "MA_THUOC", MEDICINE_CODE),
            row.get("HAM_LUONG", ""),
            row.get("DUONG_DUNG", ""),
            "; ".join(filter(None, (row.get("LIEU_DUNG"), row.get("CACH_DUNG")))),
            row.get("SO_LUONG", ""),
            row.get("DON_VI_TINH", ""),
            _at(row, "NGAY_YL"),
        )
        for row in rows
        if row.get("TEN_THUOC")
    )


def services(rows: Iterable[Row], strange: Deviations) -> tuple[Service, ...]:
    """Table 3; rows that are materials (TEN_VAT_TU) are no services."""
    named = [row for row in rows if row.get("TEN_DICH_VU")]
    return tuple(
        Service(
            row["TEN_DICH_VU"],
            _code(row, "MA_DICH_VU", SERVICE_CODE),
            _at(row, "NGAY_TH_YL"),
            _at(row, "NGAY_YL"),
        )
        for row in _open(named, ("TEN_DICH_VU",), "XML3", strange)
    )


def other_results(rows: Sequence[Row], imaging: Iterable[int], strange: Deviations) -> list[Row]:
    """Rows of table 4 that say something and are no imaging report of their own (`imaging`: places from 1)."""
    taken = set(imaging)
    said = [row for place, row in enumerate(rows, 1) if place not in taken and _says(row)]
    return list(_open(said, ("TEN_CHI_SO", "MO_TA", "KET_LUAN"), "XML4", strange))


def results(rows: Iterable[Row], maps: CodeMaps) -> tuple[Result, ...]:
    """Table 4: values, or the conclusion where there is no value; codes with what the hospital's maps say they are."""
    return tuple(
        Result(
            row.get("TEN_CHI_SO") or row.get("MA_CHI_SO") or row.get("MA_DICH_VU") or "Kết quả",
            row.get("GIA_TRI") or row.get("KET_LUAN") or row.get("MO_TA", ""),
            maps.result(filter(None, (_code(row, "MA_CHI_SO", RESULT_CODE),))),
            row.get("DON_VI_DO", ""),
            _at(row, "NGAY_KQ"),
            _code(row, "MA_DICH_VU", SERVICE_CODE),
            unit_code=maps.unit(row.get("DON_VI_DO", "")),
        )
        for row in rows
    )


def _says(row: Row) -> bool:
    return any(row.get(column) for column in ("GIA_TRI", "MO_TA", "KET_LUAN"))


def _open(rows: Sequence[Row], columns: Sequence[str], table: str, strange: Deviations) -> Iterable[Row]:
    """Without the rows whose own words close them; most tables have no such word, which one look at all of it tells."""
    if not document_sensitivity(["\n".join(row[column] for row in rows for column in columns if column in row)]):
        return rows
    found = []
    for row in rows:
        if document_sensitivity(row[column] for column in columns if column in row):
            strange.note(table, "a row on a closed list is not published")
        else:
            found.append(row)
    return found


def _code(row: Row, column: str, system: str) -> CodedValue | None:
    code = row.get(column, "")
    if not code:
        return None
    if column == "MA_DICH_VU":
        code = bare_code(code)
    return _again(code, system) if len(code) <= _USUAL_CODE else CodedValue(code, system)


@lru_cache(maxsize=8192)
def _again(code: str, system: str) -> CodedValue:
    """A hospital has some thousand codes, and each of them comes a thousand times a day."""
    return CodedValue(code, system)


def _at(row: Row, column: str) -> datetime | None:
    moment = read_moment(row.get(column, ""))
    return moment.at if moment and not moment.day_only else None
