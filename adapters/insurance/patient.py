"""The patient of a dossier, as table 1 (or the check-in, table 0) names them; names stay as they were written.

A newborn under its mother's name, a parent's number on a child: nothing is corrected here, the matching knows them.
"""

from __future__ import annotations

from datetime import datetime

from adapters.insurance.rows import Deviations, Row
from adapters.insurance.to_come import is_born_ahead
from adapters.insurance.values import read_birth_date, read_gender, read_list
from registry.encodings import readable
from registry.errors import InvalidValue, Unreadable
from registry.identifiers import INSURANCE_NUMBER, PatientIdentifier, identity_number, insurance_last_ten
from registry.people import Address, BirthDate, Demographics, Gender, HumanName
from registry.submissions import PatientMention

_DIED = frozenset({"5", "8"})


def read_patient(
    row: Row, table: str, *, patient_id_system: str, where: str, strange: Deviations, now: datetime | None = None
) -> PatientMention:
    """Raises Unreadable without a usable MA_BN: there is no other way to be sure whose visit it is."""
    try:
        identifier = PatientIdentifier(patient_id_system, row.get("MA_BN", ""))
    except InvalidValue:
        raise Unreadable(where, f"{table}, MA_BN: expected the patient number of this hospital") from None
    return PatientMention(identifier, _numbers(row, table, strange), _demographics(row, table, strange, now))


def _numbers(row: Row, table: str, strange: Deviations) -> tuple[PatientIdentifier, ...]:
    """Personal number, old card or passport, and every insurance card; one that cannot be one is left out and said."""
    found: dict[PatientIdentifier, PatientIdentifier] = {}
    identity = row.get("SO_CCCD", "")
    if identity:
        number = identity_number(identity)
        if number is None:
            strange.note(table, "SO_CCCD has no form of a known number; not used")
        else:
            found[number.normal] = number
    for card in read_list(row.get("MA_THE_BHYT", "")):
        if insurance_last_ten(card) is None:
            strange.note(table, "MA_THE_BHYT has no form of a card number; not used")
        else:
            number = PatientIdentifier(INSURANCE_NUMBER, card)
            found.setdefault(number.normal, number)
    return tuple(found.values())


def _demographics(row: Row, table: str, strange: Deviations, now: datetime | None) -> Demographics:
    return Demographics(
        name=_name(row.get("HO_TEN", ""), table, strange),
        birth_date=_birth_date(row.get("NGAY_SINH", ""), table, strange, now),
        gender=_gender(row.get("GIOI_TINH", ""), table, strange),
        phones=read_list(row.get("DIEN_THOAI", "")),
        address=_address(row),
        deceased=row.get("KET_QUA_DTRI") in _DIED,
    )


def _name(text: str, table: str, strange: Deviations) -> HumanName | None:
    if not text:
        strange.note(table, "HO_TEN is empty")
        return None
    try:
        name = HumanName.of(text)
    except InvalidValue:
        strange.note(table, "HO_TEN is longer than a name; not used")
        return None
    if readable(text) != text:
        strange.note(table, "HO_TEN was written with another table of letters than is declared; kept as it came")
    return name


def _birth_date(text: str, table: str, strange: Deviations, now: datetime | None) -> BirthDate | None:
    if now is not None and is_born_ahead(text, now):
        strange.note(table, "NGAY_SINH lies after the day the file came; the birth date counts as unknown")
        return None
    birth_date = read_birth_date(text)
    if birth_date is None:
        strange.note(table, "NGAY_SINH is no date that exists; the birth date counts as unknown")
    return birth_date


def _gender(text: str, table: str, strange: Deviations) -> Gender:
    gender = read_gender(text)
    if gender is None:
        strange.note(table, "GIOI_TINH is none of 1, 2, 3")
    return gender or "unknown"


def _address(row: Row) -> Address | None:
    text, commune = row.get("DIA_CHI", ""), row.get("MAXA_CU_TRU", "")
    if not text and not commune:
        return None
    return Address(text, commune or None, row.get("MATINH_CU_TRU") or None)
