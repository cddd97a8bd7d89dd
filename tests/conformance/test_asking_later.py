"""This node asks a hospital that answers later: the line says so, the answer is taken once and from that hospital."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree
from sqlalchemy import select

from adapters.store.schema import correlation
from hie_node.jobs import carry_deferred, forget
from registry.directory import PeerState
from registry.errors import InvalidValue
from tests.conformance.client import Client, consent
from tests.conformance.hl7v3 import code, details
from tests.conformance.soap import HL7, NS, SoapAnswer, SoapClient, refuse_faulty
from tests.conformance.test_deferred import ANSWER, Inbox
from tests.conformance.test_gateways import Gateway, gateway, holds
from tests.conformance.test_soap_mutations import mutated
from tests.lab import Hospital

__all__ = ["gateway"]

_LEARNT = select(correlation.c.body).where(correlation.c.told.is_(False))


@pytest.fixture
def later(gateway: Gateway) -> Gateway:
    """Bắc Ninh, which answers later, holds a document of A1; Bạch Mai asks."""
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"xca"}), defers=True))
    return gateway


def asks(gateway: Gateway) -> SoapAnswer:
    return SoapClient(gateway.own).finds("A1", path="/xca/initiating")


def line(gateway: Gateway) -> str:
    """What a doctor of Bạch Mai reads of Bắc Ninh."""
    client = Client(gateway.own)
    form = {"patient.identifier": f"{client.system}|A1"}
    found = client.get("/network/fhir/DocumentReference", **form)
    issues = [one for one in found.bundle["entry"] if one["resource"]["resourceType"] == "OperationOutcome"]
    told = {
        each["extension"][0]["valueOid"]: each["details"]["coding"][0]["code"]
        for one in issues
        for each in one["resource"]["issue"]
        if "extension" in each
    }
    return str(told[str(gateway.holder.home)])


def caught(hospital: Hospital) -> list[Any]:
    """Payloads that come to the door of a hospital from now on."""
    came: list[Any] = []
    answers = hospital.door.application
    assert answers is not None

    def listening(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"] == "/xcpd":
            came.append(etree.fromstring(body).find("s:Body", NS)[0])
        return answers({**environ, "wsgi.input": io.BytesIO(body)}, start_response)

    hospital.door.application = listening
    return came


def test_the_answer_comes_later_and_then_everything_is_found(later: Gateway) -> None:
    document = holds(later)
    came = caught(later.holder)
    first = asks(later)
    assert (first.unique_ids, first.codes, first.outcome) == ([], ["XDSUnavailableCommunity"], "PartialSuccess")
    assert first.all(".//rs:RegistryError")[0].get("location") == str(later.holder.home)
    (question,) = came
    refuse_faulty(question)
    assert question.find(".//h:responsePriorityCode", NS).get("code") == "D"
    assert question.find("h:respondTo/h:telecom", NS).get("value") == later.own.peer.peer_url + "/xcpd"
    assert asks(later).codes == ["XDSUnavailableCommunity"]
    assert len(came) == 1, "what was taken is not asked twice"
    carry_deferred(later.holder.house)
    found = asks(later)
    assert (found.unique_ids, found.codes, found.outcome) == ([document.unique_id], [], "Success")
    (told,) = later.own.rows(transaction="ITI-55", direction="received")
    (shown,) = later.holder.rows(transaction="ITI-55", direction="disclosed")
    assert (told.direction, told.other, told.exchange) == ("received", later.holder.home, shown.exchange)
    assert told.record_id is not None


def test_nobody_is_told_that_all_is_there_while_an_answer_is_awaited(later: Gateway) -> None:
    holds(later)
    assert line(later) == "deferred"
    assert line(later) == "deferred"
    carry_deferred(later.holder.house)
    assert line(later) == "answered"


def test_a_stranger_there_is_withheld_for_an_hour_and_then_asked_for_again(later: Gateway) -> None:
    for one in Client(later.holder).get("/fhir/Consent").resources:
        assert Client(later.holder)("DELETE", f"/fhir/Consent/{one['id']}").status in (200, 204)
    came = caught(later.holder)
    assert line(later) == "deferred"
    carry_deferred(later.holder.house)
    assert [line(later), line(later)] == ["withheld", "withheld"]
    assert len(came) == 1
    later.own.lab.clock.moves(by=timedelta(minutes=61))
    assert (line(later), len(came)) == ("deferred", 2)


def test_a_request_that_is_signed_meanwhile_is_another_question(later: Gateway) -> None:
    holds(later)
    came = caught(later.holder)
    assert line(later) == "deferred"
    own, holder = Client(later.own), Client(later.holder)
    signed = own("POST", "/fhir/Consent", consent(own.subject("A1"), holder.community, own.community))
    assert signed.status == 201
    assert (line(later), len(came)) == ("deferred", 2)
    carry_deferred(later.holder.house)
    assert line(later) == "answered"


def test_a_question_that_was_not_taken_is_sent_again_as_the_same(later: Gateway) -> None:
    holds(later)
    came = caught(later.holder)
    answers = later.holder.door.application

    def lost(environ: Any, start_response: Any) -> Any:
        assert answers is not None
        list(answers(environ, lambda *_: None))
        start_response("503 x", [("Content-Type", "text/plain")])
        return [b""]

    later.holder.door.application = lost
    assert line(later) == "broken"
    later.holder.door.application = answers
    assert line(later) == "deferred"
    assert len({one.find("h:id", NS).get("root") for one in came}) == 1
    carry_deferred(later.holder.house)
    assert len(later.own.rows(transaction="ITI-55", direction="received")) == 1
    assert line(later) == "answered"


def test_a_hospital_that_refuses_the_question_is_not_waited_for(later: Gateway) -> None:
    inbox = Inbox(from_holder(later), says="CE")
    assert [line(later), line(later)] == ["broken", "broken"]
    inbox.says = "CR"
    assert [line(later), line(later)] == ["broken", "broken"]
    inbox.says = "CA"
    assert [line(later), line(later)] == ["deferred", "deferred"]
    ids = [one.find("h:id", NS).get("root") for one in inbox.payloads()]
    assert len(ids) == 5
    assert len(set(ids)) == 3, "what was refused is put anew, what was not taken is sent again"


# ---- the answer, as a hostile hospital sends it ----


def open_question(later: Gateway) -> str:
    """The id of a question that Bạch Mai has put to Bắc Ninh."""
    came = caught(later.holder)
    assert line(later) == "deferred"
    return str(came[0].find("h:id", NS).get("root"))


def late(
    question: str, *, home: str, number: str = "A1", target: str | None = None, response: str = "OK", ack: str = "AA"
) -> str:
    """PRPA_IN201306UV02 as IHE has it."""
    device = 'classCode="DEV" determinerCode="INSTANCE"'
    subject = (
        '<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><statusCode code="active"/>'
        f'<subject1 typeCode="SBJ"><patient classCode="PAT"><id root="2.25.7" extension="{number}"/>'
        '<statusCode code="active"/><patientPerson classCode="PSN" determinerCode="INSTANCE"><name nullFlavor="NA"/>'
        '</patientPerson><subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
        '<value xsi:type="INT" value="100"/></queryMatchObservation></subjectOf1></patient></subject1>'
        '<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">'
        f'<id root="{home.removeprefix("urn:oid:")}"/></assignedEntity></custodian></registrationEvent></subject>'
    )
    return (
        f'<PRPA_IN201306UV02 xmlns="{HL7}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ITSVersion="XML_1.0">'
        f'<id root="{uuid4()}"/><creationTime value="20260503"/>'
        '<interactionId root="2.16.840.1.113883.1.6" extension="PRPA_IN201306UV02"/><processingCode code="P"/>'
        '<processingModeCode code="T"/><acceptAckCode code="NE"/>'
        f'<receiver typeCode="RCV"><device {device}><id root="2.25.9"/></device></receiver>'
        f'<sender typeCode="SND"><device {device}><id root="2.25.8"/></device></sender>'
        f'<acknowledgement><typeCode code="{ack}"/><targetMessage><id root="{target or question}"/></targetMessage>'
        '</acknowledgement><controlActProcess classCode="CACT" moodCode="EVN"><code code="PRPA_TE201306UV02" '
        f'codeSystem="2.16.840.1.113883.1.6"/>{subject if response == "OK" else ""}<queryAck><queryId '
        f'root="{question}"/><statusCode code="deliveredResponse"/><queryResponseCode code="{response}"/></queryAck>'
        "</controlActProcess></PRPA_IN201306UV02>"
    )


def from_holder(later: Gateway) -> Gateway:
    """Bắc Ninh's own program, and the door of Bạch Mai."""
    return Gateway(later.holder, later.own)


