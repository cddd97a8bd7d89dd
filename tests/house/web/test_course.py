"""Diagnoses, medicines and laboratory values of own visits stand on the doctor's page, and only what may be seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.requesters import Role
from hie_node.acts import Act, Caller
from hie_node.flows.fetch import retrieve_document
from registry.coded import UNREVIEWED_TEXT
from registry.commands import RetrieveDocument
from registry.errors import NotFound
from registry.searches import DocumentSearch
from tests.house.test_referrals import THU, VISIT, refers
from tests.house.web.browser import Browser, Seen
from tests.lab import Hospital, Lab
from tests.papers import LAN, refusal, written_request

BODY = VISIT.replace("27001", "MINE").replace("01929", "27001").replace("MINE", "01929")


def measures(hospital: Hospital, month: int, value: str, *, diagnosis: str = "I63.9") -> None:
    """A visit on the second of that month with one reading of glucose."""
    visit = BODY.replace("LK-1", f"LK-{month}").replace("20261102", f"2026{month:02}02").replace("7.2", value)
    refers(hospital, visit.replace("0417/2026", f"{month}/2026").replace("I63.9", diagnosis))


def looks_at(hospital: Hospital, number: str = THU.number_at("bach-mai")) -> Seen:
    doctor = Browser(hospital)
    doctor.signs_in(Role.DOCTOR)
    return doctor.finds(number)


def test_a_value_that_was_measured_often_is_a_line_with_each_reading_beside_it(bach_mai: Hospital) -> None:
    for month, value in ((3, "6.1"), (5, "8.4"), (9, "7,9")):
        measures(bach_mai, month, value)
    page = looks_at(bach_mai)
    (line,) = [given for tag, given in page.tags if tag == "polyline"]
    points = [tuple(map(float, point.split(","))) for point in (line["points"] or "").split()]
    assert len(points) == 3 and points == sorted(points) and points[1][1] < points[2][1] < points[0][1]
    told = page.text.partition("Diễn biến của bệnh viện này")[2]
    assert "7,9 mmol/L" in told and "3 lần đo : Glucose" in told
    assert (
        told.index("7,9 mmol/L 02/09/2026") < told.index("8.4 mmol/L 02/05/2026") < told.index("6.1 mmol/L 02/03/2026")
    )
    assert "I63.9" in told and "Amlodipin 5mg" in told
    assert not [given for _, given in page.tags if "style" in given]


def test_one_reading_is_no_line(bach_mai: Hospital) -> None:
    measures(bach_mai, 9, "7.2")
    page = looks_at(bach_mai)
    assert "7.2 mmol/L" in page.text and not [tag for tag, _ in page.tags if tag == "polyline"]


def test_a_visit_of_the_closed_lists_is_counted_and_not_told(bach_mai: Hospital) -> None:
    measures(bach_mai, 3, "6.1")
    measures(bach_mai, 5, "8.4", diagnosis="B20")
    page = looks_at(bach_mai)
    assert "1 lượt khám không được phép hiển thị" in page.text
    assert "B20" not in page.text and "8.4" not in page.html and "6.1 mmol/L" in page.text


def test_what_the_patient_closed_to_this_hospital_is_not_told(bach_mai: Hospital) -> None:
    measures(bach_mai, 3, "6.1")
    bach_mai.records(refusal(THU, to="bach-mai"))
    page = looks_at(bach_mai)
    assert "6.1" not in page.html and "Amlodipin" not in page.html


def test_a_patient_without_visits_is_told_so_and_each_look_is_on_record(bach_mai: Hospital) -> None:
    assert "Bệnh viện này chưa có lượt khám nào" in looks_at(bach_mai, LAN.number_at("bach-mai")).text
    measures(bach_mai, 3, "6.1")
    looks_at(bach_mai)
    row = bach_mai.rows(transaction="page course")[-1]
    assert row.items == ("visit LK-3",) and row.requester.subject == "bs.minh"


@pytest.fixture
def there(lab: Lab, bach_mai: Hospital) -> Hospital:
    """Bắc Ninh, where Thử has been in March; at Bạch Mai she was in September."""
    bac_ninh = lab.hospital("bac-ninh")
    refers(bac_ninh, VISIT.replace("LK-1", "LK-3").replace("20261102", "20260302").replace("7.2", "6.1"))
    measures(bach_mai, 9, "7,9")
    return bac_ninh


def asks_all(hospital: Hospital) -> Seen:
    doctor = Browser(hospital)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds(THU.number_at("bach-mai"))
    return doctor.fills(page, page.address + "/course")


def test_values_of_every_hospital_are_one_line_and_each_says_where_it_was_measured(
    bach_mai: Hospital, there: Hospital
) -> None:
    bach_mai.records(written_request(THU, to="bach-mai"))
    page = asks_all(bach_mai)
    told = page.text.partition("Diễn biến của mọi cơ sở")[2]
    assert "Bệnh viện bac-ninh đã lấy 1 lượt khám" in told and "2 lần đo : Glucose" in told
    assert "7,9 mmol/L Bệnh viện bach-mai 02/09/2026" in told and "6.1 mmol/L Bệnh viện bac-ninh 02/03/2026" in told
    assert len([tag for tag, _ in page.tags if tag == "polyline"]) == 1


def test_without_the_patients_request_nothing_comes_and_the_line_says_why(bach_mai: Hospital, there: Hospital) -> None:
    page = asks_all(bach_mai)
    assert "Bệnh viện bac-ninh không thể hiển thị khi chưa có văn bản yêu cầu" in page.text
    assert "6.1" not in page.html and "7,9 mmol/L" in page.text


def test_a_visit_of_the_closed_lists_does_not_come_from_another_hospital(bach_mai: Hospital, there: Hospital) -> None:
    closed = VISIT.replace("LK-1", "LK-5").replace("20261102", "20260502").replace("7.2", "8.4").replace("I63.9", "B20")
    refers(there, closed)
    bach_mai.records(written_request(THU, to="bach-mai"))
    page = asks_all(bach_mai)
    assert "6.1 mmol/L" in page.text and "8.4" not in page.html and "B20" not in page.html


def test_no_visit_is_opened_before_it_is_asked_for_and_then_both_sides_record_it(
    bach_mai: Hospital, there: Hospital
) -> None:
    bach_mai.records(written_request(THU, to="bach-mai"))
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds(THU.number_at("bach-mai"))
    doctor.fills(page, page.address + "/others")
    assert there.rows(transaction="ITI-68") == []
    doctor.fills(page, page.address + "/course")
    given = there.rows(transaction="ITI-68")
    assert {row.requester.subject for row in given} == {"bs.minh"} and len({row.items for row in given}) == 1
    received = [row for row in bach_mai.rows(transaction="page open-visits") if row.direction == "received"]
    assert given[0].items[0] in {item.partition(".")[2] for row in received for item in row.items}


def test_a_silent_hospital_costs_its_own_line(bach_mai: Hospital, there: Hospital) -> None:
    bach_mai.records(written_request(THU, to="bach-mai"))
    there.goes_down()
    page = asks_all(bach_mai)
    assert "Bệnh viện bac-ninh cơ sở không phản hồi" in page.text and "7,9 mmol/L" in page.text


def test_only_who_treats_may_ask(bach_mai: Hospital, there: Hospital) -> None:
    desk = Browser(bach_mai)
    desk.signs_in(Role.CONSENT_DESK)
    page = desk.finds(THU.number_at("bach-mai"), desk="/consents")
    record = page.address.rpartition("/")[2]
    token = dict(page.form("/logout").fields)["token"]
    assert desk.sends("POST", f"/patients/{record}/course", data={"token": token}).status == 403
    assert there.rows() == [] or all(row.other != bach_mai.house.home for row in there.rows())


ORU = """MSH|^~\\&|LIS|BV_BN|HIE|27001|20260412110500||ORU^R01|{control}|P|2.3.1|||||VNM|UNICODE UTF-8
PID|||{number}^^^^PI||Nguyễn^Thử^Thị||19640318|F
OBR|1||{control}|GLU^Định lượng Glucose|||20260412070000|||||||||||||||20260412073000||LAB|F
OBX|1|{kind}|GLU^Glucose||{value}|mmol/L|3.9 - 6.4|H|||F
"""


def reports_values(hospital: Hospital, value: str, *, control: str = "L1", kind: str = "NM") -> None:
    """A laboratory's message, as its system sends it."""
    body = ORU.format(number=THU.number_at(hospital.name), value=value, control=control, kind=kind)
    (done,) = hospital.publishes_files({f"{control}.hl7": body.replace("\n", "\r").encode()})
    assert not done.reason, done.reason


