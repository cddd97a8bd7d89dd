"""QBP: who is this patient (Q22, PDQ), which other numbers has this patient (Q23, PIX), and the end of a query (J01).

A parameter that is not understood is refused, never ignored: an answer to another question shows the wrong people.

Source: IHE ITI TF-2: 3.9 (PIX Query), 3.21 (Patient Demographics Query); HL7 2.8, chapter 5
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from adapters.hl7v2.authorities import Receiver, read_authority, written_number
from adapters.hl7v2.errors import BadValue, MissingField, UnknownCode, UnknownKey
from adapters.hl7v2.exchanges import Exchange, Read, Reply, events
from adapters.hl7v2.message import Field, Message, Segment, echoed
from adapters.hl7v2.patient import segment, written_patient
from adapters.hl7v2.values import read_birth_date
from registry.commands import CrossReference, CrossReferences, FindPatients, Page
from registry.errors import InvalidValue, NotFound, NotUnique, UnknownAuthority, UnknownTargetSystem
from registry.identifiers import PatientIdentifier
from registry.people import SourceRecord
from registry.searches import PatientSearch
from registry.vietnamese import folded

MOST = 100
"""Patients in one answer; more are fetched with the continuation pointer."""

Condition = Callable[[SourceRecord], bool]
_PARAMETER = re.compile(r"@?PID\.(\d{1,2})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?", re.IGNORECASE)
_POINTER = re.compile(r"[A-Za-z0-9.-]{1,64}")
_MATCHES = {"5": "NA", "7": "DB", "13": "PH"}
"""What was asked for, as the reason of a match (QRI-2, table 0392)."""
_GENDERS = {"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown", "N": "unknown"}


# ---- Q22: demographics ----


def decode_demographics(message: Message, receiver: Receiver) -> Read:
    qpd = message.one("QPD")
    words: list[str] = []
    where: list[Condition] = []
    years: list[int] = []
    number: dict[str, str] = {}
    for name, value, at in _parameters(qpd, message):
        field, component, sub = name
        if field == "5" and component in ("", "1", "2", "3"):
            words += _words(value, at)
        elif field == "7" and component in ("", "1"):
            years.append(_birth(value, at, where))
        elif field == "8":
            where.append(_gender(value, at))
        elif field == "3":
            number[f"{component or '1'}.{sub or '1'}"] = value
        elif field in ("11", "13"):
            where.append(_text(field, component, value))
        else:
            raise UnknownCode(at, "this parameter is not understood; nothing was searched")
    identifiers = _identifiers(number, message, receiver)
    if not words and not years and not identifiers and not where:
        raise MissingField(qpd.location(3))
    search = PatientSearch(
        identifiers=identifiers,
        name_words=tuple(words),
        birth_year=years[0] if years else None,
        domains=tuple(dict.fromkeys(system for _, system in _targets(qpd, 8, message, receiver))),
        where=tuple(where),
        limit=_quantity(message),
        after=_pointer(message),
    )
    return Read((FindPatients(search),))


def _parameters(qpd: Segment, message: Message) -> Iterator[tuple[tuple[str, str, str], str, str]]:
    """`@PID.5.1.1^Nguyễn`: field, component, subcomponent; value; where it stands."""
    for each in qpd.repetitions(3):
        value = each.text(2)
        found = _PARAMETER.fullmatch(each.text(1))
        if found is None:
            raise UnknownCode(each.location, "expected a parameter of the form @PID.5.1; nothing was searched")
        if value:
            field, component, sub = (part.lstrip("0") if part else "" for part in found.groups())
            yield (field, component, sub), value, each.location


def _words(value: str, at: str) -> list[str]:
    """Beginnings of words; a star at the end says what is true anyway."""
    found = folded(value.rstrip("*")).split()
    if not found:
        raise BadValue(at, "a name is searched by letters; nothing was searched")
    return found


def _birth(value: str, at: str, where: list[Condition]) -> int:
    born = read_birth_date(value)
    if born is None:
        raise BadValue(at, "expected a date that exists; nothing was searched")
    where.append(
        lambda record: record.demographics.birth_date is not None and record.demographics.birth_date.compatible(born)
    )
    return born.year


def _gender(value: str, at: str) -> Condition:
    wanted = _GENDERS.get(value.upper())
    if wanted is None:
        raise UnknownCode(at, "expected a code of table 0001; nothing was searched")
    return lambda record: record.demographics.gender == wanted


def _text(field: str, component: str, value: str) -> Condition:
    plain = _bare(value.rstrip("*"))

    def holds(record: SourceRecord) -> bool:
        about = record.demographics
        if field == "13":
            return any(plain in _bare(phone) for phone in about.phones)
        address = about.address
        if address is None:
            return False
        parts = {"3": address.commune, "4": address.province, "5": address.postal_code, "6": address.country}
        return plain in _bare(parts.get(component, address.text) or "")

    return holds


def _bare(text: str) -> str:
    marks = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in marks if not unicodedata.combining(letter))


def _identifiers(parts: dict[str, str], message: Message, receiver: Receiver) -> tuple[PatientIdentifier, ...]:
    """One number from its parts: `@PID.3.1`, `@PID.3.4.1` (namespace), `@PID.3.4.2` (OID)."""
    if not parts:
        return ()
    value = parts.pop("1.1", "")
    signs = message.delimiters
    names = [signs.written(parts.pop(f"4.{place}", "")) for place in (1, 2, 3)]
    kind = parts.pop("5.1", "")
    if parts or not value:
        raise UnknownCode("QPD^1^3", "a number is searched by @PID.3.1 and its authority; nothing was searched")
    authority = signs.subcomponent.join(names)
    written = signs.component.join((signs.written(value), "", "", authority, signs.written(kind)))
    return (_number(Field(written, message, "QPD^1^3"), message, receiver),)


def _number(field: Field, message: Message, receiver: Receiver) -> PatientIdentifier:
    """A number that is asked for; without an authority it is this hospital's."""
    if not field.text(1):
        raise MissingField(f"{field.location}^1")
    authority = read_authority(field, 4, receiver, sender=message.header.text(4))
    system = authority.system if authority.is_given else receiver.patient_id_system
    if system is None:
        raise UnknownKey(f"{field.location}^4", "this assigning authority is not known here")
    try:
        return PatientIdentifier(system, field.text(1))
    except InvalidValue:
        raise BadValue(f"{field.location}^1", "expected a number of printable characters") from None


