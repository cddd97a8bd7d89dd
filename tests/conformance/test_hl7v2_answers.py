"""Every kind of message that the HL7 door emits, in every version that it hears, holds for two foreign libraries."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.hl7v2.ack import CODES, Sender, answers
from adapters.hl7v2.ack import Verdict as Judgement
from adapters.hl7v2.message import Delimiters
from hie_node.hl7v2 import refuse
from registry.errors import TooLarge
from tests.conformance.client import Client
from tests.conformance.hl7v2 import faults, refuse_faulty
from tests.house.hospital import Hospital, written
from tests.house.test_hl7v2 import adt, sample
from tests.papers import LAN, ct_report

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2", "2.9")
ASKED_IN = VERSIONS[VERSIONS.index("2.4") :]
"""Since when there are QBP and RSP."""
ORDERED_IN = {"ORM^O01": VERSIONS[: VERSIONS.index("2.7")], "OMG^O19": ASKED_IN}
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
MODES = ("|", "AL|AL", "AL|NE", "ER|ER", "SU|AL")


def in_version(message: bytes, version: str, mode: str = "|") -> bytes:
    """The same message, said in another version, with what its sender wants to hear."""
    found = message.replace(b"|P|2.5|||||", f"|P|{version}|||{mode}|".encode())
    assert found != message or (version, mode) == ("2.5", "|")
    return found


def judged(hospital: Hospital, message: bytes) -> list[bytes]:
    """What the house answers; each of it is held against the standard."""
    found = list(hospital.handled(message).answers)
    for answer in found:
        refuse_faulty(answer)
    return found


@pytest.fixture
def known(hospital: Hospital) -> Hospital:
    hospital.tell(sample("adt_a04"))
    return hospital


@pytest.mark.parametrize("version", VERSIONS)
def test_acknowledgements_of_every_kind(hospital: Hospital, version: str) -> None:
    codes = set()
    messages = {
        "AA": adt("A08", "A1^^^OWN^PI||Lê^Hoa||19900501"),
        "with what was overlooked": adt("A08", "A2^^^OWN^PI||Lê^Hoa||20209999|Q"),
        "AE": adt("A08", "B1^^^NOBODY^PI||Lê^Hoa"),
        "AR": adt("A99", "B1^^^OWN^PI"),
    }
    for (place, text), mode in itertools.product(enumerate(messages.values()), MODES):
        sent = text.replace("|X1|", f"|{place}{MODES.index(mode)}|").replace("OWN", "&2.25.4711.1&ISO").encode()
        for answer in judged(hospital, in_version(sent, version, mode)):
            codes.add(answer.split(b"\rMSA|")[1][:2])
    assert codes == {b"AA", b"AE", b"AR", b"CA", b"CE", b"CR"}


def a_sender(version: str) -> Sender:
    header = ("MSH", "^~\\&", "HIS", "BV", "HIE", "27001", "", "", "ADT^A08", "7", "P", version, *[""] * 6)
    return Sender(header, "A08", Delimiters(), "utf-8")


@pytest.mark.parametrize("version", ["2.4", "2.8.2"])
def test_every_error_that_the_rooms_know(version: str) -> None:
    for judgement in {Judgement(*row) for row in CODES.values()}:
        (answer,) = answers(a_sender(version), judgement, now=NOW)
        refuse_faulty(answer)


def questions() -> Iterator[tuple[str, dict[str, str], str]]:
    yield "qbp_q22", {}, "OK"
    yield "qbp_q22", {"@PID.5.1.1^Nguyễn~@PID.7.1^19900501": "@PID.3.1^A1"}, "OK"
    yield "qbp_q22", {"19900501": "19910501"}, "NF"
    yield "qbp_q22", {"@PID.7.1^": "@PID.99.1^"}, "AE"
    yield "qbp_q22", {"^19900501": "^19900501|||||^^^NOBODY"}, "AE"
    yield "qbp_q23", {}, "OK"
    yield "qbp_q23", {"ISO^PI": "ISO^PI|^^^OWN"}, "NF"
    yield "qbp_q23", {"A1^^^": "A7^^^"}, "AE"
    yield "qbp_q23", {"2.25.4711.1": "9.9.9"}, "AE"


@pytest.mark.parametrize("version", ASKED_IN)
def test_answers_to_questions(known: Hospital, version: str) -> None:
    for name, changed, status in questions():
        sent = in_version(sample(name, **changed), version)
        for mode in ("|", "AL|AL"):
            *_, answer = judged(known, in_version(sample(name, **changed), version, mode))
        lines = {line[:3]: line for line in answer.decode().split("\r")}
        asked = next(line for line in sent.decode().split("\r") if line.startswith("QPD"))
        assert (lines["QPD"], lines["QAK"].split("|")[2]) == (asked, status), "the question is repeated as it was asked"


@pytest.mark.parametrize("version", ["2.4", "2.5", "2.7", "2.8.2"])
def test_many_patients_in_pages(hospital: Hospital, version: str) -> None:
    for number in range(4):
        hospital.tell(adt("A28", f"P{number}^^^OWN^PI||Nguyễn^Số {number}||{1950 + number * 7}", control=f"P{number}"))
    text = sample("qbp_q22", **{"~@PID.7.1^19900501": "", "10^RD": "2^RD"})
    (first,) = judged(hospital, in_version(text, version))
    assert first.count(b"\rPID|") == 2 and b"\rDSC|" in first
    pointer = first.split(b"\rDSC|")[1].split(b"|")[0]
    (last,) = judged(hospital, in_version(text + b"DSC|" + pointer + b"|I\r", version))
    assert last.count(b"\rPID|") == 2 and b"\rDSC|" not in last


@pytest.mark.parametrize("kind", ORDERED_IN)
def test_answers_to_orders(clients: Callable[..., tuple[Client, ...]], kind: str) -> None:
    (bac_ninh,) = clients("bac-ninh")
    bac_ninh.hospital.publishes(ct_report(LAN))
    own = LAN.number_at("bac-ninh")
    orders = (("NW", own, 1), ("CA", own, 0), ("NW", "nobody", 0))
    for version, (control, number, notes) in itertools.product(ORDERED_IN[kind], orders):
        sent = f"""MSH|^~\\&|HIS|BV|HIE|HIE|20261123080000||{kind}|{control}{number}|P|{version}|||||VNM|UNICODE UTF-8
