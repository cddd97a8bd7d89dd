"""ITI-47 Patient Demographics Query HL7 V3: who is this, in the words of this hospital; in parts where it is wanted so.

A query that says how many patients it wants at once (initialQuantity) can be continued for some minutes under its own
queryId, by the system that asked it.

Source: IHE ITI TF-2: 3.47; HL7 v3 Normative Edition 2008 (QUQI_IN000003UV01)
"""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from adapters.soap.demographics import PARAMETERS, read_quantity, read_search
from adapters.soap.errors import V3Refusal
from adapters.soap.faults import fault, is_fault, message_of
from adapters.soap.hl7v3 import h, write_ii
from adapters.soap.hl7v3_answers import Outcome, acknowledgement, action_of, detail, failed, query_answer, refusal
from adapters.soap.hl7v3_patient import registration, without_oid, write_person
from adapters.soap.messages import payload
from adapters.soap.names import HL7
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement, parse_xml_bytes
from registry.commands import ContinuePatients, EndPatients, PatientsPart, QueryPatients
from registry.errors import InvalidIdentifier, NotFound, UnknownTargetSystem
from registry.identifiers import CITIZEN_ID, INSURANCE_NUMBER, NATIONAL_ID, PASSPORT_NUMBER, PatientIdentifier
from registry.people import SourceRecord
from registry.searches import PatientSearch

QUERY, ANSWER, CONTINUE = "PRPA_IN201305UV02", "PRPA_IN201306UV02", "QUQI_IN000003UV01"
SOURCE = "IHE ITI TF-2: 3.47"
PLACES: dict[type[Exception], str] = {
    UnknownTargetSystem: f"{PARAMETERS}/otherIDsScopingOrganization/value",
    InvalidIdentifier: f"{PARAMETERS}/livingSubjectId/value",
    NotFound: f"/{CONTINUE}/controlActProcess/queryContinuation/queryId",
}
_NATIONAL = frozenset({NATIONAL_ID, CITIZEN_ID, INSURANCE_NUMBER, PASSPORT_NUMBER})
_CERTAIN = 100


def decode(request: WireRequest) -> QueryPatients:
    query = h(payload(request, HL7, QUERY).body, "controlActProcess/queryByParameter")
    if query is None:
        raise V3Refusal("queryByParameter is missing; nothing was searched", number=101)
    search = read_search(query)
    request.kept["question"] = f"{len(search.name_words)} words, {len(search.identifiers)} identifiers"
    in_parts = read_quantity(h(query, "initialQuantity")) is not None
    return QueryPatients(search, _query_id(query), etree.tostring(query, with_tail=False) if in_parts else b"")


def _query_id(element: XmlElement) -> str:
    found = h(element, "queryId")
    root = "" if found is None else found.get("root", "")
    if found is None or not root or len(root) + len(found.get("extension", "")) > 250:
        raise V3Refusal("queryId: expected a root, and at most 250 characters; nothing was searched", number=101)
    return f"{root}^{found.get('extension', '')}"


def again(question: bytes) -> PatientSearch:
    """The search of a question that was kept: the queryByParameter as it came."""
    return read_search(parse_xml_bytes(question))


def decode_continuation(request: WireRequest) -> ContinuePatients:
    wanted = _continuation(request, CONTINUE)
    start = h(wanted, "startResultNumber")
    told = start.get("value", "") if start is not None else ""
    if told and not (told.isascii() and told.isdigit() and len(told) < 9):
        raise V3Refusal("startResultNumber: expected the number of a result")
    return ContinuePatients(
        _query_id(wanted), int(told) if told else None, read_quantity(h(wanted, "continuationQuantity"))
    )


def decode_end(request: WireRequest) -> EndPatients:
    return EndPatients(_query_id(_continuation(request, f"{CONTINUE}_Cancel")))


