"""ITI-55 Cross Gateway Patient Discovery: under which number is this person known to you?

The answer repeats what the question said of the person and adds nothing but the number.

Source: IHE ITI TF-2: 3.55
"""

from __future__ import annotations

from datetime import UTC, datetime

from lxml import etree

from adapters.soap.datatypes import oid_of, write_dtm
from adapters.soap.envelope import text
from adapters.soap.faults import fault, is_fault, message_of, respond
from adapters.soap.hl7v3 import (
    CODES,
    INTERACTIONS,
    h,
    open_tag,
    read_described,
    read_wrapper,
    write_head,
    write_ii,
    write_name,
)
from adapters.soap.messages import payload
from adapters.soap.names import HL7
from adapters.transactions import PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.commands import Discovered, DiscoverPatient
from registry.errors import InvalidValue
from registry.identifiers import PatientIdentifier
from registry.people import PatientInQuestion

ACTION = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
ANSWER = "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery"
LOCATOR = "1.3.6.1.4.1.19376.1.2.27.2"
REQUESTED, MANAGEMENT = "1.3.6.1.4.1.19376.1.2.27.1", "1.3.6.1.4.1.19376.1.2.27.3"
_CERTAIN = 100


def decode(request: WireRequest) -> DiscoverPatient:
    message = payload(request, HL7, "PRPA_IN201305UV02")
    parameters = h(message.body, "controlActProcess/queryByParameter/parameterList")
    if parameters is None:
        raise InvalidValue("parameterList", expected="a description of the patient")
    wanted = read_described(parameters)
    known = wanted.demographics
    if not wanted.identifiers and (known.name is None or known.birth_date is None):
        raise InvalidValue("parameterList", expected="livingSubjectName and livingSubjectBirthTime, or livingSubjectId")
    request.kept.update(wanted=wanted, question=f"{known.birth_date or ''} {len(wanted.identifiers)} identifiers")
    return DiscoverPatient(wanted)


def encode(found: Discovered, request: WireRequest) -> WireResponse:
    if found.number is not None:
        return _answer(request, "AA", "OK", subject=_match(found.number, request))
    if found.ambiguous:
        more = "LivingSubjectAdministrativeGenderRequested"
        return _answer(request, "AA", "OK", reason=_issue("actOrderRequired", more, REQUESTED))
    return _answer(request, "AA", "NF")


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """What is wrong with the question is said in the answer's own words; who asks, and form, are faults."""
    if is_fault(exception) or message_of(request) is None:
        return fault(exception, request)
    busy = "AnswerNotAvailable" if isinstance(exception, InvalidValue) else "ResponderBusy"
    return _answer(request, "AE", "AE", reason=_issue("detectedIssueManagement", busy, MANAGEMENT))


def _answer(request: WireRequest, code: str, response: str, *, subject: str = "", reason: str = "") -> WireResponse:
    message = message_of(request)
    assert message is not None
    wrapper, query = read_wrapper(message.body), h(message.body, "controlActProcess/queryByParameter")
    head = write_head(
        "PRPA_IN201306UV02",
        home=request.home,
        receiver=wrapper.sender or "0.0",
        acknowledges=wrapper,
        moment=write_dtm(datetime.now(UTC)),
        code=code,
    )
    body = (
        f'{open_tag("PRPA_IN201306UV02")}{head}<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="PRPA_TE201306UV02" codeSystem="{INTERACTIONS}"/>{subject}{reason}'
        f'<queryAck>{_query_id(query)}<queryResponseCode code="{response}"/></queryAck>{_echo(query)}'
        "</controlActProcess></PRPA_IN201306UV02>"
    )
    return respond(request, ANSWER, body)


def _query_id(query: XmlElement | None) -> str:
    found = h(query, "queryId")
    if found is None:
        return '<queryId nullFlavor="NI"/><statusCode code="aborted"/>'
    extension = f' extension="{text(found.get("extension"))}"' if found.get("extension") else ""
    return f'<queryId root="{text(found.get("root", ""))}"{extension}/><statusCode code="deliveredResponse"/>'


def _echo(query: XmlElement | None) -> str:
    if query is None:
        return ""
    written: str = etree.tostring(query, encoding="unicode", with_tail=False)
    return written


def _match(number: PatientIdentifier, request: WireRequest) -> str:
    wanted: PatientInQuestion = request.kept["wanted"]
    known, home = wanted.demographics, request.home.value.removeprefix("urn:oid:")
    name = write_name(known.name) if known.name else '<name nullFlavor="NA"/>'
    gender = f'<administrativeGenderCode code="{CODES[known.gender]}"/>' if known.gender in CODES else ""
    born = f'<birthTime value="{str(known.birth_date).replace("-", "")}"/>' if known.birth_date else ""
    authority = oid_of(number.system) or home
    person = (
        f'<patientPerson classCode="PSN" determinerCode="INSTANCE">{name}{gender}{born}</patientPerson>'
        '<providerOrganization classCode="ORG" determinerCode="INSTANCE">'
        f'<id root="{authority}"/><contactParty classCode="CON"/></providerOrganization>'
        '<subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
        f'<value xsi:type="INT" value="{_CERTAIN}"/></queryMatchObservation></subjectOf1>'
    )
    custodian = (
        f'<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED"><id root="{home}"/>'
        f'<code code="NotHealthDataLocator" codeSystem="{LOCATOR}"/></assignedEntity></custodian>'
    )
    return (
        '<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><id nullFlavor="NA"/>'
        '<statusCode code="active"/><subject1 typeCode="SBJ"><patient classCode="PAT">'
        f'{write_ii(number)}<statusCode code="active"/>{person}</patient></subject1>{custodian}'
        "</registrationEvent></subject>"
    )


def _issue(kind: str, code: str, system: str) -> str:
    """Why there is no match: what more is wanted (triggerFor), or what went wrong (mitigatedBy)."""
    act = f'<{kind} classCode="ACT" moodCode="{"RQO" if kind == "actOrderRequired" else "EVN"}">'
    inside = f'{act}<code code="{code}" codeSystem="{system}"/></{kind}>'
    linked = (
        f'<triggerFor typeCode="TRIG">{inside}</triggerFor>'
        if kind == "actOrderRequired"
        else f'<mitigatedBy typeCode="MITGT">{inside}</mitigatedBy>'
    )
    return (
        '<reasonOf typeCode="RSON"><detectedIssueEvent classCode="ALRT" moodCode="EVN">'
        f'<code code="ActAdministrativeDetectedIssueCode" codeSystem="2.16.840.1.113883.5.4"/>{linked}'
        "</detectedIssueEvent></reasonOf>"
    )


TRANSACTION = Transaction(
    "ITI-55",
    "Cross Gateway Patient Discovery",
    source="IHE ITI TF-2: 3.55",
    route=("POST", "/"),
    action=ACTION,
    command=DiscoverPatient,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
    doors=PEER,
    family="xcpd",
)
