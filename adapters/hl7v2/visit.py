"""The segments PV1 and DG1: a stay or consultation as the registry keeps it.

Source: HL7 2.8: 3.4.3 (PV1), 6.5.2 (DG1); IHE ITI TF-2: 3.31 (Patient Encounter Management)
"""

from __future__ import annotations

import re
from datetime import datetime

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.values import read_moment
from consent.closed_lists import sensitivity
from registry.coded import ICD10, CodedValue
from registry.commands import ProvideSubmission
from registry.submissions import PatientMention, Submission, Visit

MAX_KEY = 255
_CLASSES = {"I": "inpatient", "E": "emergency", "O": "ambulatory", "P": "", "R": "ambulatory", "B": "inpatient"}
_CHANGED_CLASS = {"A06": "inpatient", "A07": "ambulatory"}
_ARRIVALS = frozenset({"A01", "A04", "A05"})
_WITHOUT_DISCHARGE = frozenset({"A01", "A04", "A13"})
"""Events that say that the patient is here: whoever was discharged is not, or not any more."""

_CANCELS = frozenset({"A11"})
_ALL = frozenset({"admitted", "discharged", "diagnoses", "diagnosis_text", "kind", "cancelled"})
_FACTS = frozenset({"medications", "services", "results", "kept"})
_ICD = re.compile(r"([A-Z]\d{2})\.?(\d{1,3})?", re.ASCII)


def visit_key(message: Message) -> str:
    """The number of the visit that a message is about (PV1-19); empty where it names none that can be kept."""
    pv1 = next(message.all("PV1"), None)
    key = pv1.text(19) if pv1 else ""
    return key if len(key) <= MAX_KEY and key.isprintable() else ""


def read_visit(message: Message, patient: PatientMention, receiver: Receiver) -> tuple[ProvideSubmission, ...]:
    """What the message says of a visit; nothing where it names none."""
    pv1, key = next(message.all("PV1"), None), visit_key(message)
    if pv1 is None or not key:
        return ()
    event = message.kind[1]
    codes, words = read_diagnoses(message)
    admitted, discharged = _moment(pv1, 44, message), _moment(pv1, 45, message)
    if event in _ARRIVALS and admitted is None:
        admitted = _event_time(message)
    if event == "A03" and discharged is None:
        discharged = _event_time(message)
    said = {
        "admitted": admitted,
        "discharged": discharged,
        "diagnoses": codes,
        "diagnosis_text": words or None,
        "kind": _CHANGED_CLASS.get(event) or _CLASSES.get(pv1.text(2).upper(), ""),
    }
    spoken = {name for name, value in said.items() if value}
    if event in _WITHOUT_DISCHARGE:
        spoken.add("discharged")
    if event in _CANCELS or event in _ARRIVALS:
        spoken.add("cancelled")
    visit = Visit(
        key,
        receiver.facility,
        **said,  # type: ignore[arg-type]
        cancelled=event in _CANCELS,
        sensitivity=sensitivity(codes, texts=(words,) if words else ()),
        unsaid=(_ALL - spoken) | _FACTS,
    )
    return (ProvideSubmission(Submission(patient, visit=visit)),)


def read_diagnoses(message: Message) -> tuple[tuple[CodedValue, ...], str]:
    """All DG1 of the message: the codes of ICD-10 among them, and what they say in words."""
    codes = tuple(code for dg1 in message.all("DG1") if (code := _diagnosis(dg1)))
    return codes, "; ".join(dict.fromkeys(text for dg1 in message.all("DG1") if (text := _words(dg1))))


def _event_time(message: Message) -> datetime | None:
    """EVN-2, when it was recorded: the best there is where PV1 leaves its own time out."""
    evn = next(message.all("EVN"), None)
    return _moment(evn, 2, message) if evn else None


def _moment(segment: Segment, number: int, message: Message) -> datetime | None:
    told = segment.text(number)
    found = read_moment(told)
    if told and found is None:
        message.note(f"{segment.name}-{number} is no time that exists; it counts as unknown")
    return found.at if found and found.is_exact else None


def _diagnosis(dg1: Segment) -> CodedValue | None:
    """DG1-3 as ICD-10, with its point; another system's code is words for us."""
    code, system = dg1.text(3).upper(), dg1.text(3, 3).upper()
    found = _ICD.fullmatch(code)
    if found is None or (system and not system.startswith(("I10", "ICD"))):
        return None
    main, rest = found.groups()
    return CodedValue(f"{main}.{rest}" if rest else main, ICD10)


def _words(dg1: Segment) -> str:
    return (dg1.text(4) or dg1.text(3, 2))[:500]
