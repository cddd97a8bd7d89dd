"""Identifiers of patients, hospitals, documents and studies: typed, checked once, printed masked.

Sources: IHE ITI TF-3: 4.2.3.1.7 (CX, OID, URI), DICOM PS3.5 section 9 (UID), TT 07/2016/TT-BCA (personal number),
QĐ 1351/QĐ-BHXH (insurance card), QĐ 384/QĐ-BYT (facility code).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.errors import InvalidIdentifier

NATIONAL_ID = "http://fhir.ehealth.gov.vn/core/sid/national_id"
CITIZEN_ID = "http://fhir.ehealth.gov.vn/core/sid/citizen_id"
INSURANCE_NUMBER = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"
PASSPORT_NUMBER = "http://fhir.ehealth.gov.vn/core/sid/passport_number"
URI_SYSTEM = "urn:ietf:rfc:3986"
DICOM_UID = "urn:dicom:uid"
ACCESSION = "urn:hie-node:accession"
"""The accession number as this hospital writes it; who issued it is not said."""
VISIT = "urn:hie-node:visit"
"""Before a colon and a facility code: that hospital's numbers of stays and consultations (MA_LK, PV1-19)."""

_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FACILITY = re.compile(r"\d{2}[0-9A-Z]{3}")
_INSURANCE_CARD = re.compile(r"[A-Z]{2}[1-5]\d{2}(\d{10})")
_SEPARATORS = re.compile(r"[\s.\-]+")
_SPACE = re.compile(r"\s")
_OLD_NUMBERS = frozenset({CITIZEN_ID, PASSPORT_NUMBER})


def mask(value: str) -> str:
    """The last three characters at most, so that two people at a desk can compare and a log gives nothing away."""
    return "…" + value[-3:] if len(value) > 6 else "…"


def is_oid(value: str) -> bool:
    """A dotted number of at most 64 characters without leading zeros (DICOM PS3.5: 9.1)."""
    return len(value) <= 64 and _OID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True, order=True)
class HomeCommunityId:
    """One hospital's node in the network, as `urn:oid:…`. Source: IHE ITI TF-3: 4.2.3.2.12."""

    value: str

    def __post_init__(self) -> None:
        if not self.value.startswith("urn:oid:") or not is_oid(self.value[8:]):
            raise InvalidIdentifier("homeCommunityId", expected="urn:oid: and an OID", found=self.value[:80])

    def __str__(self) -> str:
        return self.value


def repository_of(home: HomeCommunityId) -> str:
    """repositoryUniqueId of a node's own document store: an OID below that of its community.

    Source: IHE ITI TF-3: 4.2.3.2.18
    """
    return f"{home.value.removeprefix('urn:oid:')}.2"


@dataclass(frozen=True, slots=True, order=True)
class FacilityCode:
    """Five characters given by the ministry: two of the province, three of the facility. Source: QĐ 384/QĐ-BYT."""

    value: str

    def __post_init__(self) -> None:
        if _FACILITY.fullmatch(self.value) is None:
            raise InvalidIdentifier("facility code", expected="two digits and three of 0-9, A-Z", found=self.value[:20])

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, order=True)
class PatientIdentifier:
    """A number and the authority that gave it; two hospitals' number 123 are never one patient.

    Source: IHE ITI TF-3: Table 4.2.3.1.7-2 (CX). `system` is the assigning authority as a URI.
    """

    system: str
    value: str

    def __post_init__(self) -> None:
        if not self.system or len(self.system) > 255 or _SPACE.search(self.system):
            raise InvalidIdentifier("identifier.system", expected="a URI of at most 255 characters")
        if not self.value.strip() or len(self.value) > 255 or not self.value.isprintable():
            raise InvalidIdentifier("identifier.value", expected="1 to 255 printable characters")

    def __str__(self) -> str:
        return f"{self.system}|{mask(self.value)}"

    def __repr__(self) -> str:
        return f"PatientIdentifier({self})"

    @property
    def normal(self) -> PatientIdentifier:
        """As it is compared: without separators, an insurance number by its last ten digits."""
        value = self.value.strip()
        if self.system == INSURANCE_NUMBER:
            return PatientIdentifier(self.system, insurance_last_ten(value) or _SEPARATORS.sub("", value).upper())
        if self.system == NATIONAL_ID or self.system in _OLD_NUMBERS:
            return PatientIdentifier(self.system, _SEPARATORS.sub("", value).upper())
        return self if value == self.value else PatientIdentifier(self.system, value)


def insurance_last_ten(value: str) -> str | None:
    """The social-insurance number of a card: what stays when job, province or benefit change.

    Accepts the 15-character card code and the ten digits alone, in any case and with separators.
    """
    joined = _SEPARATORS.sub("", value).upper()
    if len(joined) == 10 and joined.isdigit():
        return joined
    card = _INSURANCE_CARD.fullmatch(joined)
    return card.group(1) if card else None


@dataclass(frozen=True, slots=True)
class PersonalNumber:
    """What a 12-digit personal number says of its owner (TT 07/2016/TT-BCA: 3 place, 1 century and sex, 2 year)."""

    value: str

    def __post_init__(self) -> None:
        if len(self.value) != 12 or not (self.value.isascii() and self.value.isdigit()):
            raise InvalidIdentifier("personal number", expected="12 digits")

    @property
    def birth_year(self) -> int:
        return 1900 + 100 * (int(self.value[3]) // 2) + int(self.value[4:6])

    @property
    def gender(self) -> str:
        return "female" if int(self.value[3]) % 2 else "male"


def read_personal_number(value: str) -> PersonalNumber | None:
    """The personal number in `value`, or None where it is not one (old card, passport, a typing mistake)."""
    joined = _SEPARATORS.sub("", value)
    try:
        return PersonalNumber(joined)
    except InvalidIdentifier:
        return None


def identity_number(value: str) -> PatientIdentifier | None:
    """SO_CCCD holds 12 digits, an old card of 9, or a passport; the form tells which (check rule of QĐ 4750)."""
    joined = _SEPARATORS.sub("", value).upper()
    if re.fullmatch(r"\d{12}", joined):
        return PatientIdentifier(NATIONAL_ID, joined)
    if re.fullmatch(r"\d{9}", joined):
        return PatientIdentifier(CITIZEN_ID, joined)
    if re.fullmatch(r"[A-Z]\d{7,8}", joined):
        return PatientIdentifier(PASSPORT_NUMBER, joined)
    return None


_UID = re.compile(r"(?!.{65})\d+(?:\.\d+)*", re.ASCII)


def check_uid(value: str, element: str = "UID") -> str:
    """A DICOM unique identifier, as given. Source: DICOM PS3.5: 9.1. Some makers write leading zeros: tolerated."""
    if _UID.fullmatch(value) is None:
        raise InvalidIdentifier(element, expected="a DICOM UID of at most 64 digits and dots")
    return value


def check_unique_id(value: str) -> str:
    """DocumentEntry.uniqueId as a URI or `root^extension`, at most 128 characters. Source: IHE ITI TF-3: 4.2.3.2.26."""
    bare = value.removeprefix("urn:oid:").removeprefix("urn:uuid:")
    if value.startswith("urn:oid:") and not is_oid(bare):
        raise InvalidIdentifier("uniqueId", expected="an OID after urn:oid:")
    if value.startswith("urn:uuid:") and not _UUID.fullmatch(bare.lower()):
        raise InvalidIdentifier("uniqueId", expected="a UUID after urn:uuid:")
    if not bare or len(value) > 128 or not value.isprintable():
        raise InvalidIdentifier("uniqueId", expected="1 to 128 printable characters")
    return value