def learnt(later: Gateway) -> list[str]:
    """Numbers that Bắc Ninh is believed to have told."""
    hospital = later.own
    with hospital.house.storage.read() as unit:
        rows = unit._connection.execute(_LEARNT, {}).all()
    return [row.body for row in rows]


def test_an_answer_is_taken_once_and_its_like_changes_nothing(later: Gateway) -> None:
    question, answers = open_question(later), from_holder(later)
    body = late(question, home=str(later.holder.home))
    refuse_faulty(etree.fromstring(body))
    for _ in range(2):
        assert code(answers.sends("/xcpd", ANSWER, body)) == "CA"
    assert len(learnt(later)) == 1
    other = answers.sends("/xcpd", ANSWER, late(question, home=str(later.holder.home), number="B1"))
    assert (other.status, code(other)) == (200, "CE")
    (kept,) = learnt(later)
    assert '"A1"' in kept


@pytest.mark.parametrize("response", ["NF", "AE"])
def test_an_answer_without_a_number_ends_the_question(later: Gateway, response: str) -> None:
    question, answers = open_question(later), from_holder(later)
    body = late(question, home=str(later.holder.home), response=response, ack="AE" if response == "AE" else "AA")
    assert code(answers.sends("/xcpd", ANSWER, body)) == "CA"
    number = late(question, home=str(later.holder.home))
    assert code(answers.sends("/xcpd", ANSWER, number)) == "CE"
    assert learnt(later) == []
    assert line(later) == {"NF": "withheld", "AE": "deferred"}[response]


