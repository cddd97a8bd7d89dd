"""ITI-44 Patient Identity Feed HL7 V3: a system of this hospital says who its patients are, and which two are one.

Source: IHE ITI TF-2: 3.44
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from adapters.soap.errors import V3Refusal
from adapters.soap.faults import fault, is_fault, message_of
from adapters.soap.hl7v3 import h, read_ii
from adapters.soap.hl7v3_answers import acknowledgement, action_of, refusal
from adapters.soap.hl7v3_patient import PATIENT, own_number, read_patient
from adapters.soap.messages import payload
from adapters.soap.names import HL7, children
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.commands import Fed, FeedPatient, MergePatients
from registry.errors import ForeignDomain, InvalidIdentifier, UnknownPatient

ADD, REVISE, MERGE = "PRPA_IN201301UV02", "PRPA_IN201302UV02", "PRPA_IN201304UV02"
SOURCE = "IHE ITI TF-2: 3.44"
REPLACED = "replacementOf/priorRegistration/subject1/priorRegisteredRole"


def decode_feed(request: WireRequest, *, interaction: str) -> FeedPatient:
    """One patient: registered, or revised where the number is known."""
    event = _event(request, interaction)
    patient = read_patient(_one(event, "subject1/patient"), own_system=request.patient_id_system)
    if patient.record.demographics.name is None:
        raise V3Refusal("patientPerson.name is missing; nothing was stored", number=101)
    return FeedPatient(patient.record.identifier, patient.record, unsaid=patient.unsaid)


def decode_merge(request: WireRequest) -> MergePatients:
    """The patient survives, the prior registration is subsumed."""
    event = _event(request, MERGE)
    survivor = read_patient(_one(event, "subject1/patient"), own_system=request.patient_id_system)
    roles = [h(each, REPLACED.partition("/")[2]) for each in children(event, HL7, "replacementOf")]
    if len(roles) != 1 or roles[0] is None:
        raise V3Refusal("expected one replacementOf with a priorRegisteredRole; nothing was changed", number=101)
    prior = (number for each in children(roles[0], HL7, "id") if (number := read_ii(each)))
    subsumed = own_number(prior, request.patient_id_system)
    return MergePatients(survivor.record, subsumed, survivor.unsaid)


def _event(request: WireRequest, interaction: str) -> XmlElement:
    message = payload(request, HL7, interaction)
    subjects = children(_one(message.body, "controlActProcess"), HL7, "subject")
    if len(subjects) != 1:
        raise V3Refusal("expected one subject; nothing was stored", number=101)
    return _one(subjects[0], "registrationEvent")


def _one(element: XmlElement, path: str) -> XmlElement:
    found = h(element, path)
    if found is None:
        raise V3Refusal(f"{path} is missing; nothing was stored", number=101)
    return found


def encode(fed: Fed, request: WireRequest) -> WireResponse:
    return acknowledgement(request)


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """Refused in the acknowledgement; who sent it, and form, are faults."""
    message = message_of(request)
    if is_fault(exception) or message is None:
        return fault(exception, request)
    root = "/" + message.body.tag.rpartition("}")[2]
    places = dict.fromkeys((ForeignDomain, InvalidIdentifier, UnknownPatient), f"{root}/{PATIENT}/id")
    code, details = refusal(exception, places)
    return acknowledgement(request, code, details)


def _fed(interaction: str, title: str, command: type, decode: Callable[[WireRequest], object]) -> Transaction:
    return Transaction(
        "ITI-44",
        title,
        source=SOURCE,
        route=("POST", "/"),
        action=action_of(interaction),
        command=command,
        decode=decode,
        encode=encode,
        error=error,
        scope=("Patient", "u"),
        family="pix",
    )


TRANSACTIONS = (
    _fed(ADD, "Patient Identity Feed V3: add", FeedPatient, partial(decode_feed, interaction=ADD)),
    _fed(REVISE, "Patient Identity Feed V3: revise", FeedPatient, partial(decode_feed, interaction=REVISE)),
    _fed(MERGE, "Patient Identity Feed V3: resolve duplicates", MergePatients, decode_merge),
)