def _targets(qpd: Segment, number: int, message: Message, receiver: Receiver) -> list[tuple[int, str]]:
    """The authorities whose numbers are wanted, with their places."""
    found = []
    for place, each in enumerate(qpd.repetitions(number), 1):
        authority = read_authority(each, 4, receiver, sender=message.header.text(4))
        if authority.system is None:
            raise UnknownKey(_target_location(number, place), "this target domain is not known here")
        found.append((place, authority.system))
    return found


def _target_location(number: int, place: int) -> str:
    return f"QPD^1^{number}^{place}"


def _quantity(message: Message) -> int:
    for rcp in message.all("RCP"):
        told, unit = rcp.text(2, 1), rcp.text(2, 2) or "RD"
        if told and (unit.upper() != "RD" or not told.isdigit() or not int(told[:9]) > 0):
            raise BadValue(rcp.location(2), "expected a number of records (RD)")
        return min(int(told[:9]), MOST) if told else MOST
    return MOST


def _pointer(message: Message) -> str | None:
    for dsc in message.all("DSC"):
        told = dsc.text(1)
        if told and _POINTER.fullmatch(told) is None:
            raise UnknownKey(dsc.location(1), "this continuation pointer is not known here")
        return told or None
    return None


def reply_demographics(results: Sequence[Page[SourceRecord]], message: Message, receiver: Receiver) -> Reply:
    """A PID and a QRI for each patient; DSC where there are more."""
    page, signs = results[0], message.delimiters
    qpd = message.one("QPD")
    domains = {system for _, system in _targets(qpd, 8, message, receiver)}
    shown = [(record, _of(record, domains)) for record in page.items]
    pids = [
        written_patient(place, numbers, record.demographics, receiver, message)
        for place, (record, numbers) in enumerate(((r, n) for r, n in shown if n), 1)
    ]
    qri = _qri(qpd, message)
    count = str(page.total) if page.total is not None else ""
    segments = [_qak(message, "OK" if pids else "NF", count, str(len(pids))), echoed(qpd.raw)]
    segments += [each for pid in pids for each in (pid, qri)]
    if page.next is not None:
        segments.append(segment("DSC", {1: signs.written(page.next.id), 2: "I"}, signs))
    return Reply(_kind(message), tuple(segments))


