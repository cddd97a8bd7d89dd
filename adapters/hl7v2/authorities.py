"""Whose number it is: assigning authorities of HL7 v2 (HD: namespace, OID, type) as the systems of the registry.

An OID decides; a namespace alone is looked up, since it means something only here. A number that is marked as personal
number, insurance card or passport is that, whoever the message says has assigned it.

Source: HL7 2.8: 2A.2.14 (CX), 2A.2.33 (HD), table 0203; IHE ITI TF-2: 3.8.4.1.2.3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapters.hl7v2.message import Delimiters, Field, Segment
from registry.code_maps import NO_MAPS, CodeMaps
from registry.errors import InvalidValue
from registry.identifiers import (
    CITIZEN_ID,
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PASSPORT_NUMBER,
    FacilityCode,
    HomeCommunityId,
    PatientIdentifier,
    identity_number,
    insurance_last_ten,
    is_oid,
)

_IDENTITY_KINDS = frozenset({"NI", "NNVNM", "CZ", "CCCD", "CMND"})
_INSURANCE_KINDS = frozenset({"SB", "HC", "NIIP", "BHYT"})
_PASSPORT_KINDS = frozenset({"PPN"})
_RECORD_KINDS = frozenset({"", "MR", "PI", "PT", "PN"})
_NOT_THE_PATIENT = frozenset({"AN", "VN", "ACSN"})
_NAMESPACES = {
    "CCCD": NATIONAL_ID,
    "CMND": CITIZEN_ID,
    "BCA": NATIONAL_ID,
    "BHYT": INSURANCE_NUMBER,
    "BHXH": INSURANCE_NUMBER,
    "PASSPORT": PASSPORT_NUMBER,
}
_WRITTEN = {
    NATIONAL_ID: ("CCCD", "NI"),
    CITIZEN_ID: ("CMND", "NI"),
    INSURANCE_NUMBER: ("BHYT", "SB"),
    PASSPORT_NUMBER: ("PASSPORT", "PPN"),
}


@dataclass(frozen=True, slots=True)
class Receiver:
    """The hospital that a message came to.

    own_names    namespaces and facility names, in capitals, that mean this hospital
    authorities  further namespaces, in capitals, and the systems that they mean
    is_lab       takes training messages
    systems      names of code systems, in capitals, as this sender uses them, and what they mean
    maps         what codes and units are elsewhere
    """

    home: HomeCommunityId
    facility: FacilityCode
    patient_id_system: str
    now: datetime
    own_names: frozenset[str] = frozenset()
    authorities: Mapping[str, str] = field(default_factory=dict)
    is_lab: bool = False
    systems: Mapping[str, str] = field(default_factory=dict)
    maps: CodeMaps = NO_MAPS


@dataclass(frozen=True, slots=True)
class Authority:
    """An assigning authority as it was written; `system` is None for a namespace that nobody here knows."""

    namespace: str
    system: str | None

    @property
    def is_given(self) -> bool:
        return bool(self.namespace or self.system)


def read_authority(number: Field, component: int, receiver: Receiver, *, sender: str = "") -> Authority:
    """`sender` is MSH-4: a hospital's system often names its own hospital as the authority."""
    namespace, uid = number.text(component, 1), number.text(component, 2)
    name = namespace.upper()
    if uid:
        oid = uid.removeprefix("urn:oid:")
        return Authority(namespace, f"urn:oid:{oid}" if is_oid(oid) else uid)
    if name in receiver.authorities:
        return Authority(namespace, receiver.authorities[name])
    if name and name in receiver.own_names | {sender.upper()}:
        return Authority(namespace, receiver.patient_id_system)
    return Authority(namespace, _NAMESPACES.get(name))


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a PID-3 or MRG-1, sorted.

    own      of this hospital; the first counts
    others   of other authorities, and personal numbers, cards and passports
    foreign  whether a full authority was named that is another one, `unknown` a namespace that means nothing here
    """

    own: tuple[PatientIdentifier, ...] = ()
    others: tuple[PatientIdentifier, ...] = ()
    foreign: str = ""
    unknown: str = ""
    deviations: tuple[str, ...] = ()


def read_numbers(segment: Segment, number: int, receiver: Receiver, *, sender: str) -> Numbers:
    """All numbers of one field."""
    own: list[PatientIdentifier] = []
    others: list[PatientIdentifier] = []
    strange: list[str] = []
    foreign = unknown = ""
    where = f"{segment.name}-{number}"
    for each in segment.repetitions(number):
        value, kind = each.text(1), each.text(5).upper()
        if not value or kind in _NOT_THE_PATIENT:
            continue
        authority = read_authority(each, 4, receiver, sender=sender)
        if not authority.is_given and kind in _RECORD_KINDS:
            strange.append(f"{where} names no assigning authority; taken as this hospital's")
            authority = Authority("", receiver.patient_id_system)
        try:
            found = _number(value, kind, authority)
        except InvalidValue:
            found = None
        if found is None and authority.system is None and kind in _RECORD_KINDS:
            unknown = unknown or authority.namespace
            strange.append(f"{where} names an assigning authority that is not known here; not used")
        elif found is None:
            strange.append(f"{where} holds a number without the form of its kind; not used")
        elif found.system == receiver.patient_id_system:
            own.append(found)
        else:
            foreign = foreign or found.system if found.system not in _WRITTEN else foreign
            others.append(found)
    return Numbers(tuple(own), tuple(dict.fromkeys(others)), foreign, unknown, tuple(dict.fromkeys(strange)))


def _number(value: str, kind: str, authority: Authority) -> PatientIdentifier | None:
    """One number under its system; None where it cannot be what it says it is."""
    if kind in _IDENTITY_KINDS or authority.system in (NATIONAL_ID, CITIZEN_ID):
        return identity_number(value)
    if kind in _INSURANCE_KINDS or authority.system == INSURANCE_NUMBER:
        return PatientIdentifier(INSURANCE_NUMBER, value) if insurance_last_ten(value) else None
    if kind in _PASSPORT_KINDS or authority.system == PASSPORT_NUMBER:
        return PatientIdentifier(PASSPORT_NUMBER, value)
    return PatientIdentifier(authority.system, value) if authority.system else None


def written_number(number: PatientIdentifier, receiver: Receiver, signs: Delimiters) -> str:
    """CX."""
    known = _WRITTEN.get(number.system)
    kind = known[1] if known else "PI"
    parts = (number.value, "", "")
    head = signs.component.join(map(signs.written, parts))
    return signs.component.join((head, written_authority(number.system, receiver, signs), kind))


def written_authority(system: str, receiver: Receiver, signs: Delimiters) -> str:
    """HD."""
    if system in _WRITTEN:
        return _WRITTEN[system][0]
    namespace = next((name for name, known in sorted(receiver.authorities.items()) if known == system), "")
    if not namespace and system == receiver.patient_id_system:
        namespace = str(receiver.facility)
    uid, kind = (system[8:], "ISO") if system.startswith("urn:oid:") else (system, "URI")
    return signs.subcomponent.join(map(signs.written, (namespace, uid, kind)))
