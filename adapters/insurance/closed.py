"""What in a dossier says that it is on a closed list, gathered for the rule in `consent`.

Table 6, the HIV columns (also under another table's name), the route, a diagnosis code anywhere and a medicine by
name close the whole dossier. Words close what they stand in; diagnoses in words, and an HIV test whose result is not
plainly negative, close the whole dossier until a person has read it. A negative test before an operation is routine
and closes nothing by itself.
Source: Law 71/2020/QH14 Art. 30.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from adapters.insurance.envelope import Dossier
from adapters.insurance.rows import Row
from adapters.insurance.tables import columns_of_table_6_alone
from consent.closed_lists import sensitivity, shipped
from registry.coded import ICD10, CodedValue
from registry.examinations import by_service_code

_CODE_COLUMNS = frozenset({"MA_BENH", "MA_BENH_CHINH", "MA_BENH_KT", "MA_BENH_YHCT", "MA_BENHKHAC", "MA_BENHCHINH"})
_WRITTEN_DIAGNOSES = frozenset({"CHAN_DOAN_RV", "CHAN_DOAN_VAO", "TEN_BENH", "CHAN_DOAN", "LY_DO_VV", "LY_DO_VNT"})
_MEDICINE_COLUMNS = frozenset({"TEN_THUOC", "MA_THUOC", "HAM_LUONG"})
_ROUTE = "MA_DOITUONG_KCB"
_TOLD = _CODE_COLUMNS | _WRITTEN_DIAGNOSES | _MEDICINE_COLUMNS | {_ROUTE}
_ICD = re.compile(r"(?<![A-Z0-9])([A-Z]\d{2})\.?(\d{1,3})?(?!\d)", re.IGNORECASE | re.ASCII)
_TEST_COLUMNS = ("TEN_CHI_SO", "GIA_TRI", "MO_TA", "KET_LUAN")
_POSITIVE = re.compile(r"duong tinh|\bpositive\b|\+|co phan ung|\breactive\b")
_NEGATIVE = re.compile(r"\bam tinh\b|\bnegative\b|\bneg\b|\(-\)|khong phan ung|non.?reactive|^-$")


def icd_codes(text: str) -> tuple[CodedValue, ...]:
    """The ICD-10 codes in a column, however they are joined, in capitals and with their point."""
    found = (f"{main.upper()}.{rest}" if rest else main.upper() for main, rest in _ICD.findall(text))
    return tuple(CodedValue(code, ICD10) for code in dict.fromkeys(found))


def dossier_sensitivity(dossier: Dossier) -> tuple[CodedValue, ...]:
    """The labels that close every document of this dossier."""
    columns: set[str] = set()
    codes: set[str] = set()
    written: list[str] = []
    medicines: set[str] = set()
    routes: set[str] = set()
    for row in _all_rows(dossier):
        columns.update(row)
        for column in _TOLD.intersection(row):
            text = row[column]
            if column in _CODE_COLUMNS:
                codes.add(text)
            elif column in _WRITTEN_DIAGNOSES:
                written.append(_composed(text))
            elif column in _MEDICINE_COLUMNS:
                medicines.add(_composed(text))
            else:
                routes.add(text.replace(",", "."))
    table_6 = "XML6" in dossier.tables or not columns.isdisjoint(columns_of_table_6_alone())
    return sensitivity(
        icd_codes(" ; ".join((*codes, *written))),
        medicines=sorted(medicines),
        texts=(*written, *_open_tests(dossier)),
        tables=("XML6",) if table_6 else (),
        columns=sorted(columns & shipped().columns),
        route=next(iter(routes & shipped().routes), ""),
    )


def document_sensitivity(texts: Iterable[str]) -> tuple[CodedValue, ...]:
    """The labels that close one document for what its own text says."""
    return sensitivity(texts=tuple(map(_composed, texts)))


def _all_rows(dossier: Dossier) -> Iterator[Row]:
    for rows in dossier.tables.values():
        yield from rows


def _open_tests(dossier: Dossier) -> Iterator[str]:
    """Results that speak of HIV and do not plainly say that it is absent; an imaging report speaks for itself."""
    said = "\n".join(row[column] for row in dossier.rows("XML4") for column in _TEST_COLUMNS if column in row)
    if not document_sensitivity((said,)):
        return
    for row in dossier.rows("XML4"):
        if by_service_code(row.get("MA_DICH_VU", "")):
            continue
        told = " ".join(_composed(row[column]) for column in _TEST_COLUMNS if row.get(column))
        result = " ".join(_bare(row.get(column, "")) for column in _TEST_COLUMNS[1:])
        if sensitivity(texts=(told,)) and (_POSITIVE.search(result) or not _NEGATIVE.search(result.strip())):
            yield told


def _bare(text: str) -> str:
    """Base letters with signs: `Âm tính (-)` gives `am tinh (-)`."""
    marked = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(letter for letter in marked if not unicodedata.combining(letter))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