def test_an_answer_that_nobody_waits_for_is_refused(later: Gateway) -> None:
    question, answers = open_question(later), from_holder(later)
    home = str(later.holder.home)
    for body in (
        late(str(uuid4()), home=home),
        late(question, home=home, target=str(uuid4())),
        late(question, home=str(later.own.home)),
        late(question, home=home).replace(question, ""),
        late(question, home=home).replace("<custodian", "<custodia").replace("</custodian", "</custodia"),
        late(question, home=home, number=""),
        f'<PRPA_IN201306UV02 xmlns="{HL7}"/>',
    ):
        refused = answers.sends("/xcpd", ANSWER, body)
        assert (refused.status, code(refused)) == (200, "CE"), body
        assert details(refused)
    assert learnt(later) == []
    assert answers.sends("/xcpd", ANSWER, f'<MCCI_IN000002UV01 xmlns="{HL7}"/>').status == 400
    assert code(answers.sends("/xcpd", ANSWER, late(question, home=home))) == "CA"


def test_an_answer_of_another_hospital_is_refused(later: Gateway) -> None:
    question = open_question(later)
    third = later.own.lab.hospital("thai-nguyen")
    for home in (later.holder.home, third.home):
        refused = Gateway(third, later.own).sends("/xcpd", ANSWER, late(question, home=str(home)))
        assert (refused.status, code(refused)) == (200, "CE")
    bare = from_holder(later).posts(
        "/xcpd", "application/soap+xml", late(question, home=str(later.holder.home)).encode(), certificate=b""
    )
    assert bare.status == 401
    later.own.lab.lists(replace(later.holder.peer, state=PeerState.SUSPENDED))
    suspended = from_holder(later).sends("/xcpd", ANSWER, late(question, home=str(later.holder.home)))
    assert suspended.status == 401
    assert learnt(later) == []


def test_after_a_day_nobody_waits_and_the_patient_is_asked_for_again(later: Gateway) -> None:
    question, answers = open_question(later), from_holder(later)
    came = caught(later.holder)
    later.own.lab.clock.moves(by=timedelta(hours=24, seconds=1))
    assert code(answers.sends("/xcpd", ANSWER, late(question, home=str(later.holder.home)))) == "CE"
    forget(later.own.house)
    assert (line(later), len(came)) == ("deferred", 1)
    assert came[0].find("h:id", NS).get("root") != question
    assert code(answers.sends("/xcpd", ANSWER, late(question, home=str(later.holder.home)))) == "CE"


def test_who_is_erased_is_not_waited_for(later: Gateway) -> None:
    question, answers = open_question(later), from_holder(later)
    with later.own.house.storage.begin() as unit:
        (record_id,) = {row.record_id for row in later.own.rows(direction="asked") if row.record_id}
        unit.erasing.erase(record_id)
    assert code(answers.sends("/xcpd", ANSWER, late(question, home=str(later.holder.home)))) == "CE"


def test_a_broken_answer_is_refused_and_never_a_fault_of_ours(later: Gateway) -> None:
    question, answers = open_question(later), from_holder(later)
    chance = random.Random(57)
    for _ in range(80):
        broken = mutated(late(question, home=str(later.holder.home)).encode(), chance).decode()
        answer = answers.sends("/xcpd", ANSWER, broken, check=False)
        assert answer.status < 500, broken
        assert answer.all(".//s:Fault") or code(answer) in ("CA", "CE"), broken


def test_only_a_gateway_can_be_one_that_answers_later(later: Gateway) -> None:
    with pytest.raises(InvalidValue, match="defers"):
        replace(later.holder.peer, speaks=frozenset({"fhir"}))