def _continuation(request: WireRequest, name: str) -> XmlElement:
    message = message_of(request)
    # a contract of IHE gives both the same element
    name = CONTINUE if message is not None and message.body.tag == f"{{{HL7}}}{CONTINUE}" else name
    wanted = h(payload(request, HL7, name).body, "controlActProcess/queryContinuation")
    if wanted is None:
        raise V3Refusal("queryContinuation is missing", number=101)
    return wanted


def encode(part: PatientsPart, request: WireRequest) -> WireResponse:
    """One subject for each patient; how many there are, how many are here and how many are still to come."""
    shown = [(record, _numbers(record, part.domains)) for record in part.page.items]
    left_out = sum(without_oid(numbers) for _, numbers in shown)
    told = f"{left_out} of the numbers cannot be written here: their authority has no OID"
    details = detail(None, told, severity="W") if left_out else ""
    return query_answer(
        request,
        ANSWER,
        Outcome(response="OK" if shown else "NF", details=details),
        subjects="".join(registration(_patient(*each), home=str(request.home)) for each in shown),
        quantities=_quantities(part),
        query=parse_xml_bytes(part.question) if part.question else None,
    )


def _numbers(record: SourceRecord, domains: tuple[str, ...]) -> tuple[PatientIdentifier, ...]:
    return tuple(each for each in record.identifiers if not domains or each.system in domains)


def _patient(record: SourceRecord, numbers: tuple[PatientIdentifier, ...]) -> str:
    """Numbers of hospitals are the patient's, those of the country the person's."""
    own = [each for each in numbers if each.system not in _NATIONAL] or list(numbers[:1])
    others = [each for each in numbers if each not in own]
    ids = "".join(write_ii(each) for each in own) or '<id nullFlavor="UNK"/>'
    status = "active" if record.active else "nullified"
    match = (
        '<subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
        f'<value xsi:type="INT" value="{_CERTAIN}"/></queryMatchObservation></subjectOf1>'
    )
    person = write_person(record.demographics, others)
    return f'<patient classCode="PAT">{ids}<statusCode code="{status}"/>{person}{match}</patient>'


def _quantities(part: PatientsPart) -> str:
    """A number that nobody has counted is left out."""
    total, here = part.page.total, len(part.page.items)
    remaining = 0 if part.page.next is None else None if total is None else total - part.shown - here
    counts = (("resultTotalQuantity", total), ("resultCurrentQuantity", here), ("resultRemainingQuantity", remaining))
    return "".join(f'<{name} value="{number}"/>' for name, number in counts if number is not None)


def encode_end(ended: None, request: WireRequest) -> WireResponse:
    return acknowledgement(request)


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """In the answer's own words; who asks, and form, are faults."""
    if is_fault(exception) or message_of(request) is None:
        return fault(exception, request)
    return query_answer(request, ANSWER, failed(exception, PLACES))


def error_of_end(exception: Exception, request: WireRequest) -> WireResponse:
    if is_fault(exception) or message_of(request) is None:
        return fault(exception, request)
    return acknowledgement(request, *refusal(exception, PLACES))


TRANSACTION = Transaction(
    "ITI-47",
    "Patient Demographics Query HL7 V3",
    source=SOURCE,
    route=("POST", "/"),
    action=action_of(QUERY),
    command=QueryPatients,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
    family="pdq",
)
CONTINUATION = replace(
    TRANSACTION,
    title="Patient Demographics Query HL7 V3: continue",
    action=action_of(f"{CONTINUE}_Continue"),
    command=ContinuePatients,
    decode=decode_continuation,
)
END = replace(
    TRANSACTION,
    title="Patient Demographics Query HL7 V3: end",
    action=action_of(f"{CONTINUE}_Cancel"),
    command=EndPatients,
    decode=decode_end,
    encode=encode_end,
    error=error_of_end,
    discloses=False,
)
TRANSACTIONS = (TRANSACTION, CONTINUATION, END)
