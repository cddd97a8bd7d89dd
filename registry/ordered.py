"""What a doctor orders, as an examination: from whatever code or words an ordering system sends.

Known are the service codes of the price list (with their suffixes), some LOINC and SNOMED CT codes, the table of a
hospital's own codes (QĐ 1227/QĐ-BYT or local), and Vietnamese and English words. What none of them tells is None: an
X-ray or a blood test is no business of this rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeVar

from registry.coded import CodedValue
from registry.examinations import Examination, Service, by_service_code, catalogue, from_header
from registry.pairing import parse_examination
from registry.vietnamese import folded

Meant = TypeVar("Meant")
OwnCodes = Mapping[tuple[str, str], str]
"""(system, code) of a hospital's own orders, to the key of an examination; an empty system stands for any."""

_MODALITY_WORDS = (
    ("MR", ("cong huong tu", " cht ", "mri", "magnetic resonance", " mr ")),
    ("CT", ("cat lop vi tinh", "clvt", " ct ", "computed tomography", " ct-scan")),
)
_CONTRAST_WORDS = (
    (
        False,
        ("khong tiem", "khong co thuoc", "khong thuoc", "khong can quang", "without contrast", "wo contrast", "plain"),
    ),
    (True, ("co tiem", "tiem thuoc", "co thuoc", "co can quang", "with contrast", "w contrast", "contrast")),
)
_SCANNER = re.compile(r"\s*\((?:tu |≥ ?|>=)?[^()]*(?:day|t)\)\s*$")


@dataclass(frozen=True, slots=True)
class Ordered:
    """One examination that is about to be ordered.

    service    the row of the price list, where the order names one: it tells the scanner class
    diagnoses  ICD-10 codes of why it is ordered
    reference  how the ordering system calls this order (`ServiceRequest/1`), so that a card can be about it
    """

    examination: Examination
    service: Service | None = None
    diagnoses: tuple[str, ...] = ()
    reference: str = ""


def examination_of(
    codes: Iterable[CodedValue], texts: Iterable[str], own: OwnCodes
) -> tuple[Examination, Service | None] | None:
    """Which CT or MRI codes or words mean; None for anything else, and where it cannot be told."""
    listed = list(codes)
    for code in listed:
        service = by_service_code(code.code)
        if service is not None:
            return service.examination, service
    for code in listed:
        key = own.get((code.system or "", code.code)) or own.get(("", code.code)) or _public().get(_pair(code))
        found = parse_examination(key)
        if found is not None:
            return found, None
    spoken = (spoken_of(text) for text in (*texts, *(code.display or "" for code in listed)))
    found = next((one for one in spoken if one is not None), None)
    return (found, None) if found is not None else None


def _pair(code: CodedValue) -> tuple[str, str]:
    return code.system or "", code.code


@cache
def _public() -> Mapping[tuple[str, str], str]:
    rows = json.loads(files("registry").joinpath("order_codes.json").read_text("utf-8"))["codes"]
    return {(row["system"], row["code"]): row["examination"] for row in rows}


def spoken_of(text: str) -> Examination | None:
    """The examination that words name: exactly as the price list does, else modality, region and contrast apart."""
    plain = folded(text)
    if not plain:
        return None
    known = _names().get(_SCANNER.sub("", plain))
    if known is not None:
        return known
    modality = _spoken(f" {plain} ", _MODALITY_WORDS)
    found = from_header(modality, text) if modality else None
    return Examination(found.modality, found.region, _spoken(plain, _CONTRAST_WORDS)) if found else None


@cache
def _names() -> Mapping[str, Examination]:
    return {_SCANNER.sub("", folded(service.name)): service.examination for service in catalogue().values()}


@cache
def every_name() -> tuple[str, ...]:
    """The examinations of the price list by their names, without the class of the scanner: to choose from."""
    named = {re.sub(r"\s*\([^()]*(?:dãy|T)\)\s*$", "", service.name): None for service in catalogue().values()}
    return tuple(sorted(named, key=folded))


def _spoken(plain: str, table: Iterable[tuple[Meant, tuple[str, ...]]]) -> Meant | None:
    return next((meant for meant, words in table if any(word in plain for word in words)), None)


def read_own_codes(text: str) -> OwnCodes:
    """The hospital's own table: `system,code,examination` a line, examination as `CT/brain/plain`. ValueError names
    the line that is none."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip() or line.startswith("#") or cells == ["system", "code", "examination"]:
            continue
        if len(cells) != 3 or parse_examination(cells[2]) is None:
            raise ValueError(f"line {number}: expected system,code,examination such as CT/brain/plain")
        found[cells[0], cells[1]] = cells[2]
    return found
