"""Before the signature a patient is told what would be seen, and at any time who has seen the record."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from consent.requesters import Role
from tests.house.test_referrals import THU, VISIT, refers
from tests.house.web.browser import Browser, Seen
from tests.lab import Hospital
from tests.papers import LAN, CtStudy, closed_report, ct_report, refusal, written_request


@pytest.fixture
def desk(bach_mai: Hospital, bac_ninh: Hospital) -> Browser:
    """At Bạch Mai, which has a report, a CT and a paper of the closed lists."""
    bach_mai.publishes(ct_report(LAN, title="Tên riêng của kết quả"))
    bach_mai.publishes_study(CtStudy(LAN, uid="1.2.826.0.1.3680043.10.99.5"))
    bach_mai.publishes(closed_report(LAN))
    browser = Browser(bach_mai)
    browser.signs_in(Role.CONSENT_DESK)
    return browser


def asks(desk: Browser, facility: str = "27001") -> Seen:
    page = desk.finds("BA-0017", desk="/consents")
    return desk.fills(page, page.address + "/preview", facility=facility)


def counted(page: Seen) -> list[tuple[str, ...]]:
    """Kind, how many are here, seen now, seen once signed."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page.html, re.S)
    return [(kind, *re.findall(r">(?:<strong>)?(\d+)<", cells)) for kind, cells in rows]


def test_the_patient_is_told_what_a_request_would_open_before_signing(desk: Browser, bach_mai: Hospital) -> None:
    told = counted(asks(desk))
    assert [row[1:] for row in told] == [("1", "0", "1"), ("1", "0", "1")]
    bach_mai.records(written_request(LAN, to="bac-ninh"))
    assert [row[1:] for row in counted(asks(desk))] == [("1", "1", "1"), ("1", "1", "1")]


def test_what_was_foreseen_is_what_happens(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    (_, _, _, documents), (_, _, _, studies) = counted(asks(desk))
    bach_mai.records(written_request(LAN, to="bac-ninh"))
    remote = [one for one in bac_ninh.finds_documents(LAN).ids if one.startswith("01929.")]
    images = [one for one in bac_ninh.finds_studies(LAN).ids if one.startswith("01929.")]
    assert {len(remote), len(images)} == {int(documents), int(studies)}


def test_the_desk_learns_no_title_and_nothing_of_what_the_law_closes(desk: Browser) -> None:
    page = asks(desk)
    for hidden in ("Tên riêng của kết quả", "Phiếu điều trị", "HIV"):
        assert hidden not in page.html
    assert sum(int(row[1]) for row in counted(page)) == 2


def test_a_new_request_is_the_newest_word_also_after_a_refusal(desk: Browser, bach_mai: Hospital) -> None:
    bach_mai.records(refusal(LAN, to="bac-ninh"))
    bach_mai.lab.clock.moves(by=timedelta(minutes=1))
    assert [row[1:] for row in counted(asks(desk))] == [("1", "0", "1"), ("1", "0", "1")]


def test_nothing_is_stored_and_the_look_is_on_record(desk: Browser, bach_mai: Hospital) -> None:
    asks(desk)
    with bach_mai.house.storage.read() as unit:
        assert unit.consents.search(record_ids=None, statuses=None, limit=10) == ()
    (row,) = bach_mai.rows(transaction="page foresee")
    assert row.requester.subject == "dt.nga" and row.record_id


@pytest.mark.parametrize("facility", ["", "99999", "01929", "' OR 1=1"])
def test_a_hospital_that_takes_no_part_cannot_be_asked_for(desk: Browser, facility: str) -> None:
    assert asks(desk, facility).status == 400


def test_the_patient_gets_the_list_of_who_has_seen_the_record(desk: Browser, bach_mai: Hospital) -> None:
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    doctor.finds("BA-0017")
    page = desk.finds("BA-0017", desk="/consents")
    told = desk.fills(page, page.address + "/seen", days="30")
    assert "BS. Trần Văn Minh" in told.text and "danh sách kết quả" in told.text
    again = desk.fills(page, page.address + "/seen", days="30")
    assert "trả lời người bệnh" in again.text, "the answer itself is on record, and in the next one"
    assert "Tên riêng của kết quả" not in told.html


def test_only_the_desk_and_the_officer_make_that_list(bach_mai: Hospital, desk: Browser) -> None:
    address = desk.finds("BA-0017", desk="/consents").address
    for role in (Role.DOCTOR, Role.REGISTRAR, Role.ADMINISTRATOR):
        other = Browser(bach_mai)
        token = dict(other.signs_in(role).form("/logout").fields)["token"]
        assert other.sends("POST", address + "/seen", data={"token": token, "days": "30"}).status == 403


def test_every_kind_of_a_whole_visit_is_counted(desk: Browser, bach_mai: Hospital) -> None:
    """An insurance visit gives papers for people and data for programs."""
    refers(bach_mai, VISIT.replace("27001", "MINE").replace("01929", "27001").replace("MINE", "01929"))
    page = desk.finds(THU.number_at("bach-mai"), desk="/consents")
    told = desk.fills(page, page.address + "/preview", facility="27001")
    assert told.status == 200 and "Dữ liệu cho phần mềm đọc" in told.text
