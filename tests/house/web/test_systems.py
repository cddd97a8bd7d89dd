"""What came from other systems, and who is on the way here, on the pages of those whom it concerns."""

from __future__ import annotations

from consent.requesters import Role
from tests.house.test_referrals import THU, refers
from tests.house.web.browser import Browser, hires
from tests.lab import Hospital
from tests.papers import written_request


def test_the_desk_sees_who_is_coming_and_the_sender_that_they_are_announced(
    bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    refers(bac_ninh)
    bac_ninh.records(written_request(THU, to="bach-mai"))
    bac_ninh.works()
    page = Browser(bach_mai)
    page.signs_in(Role.CONSENT_DESK)
    seen = page.opens("/referrals").text
    assert THU.name in seen and "Phiếu số 0417/2026" in seen and "I63.9" in seen
    hires(bac_ninh)
    desk = Browser(bac_ninh)
    desk.signs_in(Role.REGISTRAR)
    assert "Đã báo nơi nhận" in desk.opens("/referrals").text


def test_the_administrator_sees_what_each_system_sent(bach_mai: Hospital) -> None:
    bach_mai.publishes_files({"note.json": b"{}", "cut.xml": b"<GIAMDINHHS><HOSO>"})
    browser = Browser(bach_mai)
    browser.signs_in(Role.ADMINISTRATOR)
    assert "insurance" in browser.opens("/node").text
