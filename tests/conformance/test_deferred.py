"""A question for a patient that is answered later: acknowledged at once, decided then, sent where the list says."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from hie_node.jobs import carry_deferred
from registry.directory import PeerState
from tests.conformance.client import Client
from tests.conformance.hl7v3 import DEVICE, code, details, message
from tests.conformance.soap import HL7, NS, SoapAnswer, envelope, refuse_faulty
from tests.conformance.test_gateways import Gateway, discovery, gateway, matched
from tests.conformance.test_soap_mutations import mutated

__all__ = ["gateway"]

ACTION = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery"
ANSWER = "urn:hl7-org:v3:PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery"


ENTITY = '<entityRsp classCode="DEV" determinerCode="INSTANCE"><id root="2.25.8"/></entityRsp>'


@dataclass
class Inbox:
    """The asking gateway's own address for answers: what came, and what it says to that."""

    gateway: Gateway
    says: str = "CA"
    status: int = 200
    came: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gateway.own.door.application = self.takes

    def takes(self, environ: Any, start_response: Any) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else environ["wsgi.input"].read()
        self.came.append((environ["PATH_INFO"], etree.parse(io.BytesIO(body)).getroot()))
        start_response(f"{self.status} x", [("Content-Type", "application/soap+xml")])
        head = message("MCCI_IN000002UV01", "").partition("<controlActProcess")[0]
        told = f'<acknowledgement><typeCode code="{self.says}"/><targetMessage><id root="2.25.1"/></targetMessage>'
        return [envelope("urn:hl7-org:v3:MCCI_IN000002UV01", f"{head}{told}</acknowledgement></MCCI_IN000002UV01>")]

    def payloads(self) -> list[Any]:
        return [root.find("s:Body", NS)[0] for _, root in self.came]


def address(gateway: Gateway) -> str:
    return gateway.own.peer.peer_url + "/xcpd"


def question(gateway: Gateway, *, to: str | None = None, priority: str = "D", **how: Any) -> str:
    to = address(gateway) if to is None else to
    respond = f'<respondTo typeCode="RSP"><telecom value="{to}"/>{ENTITY}</respondTo>' if to else ""
    body = discovery(gateway.own, **how)
    body = body.replace('<sender typeCode="SND">', f'{respond}<sender typeCode="SND">')
    assert DEVICE in body
    return body.replace('responsePriorityCode code="I"', f'responsePriorityCode code="{priority}"')


def defers(gateway: Gateway, **how: Any) -> SoapAnswer:
    body = question(gateway, **how)
    refuse_faulty(etree.fromstring(body))
    return gateway.sends("/xcpd", ACTION, body)


def test_a_question_is_acknowledged_at_once_and_answered_later(gateway: Gateway) -> None:
    inbox = Inbox(gateway)
    taken = defers(gateway)
    assert (taken.status, code(taken), inbox.came) == (200, "CA", [])
    assert etree.QName(taken.body).localname == "MCCI_IN000002UV01"
    assert gateway.holder.rows(transaction="ITI-55") == [], "nothing is disclosed yet"
    carry_deferred(gateway.holder.house)
    ((path, root),) = inbox.came
    assert (path, root.findtext("s:Header/a:Action", "", NS)) == ("/xcpd", ANSWER)
    assert root.findtext("s:Header/a:RelatesTo", "", NS) == "urn:uuid:1"
    assert root.find("s:Header/{*}Security/{*}Assertion", NS) is not None
    (payload,) = inbox.payloads()
    refuse_faulty(payload)
    found = SoapAnswer(200, {}, root)
    assert matched(found)[1] == "A1"
    assert found.envelope.find(".//h:acknowledgement/h:targetMessage/h:id", NS).get("extension") == "m1"
    (row,) = gateway.holder.rows(transaction="ITI-55", direction="disclosed")
    assert row.other == gateway.own.home
    carry_deferred(gateway.holder.house)
    assert len(inbox.came) == 1


def test_an_answer_is_decided_when_it_is_sent(gateway: Gateway) -> None:
    inbox = Inbox(gateway)
    assert code(defers(gateway)) == "CA"
    client = Client(gateway.holder)
    for one in client.get("/fhir/Consent", patient=f"Patient/{_record_id(client)}").resources:
        assert client("DELETE", f"/fhir/Consent/{one['id']}").status in (200, 204)
    carry_deferred(gateway.holder.house)
    (payload,) = inbox.payloads()
    assert payload.find(".//h:queryResponseCode", NS).get("code") == "NF"
    assert gateway.holder.rows(transaction="ITI-55", direction="disclosed") == []