PID|||{number}^^^^MR
ORC|{control}|P77||||||||||BS1^Trần^Minh
OBR|1|P77||18.0149.0040^Chụp CLVT sọ não không tiêm thuốc cản quang^L
"""
        (answer,) = judged(Hospital(bac_ninh.hospital.house), written(sent))
        assert answer.count(b"\rNTE|") == notes


@pytest.mark.parametrize(
    "name", [each.stem for each in sorted((Path(__file__).parents[1] / "samples" / "hl7v2").glob("*.hl7"))]
)
def test_what_the_samples_are_answered(known: Hospital, name: str) -> None:
    assert judged(known, sample(name))


@pytest.mark.parametrize(
    "changed",
    [
        {"ADT^A08^ADT_A01": "SIU^S12"},
        {"ADT^A08^ADT_A01": "ADT"},
        {"ADT^A08^ADT_A01": ""},
        {"|P|2.5|": "|T|2.5|"},
        {"|P|2.5|": "|P|3.0|"},
        {"|P|2.5|": "|P|abc|"},
        {"|P|2.5|": "|||"},
        {"UNICODE UTF-8": "8859/1"},
        {"UNICODE UTF-8": "windows-1258"},
    ],
)
def test_headers_that_are_odd_are_answered_in_order(hospital: Hospital, changed: dict[str, str]) -> None:
    assert judged(hospital, sample("adt_a08", **changed))


def test_other_separators_are_kept(hospital: Hospital) -> None:
    sent = sample("adt_a08").decode().replace("|", "!").replace("^~\\&", "$%@#").replace("^", "$").replace("&", "#")
    (answer,) = judged(hospital, sent.replace("A08", "A98").encode())
    assert answer.startswith(b"MSH!$%@#!")


def test_what_could_not_even_be_received_is_answered_in_order(hospital: Hospital) -> None:
    for head in (b"MSH|^~\\&|HIS|BV|HIE|27001|2026||ADT^A04|77|P|2.5\r", b"MSH|^~\\&|HIS", b"hello"):
        (answer,) = refuse(hospital.house, head, TooLarge("message", limit=1)).answers
        refuse_faulty(answer)


def test_the_judges_see_what_is_wrong() -> None:
    (good,) = answers(a_sender("2.5"), Judgement("AE", 101, "PID^1^3", "x"), now=NOW)
    assert faults(good) == []
    for old, new in (
        (b"\rMSA|AE|7\r", b"\r"),
        (b"|AE|", b"|OK|"),
        (b"|E||||", b"|Q||||"),
        (b"101^", b"999^"),
        (b"|2.5|", b"|2.3.1|"),
        (b"\rERR|", b"\rPID|1\rERR|"),
        (b"^ACK|", b"^RSP_K21|"),
        (b"MSA|AE|7", b"MSA|AE|" + b"7" * 300),
    ):
        assert old in good and faults(good.replace(old, new)), (old, new)
