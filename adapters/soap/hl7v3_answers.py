"""What answers a message of HL7 version 3: an acknowledgement alone, or the answer to a query.

Errors have the numbers that HL7 v2 gives them, from the same table; a text never repeats what was found.

Source: HL7 v3 Normative Edition 2008 (MCCI_IN000002UV01, MFMI); IHE ITI TF-2: 3.44.4.1.3, 3.45.4.2.3, 3.47.4.2.3,
Appendix O; HL7 table 0357 (error codes), AcknowledgementType
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from adapters.hl7v2.ack import AE, AR, verdict
from adapters.soap.datatypes import write_dtm
from adapters.soap.envelope import text
from adapters.soap.errors import V3Refusal
from adapters.soap.faults import message_of, respond
from adapters.soap.hl7v3 import INTERACTIONS, Wrapper, h, open_tag, read_wrapper, write_head, write_id
from adapters.soap.names import HL7
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.errors import InvalidValue

ACKNOWLEDGEMENT = "MCCI_IN000002UV01"
ERROR_CODES = "2.16.840.1.113883.12.357"
_ACCEPT = {"AA": "CA", AE: "CE", AR: "CR"}


def action_of(interaction: str) -> str:
    """wsa:Action of an interaction. Source: IHE ITI TF-2: Appendix V, 3.44.5, 3.45.5, 3.47.5"""
    return f"urn:hl7-org:v3:{interaction}"


def acknowledgement(request: WireRequest, code: str = "AA", details: str = "") -> WireResponse:
    """MCCI_IN000002UV01: what became of a message that asks nothing; `code` as an application says it."""
    wrapper, _ = _asked(request)
    head = _head(request, wrapper, ACKNOWLEDGEMENT, _ACCEPT[code], details)
    return respond(request, action_of(ACKNOWLEDGEMENT), f"{open_tag(ACKNOWLEDGEMENT)}{head}</{ACKNOWLEDGEMENT}>")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a query: `code` of the message (AA, AE, AR), `response` of the query (OK, NF, AE).

    echo  the query is repeated as it came; not where it could not be read
    """

    code: str = "AA"
    response: str = "OK"
    details: str = ""
    echo: bool = True


FOUND, NOTHING_FOUND = Outcome(), Outcome(response="NF")


def query_answer(
    request: WireRequest,
    interaction: str,
    outcome: Outcome = FOUND,
    *,
    action: str = "",
    subjects: str = "",
    reason: str = "",
    quantities: str = "",
    query: XmlElement | None = None,
) -> WireResponse:
    """The answer to a query, sent as its answer. `query` where it is another than that of the message."""
    body = query_message(
        request, interaction, outcome, subjects=subjects, reason=reason, quantities=quantities, query=query
    )
    return respond(request, action or action_of(interaction), body)


def query_message(
    request: WireRequest,
    interaction: str,
    outcome: Outcome,
    *,
    subjects: str = "",
    reason: str = "",
    quantities: str = "",
    query: XmlElement | None = None,
) -> str:
    """The message that answers a query, however it travels."""
    wrapper, asked = _asked(request)
    query = asked if query is None else query
    trigger = interaction.replace("_IN", "_TE")
    return (
        f"{open_tag(interaction)}{_head(request, wrapper, interaction, outcome.code, outcome.details)}"
        f'<controlActProcess classCode="CACT" moodCode="EVN"><code code="{trigger}" codeSystem="{INTERACTIONS}"/>'
        f"{subjects}{reason}<queryAck>{_query_id(query)}"
        f'<queryResponseCode code="{outcome.response}"/>{quantities}</queryAck>'
        f"{_echo(query) if outcome.echo else ''}</controlActProcess></{interaction}>"
    )


def refusal(error: Exception, places: Mapping[type[Exception], str]) -> tuple[str, str]:
    """The code of the message and the detail of an error; `places` says which element an error is about."""
    place = next((places[kind] for kind in type(error).__mro__ if kind in places), "")
    if isinstance(error, V3Refusal):
        return AE, detail(error.number, error.told, location=error.location or place)
    judged = verdict(error)
    told = f"{error.element}: expected {error.expected}" if isinstance(error, InvalidValue) else judged.text
    return judged.code, detail(judged.number, told, location=place)


def failed(error: Exception, places: Mapping[type[Exception], str]) -> Outcome:
    """The outcome of a query that could not be answered."""
    code, details = refusal(error, places)
    return Outcome(code, "AE", details, echo=not isinstance(error, V3Refusal | InvalidValue))


def detail(number: int | None, told: str, *, severity: str = "E", location: str = "") -> str:
    """An acknowledgementDetail: E is an error, W a warning."""
    code = f'<code code="{number}" codeSystem="{ERROR_CODES}"/>' if number is not None else ""
    where = f"<location>{text(location)}</location>" if location else ""
    return (
        f'<acknowledgementDetail typeCode="{severity}">{code}<text>{text(told)}</text>{where}</acknowledgementDetail>'
    )


def _asked(request: WireRequest) -> tuple[Wrapper, XmlElement | None]:
    message = message_of(request)
    assert message is not None
    return read_wrapper(message.body), h(message.body, "controlActProcess/queryByParameter")


def _head(request: WireRequest, wrapper: Wrapper, interaction: str, code: str, details: str) -> str:
    return write_head(
        interaction,
        home=request.home,
        receiver=wrapper.sender,
        acknowledges=wrapper,
        moment=write_dtm(datetime.now(UTC)),
        code=code,
        details=details,
    )


def _query_id(query: XmlElement | None, status: str = "deliveredResponse") -> str:
    found = h(query, "queryId")
    if found is None:
        return '<queryId nullFlavor="NI"/><statusCode code="aborted"/>'
    return f'{write_id("queryId", found.get("root", ""), found.get("extension", ""))}<statusCode code="{status}"/>'


def _echo(query: XmlElement | None) -> str:
    if query is None or query.tag != f"{{{HL7}}}queryByParameter":
        return ""
    written: str = etree.tostring(query, encoding="unicode", with_tail=False)
    return written
