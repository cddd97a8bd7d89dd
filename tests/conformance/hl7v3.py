"""Messages of HL7 version 3 as a foreign system of the hospital writes them, each held against its schema."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from tests.conformance.soap import HL7, NS, SoapAnswer, SoapClient, refuse_faulty, schema

NATIONAL_OID = "2.25.241241039401945507851549157743366102887"
DEVICE = 'classCode="DEV" determinerCode="INSTANCE"'
ADD, REVISE, MERGE = "PRPA_IN201301UV02", "PRPA_IN201302UV02", "PRPA_IN201304UV02"
PIX, PDQ, CONTINUE = "PRPA_IN201309UV02", "PRPA_IN201305UV02", "QUQI_IN000003UV01"


def action(interaction: str) -> str:
    return f"urn:hl7-org:v3:{interaction}"


def message(interaction: str, inside: str, *, name: str = "", acknowledges: str = "") -> str:
    name = name or interaction
    return (
        f'<{name} xmlns="{HL7}" ITSVersion="XML_1.0"><id root="2.25.1" extension="m1"/>'
        f'<creationTime value="20260503"/><interactionId root="2.16.840.1.113883.1.6" extension="{interaction}"/>'
        '<processingCode code="P"/><processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f'<receiver typeCode="RCV"><device {DEVICE}><id root="2.25.9"/></device></receiver>'
        f'<sender typeCode="SND"><device {DEVICE}><id root="2.25.8"/></device></sender>{acknowledges}'
        f'<controlActProcess classCode="CACT" moodCode="EVN"><code code="{interaction.replace("_IN", "_TE")}" '
        f'codeSystem="2.16.840.1.113883.1.6"/>{inside}</controlActProcess></{name}>'
    )


def person(
    name: str = "Nguyễn|Văn Mẫu", *, born: str = "19900501", gender: str = "M", other: str = "", more: str = ""
) -> str:
    """patientPerson; `other` is a personal number."""
    family, _, given = name.partition("|")
    ids = ""
    if other:
        scope = f'<scopingOrganization classCode="ORG" determinerCode="INSTANCE"><id root="{NATIONAL_OID}"/>'
        ids = f'<asOtherIDs classCode="CIT"><id root="{NATIONAL_OID}" extension="{other}"/>{scope}'
        ids += "</scopingOrganization></asOtherIDs>"
    birth = f'<birthTime value="{born}"/>' if born else ""
    sex = f'<administrativeGenderCode code="{gender}"/>' if gender else ""
    return (
        '<patientPerson classCode="PSN" determinerCode="INSTANCE">'
        f"<name><family>{escape(family)}</family><given>{escape(given)}</given></name>{sex}{birth}{more}{ids}"
        "</patientPerson>"
    )


def registered(soap: SoapClient, number: str, inside: str, *, replaces: str = "", root: str = "") -> str:
    """The subject of a feed."""
    root = root or soap.authority
    provider = f'<providerOrganization classCode="ORG" determinerCode="INSTANCE"><id root="{root}"/>'
    provider += '<contactParty classCode="CON"><telecom value="tel:+84222"/></contactParty></providerOrganization>'
    prior = ""
    if replaces:
        role = f'<priorRegisteredRole classCode="PAT"><id root="{soap.authority}" extension="{replaces}"/>'
        prior = '<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN">'
        prior += f'<statusCode code="obsolete"/><subject1 typeCode="SBJ">{role}</priorRegisteredRole></subject1>'
        prior += "</priorRegistration></replacementOf>"
    return (
        '<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><statusCode code="active"/>'
        f'<subject1 typeCode="SBJ"><patient classCode="PAT"><id root="{root}" extension="{number}"/>'
        f'<statusCode code="active"/>{inside}{provider}</patient></subject1><custodian typeCode="CST">'
        f'<assignedEntity classCode="ASSIGNED"><id root="{soap.authority}"/></assignedEntity></custodian>{prior}'
        "</registrationEvent></subject>"
    )


def sends(soap: SoapClient, interaction: str, inside: str, *, check: bool = True) -> SoapAnswer:
    body = message(interaction, inside)
    if check:
        refuse_faulty(etree.fromstring(body))
    path = "/pdq" if interaction == PDQ else "/pix"
    return soap.asks(path, action(interaction), body)


def feeds(soap: SoapClient, number: str, inside: str, *, interaction: str = ADD, **how: Any) -> SoapAnswer:
    return sends(soap, interaction, registered(soap, number, inside, **how))


def pix(soap: SoapClient, number: str, *sources: str, root: str = "", check: bool = True) -> SoapAnswer:
    """ITI-45."""
    wanted = "".join(
        f'<dataSource><value root="{each}"/><semanticsText>D</semanticsText></dataSource>' for each in sources
    )
    value = f'<value root="{root or soap.authority}" extension="{number}"/>'
    inside = (
        '<queryByParameter><queryId root="2.25.1" extension="q1"/><statusCode code="new"/>'
        f'<responsePriorityCode code="I"/><parameterList>{wanted}<patientIdentifier>{value}'
        "<semanticsText>P</semanticsText></patientIdentifier></parameterList></queryByParameter>"
    )
    return sends(soap, PIX, inside, check=check)


def parameter(name: str, value: str) -> str:
    return f"<{name}>{value}<semanticsText>S</semanticsText></{name}>"


def named(*parts: str) -> str:
    inside = "".join(f"<{part}>{text}</{part}>" for part, text in zip(("family", "given"), parts, strict=False))
    return parameter("livingSubjectName", f"<value>{inside}</value>")


def pdq(
    soap: SoapClient, *parameters: str, query_id: str = "q1", at_once: int | None = None, check: bool = True
) -> SoapAnswer:
    """ITI-47."""
    quantity = f'<initialQuantity value="{at_once}"/>' if at_once is not None else ""
    inside = (
        f'<queryByParameter><queryId root="2.25.1" extension="{query_id}"/><statusCode code="new"/>'
        f'<responseModalityCode code="R"/><responsePriorityCode code="I"/>{quantity}'
        f"<parameterList>{''.join(sorted(parameters))}</parameterList></queryByParameter>"
    )
    return sends(soap, PDQ, inside, check=check)


def goes_on(
    soap: SoapClient, *, query_id: str = "q1", start: int | None = None, count: int | None = None, end: bool = False
) -> SoapAnswer:
    """QUQI_IN000003UV01: continue, or end."""
    inside = (
        f'<queryContinuation><queryId root="2.25.1" extension="{query_id}"/>'
        + (f'<startResultNumber value="{start}"/>' if start is not None else "")
        + (f'<continuationQuantity value="{count}"/>' if count is not None else "")
        + f'<statusCode code="{"aborted" if end else "waitContinuedQueryResponse"}"/></queryContinuation>'
    )
    acknowledges = '<acknowledgement><typeCode code="AA"/><targetMessage><id root="2.25.3"/></targetMessage>'
    body = message(
        CONTINUE, inside, name=f"{CONTINUE}_Cancel" if end else "", acknowledges=f"{acknowledges}</acknowledgement>"
    )
    official = schema(f"hl7v3/ne2008/multicacheschemas/{CONTINUE}.xsd")
    if official is not None:
        official.assertValid(etree.fromstring(body))
    return soap.asks("/pdq", action(f"{CONTINUE}_{'Cancel' if end else 'Continue'}"), body)


# ---- what comes back ----


def code(answer: SoapAnswer) -> str:
    return str(answer.envelope.find(".//h:acknowledgement/h:typeCode", NS).get("code"))


def response(answer: SoapAnswer) -> str:
    return str(answer.envelope.find(".//h:queryAck/h:queryResponseCode", NS).get("code"))


def details(answer: SoapAnswer) -> list[tuple[str, str]]:
    """Number and place of each error."""
    found = answer.all(".//h:acknowledgementDetail")
    return [(one.find("h:code", NS).get("code"), one.findtext("h:location", "", NS)) for one in found]


def numbers(answer: SoapAnswer) -> list[list[str]]:
    """Of each patient all numbers, those of other authorities as well."""
    return [
        [each.get("extension") for each in one.iterfind(".//h:id", NS) if each.get("extension")]
        for one in answer.all(".//h:subject1/h:patient")
    ]


def quantities(answer: SoapAnswer) -> list[int]:
    """In all, here, still to come."""
    names = ("Total", "Current", "Remaining")
    return [int(answer.envelope.find(f".//h:queryAck/h:result{name}Quantity", NS).get("value")) for name in names]
