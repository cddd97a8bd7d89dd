"""The HL7 v2 data types inside the slots of XDS, to and from the registry's own values.

Coding schemes, identifier systems and unique ids are OIDs here and URIs everywhere else in the node; each pair of
functions turns one into the other and back. A scheme that is neither is kept, spelled so that it can be a URI.

Source: IHE ITI TF-3: Table 4.2.3.1.7-2 (data types), 4.2.3.1.2 (creating coded attributes)
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, uuid5

from registry.coded import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    DCM,
    FORMAT_CODE,
    ICD10,
    LOINC,
    CodedValue,
)
from registry.documents import DocumentEntry
from registry.errors import InvalidValue
from registry.identifiers import (
    ACCESSION,
    CITIZEN_ID,
    DICOM_UID,
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PASSPORT_NUMBER,
    PatientIdentifier,
    is_oid,
)
from registry.people import BirthDate

_SCHEMES = {
    "2.16.840.1.113883.6.1": LOINC,
    "1.2.840.10008.2.16.4": DCM,
    "2.16.840.1.113883.6.3": ICD10,
    "2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "2.16.840.1.113883.5.4": ACT_CODE,
    "2.16.840.1.113883.5.8": ACT_REASON,
    "1.3.6.1.4.1.19376.1.2.3": FORMAT_CODE,
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
}
_OIDS = {system: oid for oid, system in _SCHEMES.items()}
_NUMBERS = {
    f"2.25.{uuid5(NAMESPACE_URL, system).int}": system
    for system in (NATIONAL_ID, CITIZEN_ID, INSURANCE_NUMBER, PASSPORT_NUMBER)
}
"""OIDs for the national numbers, whose systems are URIs: made of the URI, so that every node has the same."""
_NUMBER_OIDS = {system: oid for oid, system in _NUMBERS.items()}
_OTHER_SCHEME = "urn:hie-node:scheme:"
_DTM = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d))?)?)?)?)?", re.ASCII)
_FHIR_TIME = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(.+))?)?)?", re.ASCII)
_LENGTHS = {4: timedelta(days=366), 6: timedelta(days=31), 8: timedelta(days=1)}
_CXI = "urn:ihe:iti:xds:"
CXI_ACCESSION, CXI_STUDY = _CXI + "2013:accession", _CXI + "2016:studyInstanceUID"
CXI_ENCOUNTER = _CXI + "2015:encounterId"


# ---- systems, codes and ids ----


def system_of(scheme: str) -> str | None:
    """The system of a codingScheme: the URI that FHIR knows it by, or a URI made of it."""
    if not scheme:
        return None
    if is_oid(scheme):
        return _SCHEMES.get(scheme, f"urn:oid:{scheme}")
    bare = scheme.removeprefix("urn:oid:")
    return _SCHEMES.get(bare, scheme) if ":" in scheme and " " not in scheme else _OTHER_SCHEME + quote(scheme, safe="")


def scheme_of(system: str | None) -> str:
    """The codingScheme of a system: its OID where there is one."""
    if not system:
        return ""
    if system.startswith(_OTHER_SCHEME):
        return unquote(system.removeprefix(_OTHER_SCHEME))
    return _OIDS.get(system) or system.removeprefix("urn:oid:")


def coded(code: str, scheme: str, display: str | None = None) -> CodedValue:
    return CodedValue(code, system_of(scheme), display)


def read_unique_id(value: str) -> str:
    """DocumentEntry.uniqueId as the registry spells it: an OID becomes `urn:oid:…`, a UUID is in lower case."""
    if is_oid(value):
        return f"urn:oid:{value}"
    return value.lower() if value.lower().startswith("urn:uuid:") else value


def write_unique_id(value: str) -> str:
    return value.removeprefix("urn:oid:")


# ---- CX, XCN, CXi ----


def read_cx(text: str, element: str) -> PatientIdentifier:
    """`id^^^&OID&ISO`: exactly an id and the OID of its authority. Raises InvalidValue.

    Source: IHE ITI TF-3: Table 4.2.3.1.7-2, CX: no other component may have a value
    """
    value, system, others = _split_cx(text)
    if not value or system is None or any(others):
        raise InvalidValue(element, expected="an identifier of the form id^^^&OID&ISO")
    return PatientIdentifier(system, value)


def write_cx(identifier: PatientIdentifier) -> str:
    return f"{_escaped(identifier.value)}^^^{_authority(identifier.system)}"


def read_cxi(text: str) -> PatientIdentifier | None:
    """One value of referenceIdList; None where it is not of the form `id^^^&OID&ISO^type`."""
    parts = text.split("^")
    kind = parts[4] if len(parts) > 4 else ""
    value, system, _ = _split_cx("^".join(parts[:4]))
    if not value:
        return None
    if kind == CXI_STUDY:
        return PatientIdentifier(DICOM_UID, f"urn:oid:{value.removeprefix('urn:oid:')}")
    if kind == CXI_ACCESSION and system is None:
        return PatientIdentifier(ACCESSION, value)
    return PatientIdentifier(system, value) if system and kind != CXI_ENCOUNTER else None


def read_encounter(text: str) -> PatientIdentifier | None:
    """One value of referenceIdList that numbers a stay or consultation; None for any other."""
    value, system, _ = _split_cx("^".join(text.split("^")[:4]))
    return PatientIdentifier(system, value) if text.endswith(f"^{CXI_ENCOUNTER}") and value and system else None


def write_encounter(number: PatientIdentifier) -> str:
    return f"{write_cx(number)}^{CXI_ENCOUNTER}"


def reference_ids(entry: DocumentEntry) -> list[str]:
    """The values of referenceIdList that the registry knows by itself."""
    return [*map(write_cxi, entry.references), *map(write_encounter, entry.encounters)]


def write_cxi(reference: PatientIdentifier) -> str:
    if reference.system == DICOM_UID:
        return f"{reference.value.removeprefix('urn:oid:')}^^^^{CXI_STUDY}"
    if reference.system == ACCESSION:
        return f"{_escaped(reference.value)}^^^^{CXI_ACCESSION}"
    return f"{write_cx(reference)}^{CXI_ACCESSION}"


def _split_cx(text: str) -> tuple[str, str | None, tuple[str, ...]]:
    """Id, system of the authority (None without one), and whatever else has a value."""
    parts = text.split("^")
    authority = (parts[3] if len(parts) > 3 else "").split("&")
    namespace, uid, kind = (*authority, "", "", "")[:3]
    system = None
    if uid and kind == "ISO" and is_oid(uid.removeprefix("urn:oid:")):
        system = authority_of(uid.removeprefix("urn:oid:"))
    elif uid and kind == "URI":
        system = _plain(uid)
    return _plain(parts[0]), system, (*parts[1:3], namespace, *authority[3:], *parts[4:])


def authority_of(oid: str) -> str:
    """The system of identifiers that an OID stands for."""
    return _NUMBERS.get(oid, f"urn:oid:{oid}")


def oid_of(system: str) -> str | None:
    """The OID of a system of identifiers; None for a URI that has none."""
    bare = _NUMBER_OIDS.get(system) or system.removeprefix("urn:oid:")
    return bare if is_oid(bare) else None


def _authority(system: str) -> str:
    bare = oid_of(system) or system
    return f"&{bare}&ISO" if is_oid(bare) else f"&{_escaped(system)}&URI"


def read_xcn(text: str) -> tuple[str | None, PatientIdentifier | None]:
    """A person of an author: the name as it is read, surname first, and the number."""
    parts = [*(_plain(part.split("~")[0]) for part in text.split("^")), *[""] * 9][:9]
    words = [part for part in (parts[5], parts[1], parts[3], parts[2]) if part]
    uid = (*text.split("^"), *[""] * 9)[8].split("&")
    oid = uid[1] if len(uid) > 1 else ""
    number = PatientIdentifier(f"urn:oid:{oid}", parts[0]) if parts[0] and is_oid(oid) else None
    name = " ".join(words) or (parts[0] if number is None else "")
    return name or None, number


def write_xcn(name: str | None, number: PatientIdentifier | None) -> str:
    """Surname and the rest, as Vietnamese names are read."""
    family, _, given = (name or "").partition(" ")
    authority = f"^^^^^^{_authority(number.system)}" if number else ""
    return f"{_escaped(number.value) if number else ''}^{_escaped(family)}^{_escaped(given)}{authority}"


def read_xon(text: str) -> str | None:
    """The name of an organisation, `Name^^^^^&OID&ISO^^^^id`."""
    return _plain(text.split("^", maxsplit=1)[0]) or None


def _plain(text: str) -> str:
    for escape, sign in (("\\F\\", "|"), ("\\S\\", "^"), ("\\T\\", "&"), ("\\R\\", "~"), ("\\E\\", "\\")):
        text = text.replace(escape, sign)
    return text.strip()


def _escaped(text: str) -> str:
    """Signs that part a value would make two of it."""
    for sign, escape in (("\\", "\\E\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\"), ("|", "\\F\\")):
        text = text.replace(sign, escape)
    return text


# ---- time ----


def read_dtm(text: str, element: str) -> datetime:
    """Where a DTM begins, in UTC. Raises InvalidValue."""
    found = _DTM.fullmatch(text)
    if found is None:
        raise InvalidValue(element, expected="a time in UTC of the form YYYY[MM[DD[hh[mm[ss]]]]]")
    year, *rest = (int(part) if part else None for part in found.groups())
    month, day, hour, minute, second = rest
    try:
        return datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=UTC)
    except ValueError as error:
        raise InvalidValue(element, expected="a moment that exists") from error


def write_dtm(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def dtm_to_fhir(text: str, element: str) -> str:
    """A DTM as a FHIR dateTime of the same precision; minutes without seconds get them, since FHIR wants them."""
    moment = read_dtm(text, element)
    if len(text) <= 8:
        return "-".join(part for part in (text[:4], text[4:6], text[6:8]) if part)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def fhir_to_dtm(text: str) -> str:
    """A FHIR dateTime as a DTM of the same precision, in UTC."""
    found = _FHIR_TIME.fullmatch(text)
    if found is None or found[4] is None:
        return text.replace("-", "")[:8]
    return write_dtm(datetime.fromisoformat(text))


def birth_date_of(dtm: str) -> BirthDate | None:
    """A date of birth as PID-7 and HL7 v3 write it; None for what is none."""
    digits = dtm[:8]
    try:
        return BirthDate("-".join(part for part in (digits[:4], digits[4:6], digits[6:8]) if part))
    except InvalidValue:
        return None


def is_full_uuid(text: str) -> bool:
    return re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None
