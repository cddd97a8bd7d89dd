"""MDM: documents that a hospital's system has written, with their content.

Only what is authenticated becomes a document. An edit or a replacement takes the place of what was there, a
cancellation takes it back; an addendum is a document of its own.

Source: HL7 2.8, chapter 9: 9.5 (events), 9.6.1 (TXA), tables 0270, 0271 and 0273
"""

from __future__ import annotations

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.documents import Facts, documents, read_body, source_key
from adapters.hl7v2.exchanges import Exchange, Read, events
from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.oru import MAX_FILES
from adapters.hl7v2.patient import read_patient
from adapters.hl7v2.values import read_moment, read_staff_name
from adapters.hl7v2.visit import visit_key
from registry.coded import LOINC, CodedValue
from registry.commands import ProvideSubmission
from registry.submissions import Submission

AUTHENTICATED = frozenset({"AU", "LA"})
_TABLE_0270 = "http://terminology.hl7.org/CodeSystem/v2-0270"
_TYPES = {
    "CN": ("11488-4", "Consult note"),
    "DI": ("18748-4", "Diagnostic imaging study"),
    "DS": ("18842-5", "Discharge summary"),
    "ED": ("34111-5", "Emergency department Note"),
    "HP": ("34117-2", "History and physical note"),
    "OP": ("11504-8", "Surgical operation note"),
    "PN": ("11506-3", "Progress note"),
    "PR": ("28570-0", "Procedure note"),
    "RF": ("57133-1", "Referral note"),
    "SP": ("11526-1", "Pathology study"),
    "TS": ("18761-7", "Transfer summary note"),
}


def decode(message: Message, receiver: Receiver) -> Read:
    """One document."""
    patient = read_patient(message.patient(), message, receiver)
    txa = message.one("TXA")
    event = message.kind[1]
    if event == "T11":
        return Read((ProvideSubmission(Submission(patient.mention, withdrawn=_keys(txa, 12, message, receiver))),))
    if event == "T04":
        return Read(notes=("a change of status without content changed nothing",))
    if txa.required(17).upper() not in AUTHENTICATED:
        return Read(notes=("a document that is not authenticated was not published",))
    body = read_body([each for each in message.segments if each.name in ("OBX", "NTE")], message)
    made = documents(_facts(txa, message), body, patient, receiver)
    if not made:
        return Read(notes=("a document without text or file was not published",))
    withdrawn = set(_keys(txa, 12, message, receiver)) - {each.source_key or "" for each in made}
    if event == "T10" and txa.field(13):
        withdrawn |= set(_keys(txa, 13, message, receiver))
    return Read((ProvideSubmission(Submission(patient.mention, made, withdrawn=tuple(sorted(withdrawn)))),))


def _key(txa: Segment, number: int, message: Message) -> tuple[str, ...]:
    txa.required(number)
    return ("MDM", txa.text(number, 2) or message.header.text(3), txa.text(number))


def _keys(txa: Segment, number: int, message: Message, receiver: Receiver) -> tuple[str, ...]:
    """Under which its text and its files are known."""
    key = _key(txa, number, message)
    return tuple(source_key(receiver, key, form) for form in ("", *(f"file {n + 1}" for n in range(MAX_FILES))))


def _facts(txa: Segment, message: Message) -> Facts:
    code, display = txa.text(2, 1), txa.text(2, 2)
    known = _TYPES.get(code.upper())
    kind = CodedValue(known[0], LOINC, known[1]) if known else CodedValue(code or "UN", _TABLE_0270, display or None)
    performed, written = read_moment(txa.text(4)), read_moment(txa.text(7)) or read_moment(txa.text(6))
    title = txa.text(25) or display or (known[1] if known else "Tài liệu")
    author = read_staff_name(txa.first(9)) or read_staff_name(txa.first(5))
    return Facts(
        visit=visit_key(message),
        key=_key(txa, 12, message),
        title=title[:255],
        type=kind,
        category=kind,
        heads=(title, f"Người viết: {author}" if author else ""),
        author=author,
        performed=performed,
        written=written,
    )


EXCHANGE = Exchange(
    "MDM-T02",
    "Original document notification and content",
    source="HL7 2.8: 9.5",
    events=events("MDM", "T02", "T04", "T06", "T08", "T10", "T11"),
    decode=decode,
)
