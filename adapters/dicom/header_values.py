"""The attributes of a header as nouns: dirty ones become None, since a scan must not be lost for a mistyped date.

Sources: DICOM PS3.3: C.7.1.1 (patient), Table 10-18 (issuer of patient id), 8.8 (codes), PS3.5: 6.2 (DA, TM, PN, IS).
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from urllib.parse import quote

from adapters.dicom.dictionary import tag_of
from adapters.dicom.elements import DataSet
from adapters.dicom.texts import Charset
from registry.coded import DCM, LOINC, CodedValue
from registry.errors import InvalidValue
from registry.identifiers import (
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PatientIdentifier,
    identity_number,
    insurance_last_ten,
    is_oid,
    read_personal_number,
)
from registry.name_words import BARE_SURNAMES, MIDDLE_WORDS
from registry.people import BirthDate, Demographics, Gender, HumanName
from registry.vietnamese import folded

_MIDDLE = frozenset(map(folded, MIDDLE_WORDS))
# what a search answers again as it was written; the index keeps it with the study
ANSWERED = ("PatientName", "PatientBirthDate", "PatientSex", "StudyID")

_TEXTS = (
    "SpecificCharacterSet TimezoneOffsetFromUTC SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID "
    "PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence OtherPatientIDsSequence PatientName "
    "PatientBirthDate PatientSex StudyID StudyDate StudyTime SeriesDate SeriesTime AccessionNumber StudyDescription "
    "SeriesDescription ProtocolName ReferringPhysicianName InstitutionName ProcedureCodeSequence "
    "RequestedProcedureCodeSequence Modality BodyPartExamined ContrastBolusAgent Laterality ImageLaterality "
    "SeriesNumber InstanceNumber NumberOfFrames SliceThickness ConvolutionKernel Rows Columns "
    "ImagePositionPatient SliceLocation CTDIvol"
)
_DAY = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?\d*")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")
_SEXES: dict[str, Gender] = {"M": "male", "F": "female", "O": "other"}
_SCHEMES = {"DCM": DCM, "LN": LOINC, "SCT": "http://snomed.info/sct", "UCUM": "http://unitsofmeasure.org"}


@cache
def wanted() -> frozenset[int]:
    """The tags that are read; looked up with the first object, since the dictionary is large."""
    return frozenset(tag for word in _TEXTS.split() if (tag := tag_of(word)) is not None)


@dataclass(frozen=True, slots=True)
class HeaderValues:
    """A data set read by keyword."""

    dataset: DataSet
    charset: Charset

    def text(self, keyword: str) -> str:
        """The first value; empty where it is missing."""
        return self.charset.text(self.dataset.bytes(_tag(keyword))).split("\\")[0].strip()

    def uid(self, tag: int) -> str:
        return uid(self.dataset.bytes(tag))

    def whole(self, keyword: str) -> int | None:
        found = re.match(r"[+-]?\d{1,10}$", self.text(keyword))
        return int(found.group()) if found else None

    def decimal(self, keyword: str) -> float | None:
        return number(self.text(keyword))

    def double(self, keyword: str) -> float | None:
        """A number that is written in binary (FD)."""
        raw = self.dataset.bytes(_tag(keyword))[:8]
        value = struct.unpack(self.dataset.order + "d", raw)[0] if len(raw) == 8 else math.nan
        return value if math.isfinite(value) else None

    def place(self) -> float | None:
        """Where a slice lies along the patient's axis. Source: DICOM PS3.3: C.7.6.2.1.1."""
        parts = self.charset.text(self.dataset.bytes(_tag("ImagePositionPatient"))).split("\\")
        return number(parts[2].strip()) if len(parts) == 3 else self.decimal("SliceLocation")

    def items(self, keyword: str) -> tuple[HeaderValues, ...]:
        return tuple(HeaderValues(item, self.charset.of(item)) for item in self.dataset.items(_tag(keyword)))


def _tag(keyword: str) -> int:
    tag = tag_of(keyword)
    if tag is None:
        raise LookupError(keyword)
    return tag


def number(text: str) -> float | None:
    found = re.match(r"[+-]?\d{0,9}(\.\d{0,16})?([eE][+-]?\d{1,2})?$", text)
    try:
        return float(found.group()) if found else None
    except ValueError:
        return None


def uid(raw: bytes) -> str:
    """The text of a UID, unchecked; its padding is a null byte, with some makers a space."""
    return raw.decode("ascii", "replace").rstrip("\0 ").lstrip(" ")


def patient(read: HeaderValues, own_issuer: str) -> PatientIdentifier | None:
    """The patient's number with who gave it; two hospitals' number 123 are never one patient."""
    number = read.text("PatientID")
    return PatientIdentifier(_issuer(read) or own_issuer, number) if number else None


def numbers(read: HeaderValues) -> tuple[PatientIdentifier, ...]:
    """Personal and insurance numbers among the other patient ids, where issuer or type says that they are that."""
    found = (_number(item) for item in read.items("OtherPatientIDsSequence"))
    return tuple(dict.fromkeys(number for number in found if number))