def _qri(qpd: Segment, message: Message) -> str:
    """By what each patient was found: all that was asked for. RSP_K21 requires the segment, and none of its fields."""
    asked = {_MATCHES[field] for (field, _, _), _, _ in _parameters(qpd, message) if field in _MATCHES}
    return segment("QRI", {2: message.delimiters.repetition.join(sorted(asked))}, message.delimiters)


def _kind(message: Message) -> tuple[str, str, str]:
    """MSH-9 of the answer to Q22: in 2.5 it has the structure of K21, as IHE's PDQ says; before and after, its own."""
    return ("RSP", "K22", "RSP_K21" if message.version[:2] == (2, 5) else "RSP_K22")


def _of(record: SourceRecord, domains: set[str]) -> tuple[PatientIdentifier, ...]:
    return tuple(each for each in record.identifiers if not domains or each.system in domains)


# ---- Q23: other numbers ----


def decode_numbers(message: Message, receiver: Receiver) -> Read:
    qpd = message.one("QPD")
    if not qpd.field(3):
        raise MissingField(qpd.location(3))
    wanted = _number(qpd.first(3), message, receiver)
    targets = tuple(dict.fromkeys(system for _, system in _targets(qpd, 4, message, receiver)))
    return Read((CrossReference(wanted, targets),))


def reply_numbers(results: Sequence[CrossReferences], message: Message, receiver: Receiver) -> Reply:
    """All numbers in one PID-3; the name is intentionally empty."""
    found, signs = results[0].identifiers, message.delimiters
    segments = [_qak(message, "OK" if found else "NF"), echoed(message.one("QPD").raw)]
    if found:
        numbers = signs.repetition.join(written_number(each, receiver, signs) for each in found)
        nobody = f"{signs.repetition}{signs.component * 6}S"
        segments.append(segment("PID", {1: "1", 3: numbers, 5: nobody}, signs))
    return Reply(("RSP", "K23", "RSP_K23"), tuple(segments))


# ---- both ----


def _qak(message: Message, status: str, hits: str = "", shown: str = "") -> str:
    signs = message.delimiters
    tag = next((qpd.field(2) for qpd in message.all("QPD")), "")
    fields = {1: tag, 2: status, 4: hits, 5: shown if hits else "", 6: "0" if hits and hits == shown else ""}
    return segment("QAK", fields, signs)


def refuse(error: Exception, message: Message) -> tuple[Reply, str]:
    """The answer that carries an error, and where it is: ERR-2."""
    kind = ("RSP", "K23", "RSP_K23") if message.kind[1] == "Q23" else _kind(message)
    qpds = [echoed(qpd.raw) for qpd in message.all("QPD")][:1]
    return Reply(kind, (_qak(message, "AE"), *qpds)), _location(error, message)


def _location(error: Exception, message: Message) -> str:
    number = 8 if message.kind[1] == "Q22" else 4
    if isinstance(error, UnknownTargetSystem):
        return _target_location(number, _place_of(error.system, number, message))
    if isinstance(error, UnknownAuthority):
        return "QPD^1^3^1^4"
    return "QPD^1^3^1^1" if isinstance(error, (NotFound, NotUnique)) else ""


def _place_of(system: str, number: int, message: Message) -> int:
    oid = system.removeprefix("urn:oid:")
    fields = next(message.all("QPD")).repetitions(number)
    return next((place for place, each in enumerate(fields, 1) if oid in (each.text(4, 2), each.text(4, 1))), 1)


def decode_cancel(message: Message, receiver: Receiver) -> Read:
    """Nothing is kept between the pages of an answer, so there is nothing to cancel."""
    return Read()


DEMOGRAPHICS = Exchange(
    "ITI-21",
    "Patient Demographics Query",
    source="IHE ITI TF-2: 3.21",
    events=events("QBP", "Q22"),
    decode=decode_demographics,
    reply=reply_demographics,
    refuse=refuse,
)
NUMBERS = Exchange(
    "ITI-9",
    "PIX Query",
    source="IHE ITI TF-2: 3.9",
    events=events("QBP", "Q23"),
    decode=decode_numbers,
    reply=reply_numbers,
    refuse=refuse,
)
CANCEL = Exchange(
    "QCN-J01", "Cancel a query", source="HL7 2.8: 5.4.5", events=events("QCN", "J01"), decode=decode_cancel
)
EXCHANGES = (DEMOGRAPHICS, NUMBERS, CANCEL)
