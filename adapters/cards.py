"""The identity card and the insurance card as a scanner at a desk types them.

Source: the QR of the identity card, seven or more fields separated by "|", and of the insurance card, with names in
hexadecimal UTF-8 and "$" at its end; both as found in the field, neither is published.
"""

from __future__ import annotations

import re

from registry.errors import InvalidValue
from registry.identifiers import (
    CITIZEN_ID,
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PatientIdentifier,
    insurance_last_ten,
    read_personal_number,
)
from registry.people import BirthDate, Demographics, Gender, HumanName, PatientInQuestion

_DAY = re.compile(r"(\d{2})/?(\d{2})/?(\d{4})")
_SEXES: dict[str, Gender] = {"nam": "male", "1": "male", "nữ": "female", "nu": "female", "2": "female"}
LONGEST = 2000
"""Characters of a scan; the longest card seen has about 400."""


def read_card(text: str) -> PatientInQuestion | None:
    """Whom the scanned card names; None where the text is not a card of either kind.

    A scanner types through the keyboard layout, which may spoil the letters of a name: such a name is left out, and
    number, birth date and sex still tell who it is.
    """
    fields = [field.strip() for field in text.strip().split("|")]
    if len(text) > LONGEST or len(fields) < 5:
        return None
    if read_personal_number(fields[0]) and len(fields) >= 6:
        return _identity_card(fields)
    if insurance_last_ten(fields[0]):
        return _insurance_card(fields)
    return None


def _identity_card(fields: list[str]) -> PatientInQuestion:
    """number | old number of 9 digits or nothing | name | ddMMyyyy | Nam or Nữ | residence | issued …"""
    numbers = [PatientIdentifier(NATIONAL_ID, fields[0])]
    if re.fullmatch(r"[0-9]{9}", fields[1]):
        numbers.append(PatientIdentifier(CITIZEN_ID, fields[1]))
    return PatientInQuestion(tuple(numbers), _demographics(fields[2], fields[3], fields[4]))


def _insurance_card(fields: list[str]) -> PatientInQuestion:
    """number of 10 digits or code of 15 | name in hex | dd/MM/yyyy or year | 1 or 2 | …"""
    try:
        name = bytes.fromhex(fields[1]).decode("utf-8")
    except ValueError:
        name = ""
    return PatientInQuestion(
        (PatientIdentifier(INSURANCE_NUMBER, fields[0].upper()),), _demographics(name, fields[2], fields[3])
    )


def _demographics(name: str, born: str, sex: str) -> Demographics:
    return Demographics(
        name=HumanName.of(name) if _is_readable(name) else None,
        birth_date=_birth_date(born),
        gender=_SEXES.get(sex.casefold(), "unknown"),
    )


def _is_readable(name: str) -> bool:
    letters = name.replace(" ", "").replace("'", "").replace("-", "")
    return letters.isalpha() and len(name) <= 255


def _birth_date(text: str) -> BirthDate | None:
    try:
        return written_date(text)
    except InvalidValue:
        return None


def written_date(text: str) -> BirthDate:
    """A date as people here write it: 21/03/1958, 21031958, 1958. Raises InvalidValue for anything else."""
    plain = text.strip().replace("-", "/").replace(".", "/")
    parts = plain.split("/")
    if len(parts) == 3 and len(parts[0]) == 4:
        parts.reverse()
    if len(parts) == 3:
        plain = "/".join(part.zfill(2) for part in parts)
    found = _DAY.fullmatch(plain)
    if found:
        return BirthDate(f"{found[3]}-{found[2]}-{found[1]}")
    return BirthDate(plain)
