"""ITI-55 Cross Gateway Patient Discovery: under which number is this person known to you?

The answer repeats what the question said of the person and adds nothing but the number.

Source: IHE ITI TF-2: 3.55
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.soap.datatypes import oid_of
from adapters.soap.faults import fault, is_fault, message_of, respond
from adapters.soap.hl7v3 import CODES, h, write_ii, write_name
from adapters.soap.hl7v3_answers import FOUND, NOTHING_FOUND, Outcome, query_answer, query_message
from adapters.soap.hl7v3_patient import read_described
from adapters.soap.messages import payload
from adapters.soap.names import HL7
from adapters.transactions import PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Discovered, DiscoverPatient
from registry.errors import InvalidValue
from registry.identifiers import PatientIdentifier
from registry.people import PatientInQuestion

ACTION = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
ANSWER = "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery"
LOCATOR = "1.3.6.1.4.1.19376.1.2.27.2"
REQUESTED, MANAGEMENT = "1.3.6.1.4.1.19376.1.2.27.1", "1.3.6.1.4.1.19376.1.2.27.3"
MORE = {
    "gender": "LivingSubjectAdministrativeGenderRequested",
    "phones": "PatientTelecomRequested",
    "address": "PatientAddressRequested",
    "mothers_name": "MothersMaidenNameRequested",
}
"""What would tell several people apart, in the words of the profile. Source: IHE ITI TF-2: Table 3.55.4.2.2.6-1"""
_CERTAIN = 100


INTERACTION = "PRPA_IN201306UV02"


def decode(request: WireRequest) -> DiscoverPatient:
    return DiscoverPatient(wanted_patient(request))


def wanted_patient(request: WireRequest) -> PatientInQuestion:
    """Who is asked for. Raises InvalidValue where too little is said of them."""
    message = payload(request, HL7, "PRPA_IN201305UV02")
    parameters = h(message.body, "controlActProcess/queryByParameter/parameterList")
    if parameters is None:
        raise InvalidValue("parameterList", expected="a description of the patient")
    wanted = read_described(parameters)
    known = wanted.demographics
    if not wanted.identifiers and (known.name is None or known.birth_date is None):
        raise InvalidValue("parameterList", expected="livingSubjectName and livingSubjectBirthTime, or livingSubjectId")
    request.kept.update(wanted=wanted, question=f"{known.birth_date or ''} {len(wanted.identifiers)} identifiers")
    return wanted


def encode(found: Discovered, request: WireRequest) -> WireResponse:
    return respond(request, ANSWER, answer_message(found, request))


def answer_message(found: Discovered, request: WireRequest) -> str:
    """The answer, however it travels."""
    if found.number is not None:
        return query_message(request, INTERACTION, FOUND, subjects=_match(found.number, request))
    if not found.ambiguous:
        return query_message(request, INTERACTION, NOTHING_FOUND)
    known = request.kept["wanted"].demographics
    more = [code for name, code in MORE.items() if getattr(known, name) in (None, "unknown", ())]
    if more:
        return query_message(request, INTERACTION, FOUND, reason=_issue("actOrderRequired", more, REQUESTED))
    # several fit, and there is nothing left to ask for
    reason = _issue("detectedIssueManagement", ["AnswerNotAvailable"], MANAGEMENT)
    return query_message(request, INTERACTION, Outcome("AE", "AE"), reason=reason)


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """What is wrong with the question is said in the answer's own words; who asks, and form, are faults."""
    if is_fault(exception) or message_of(request) is None:
        return fault(exception, request)
    busy = "AnswerNotAvailable" if isinstance(exception, InvalidValue) else "ResponderBusy"
    reason = _issue("detectedIssueManagement", [busy], MANAGEMENT)
    return query_answer(request, INTERACTION, Outcome("AE", "AE"), action=ANSWER, reason=reason)


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


def _issue(kind: str, codes: Sequence[str], system: str) -> str:
    """Why there is no match: what more is wanted (triggerFor), or what went wrong (mitigatedBy)."""
    mood = "RQO" if kind == "actOrderRequired" else "EVN"
    tag, link = ("triggerFor", "TRIG") if kind == "actOrderRequired" else ("mitigatedBy", "MITGT")
    linked = "".join(
        f'<{tag} typeCode="{link}"><{kind} classCode="ACT" moodCode="{mood}">'
        f'<code code="{code}" codeSystem="{system}"/></{kind}></{tag}>'
        for code in codes
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