def _number(item: HeaderValues) -> PatientIdentifier | None:
    value, system = item.text("PatientID"), _issuer(item)
    kinds = {item.text("TypeOfPatientID").upper()}
    kinds |= {inner.text("IdentifierTypeCode").upper() for inner in item.items("IssuerOfPatientIDQualifiersSequence")}
    if system == NATIONAL_ID or kinds & {"NI", "NNVN", "NNVNM"}:
        return identity_number(value) if system != NATIONAL_ID or read_personal_number(value) else None
    if system == INSURANCE_NUMBER or kinds & {"HC", "SB"}:
        return PatientIdentifier(INSURANCE_NUMBER, value) if insurance_last_ten(value) else None
    return None


def _issuer(read: HeaderValues) -> str | None:
    for qualifier in read.items("IssuerOfPatientIDQualifiersSequence"):
        entity, kind = qualifier.text("UniversalEntityID"), qualifier.text("UniversalEntityIDType")
        if kind == "ISO" and is_oid(entity):
            return "urn:oid:" + entity
        if kind == "UUID" and entity:
            return "urn:uuid:" + entity.lower()
        if kind == "URI" and entity:
            return entity
    issuer = read.text("IssuerOfPatientID")
    return issuer_system(issuer) if issuer else None


def issuer_system(issuer: str) -> str:
    """An issuer as people write it, as the URI of an assigning authority."""
    if is_oid(issuer):
        return "urn:oid:" + issuer
    if issuer.startswith(("urn:", "http://", "https://")) and " " not in issuer:
        return issuer
    return "urn:hie-node:issuer:" + quote(issuer, safe="")


def demographics(read: HeaderValues) -> Demographics:
    return Demographics(
        name=_name(read.text("PatientName")),
        birth_date=birth_date(read.text("PatientBirthDate")),
        gender=_SEXES.get(read.text("PatientSex").upper(), "unknown"),
    )


def written_name(raw: str) -> str:
    """The alphabetic group of a name with spaces for `^`: family, given, middle, and what else stands there."""
    return " ".join(raw.split("=", maxsplit=1)[0].replace("^", " ").split())


def _name(raw: str) -> HumanName | None:
    """As it is said: a header has the middle name last, people here have it between the two others."""
    text = written_name(raw)[:255]
    if not text:
        return None
    family, caret, rest = raw.split("=", maxsplit=1)[0].partition("^")
    if not caret:
        return HumanName.of(text)
    given, middle, *more = (*(" ".join(part.split()) for part in rest.split("^")), "")
    turned = folded(family) in BARE_SURNAMES and (not _is_middle(given) or _is_middle(middle))
    said = " ".join(filter(None, (*((middle, given) if turned else (given, middle)), *more)))
    text = " ".join(f"{family} {said}".split())[:255]
    return HumanName(text, family.strip() or None, said or None)


def _is_middle(part: str) -> bool:
    """Many scanners are given the parts in the order in which they are said: TRAN^THI^MAI."""
    return folded(part) in _MIDDLE


def birth_date(raw: str) -> BirthDate | None:
    """In the precision it says: `19580000` and `1958` are a year. A day that does not exist is no birth date."""
    found = re.fullmatch(r"(\d{4})[.\-/]?(\d{2})?[.\-/]?(\d{2})?", raw)
    if found is None:
        return None
    parts = [part for part in found.groups() if part]
    while parts and parts[-1] == "00":
        parts.pop()
    try:
        return BirthDate("-".join(parts))
    except InvalidValue:
        return None


def moment(day: str, time: str, zone: tzinfo) -> datetime | None:
    """Date and time of a header, aware; a time that is missing or broken is the beginning of the day."""
    date, clock = _DAY.match(day), _TIME.fullmatch(time)
    if date is None:
        return None
    year, month, day_of_month = (int(part) for part in date.groups())
    hour, minute, second, fraction = clock.groups(default="0") if clock else ("0", "0", "0", "0")
    # 60 is a leap second
    whole = (int(hour), int(minute), min(int(second), 59), int(fraction.ljust(6, "0")))
    try:
        return datetime(year, month, day_of_month, *whole, tzinfo=zone)
    except ValueError:
        return None


def offset(raw: str) -> timezone | None:
    found = _OFFSET.fullmatch(raw)
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    shift = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-shift if found[1] == "-" else shift)


def code(read: HeaderValues, keyword: str) -> CodedValue | None:
    """The first item of a code sequence."""
    for item in read.items(keyword):
        value, scheme = item.text("CodeValue"), item.text("CodingSchemeDesignator")
        if value:
            system = _SCHEMES.get(scheme, f"urn:hie-node:coding-scheme:{quote(scheme, safe='')}" if scheme else None)
            return CodedValue(value, system, item.text("CodeMeaning") or None)
    return None


def as_answered(read: HeaderValues) -> dict[str, Any]:
    return {keyword: text for keyword in ANSWERED if (text := read.text(keyword))}
