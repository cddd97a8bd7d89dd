"""The receiving hospital knows who is coming when the patient wants it, and nothing at all when not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hie_node.acts import Act
from hie_node.flows.referrals import expected_patients, referred_patients
from hie_node.hl7v2 import Handled, handle
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


REFERRAL = """MSH|^~\\&|HIS|BV|||20261110090000||REF^I12^REF_I12|RF{control}|P|2.5.1|||||VNM|UNICODE UTF-8
RF1|P^Pending^HL70283|R|MED|||{number}^HIS|{signed}|||2^Vượt quá khả năng chuyên môn
PRD|RP|Nguyễn^Bác sĩ|||||{sender}
PRD|RT||||||{receiver}
PID|1||{patient}^^^&{oid}&ISO^MR||Nguyễn^Thử^Thị||19640318|F
DG1|1||{diagnosis}^^I10|Nhồi máu não
OBX|1|FT|IMP^Kết luận||Yếu nửa người trái|||||F
NTE|1||Đã dùng aspirin"""


def refers_by_message(hospital: Hospital, **told: str) -> Handled:
    system = hospital.house.settings.patient_id_system.removeprefix("urn:oid:")
    facts = {
        "control": "1",
        "number": "88/2026",
        "sender": "27001",
        "receiver": "01929",
        "oid": system,
        "diagnosis": "I63.9",
    }
    text = REFERRAL.format(**(facts | {"patient": THU.number_at(hospital.name), "signed": ""} | told))
    return handle(hospital.house, text.replace("\n", "\r").encode())


def test_a_referral_message_opens_the_referral_at_both_ends(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    assert refers_by_message(bac_ninh).verdict.code == "AA"
    bac_ninh.works()
    assert expected_at(bach_mai) == () and told_by(bac_ninh) == [Told.WITHHELD]
    bac_ninh.records(written_request(THU, to="bach-mai"))
    lab.clock.moves(by=timedelta(minutes=11))
    bac_ninh.works()
    (expected,) = expected_at(bach_mai)
    assert (expected.referral.number, str(expected.referral.sender)) == ("88/2026", "27001")
    assert [code.code for code in expected.referral.diagnoses] == ["I63.9"]
    assert expected.referral.reason == "Vượt quá khả năng chuyên môn"
    (note,) = [one for one in expected.documents if "chuyển cơ sở" in one.title]
    with bac_ninh.house.storage.read() as unit:
        entry = unit.documents.entry(note.id)
    assert entry is not None
    text = b"".join(bac_ninh.house.contents.open(entry.record_id, entry.attachment.content_hash)).decode()
    for said in ("Nơi chuyển đến: 01929", "Nhồi máu não", "Yếu nửa người trái", "Đã dùng aspirin"):
        assert said in text
    again = refers_by_message(bac_ninh)
    assert (again.verdict.code, again.again) == ("AA", True)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"receiver": "27001"}, "PRD^2^7"),
        ({"receiver": ""}, "PRD^2^7"),
        ({"receiver": "Bạch Mai"}, "PRD^2^7"),
        ({"sender": "19001"}, "PRD^1^7"),
        ({"number": ""}, "RF1^1^6"),
    ],
)
def test_a_referral_message_that_leads_nowhere_is_refused(lab: Lab, told: dict[str, str], where: str) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    answer = refers_by_message(bac_ninh, **told)
    assert (answer.verdict.code, answer.verdict.location) == ("AE", where)
    assert told_by(bac_ninh) == []


def test_a_referral_message_under_a_closed_list_carries_neither_diagnosis_nor_reason(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    handled = refers_by_message(bac_ninh, diagnosis="B20")
    assert handled.verdict.code == "AA" and any("closed list" in note for note in handled.notes)
    (kept,) = referred_patients(Act(bac_ninh.house, publisher(bac_ninh.house, "desk"), "open-referrals"))
    assert (kept.referral.diagnoses, kept.referral.reason) == ((), None)


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
