"""ITI-45 PIXV3 Query: under which other numbers is this patient known?

Source: IHE ITI TF-2: 3.45
"""

from __future__ import annotations

from adapters.soap.datatypes import authority_of
from adapters.soap.errors import V3Refusal
from adapters.soap.faults import fault, is_fault, message_of
from adapters.soap.hl7v3 import h, read_ii, write_ii
from adapters.soap.hl7v3_answers import Outcome, action_of, detail, failed, query_answer
from adapters.soap.hl7v3_patient import registration, without_oid
from adapters.soap.messages import payload
from adapters.soap.names import HL7, children
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.commands import CrossReference, CrossReferences
from registry.errors import InvalidIdentifier, NotFound, NotUnique, UnknownAuthority, UnknownTargetSystem
from registry.identifiers import PatientIdentifier, is_oid

QUERY, ANSWER = "PRPA_IN201309UV02", "PRPA_IN201310UV02"
PARAMETERS = "controlActProcess/queryByParameter/parameterList"
MOST_TARGETS = 50
_WHO, _WHERE = f"/{QUERY}/{PARAMETERS}/patientIdentifier/value", f"/{QUERY}/{PARAMETERS}/dataSource/value"
PLACES: dict[type[Exception], str] = {
    NotFound: _WHO,
    NotUnique: _WHO,
    InvalidIdentifier: _WHO,
    UnknownAuthority: _WHO,
    UnknownTargetSystem: _WHERE,
}
"""Which parameter an error is about. Source: 3.45.4.2.3, cases 3 to 5."""


def decode(request: WireRequest) -> CrossReference:
    parameters = h(payload(request, HL7, QUERY).body, PARAMETERS)
    if parameters is None:
        raise V3Refusal("parameterList is missing; nothing was searched", number=101)
    targets = tuple(dict.fromkeys(_target(each) for each in _values(parameters, "dataSource")))
    if len(targets) > MOST_TARGETS:
        raise V3Refusal(f"at most {MOST_TARGETS} values of dataSource; nothing was searched", location=_WHERE)
    request.kept["question"] = f"{len(targets)} authorities"
    return CrossReference(_number(parameters), targets)


def _number(parameters: XmlElement) -> PatientIdentifier:
    numbers = [read_ii(each) for each in _values(parameters, "patientIdentifier")]
    if len(numbers) != 1 or numbers[0] is None:
        told = "patientIdentifier: expected one value with root and extension; nothing was searched"
        raise V3Refusal(told, number=101, location=_WHO)
    return numbers[0]


def _target(value: XmlElement) -> str:
    root = value.get("root", "")
    if not is_oid(root):
        raise V3Refusal("dataSource: expected the OID of an authority as root", location=_WHERE)
    return authority_of(root)


def _values(parameters: XmlElement, name: str) -> list[XmlElement]:
    return [value for each in children(parameters, HL7, name) for value in children(each, HL7, "value")]


def encode(found: CrossReferences, request: WireRequest) -> WireResponse:
    """All numbers in one patient, whose name is not told (3.45.4.2.2)."""
    ids = "".join(write_ii(each) for each in found.identifiers)
    left_out = without_oid(found.identifiers)
    told = f"{left_out} of the numbers cannot be written here: their authority has no OID"
    details = detail(None, told, severity="W") if left_out else ""
    if not ids:
        return query_answer(request, ANSWER, Outcome(response="NF", details=details))
    person = '<patientPerson classCode="PSN" determinerCode="INSTANCE"><name nullFlavor="NA"/></patientPerson>'
    patient = f'<patient classCode="PAT">{ids}<statusCode code="active"/>{person}</patient>'
    return query_answer(
        request, ANSWER, Outcome(details=details), subjects=registration(patient, home=str(request.home))
    )


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """In the answer's own words; who asks, and form, are faults."""
    if is_fault(exception) or message_of(request) is None:
        return fault(exception, request)
    return query_answer(request, ANSWER, failed(exception, PLACES))


TRANSACTION = Transaction(
    "ITI-45",
    "PIXV3 Query",
    source="IHE ITI TF-2: 3.45",
    route=("POST", "/"),
    action=action_of(QUERY),
    command=CrossReference,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
    family="pix",
)
