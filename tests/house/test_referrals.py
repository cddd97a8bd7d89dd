"""The receiving hospital knows who is coming when the patient wants it, and nothing at all when not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from hie_node.acts import Act
from hie_node.flows.referrals import expected_patients, referred_patients
from hie_node.publishing import publisher
from registry.submissions import ExpectedPatient, Told
from tests.lab import Hospital, Lab
from tests.papers import Person, written_request

VISIT = (Path(__file__).parents[1] / "samples" / "insurance" / "visit.xml").read_text("utf-8")
THU = Person("BN0001", "Nguyễn Thị Thử", "1964-03-18", "female")


def refers(hospital: Hospital, body: str = VISIT) -> None:
    number = THU.number_at(hospital.name)
    (done,) = hospital.publishes_files({"visit.xml": body.replace("BN0001", number).encode()})
    assert not done.reason, done.reason


def expected_at(hospital: Hospital) -> tuple[ExpectedPatient, ...]:
    return expected_patients(Act(hospital.house, publisher(hospital.house, "desk"), "open-referrals"))


def told_by(hospital: Hospital) -> list[Told]:
    found = referred_patients(Act(hospital.house, publisher(hospital.house, "desk"), "open-referrals"))
    return [one.referral.told for one in found]


def test_without_the_patients_request_nobody_is_told(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    refers(bac_ninh)
    bac_ninh.works()
    assert expected_at(bach_mai) == ()
    assert told_by(bac_ninh) == [Told.WITHHELD]
    assert bac_ninh.rows(transaction="announce-referral") == []


def test_with_the_request_the_receiving_hospital_sees_who_is_coming_with_what(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    refers(bac_ninh)
    bac_ninh.works()
    bac_ninh.records(written_request(THU, to="bach-mai"))
    lab.clock.moves(by=timedelta(minutes=11))
    bac_ninh.works()
    (expected,) = expected_at(bach_mai)
    assert expected.patient.demographics.name is not None
    assert expected.patient.demographics.name.text == THU.name
    assert (expected.referral.number, str(expected.referral.sender)) == ("0417/2026", "27001")
    assert [code.code for code in expected.referral.diagnoses] == ["I63.9"]
    assert any("CLVT" in one.title for one in expected.documents)
    assert told_by(bac_ninh) == [Told.ANNOUNCED]
    (sent,) = bac_ninh.rows(transaction="announce-referral")
    assert sent.other == bach_mai.home and len(sent.items) == len(expected.documents)
    (received,) = bach_mai.rows(transaction="referral")
    assert received.exchange == sent.exchange
    refers(bac_ninh)
    bac_ninh.works()
    assert len(bac_ninh.rows(transaction="announce-referral")) == 1


def test_what_is_closed_is_not_announced_even_with_the_request(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    refers(bac_ninh, VISIT.replace("<MA_BENH_CHINH>I63.9", "<MA_BENH_CHINH>B20"))
    bac_ninh.records(written_request(THU, to="bach-mai"))
    bac_ninh.works()
    assert expected_at(bach_mai) == ()
    assert told_by(bac_ninh) == [Told.WITHHELD]


def test_a_hospital_that_is_down_is_told_later(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.goes_down()
    refers(bac_ninh)
    bac_ninh.records(written_request(THU, to="bach-mai"))
    bac_ninh.works()
    assert told_by(bac_ninh) == [Told.UNREACHABLE]


def test_a_slip_that_has_lapsed_is_told_to_nobody(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    refers(bac_ninh)
    lab.clock.moves(by=timedelta(days=15))
    bac_ninh.records(written_request(THU, to="bach-mai"))
    bac_ninh.works()
    assert expected_at(bach_mai) == () and told_by(bac_ninh) == []
