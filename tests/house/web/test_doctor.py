"""A doctor finds the patient, sees every hospital's records, and reads honestly who said what."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from consent.requesters import Role
from hie_node.acts import Act, Caller
from hie_node.flows.pairs import put_together
from tests.house.test_ahead import THU, Sent
from tests.house.web.browser import Browser, Seen
from tests.house.web.scans import Scan
from tests.impostors import Impostors
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, ct_report, written_request

CARD = "027158004321||Nguyễn Thị Lan|21031958|Nữ|Bắc Ninh|10052021"
INSURANCE = f"4270100017|{'Nguyễn Thị Lan'.encode().hex()}|21/03/1958|2|-|27 - 001|-|-|-|$"


@pytest.fixture
def doctor(browser: Browser) -> Iterator[Browser]:
    browser.signs_in(Role.DOCTOR)
    yield browser
    # whatever a test did: nothing personal stood in an address
    for seen in browser.seen:
        for personal in ("Lan", "0017", "027158004321", "1958", "GD427"):
            assert personal not in seen.address.partition("?f=")[0]


def others(doctor: Browser, page: Seen, **more: object) -> Seen:
    return doctor.fills(page, page.address + "/others", **more)


@pytest.mark.parametrize(
    ("line", "born"),
    [
        (CARD, ""),
        (CARD.replace("Nguyễn Thị Lan", "Nguy?n Th? Lan"), ""),
        ("BA-0017", ""),
        ("027158004321", ""),
        ("027 158 004 321", ""),
        ("GD4270100000017", ""),
        ("0100000017", ""),
        ("BA -00 17", ""),
    ],
)
def test_a_card_or_a_number_leads_straight_to_the_patient(doctor: Browser, line: str, born: str) -> None:
    page = doctor.finds(line, born=born)
    assert page.address.startswith("/patients/"), page.text
    assert "Nguyễn Thị Lan" in page.text and "21/03/1958" in page.text


def test_a_name_without_marks_and_a_birth_date_find_the_patient(doctor: Browser) -> None:
    page = doctor.finds("nguyen thi lan", born="21/3/1958")
    assert doctor.opens(page.link("/patients/")).status == 200
    assert "Không tìm thấy" in doctor.finds("nguyen thi lan", born="1959").text
    assert "Không tìm thấy" in doctor.finds("nguyen thi bong", born="1958").text


@pytest.mark.parametrize("line", ["Nguyễn Thị Lan 21/03/1958", "nguyen thi lan, 21.3.1958", "LAN NGUYEN 1958"])
def test_name_and_birth_date_in_one_line_find_the_patient(doctor: Browser, line: str) -> None:
    assert doctor.opens(doctor.finds(line).link("/patients/")).status == 200


@pytest.mark.parametrize(("line", "born"), [("Nguyễn Thị Lan", "21/3/58"), ("nguyen thi lan 31/02/1958", "")])
def test_a_birth_date_that_is_none_is_said_to_be_one(doctor: Browser, line: str, born: str) -> None:
    page = doctor.finds(line, born=born)
    assert page.status == 400 and "Ngày sinh chưa đọc được" in page.text
    (field,) = [given for tag, given in page.tags if tag == "input" and given.get("name") == "born"]
    assert "autofocus" in field and field["aria-invalid"] == "true"


def test_the_field_of_the_birth_date_mends_what_the_line_says(doctor: Browser) -> None:
    page = doctor.finds("Nguyễn Thị Lan 31/02/1958", born="21/03/1958")
    assert doctor.opens(page.link("/patients/")).status == 200


def test_a_card_that_holds_only_a_link_is_said_to(doctor: Browser) -> None:
    page = doctor.finds("https://card.example/tra-cuu?id=1234567890")
    assert page.status == 400 and "chỉ chứa một liên kết" in page.text


def test_a_name_alone_lists_nobody(doctor: Browser) -> None:
    page = doctor.finds("Nguyễn Thị Lan")
    assert page.status == 400 and "ngày sinh" in page.text and not [one for one in page.links if "/patients/" in one]


def test_a_card_that_contradicts_the_record_is_for_a_person_to_look_at(doctor: Browser) -> None:
    page = doctor.finds(CARD.replace("21031958", "02111961"))
    assert page.address == "/patients"
    assert "Trên thẻ: Nguyễn Thị Lan · 02/11/1961 · Nữ" in page.text and "…321" in page.text


def test_numbers_are_masked(doctor: Browser) -> None:
    page = doctor.finds("BA-0017")
    for number in ("027158004321", "GD4270100000017", "BA-0017"):
        assert number not in page.html


def test_own_records_are_there_before_anybody_is_asked(doctor: Browser, bach_mai: Hospital) -> None:
    bach_mai.publishes(ct_report(LAN, title="CLVT ở Bạch Mai"))
    page = doctor.finds("BA-0017")
    assert "CLVT ở Bạch Mai" in page.text and "Chưa hỏi các cơ sở khác" in page.text
    assert not [row for row in bach_mai.record if row.direction == "asked"]


def test_without_the_patients_request_the_page_says_so_and_what_to_do(doctor: Browser, bac_ninh: Hospital) -> None:
    page = others(doctor, doctor.finds("BA-0017"))
    assert "CLVT sọ não ở Bắc Ninh" not in page.html
    assert "chưa có văn bản yêu cầu" in page.text and "Vì sao tôi không xem được" in page.text
    desk = doctor.opens(page.link("/consents/"))
    ticked = [given["value"] for tag, given in desk.tags if tag == "input" and "checked" in given]
    assert ticked == [bac_ninh.facility]


def test_with_the_request_report_and_images_of_the_other_hospital_open(
    doctor: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.records(written_request(LAN, to="bach-mai"))
    page = others(doctor, doctor.finds("BA-0017"))
    assert "1 đã trả lời" in page.text and "CLVT sọ não ở Bắc Ninh" in page.text
    report = doctor.opens(page.link("/documents/27001."))
    assert "Nhồi máu não vùng đỉnh phải." in report.text
    assert "Nguyễn Thị Lan" in report.text and bac_ninh.house.settings.name in report.text
    study = doctor.opens(doctor.opens(page.link("/view?f=")).link("/studies/"))
    images = doctor.sends("GET", study.link("/studies/"))
    archive = zipfile.ZipFile(io.BytesIO(images.response.data))
    assert archive.testzip() is None
    assert [archive.read(name) for name in archive.namelist()] == CtStudy(LAN).slices("bac-ninh")
    received = [row for row in bach_mai.record if row.direction == "received" and row.bytes_sent]
    assert received and all(row.requester.subject == "bs.minh" for row in received)


def test_a_thickness_is_written_as_figures_are_here(doctor: Browser, bach_mai: Hospital) -> None:
    bach_mai.publishes_files(Scan(LAN, step_mm=1.25).files("bach-mai"))
    study = doctor.opens(doctor.opens(doctor.finds("BA-0017").link("/view?f=")).link("/studies/"))
    assert "1,25 mm" in study.text
    assert "1.25 mm" in doctor.fills(study, "/language", language="en").text


def test_from_a_report_its_images_are_one_click_away(doctor: Browser, bach_mai: Hospital) -> None:
    study = bach_mai.publishes_study(CtStudy(LAN))
    report = bach_mai.publishes(ct_report(LAN))
    registrar = Act(bach_mai.house, Caller(bach_mai.requester(Role.REGISTRAR), "house"), "page decide-pair")
    put_together(registrar, study.id, report.id)
    shown = doctor.opens(doctor.finds("BA-0017").link("/documents/"))
    viewer = doctor.opens(shown.link("/view?f="))
    assert viewer.status == 200 and study.study_instance_uid in viewer.html


def test_in_an_emergency_a_pdf_and_the_archive_of_images_open_like_everything_else(
    doctor: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    content, note = ct_report(LAN, text="%PDF-1.7 kết luận", title="CLVT bản PDF").files("bac-ninh")
    bac_ninh.publishes_files({"ct.pdf": content, "ct.json": note})
    page = doctor.finds("BA-0017")
    page = doctor.fills(page, page.address + "/emergency", reason="unconscious", text="Hôn mê, chưa rõ bệnh sử")
    page = others(doctor, page)
    reports = [doctor.opens(one) for one in page.links if one.startswith("/documents/27001.")]
    (shown,) = [report for report in reports if "<iframe" in report.html]
    frame = next(given["src"] for tag, given in shown.tags if tag == "iframe")
    assert doctor.sends("GET", str(frame)).response.data == content
    study = doctor.opens(doctor.opens(page.link("/view?f=")).link("/studies/"))
    assert doctor.sends("GET", study.link("/studies/")).response.data.startswith(b"PK")
    assert {row.requester.purpose for row in bac_ninh.rows(direction="disclosed") if row.bytes_sent} == {"BTG"}


def test_a_silent_hospital_has_its_line_and_the_others_are_shown(
    doctor: Browser, lab: Lab, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    thai_nguyen = lab.hospital("thai-nguyen")
    thai_nguyen.goes_down()
    bach_mai.records(written_request(LAN, to="bach-mai"))
    page = others(doctor, doctor.finds("BA-0017"))
    assert "1 không phản hồi" in page.text and "giây" in page.text and "CLVT sọ não ở Bắc Ninh" in page.text
    assert page.form("/patients/"), "one can ask again"


def test_what_a_silent_hospital_told_before_stands_apart_with_its_age_and_cannot_be_opened(
    doctor: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    found = doctor.finds("BA-0017")
    assert "kết quả đã biết lần trước" not in others(doctor, found).text
    bach_mai.lab.clock.moves(by=timedelta(hours=3))
    bac_ninh.goes_down()
    doctor.signs_in(Role.DOCTOR)
    page = others(doctor, doctor.finds("BA-0017"))
    assert "CLVT sọ não ở Bắc Ninh" in page.text and "3 giờ trước" in page.text and "có thể đã thay đổi" in page.text
    assert f"{len(CtStudy(LAN).slices('bac-ninh'))} ảnh" in page.text
    assert not [link for link in page.links if link.startswith(("/documents/", "/view"))]
    assert "Không có kết quả nào được hiển thị" in page.text, "it is no part of what is heard now"
    bach_mai.withdraws(consent)
    assert "CLVT sọ não ở Bắc Ninh" not in others(doctor, doctor.finds("BA-0017")).html


def test_the_script_gets_the_answer_alone_and_a_signed_out_browser_gets_nothing(
    doctor: Browser, bac_ninh: Hospital
) -> None:
    page = doctor.finds("BA-0017")
    token = dict(page.form("/logout").fields)["token"]
    path = page.address + "/others"
    part = doctor.sends("POST", path, data={"token": token}, headers={"Answer-Part": "1"})
    assert part.status == 200 and "<html" not in part.html and "Đã hỏi 1 cơ sở khác" in part.text
    doctor.fills(page, "/logout")
    assert doctor.sends("POST", path, data={"token": token}, headers={"Answer-Part": "1"}).status == 401


def test_what_the_patient_closed_to_this_hospital_is_neither_listed_nor_opened(
    doctor: Browser, bach_mai: Hospital
) -> None:
    from tests.papers import refusal

    report = bach_mai.publishes(ct_report(LAN, title="CLVT ở Bạch Mai"))
    bach_mai.records(refusal(LAN, to="bach-mai"))
    assert "CLVT ở Bạch Mai" not in doctor.finds("BA-0017").text
    assert doctor.opens(f"/documents/{report.id}").status == 404
    assert doctor.opens(f"/documents/{report.id}/content").status == 404


def test_hostile_names_and_texts_are_only_text(doctor: Browser, bach_mai: Hospital) -> None:
    markup = '<script>alert(1)</script><img src=x onerror="x">'
    bach_mai.publishes(ct_report(HOA, text=markup + "\u202e", title=f"CT {markup}"))
    page = doctor.finds("BA-0023")
    report = doctor.opens(page.link("/documents/"))
    assert "alert(1)" in page.text and "alert(1)" in report.text
    for seen in (page, report, doctor.finds(markup + "1")):
        assert markup not in seen.html
        assert [given for tag, given in seen.tags if tag == "script" and "src" not in given] == []


def test_a_name_cannot_be_written_backwards(doctor: Browser, bach_mai: Hospital) -> None:
    turned = replace(LAN, key="0099", name="Nguyễn \u202eNAL IHT\u202c", national_id=None, insurance=None)
    bach_mai.registers(turned)
    bach_mai.publishes(ct_report(turned, text="Không \u2067chảy máu\u2069", title="CT \u202eoãn ọs"))
    page = doctor.finds(turned.number_at(bach_mai.name))
    report = doctor.opens(page.link("/documents/"))
    assert "Nguyễn NAL IHT" in page.text and "CT oãn ọs" in page.text and "Không chảy máu" in report.text
    assert not set(page.html + report.html) & set("\u202e\u202c\u2067\u2069")


def test_a_page_of_markup_is_a_download_and_never_a_page(doctor: Browser, bach_mai: Hospital) -> None:
    entry = bach_mai.publishes(ct_report(LAN))
    with bach_mai.house.storage.begin() as unit:
        from dataclasses import replace

        kept = unit.documents.entry(entry.id)
        assert kept is not None
        attachment = replace(kept.attachment, content_type="text/html")
        unit.documents.replace(replace(kept, attachment=attachment, version=kept.version + 1))
    content = doctor.sends("GET", f"/documents/{entry.id}/content")
    assert content.response.mimetype == "application/octet-stream"
    assert content.response.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["/patients/x", "/documents/x", "/documents/27001.x", "/studies/1.2.3/download"])
def test_what_is_not_here_is_not_here(doctor: Browser, path: str) -> None:
    assert doctor.opens(path).status == 404


@pytest.mark.parametrize("line", ["'; DROP TABLE document;--1", "\x00\x011", "9" * 1999, "|" * 1999, "🂡1", "%"])
def test_whatever_is_scanned_the_page_stands(doctor: Browser, line: str) -> None:
    assert doctor.finds(line).status in (200, 400)


def test_every_look_is_on_record_under_the_doctors_name(doctor: Browser, bach_mai: Hospital) -> None:
    report = bach_mai.publishes(ct_report(LAN))
    page = doctor.finds("BA-0017")
    doctor.opens(page.link("/documents/"))
    mine = [row for row in bach_mai.record if row.requester.subject == "bs.minh"]
    assert {row.requester.name for row in mine} == {"BS. Trần Văn Minh"}
    assert {row.transaction for row in mine} >= {"page search-patients", "page own-documents", "page read-document"}
    assert any(report.id in row.items for row in mine if row.transaction == "page read-document")


def test_own_and_quick_hospitals_are_shown_while_a_slow_one_is_awaited(
    doctor: Browser, lab: Lab, bach_mai: Hospital, bac_ninh: Hospital, impostors: Impostors
) -> None:
    impostors.behaves("19999", lambda tls, _: impostors.holds_still(60))
    bach_mai.publishes(ct_report(LAN, title="CLVT ở Bạch Mai"))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    page = doctor.finds("BA-0017")
    states = doctor.watches(page, page.address + "/others")
    first = next(state for state in states if "CLVT ở Bạch Mai" in state)
    assert "đang chờ" in first
    quick = next(state for state in states if "CLVT sọ não ở Bắc Ninh" in state)
    assert "đang chờ 1" in quick and "1 đã trả lời" in quick
    assert states[-1].count("không phản hồi") and "đang chờ" not in states[-1]
    assert len(states) <= 3 and len(set(states)) == len(states), "no state is sent that shows nothing new"
    heard = [row for row in bach_mai.rows(direction="received") if "27001:answered" in row.reasons]
    assert len(heard) == 2, "each answer is recorded before it is shown"


@pytest.fixture
def sent(lab: Lab, bach_mai: Hospital) -> Sent:
    return Sent(lab.hospital("bac-ninh"), bach_mai)


def test_what_came_ahead_of_a_patient_opens_while_its_hospital_is_silent(
    doctor: Browser, sent: Sent, bach_mai: Hospital
) -> None:
    bach_mai.brings_ahead()
    bach_mai.registers(THU)
    bach_mai.records(written_request(THU, to="bach-mai"))
    others(doctor, doctor.finds(THU.number_at("bach-mai")))
    sent.bac_ninh.goes_down()
    page = others(doctor, doctor.finds(THU.number_at("bach-mai")))
    copy = "bản chuyển trước"
    assert f"Hình ảnh {copy}" in page.text and f"Xem kết quả {copy}" in page.text
    report = doctor.opens(page.link(f"/documents/{sent.bac_ninh.facility}."))
    assert report.status == 200 and "Nhồi máu não bên phải" in report.text


def test_a_copy_does_not_open_without_a_request_signed_here(doctor: Browser, sent: Sent, bach_mai: Hospital) -> None:
    bach_mai.brings_ahead()
    bach_mai.registers(THU)
    others(doctor, doctor.finds(THU.number_at("bach-mai")))
    sent.bac_ninh.goes_down()
    assert "bản chuyển trước" not in others(doctor, doctor.finds(THU.number_at("bach-mai"))).text


def test_a_copy_does_not_open_after_the_request_was_taken_back(doctor: Browser, sent: Sent, bach_mai: Hospital) -> None:
    bach_mai.brings_ahead()
    bach_mai.registers(THU)
    request = bach_mai.records(written_request(THU, to="bach-mai"))
    others(doctor, doctor.finds(THU.number_at("bach-mai")))
    sent.bac_ninh.goes_down()
    bach_mai.withdraws(request)
    assert "bản chuyển trước" not in others(doctor, doctor.finds(THU.number_at("bach-mai"))).text


def test_what_each_hospital_told_has_a_row_of_its_own_also_when_answers_come_together(
    doctor: Browser, lab: Lab, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    thai_nguyen = lab.hospital("thai-nguyen")
    thai_nguyen.publishes(ct_report(LAN))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    others(doctor, doctor.finds("BA-0017"))
    rows = bach_mai.rows(direction="received", transaction="page all-documents")
    assert sorted(str(row.other) for row in rows) == sorted(str(one.home) for one in (bac_ninh, thai_nguyen))
    facilities = {one.home: one.facility for one in (bac_ninh, thai_nguyen)}
    for row in rows:
        assert row.other is not None
        (facility,) = {item.partition(".")[0] for item in row.items}
        assert facility == facilities[row.other]
        assert row.record_id and row.reasons