def test_values_of_a_laboratory_message_come_as_facts_and_are_on_record_at_both_hospitals(
    bach_mai: Hospital, there: Hospital
) -> None:
    reports_values(there, "9.4")
    bach_mai.records(written_request(THU, to="bach-mai"))
    page = asks_all(bach_mai)
    told = page.text.partition("Diễn biến của mọi cơ sở")[2]
    assert "đã lấy 1 lượt khám, 1 phiếu xét nghiệm" in told and "chỉ có dạng văn bản" not in told
    assert "9.4 mmol/L H tham chiếu 3.9 - 6.4 12/04/2026 Bệnh viện bac-ninh" in told
    given = there.rows(transaction="ITI-68")
    received = [row for row in bach_mai.rows(transaction="page open-visits") if row.direction == "received"]
    opened = {item.partition(".")[2] for row in received for item in row.items}
    assert len({row.items for row in given}) == 2 and {row.items[0] for row in given} <= opened


def test_values_that_stand_in_words_are_counted_and_not_guessed(bach_mai: Hospital, there: Hospital) -> None:
    reports_values(there, "khoảng chín phẩy bốn", kind="ST")
    bach_mai.records(written_request(THU, to="bach-mai"))
    page = asks_all(bach_mai)
    assert "đã lấy 1 lượt khám 1 phiếu xét nghiệm chỉ có dạng văn bản" in page.text
    assert "2 lần đo : Glucose" in page.text


def test_values_of_a_report_that_a_label_closes_are_not_to_be_had(bach_mai: Hospital, there: Hospital) -> None:
    reports_values(there, "9.4")
    bach_mai.records(written_request(THU, to="bach-mai"))
    with there.house.storage.begin() as unit:
        record = unit.patients.record(there.number_of(THU))
        assert record is not None
        search = DocumentSearch(record_ids=(record.id,), limit=20)
        (report,) = (one for one in unit.documents.find(search) if one.results)
        unit.documents.replace(replace(report, sensitivity=(UNREVIEWED_TEXT,), version=report.version + 1))
    page = asks_all(bach_mai)
    assert "9.4" not in page.html and "6.1 mmol/L" in page.text
    own = Act(there.house, Caller(there.requester(Role.DOCTOR), "house"), "ITI-68")
    with pytest.raises(NotFound):
        retrieve_document(own, RetrieveDocument(report.id, values=True))


def test_without_the_request_no_value_of_a_laboratory_message_comes(bach_mai: Hospital, there: Hospital) -> None:
    reports_values(there, "9.4")
    assert "9.4" not in asks_all(bach_mai).html
    assert there.rows(transaction="ITI-68") == []
