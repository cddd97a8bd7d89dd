"""The order form on the doctor's page, and the ledger that its answers fill."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from consent.requesters import Role
from hie_node import ledger_report
from registry.local_time import VIET_NAM
from tests.conformance.pdf import is_whole
from tests.house.ordering import call, calls, cards, fhir_patient, service_request
from tests.house.web.browser import Browser, Seen
from tests.lab import Hospital
from tests.papers import LAN, ct_report, written_request

TITLE = "Chụp CLVT sọ não không tiêm thuốc cản quang (từ 1-32 dãy)"


@pytest.fixture
def done(bach_mai: Hospital) -> Hospital:
    """A head CT of Lan at this very hospital, five days ago."""
    performed = (bach_mai.house.now() - timedelta(days=5)).isoformat()
    bach_mai.publishes(ct_report(LAN, title=TITLE, performed=performed))
    return bach_mai


def checks(browser: Browser, what: str = "CT sọ não không tiêm", diagnosis: str = "") -> Seen:
    browser.signs_in(Role.DOCTOR)
    return checks_again(browser, what, diagnosis)


def checks_again(browser: Browser, what: str = "CT sọ não không tiêm", diagnosis: str = "") -> Seen:
    page = browser.finds("BA-0017")
    return browser.fills(page, page.address + "/order", examination=what, diagnosis=diagnosis)


def test_a_doctor_without_hooks_is_told_the_same_and_uses_it(browser: Browser, done: Hospital) -> None:
    page = checks(browser)
    assert "còn trong thời hạn" in page.text and "5 ngày trước, trong thời hạn 30 ngày" in page.text
    card = next(one.action for one in page_forms(page) if one.action.count("/") == 4)
    browser.fills(page, card, verdict="used", reason="")
    assert "sử dụng kết quả đã có" in browser.seen[-1].text
    with done.house.storage.read() as unit:
        (entry,) = unit.orders.decisions(done.house.now() - timedelta(days=1), done.house.now() + timedelta(days=1))
    assert (entry.verdict, entry.via, entry.role, entry.sender) == ("used", "page", "doctor", "01929")


def page_forms(page: Seen):  # type: ignore[no-untyped-def]
    return page._read.forms


def test_a_repeat_needs_its_reason(browser: Browser, done: Hospital) -> None:
    page = checks(browser)
    card = next(one.action for one in page_forms(page) if one.action.count("/") == 4)
    assert browser.fills(page, card, verdict="repeated", reason="").status == 400
    assert browser.fills(page, card, verdict="burn", reason="").status == 400
    browser.fills(page, card, verdict="repeated", reason="clinical-change")
    assert "thực hiện lại" in browser.seen[-1].text


def test_an_injury_makes_the_same_ct_old(browser: Browser, done: Hospital) -> None:
    page = checks(browser, diagnosis="s06.0")
    assert "quá thời hạn 2 ngày" in page.text and "còn trong thời hạn" not in page.text


def test_what_is_not_understood_is_said(browser: Browser, done: Hospital) -> None:
    assert "Chưa nhận ra" in checks(browser, "siêu âm tim").text


def test_a_card_that_nobody_got_cannot_be_answered(browser: Browser, done: Hospital) -> None:
    page = checks(browser)
    form = next(one for one in page_forms(page) if one.action.count("/") == 4)
    other = form.action.rpartition("/")[0] + "/9a1c7f1e-2b52-5d0b-8b5e-000000000000"
    token = dict(form.fields)["token"]
    assert browser.sends("POST", other, data={"token": token, "verdict": "used"}).status == 404


def test_a_decision_in_the_ordering_system_and_on_the_page_is_one(browser: Browser, done: Hospital) -> None:
    body = call("order-sign", service_request("18.0149.0040"), patient=fhir_patient(LAN, done))
    (card,) = cards(calls(done, body))
    why = {"reason": {"code": "too-old"}, "userComment": "Bà Lan đau đầu"}
    feedback = {"feedback": [{"card": card["uuid"], "outcome": "overridden", "overrideReason": why}]}
    assert calls(done, feedback, path="/cds-services/order-sign/feedback").status == 200
    page = checks(browser)
    again = next(one.action for one in page_forms(page) if one.action.count("/") == 4)
    browser.fills(page, again, verdict="used", reason="")
    browser.opens("/ledger")
    numbers = re.findall(r"<strong>([^<]+)</strong>", browser.seen[-1].html.partition("figures")[2])
    assert numbers[:2] == ["1", "0"]
    files = b"".join(f.read_bytes() for f in done.house.settings.home.glob("node.db*"))
    assert "Bà Lan đau đầu".encode() not in files, "words of a doctor about a patient are not kept in the ledger"


def test_feedback_on_an_unknown_card_or_in_another_shape_enters_nothing(done: Hospital) -> None:
    path = "/cds-services/order-sign/feedback"
    nobody = {"card": "9a1c7f1e-2b52-5d0b-8b5e-000000000000", "outcome": "accepted"}
    assert calls(done, {"feedback": [nobody]}, path=path).status == 404
    for broken in ({}, {"feedback": []}, {"feedback": [1]}, {"feedback": [{**nobody, "outcome": "maybe"}]}):
        assert calls(done, broken, path=path).status == 400


def test_the_ledger_is_looked_at_and_handed_over_without_a_patient(browser: Browser, done: Hospital) -> None:
    page = checks(browser)
    card = next(one.action for one in page_forms(page) if one.action.count("/") == 4)
    browser.fills(page, card, verdict="used", reason="")
    page = browser.opens("/ledger?months=3")
    assert "550.100 đồng" in page.text and "Ước tính" in page.text and "<svg" in page.html
    english = browser.fills(page, "/language", language="en")
    assert "550,100 đồng" in english.text and "550.100" not in english.text and "last 1 months" not in english.text
    table = browser.sends("GET", "/ledger.csv").response
    assert table.mimetype == "text/csv" and "used,,CT/brain/plain,01929" in table.get_data(as_text=True)
    paper = browser.sends("GET", "/ledger.pdf").response
    assert is_whole(paper.get_data())
    assert LAN.name not in table.get_data(as_text=True) + page.text


def test_the_ledger_on_paper_says_of_which_months_it_is_and_by_which_table(
    browser: Browser, done: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = checks(browser)
    card = next(one.action for one in page_forms(page) if one.action.count("/") == 4)
    browser.fills(page, card, verdict="used", reason="")
    monkeypatch.setattr(ledger_report, "write_pdf", lambda blocks, **_: "\n".join(map(str, blocks)).encode())
    paper = browser.sends("GET", "/ledger.pdf?months=3").response.get_data(as_text=True)
    now = done.house.now().astimezone(VIET_NAM)
    first = datetime(now.year - (now.month < 3), (now.month - 3) % 12 + 1, 1, tzinfo=VIET_NAM)
    assert f"{first:%m/%Y} - {now:%m/%Y}" in paper
    assert f"{now:%Y-%m}'" not in paper
    assert "Thời hạn theo bảng" in paper


def test_an_empty_ledger_says_so(browser: Browser) -> None:
    browser.signs_in(Role.ADMINISTRATOR)
    assert "Chưa có quyết định" in browser.opens("/ledger").text


def test_the_card_links_to_the_page_that_shows_the_examination(browser: Browser, bach_mai: Hospital) -> None:
    performed = (bach_mai.house.now() - timedelta(days=5)).isoformat()
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    bac_ninh.publishes(ct_report(LAN, title=TITLE, performed=performed))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    body = call("order-sign", service_request(), patient=fhir_patient(LAN, bach_mai))
    found = cards(calls(bach_mai, body))
    house = bach_mai.house.settings.house.url
    browser.signs_in(Role.DOCTOR)
    for link in (one for card in found for one in card.get("links", ())):
        assert browser.sends("GET", link["url"].removeprefix(house)).status == 200


def test_a_hospital_that_shows_nothing_is_not_taken_for_one_that_has_nothing(
    browser: Browser, bach_mai: Hospital
) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    bac_ninh.registers(LAN)
    page = checks(browser)
    assert "Chưa thấy lần chụp cùng loại" in page.text and "ở đó vẫn có thể có lần chụp cùng loại" in page.text
    bach_mai.lab.clock.moves(by=timedelta(minutes=2))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    assert "ở đó vẫn có thể có" not in checks_again(browser).text
    bac_ninh.goes_down()
    bach_mai.lab.clock.moves(by=timedelta(hours=1))
    assert "ở đó vẫn có thể có" in checks(Browser(bach_mai)).text


def test_the_conclusion_of_an_own_report_stands_beside_the_facts(browser: Browser, bach_mai: Hospital) -> None:
    performed = (bach_mai.house.now() - timedelta(days=5)).isoformat()
    text = "MÔ TẢ\nBình thường.\n\nKẾT LUẬN\nKhông thấy xuất huyết nội sọ."
    bach_mai.publishes(ct_report(LAN, text, title=TITLE, performed=performed))
    assert "Kết luận: Không thấy xuất huyết nội sọ." in checks(browser).text


def test_the_one_page_summary_names_the_source_of_each_line(browser: Browser, bach_mai: Hospital) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    bac_ninh.publishes(ct_report(LAN, title=TITLE))
    bac_ninh.publishes(ct_report(LAN, "Ổn định.", title="Giấy ra viện", performed="2026-05-09T09:00:00+07:00"))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    browser.signs_in(Role.DOCTOR)
    page = browser.finds("BA-0017")
    shown = browser.opens(page.address + "/summary")
    assert shown.status == 200 and TITLE in shown.text and "Giấy ra viện" in shown.text
    assert shown.text.count("Bệnh viện bac-ninh") >= 2 and "Chưa có thông tin" in shown.text
    assert "Chẩn đoán, thuốc và xét nghiệm ở đây là của bệnh viện này" in shown.text
    paper = browser.sends("GET", page.address + "/summary.pdf").response
    assert is_whole(paper.get_data())
    row = bach_mai.rows(transaction="page one-page", direction="disclosed")[-1]
    assert len(row.items) == 2 and row.patient == bach_mai.number_of(LAN)


def test_what_is_only_related_is_shown_and_is_no_repeat(browser: Browser, done: Hospital) -> None:
    page = checks(browser, "CT sọ não có tiêm thuốc cản quang")
    assert "không thuốc cản quang, chỉ định mới thì có" in page.text
    assert not [one for one in page_forms(page) if one.action.count("/") == 4]
    body = call("order-sign", service_request("18.0150.0041"), patient=fhir_patient(LAN, done))
    (card,) = cards(calls(done, body))
    assert "overrideReasons" not in card and "suggestions" not in card
    feedback = {"feedback": [{"card": card["uuid"], "outcome": "overridden"}]}
    assert calls(done, feedback, path="/cds-services/order-sign/feedback").status == 200
    assert "Chưa có quyết định" in browser.opens("/ledger").text
