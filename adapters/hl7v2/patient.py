"""The segment PID: from it the patient as the registry knows one, and back.

An empty field says nothing, `""` says that there is no value: what a message does not speak of stays as it was.

Source: HL7 2.8: 3.4.2 (PID); IHE ITI TF-2: 3.8.4.1.2.3, 3.30.5.3
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.hl7v2.authorities import Numbers, Receiver, read_numbers, written_number
from adapters.hl7v2.errors import MissingField, UnknownKey
from adapters.hl7v2.message import Delimiters, Field, Message, Segment
from adapters.hl7v2.values import read_birth_date, read_person_name, written_name
from registry.errors import ForeignDomain
from registry.identifiers import PatientIdentifier, identity_number
from registry.people import Address, BirthDate, Demographics, Gender, HumanName, SourceRecord
from registry.submissions import PatientMention
from registry.vietnamese import composed

_GENDERS: dict[str, Gender] = {
    "M": "male",
    "F": "female",
    "O": "other",
    "A": "other",
    "U": "unknown",
    "N": "unknown",
    "": "unknown",
}
_WRITTEN_GENDERS = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
_FIELDS = {"name": 5, "birth_date": 7, "gender": 8, "address": 11, "mothers_name": 6, "deceased": 30}


@dataclass(frozen=True, slots=True)
class ReadPatient:
    """A PID as it was read; `unsaid` names what it says nothing of."""

    identifier: PatientIdentifier
    numbers: tuple[PatientIdentifier, ...]
    demographics: Demographics
    unsaid: frozenset[str]

    @property
    def record(self) -> SourceRecord:
        return SourceRecord("", self.identifier, self.demographics, self.numbers)

    @property
    def mention(self) -> PatientMention:
        return PatientMention(self.identifier, self.numbers, self.demographics)


def read_patient(pid: Segment, message: Message, receiver: Receiver) -> ReadPatient:
    """Raises MissingField, UnknownKey or ForeignDomain where it names no patient of this hospital."""
    found = _numbers(pid, message, receiver)
    extra = _further_number(pid, found)
    about = _demographics(pid, message)
    unsaid = {name for name, number in _FIELDS.items() if _says_nothing(pid, number, getattr(about, name))}
    if not pid.field(13) and not pid.field(14):
        unsaid.add("phones")
    if not found.others and not extra and not found.own[1:]:
        unsaid.add("numbers")
    return ReadPatient(found.own[0], (*found.own[1:], *found.others, *extra), about, frozenset(unsaid))


def _says_nothing(pid: Segment, number: int, value: object) -> bool:
    """Empty, or nothing that can be used; a deleted value is said."""
    return not pid.field(number) or (value in (None, "unknown") and not pid.first(number).is_null)


def _numbers(pid: Segment, message: Message, receiver: Receiver) -> Numbers:
    sender = message.header.text(4)
    found = read_numbers(pid, 3, receiver, sender=sender)
    if not found.own and not pid.field(3) and pid.field(2):
        message.note("PID-3 is empty; PID-2 was read instead")
        found = read_numbers(pid, 2, receiver, sender=sender)
    for each in found.deviations:
        message.note(each)
    return own_or_refused(found, f"{pid.name}^{pid.place}^3")


def own_or_refused(found: Numbers, where: str) -> Numbers:
    """The numbers, if one of them is this hospital's."""
    if found.own:
        return found
    if found.unknown:
        raise UnknownKey(f"{where}^1^4", "this assigning authority is not known here; nothing was stored")
    if found.foreign:
        raise ForeignDomain(found.foreign)
    raise MissingField(where)


def _further_number(pid: Segment, found: Numbers) -> tuple[PatientIdentifier, ...]:
    """PID-19, where systems without identifier types put the personal number."""
    number = identity_number(pid.text(19)) if pid.text(19) else None
    return (number,) if number and number not in found.others else ()


def _demographics(pid: Segment, message: Message) -> Demographics:
    return Demographics(
        name=_name(pid.repetitions(5)),
        birth_date=_birth_date(pid, message),
        gender=_gender(pid, message),
        phones=_phones((*pid.repetitions(13), *pid.repetitions(14))),
        address=_address(pid.repetitions(11)),
        mothers_name=_text_of(_name(pid.repetitions(6))),
        deceased=pid.text(30).upper() == "Y",
    )


def _name(fields: Iterable[Field]) -> HumanName | None:
    """The legal name, else the first that is no alias."""
    ranked = sorted(fields, key=lambda each: {"L": 0, "D": 1, "": 1, "A": 3}.get(each.text(7).upper(), 2))
    return next((name for each in ranked if (name := read_person_name(each))), None)


def _text_of(name: HumanName | None) -> str | None:
    return name.text if name else None


def _birth_date(pid: Segment, message: Message) -> BirthDate | None:
    told = pid.text(7)
    found = read_birth_date(told)
    if told and found is None:
        message.note("PID-7 is no date that exists; the birth date counts as unknown")
    return found


def _gender(pid: Segment, message: Message) -> Gender:
    told = pid.text(8).upper()
    if told not in _GENDERS:
        message.note("PID-8 is not in table 0001; the sex counts as unknown")
    return _GENDERS.get(told, "unknown")


def _phones(fields: Iterable[Field]) -> tuple[str, ...]:
    found = (each.text(1) or each.text(12) or f"{each.text(6)}{each.text(7)}" for each in fields if not each.is_null)
    return tuple(dict.fromkeys(phone[:64] for phone in found if phone))


def _address(fields: Iterable[Field]) -> Address | None:
    for each in fields:
        street, other, city, province, postal_code, country = (composed(each.text(number)) for number in range(1, 7))
        text = ", ".join(filter(None, (street, other, city, province)))
        if text:
            return Address(text[:1000], city or None, province or None, country or None, postal_code or None)
    return None


def written_patient(
    place: int, numbers: Iterable[PatientIdentifier], about: Demographics, receiver: Receiver, asked: Message
) -> str:
    """A PID of the answer to a message."""
    signs, address = asked.delimiters, about.address
    lines = (
        (address.text, "", address.commune, address.province, address.postal_code, address.country) if address else ()
    )
    fields = {
        1: str(place),
        3: signs.repetition.join(written_number(each, receiver, signs) for each in numbers),
        5: written_name(about.name, signs),
        6: written_name(HumanName.of(about.mothers_name), signs) if about.mothers_name else "",
        7: str(about.birth_date or "").replace("-", ""),
        8: _WRITTEN_GENDERS[about.gender],
        11: signs.component.join(signs.written(part or "") for part in lines).rstrip(signs.component),
        13: signs.repetition.join(_written_phone(phone, asked) for phone in about.phones),
        30: "Y" if about.deceased else "",
    }
    return segment("PID", fields, signs)


def _written_phone(phone: str, asked: Message) -> str:
    """XTN: the number stands first; from 2.6 on, where that part is gone, last, and with the kind of equipment."""
    signs, number = asked.delimiters, asked.delimiters.written(phone)
    return number if asked.version < (2, 6) else signs.component.join(("", "", "PH", *[""] * 8, number))


def segment(name: str, fields: dict[int, str], signs: Delimiters) -> str:
    """A segment from its fields by number, already written."""
    last = max((number for number, text in fields.items() if text), default=0)
    return signs.field.join((name, *(fields.get(number, "") for number in range(1, last + 1))))
