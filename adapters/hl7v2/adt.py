"""ADT: who the patients of this hospital are, what changed, which two numbers are one patient, and their visits.

A visit is known by its number (PV1-19). An event says what it is about and nothing else: a transfer leaves the times as
they were, a cancelled discharge takes back the discharge alone.

Source: HL7 2.8, chapter 3; IHE ITI TF-2: 3.8 (Patient Identity Feed), 3.30 (Patient Identity Management), 3.31
"""

from __future__ import annotations

from adapters.hl7v2.authorities import Receiver, read_numbers
from adapters.hl7v2.errors import Malformed, MissingField
from adapters.hl7v2.exchanges import Exchange, Read, events
from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.patient import ReadPatient, own_or_refused, read_patient
from adapters.hl7v2.visit import read_visit
from registry.commands import FeedPatient, LinkPatients, MergePatients

MAX_MERGES = 50
"""Pairs in one A40; a night of cleaning up arrives as many messages."""


def decode_feed(message: Message, receiver: Receiver) -> Read:
    """One patient: registered, or revised where the number is known; and the visit, where the message is about one."""
    pid = message.patient()
    patient = read_patient(pid, message, receiver)
    if patient.demographics.name is None:
        raise MissingField(pid.location(5))
    visit = read_visit(message, patient.mention, receiver)
    return Read((FeedPatient(patient.identifier, patient.record, unsaid=patient.unsaid), *visit))


def decode_merge(message: Message, receiver: Receiver) -> Read:
    """PID-3 survives, MRG-1 is subsumed; A47 gives a new number the same way. Several pairs may follow each other."""
    commands: list[object] = []
    survivor: ReadPatient | None = None
    for segment in message.segments:
        if segment.name == "PID":
            survivor = read_patient(segment, message, receiver)
        elif segment.name == "MRG":
            if survivor is None:
                raise Malformed(segment.location(1), "expected PID before MRG; nothing was stored")
            commands += _merges(segment, survivor, message, receiver)
            survivor = None
    if not commands:
        message.one("PID")
        if survivor is None:
            raise Malformed(message.one("MRG").location(1), "the same number twice merges nothing; nothing was changed")
        message.one("MRG")
        raise Malformed("MRG^1", "expected PID before MRG; nothing was stored")
    if len(commands) > MAX_MERGES:
        raise Malformed("MRG", f"more than {MAX_MERGES} merges; nothing was stored")
    return Read(tuple(commands))


def _merges(mrg: Segment, survivor: ReadPatient, message: Message, receiver: Receiver) -> list[MergePatients]:
    found = read_numbers(mrg, 1, receiver, sender=message.header.text(4))
    own = own_or_refused(found, mrg.location(1)).own
    return [MergePatients(survivor.record, number, survivor.unsaid) for number in own if number != survivor.identifier]


def decode_link(message: Message, receiver: Receiver) -> Read:
    """A24: two records of one person; A37: not, or no longer."""
    pids = [read_patient(pid, message, receiver) for pid in message.all("PID")]
    if len(pids) != 2:
        raise Malformed("PID^2", "expected two segments PID; nothing was stored")
    same = message.kind[1] == "A24"
    return Read((LinkPatients(pids[0].identifier, pids[1].identifier, same),))


def decode_visit(message: Message, receiver: Receiver) -> Read:
    """What happened in a visit. Who the patient is stays as it was; a PID that speaks of somebody else is refused."""
    patient = read_patient(message.patient(), message, receiver)
    visit = read_visit(message, patient.mention, receiver)
    return Read(
        visit, () if visit else ("PV1-19 is empty, so it is not known which visit this is; nothing was changed",)
    )


FEED = Exchange(
    "ITI-8",
    "Patient Identity Feed",
    source="IHE ITI TF-2: 3.8, 3.30",
    events=events("ADT", "A01", "A04", "A05", "A08", "A28", "A31"),
    decode=decode_feed,
)
MERGE = Exchange(
    "ITI-30",
    "Merge patients, change a patient number",
    source="IHE ITI TF-2: 3.8.4.2, 3.30.4.7, 3.30.4.9",
    events=events("ADT", "A18", "A34", "A40", "A47"),
    decode=decode_merge,
)
LINK = Exchange(
    "ITI-30",
    "Link and unlink patients",
    source="IHE ITI TF-2: 3.30.4.11, 3.30.4.13",
    events=events("ADT", "A24", "A37"),
    decode=decode_link,
)
VISIT = Exchange(
    "ITI-31",
    "Patient Encounter Management",
    source="IHE ITI TF-2: 3.31",
    events=events("ADT", "A02", "A03", "A06", "A07", "A11", "A12", "A13"),
    decode=decode_visit,
)
EXCHANGES = (FEED, MERGE, LINK, VISIT)
