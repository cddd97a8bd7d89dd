"""An order over HL7 v2 is answered with what was done before, here and elsewhere, and with nothing it may not know."""

from __future__ import annotations

from datetime import timedelta

import pytest

from adapters.hl7v2.message import Message, read_message
from hie_node.hl7v2 import handle
from tests.house.hospital import ONE_MESSAGE
from tests.lab import Hospital, Lab
from tests.papers import LAN, ct_report, written_request

ORM = """
MSH|^~\\&|HIS|BV|HIE|HIE|20261123080000||{kind}|{control}1|P|2.5|||||VNM|UNICODE UTF-8
PID|||{number}^^^^MR
ORC|{control}|P77||||||||||BS1^Trần^Minh
OBR|1|P77||18.0149.0040^Chụp CLVT sọ não không tiêm thuốc cản quang^L
"""


def orders(hospital: Hospital, *, control: str = "NW", kind: str = "ORM^O01^ORM_O01", number: str = "") -> Message:
    text = ORM.format(kind=kind, control=control, number=number or LAN.number_at(hospital.name)).strip()
    (answer,) = handle(hospital.house, "\r".join(ONE_MESSAGE.split(text)).encode()).answers
    return read_message(answer)


def notes(answer: Message) -> list[str]:
    assert answer.one("MSA").text(1) == "AA"
    return [nte.text(3) for nte in answer.all("NTE")]


@pytest.mark.parametrize(("kind", "reply"), [("ORM^O01^ORM_O01", ("ORR", "O02")), ("OMG^O19^OMG_O19", ("ORG", "O20"))])
def test_an_order_learns_what_was_done_here(lab: Lab, kind: str, reply: tuple[str, str]) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    answer = orders(bac_ninh, kind=kind)
    assert answer.kind == reply
    (told,) = notes(answer)
    assert told.startswith("Đã thực hiện: ") and "bac-ninh" in told
    assert bac_ninh.rows(transaction="OMG-O19")[0].requester.subject == "BS1"


def test_another_hospitals_examination_is_told_only_with_the_patients_request(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    assert not any("Đã thực hiện" in line for line in notes(orders(bach_mai)))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    lab.clock.moves(by=timedelta(hours=1))
    assert any("Đã thực hiện" in line and "bac-ninh" in line for line in notes(orders(bach_mai)))


def test_a_cancelled_order_and_an_unknown_patient_are_only_acknowledged(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    assert notes(orders(bac_ninh, control="CA")) == []
    assert notes(orders(bac_ninh, number="nobody")) == []
