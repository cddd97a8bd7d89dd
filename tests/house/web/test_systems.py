"""What came from other systems, and who is on the way here, on the pages of those whom it concerns."""

from __future__ import annotations

from datetime import timedelta

from consent.requesters import Role
from tests.house.test_referrals import THU, refers
from tests.house.web.browser import Browser, Scan, hires
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


def test_a_referral_that_waits_for_the_patients_request_leads_the_desk_to_it(
    bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    refers(bac_ninh)
    bac_ninh.works()
    hires(bac_ninh)
    desk = Browser(bac_ninh)
    desk.signs_in(Role.CONSENT_DESK)
    page = desk.opens("/referrals")
    assert "chưa có văn bản yêu cầu của người bệnh" in page.text
    asked = desk.opens(page.link("/consents/"))
    assert "selected" in next(given for tag, given in asked.tags if tag == "option" and given["value"] == "01929")
    assert not [given for tag, given in asked.tags if tag == "input" and "checked" in given]
    now = bac_ninh.house.now().strftime("%d/%m/%Y")
    signed = {"to": "01929", "days": "90", "kind": "paper", "signed": now, "scan": Scan()}
    desk.fills(asked, asked.address.partition("?")[0], **signed)
    bac_ninh.lab.clock.moves(by=timedelta(minutes=11))
    bac_ninh.works()
    assert "Đã báo nơi nhận" in desk.opens("/referrals").text


def test_the_administrator_sees_what_each_system_sent(bach_mai: Hospital) -> None:
    bach_mai.publishes_files({"note.json": b"{}", "cut.xml": b"<GIAMDINHHS><HOSO>"})
    browser = Browser(bach_mai)
    browser.signs_in(Role.ADMINISTRATOR)
    assert "XML bảo hiểm y tế" in browser.opens("/node").text