def _record_id(client: Client) -> str:
    return str(client.get("/fhir/Patient", identifier=f"{client.system}|A1").resources[0]["id"])


@pytest.mark.parametrize("to", ["https://192.0.2.1/steal", "http://127.0.0.1:1/x", "{own}/other", "{holder}/xcpd", ""])
def test_an_answer_goes_nowhere_but_where_the_directory_says(gateway: Gateway, to: str) -> None:
    inbox = Inbox(gateway)
    there = to.format(own=gateway.own.peer.peer_url, holder=gateway.holder.peer.peer_url)
    refused = defers(gateway, to=there)
    assert (refused.status, code(refused)) == (200, "CE")
    assert not there or there.encode() not in etree.tostring(refused.envelope)
    carry_deferred(gateway.holder.house)
    assert inbox.came == []


def test_a_question_that_cannot_be_answered_is_refused_at_once(gateway: Gateway) -> None:
    assert details(defers(gateway, priority="I"))[0][0] == "103"
    assert details(defers(gateway, name=None, number=None))[0][0] == "102"
    two = question(gateway).replace(
        "<respondTo", '<respondTo typeCode="RSP"><telecom value="x"/></respondTo><respondTo'
    )
    assert code(gateway.sends("/xcpd", ACTION, two)) == "CE"
    unsolicited = gateway.sends("/xcpd", ANSWER, f'<PRPA_IN201306UV02 xmlns="{HL7}"/>')
    assert (unsolicited.status, code(unsolicited)) == (200, "CE"), "nobody asked"


def test_a_broken_question_is_answered_or_refused(gateway: Gateway) -> None:
    chance = random.Random(56)
    for _ in range(60):
        broken = mutated(question(gateway).encode(), chance).decode()
        answer = gateway.sends("/xcpd", ACTION, broken, check=False)
        assert answer.status < 500, broken
        assert answer.all(".//s:Fault") or code(answer) in ("CA", "CE"), broken


def test_an_answer_that_was_not_taken_is_tried_again_and_a_refused_one_is_not(gateway: Gateway) -> None:
    inbox = Inbox(gateway, status=503)
    assert code(defers(gateway)) == "CA"
    carry_deferred(gateway.holder.house)
    inbox.status = 200
    gateway.own.lab.clock.moves(by=timedelta(minutes=1))
    carry_deferred(gateway.holder.house)
    assert len(inbox.came) == 2
    inbox.says = "CE"
    assert code(defers(gateway)) == "CA"
    for _ in range(2):
        carry_deferred(gateway.holder.house)
        gateway.own.lab.clock.moves(by=timedelta(minutes=1))
    assert len(inbox.came) == 3


def test_the_same_question_again_is_answered_once(gateway: Gateway) -> None:
    inbox = Inbox(gateway)
    for _ in range(3):
        assert code(defers(gateway)) == "CA"
    carry_deferred(gateway.holder.house)
    assert len(inbox.came) == 1


def test_a_gateway_that_takes_no_answers_is_not_bothered_again(gateway: Gateway) -> None:
    """This node itself is one: it refuses an answer to a question that it never asked."""
    assert code(defers(gateway)) == "CA"
    for _ in range(2):
        carry_deferred(gateway.holder.house)
        gateway.own.lab.clock.moves(by=timedelta(minutes=1))
    assert len(gateway.holder.rows(transaction="ITI-55", direction="disclosed")) == 1


def test_nobody_is_answered_after_a_day_or_when_they_are_out_of_the_network(gateway: Gateway) -> None:
    inbox = Inbox(gateway, status=503)
    assert code(defers(gateway)) == "CA"
    carry_deferred(gateway.holder.house)
    gateway.own.lab.clock.moves(by=timedelta(hours=25))
    carry_deferred(gateway.holder.house)
    assert len(inbox.came) == 1
    assert code(defers(gateway)) == "CA"
    gateway.own.lab.lists(replace(gateway.own.peer, state=PeerState.SUSPENDED))
    carry_deferred(gateway.holder.house)
    assert len(inbox.came) == 1


def test_what_waits_is_sealed(gateway: Gateway) -> None:
    assert code(defers(gateway)) == "CA"
    folder = gateway.holder.house.settings.home
    everything = b"".join(path.read_bytes() for path in folder.glob("node.db*"))
    assert b"deferred-discovery" in everything
    assert b"livingSubjectName" not in everything
