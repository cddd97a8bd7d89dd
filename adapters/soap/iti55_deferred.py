"""ITI-55 with deferred response: the question is acknowledged at once and answered later, in a message of its own.

The answer never goes where a message says, only to the address that the directory lists for who asked; a message that
says another is refused, so that its sender knows.

Source: IHE ITI TF-2: 3.55.6.2 (Deferred Response option)
"""

from __future__ import annotations

from lxml import etree

from adapters.peers.answers import BadAnswer
from adapters.soap.envelope import Message, write_envelope
from adapters.soap.errors import V3Refusal
from adapters.soap.faults import fault, is_fault, message_of
from adapters.soap.hl7v3 import h, read_wrapper
from adapters.soap.hl7v3_answers import ACKNOWLEDGEMENT, acknowledgement, refusal
from adapters.soap.iti55_patient_discovery import answer_message, wanted_patient
from adapters.soap.mtom import Package
from adapters.soap.names import HL7, SOAP, children, named
from adapters.transactions import PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement, XmlRefused, parse_xml_bytes
from registry.commands import DeferDiscovery, Discovered, DiscoverPatient
from registry.identifiers import HomeCommunityId

ACTION = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery"
ANSWER = "urn:hl7-org:v3:PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery"
_AS_ACCEPTED = {"AA": "CA", "CA": "CA", "AR": "CR", "CR": "CR"}
_NOTHING = "nothing was searched"


def decode(request: WireRequest) -> DeferDiscovery:
    wanted_patient(request)
    message = message_of(request)
    assert message is not None
    priority = h(message.body, "controlActProcess/queryByParameter/responsePriorityCode")
    if priority is None or priority.get("code") != "D":
        raise V3Refusal(f"responsePriorityCode: expected D for this action; {_NOTHING}", number=103)
    addresses = {each.get("value", "") for each in _telecoms(message.body)}
    if len(children(message.body, HL7, "respondTo")) != 1 or len(addresses) != 1 or not all(addresses):
        raise V3Refusal(f"expected one respondTo with one address; {_NOTHING}", number=101)
    question, wrapper = etree.tostring(message.body, with_tail=False), read_wrapper(message.body)
    own_id = f"{wrapper.message_root}^{wrapper.message_extension}"
    return DeferDiscovery(question, message.message_id, addresses.pop(), own_id)


def _telecoms(body: XmlElement) -> list[XmlElement]:
    """Of whoever is to be answered: beside the entity, or in it."""
    found = []
    for one in children(body, HL7, "respondTo"):
        entity = h(one, "entityRsp")
        found += [*children(one, HL7, "telecom"), *(children(entity, HL7, "telecom") if entity is not None else ())]
    return found


def encode(result: None, request: WireRequest) -> WireResponse:
    return acknowledgement(request)


def error(exception: Exception, request: WireRequest) -> WireResponse:
    if is_fault(exception) or message_of(request) is None:
        return fault(exception, request)
    return acknowledgement(request, *refusal(exception, {}))


# ---- the answer, later ----


def kept_question(question: bytes, message_id: str, home: HomeCommunityId) -> WireRequest:
    """A question that was kept, as if it had come just now."""
    message = Message(ACTION, message_id, None, parse_xml_bytes(question), Package(b"", False, ""))
    return WireRequest("POST", "/xcpd", "peer", "", home, kept={"message": message})


def asked_again(request: WireRequest) -> DiscoverPatient:
    return DiscoverPatient(wanted_patient(request))


def write_answer(found: Discovered, request: WireRequest, *, security: str) -> bytes:
    """The message that carries the answer, with who sends it in its header."""
    message = message_of(request)
    relates_to = message.message_id if message else ""
    body = answer_message(found, request)
    return "".join(write_envelope(ANSWER, body, relates_to=relates_to, header=security)).encode()


def read_acknowledgement(body: bytes) -> str:
    """CA, CR for try again, else CE: whichever way the other hospital says it. Raises BadAnswer."""
    try:
        root = parse_xml_bytes(body)
    except XmlRefused as refused:
        raise BadAnswer("no message that can be read") from refused
    found = h(root.find(f"{named(SOAP, 'Body')}/{named(HL7, ACKNOWLEDGEMENT)}"), "acknowledgement/typeCode")
    if found is None:
        raise BadAnswer("no acknowledgement")
    return _AS_ACCEPTED.get(found.get("code", ""), "CE")


TRANSACTION = Transaction(
    "ITI-55-deferred",
    "Cross Gateway Patient Discovery, answered later",
    source="IHE ITI TF-2: 3.55.6.2",
    route=("POST", "/"),
    action=ACTION,
    command=DeferDiscovery,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
    doors=PEER,
    family="xcpd",
    discloses=False,
)
