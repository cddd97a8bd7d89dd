"""The data protection officer: what the node noticed, who looked, whether the record is whole, and each emergency."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlalchemy import text

from adapters.store.restores import Restore
from adapters.trust.seals import read_head
from consent.limits import Alarm
from consent.requesters import Role
from consent.verification import Verification
from hie_node.flows import record_checks
from hie_node.flows.heads import Asked, offer_head
from hie_node.house import House
from hie_node.jobs import carry_checks
from hie_node.watching import raise_alarm
from hie_node.web import disclosures
from tests.house.test_heads import VERIFIER
from tests.house.test_on_record import as_owner_of_the_database
from tests.house.web.browser import Browser
from tests.lab import Hospital
from tests.papers import HOA, LAN, ct_report, written_request

BREADTH = "340 different patients today; 100 would be much already"


@pytest.fixture
def officer(browser: Browser) -> Browser:
    browser.signs_in(Role.DATA_PROTECTION_OFFICER)
    return browser


def test_an_alarm_says_whom_it_is_about_and_stays_until_somebody_looked(officer: Browser, bach_mai: Hospital) -> None:
    assert "Không có cảnh báo nào" in officer.opens("/alarms").text
    raise_alarm(bach_mai.house, Alarm("unusual-breadth", f"{bach_mai.home}#bs.minh", BREADTH, bach_mai.house.now()))
    page = officer.opens("/alarms")
    assert "bs.minh · Bệnh viện bach-mai" in page.text and "340 người bệnh khác nhau" in page.text
    assert "Không có cảnh báo nào" in officer.fills(page, "/alarms").text
    assert [row.requester.subject for row in bach_mai.rows(transaction="page clear-alarm")] == ["bv.lan"]
    assert officer.fills(page, "/alarms").status == 409, "somebody else was quicker"


def test_an_alarm_leads_to_what_its_hospital_asked(officer: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    report = bach_mai.publishes(ct_report(LAN))
    bach_mai.records(written_request(LAN, to="bac-ninh"))
    assert report in bac_ninh.finds_documents(LAN)
    raise_alarm(bach_mai.house, Alarm("quota", str(bac_ninh.home), BREADTH, bach_mai.house.now()))
    found = officer.fills(officer.opens("/alarms"), "/disclosures")
    assert found.status == 200 and bac_ninh.house.settings.name in found.text and "BA-0017" in found.text
    assert bach_mai.rows(transaction="page disclosures-of")


def test_what_one_person_did_is_listed_with_numbers_and_no_name(officer: Browser, bach_mai: Hospital) -> None:
    bach_mai.registers(HOA)
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    for number in ("BA-0017", "BA-0023"):
        doctor.finds(number)
    token = dict(officer.opens("/disclosures").form("/disclosures").fields)["token"]
    asked = {"token": token, "by": "bs.minh", "hospital": "", "days": "7"}
    page = officer.sends("POST", "/disclosures", data=asked)
    assert "BA-0017" in page.text and "BA-0023" in page.text and "BS. Trần Văn Minh" in page.text
    assert "Nguyễn Thị Lan" not in page.text
    nobody = officer.sends("POST", "/disclosures", data=asked | {"by": ""})
    assert nobody.status == 400 and "Nhập tên đăng nhập" in nobody.text


RECORD = "/disclosures/record"


def test_the_officer_has_the_record_verified_and_held_against_what_others_keep(
    officer: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.seals()
    offer_head(bach_mai.house)
    page = officer.fills(officer.opens("/disclosures/record"), RECORD)
    assert "Đang kiểm tra" in page.text and "Bùi Ngọc Lan yêu cầu" in page.text
    again = officer.sends("POST", RECORD, data=dict(officer.opens("/disclosures").form("/disclosures").fields))
    assert again.status == 303 and len(bach_mai.rows(transaction="page verify-record")) == 2
    assert carry_checks(bach_mai.house) == 1, "who asks while it runs asks for the same"
    page = officer.opens(RECORD)
    assert "Nguyên vẹn" in page.text and "Đối chiếu với 1 dấu niêm phong do cơ sở khác giữ" in page.text
    bac_ninh.goes_down()
    bach_mai.lab.clock.moves(by=timedelta(seconds=1))
    officer.fills(page, RECORD)
    carry_checks(bach_mai.house)
    page = officer.opens(RECORD)
    assert "Không phản hồi: 27001" in page.text and "Những lần kiểm tra trước" in page.text


@pytest.mark.parametrize(("english", "words"), [(False, "không phải những dòng đã niêm phong"), (True, "were sealed")])
def test_what_is_wrong_with_the_record_is_said_in_the_language_of_the_page(
    officer: Browser, bach_mai: Hospital, english: bool, words: str
) -> None:
    bach_mai.seals()
    with as_owner_of_the_database(bach_mai) as connection:
        connection.execute(text("UPDATE disclosure SET body = replace(body, 'bv.lan', 'bv.lam') WHERE position = 0"))
        connection.execute(text("UPDATE disclosure SET body = replace(body, 'his', 'hit') WHERE position = 0"))
    page = officer.opens(RECORD)
    if english:
        page = officer.fills(page, "/language", language="en")
    officer.fills(page, RECORD)
    carry_checks(bach_mai.house)
    found = officer.opens(RECORD)
    assert words in found.text and 'lang="en"' not in found.html.partition("<main")[2]


def test_how_far_a_verification_is_is_told_while_it_runs(
    officer: Browser, bach_mai: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        bach_mai.finds_own_documents(LAN)
        bach_mai.seals()
    monkeypatch.setattr(record_checks, "TOLD_EVERY", 0.0)
    seen: list[str] = []
    officer.fills(officer.opens(RECORD), RECORD)
    verified = record_checks.verify

    def verify(house: House, elsewhere: Asked, *, tell: Callable[[int, int], None]) -> Verification:
        def told(done: int, total: int) -> None:
            tell(done, total)
            seen.append(officer.opens(RECORD).text)

        return verified(house, elsewhere, tell=told)

    monkeypatch.setattr(record_checks, "verify", verify)
    carry_checks(bach_mai.house)
    assert len(seen) >= 2 and all("Đang kiểm tra: " in one for one in seen) and seen[0] != seen[-1]
    assert "Nguyên vẹn" in officer.opens(RECORD).text


def test_a_verification_that_was_killed_begins_anew(officer: Browser, bach_mai: Hospital) -> None:
    bach_mai.seals()
    officer.fills(officer.opens(RECORD), RECORD)
    with bach_mai.house.storage.begin() as unit:
        assert unit.jobs.claim(["verify-record"], now=bach_mai.house.now(), lease_seconds=60, limit=1)
    assert carry_checks(bach_mai.house) == 0 and "Đang kiểm tra" in officer.opens(RECORD).text
    bach_mai.lab.clock.moves(by=timedelta(seconds=61))
    assert carry_checks(bach_mai.house) == 1 and "Nguyên vẹn" in officer.opens(RECORD).text


def test_the_officer_compares_both_sides_with_another_hospital(
    officer: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.records(written_request(LAN, to="bach-mai"))
    assert bach_mai.finds_documents(LAN).ids
    bach_mai.lab.clock.moves(by=timedelta(seconds=1))
    page = officer.fills(officer.opens(RECORD), RECORD + "/compare", hospital="27001", days="7")
    assert "1 lượt trao đổi ghi ở đây, 1 lượt ghi ở bên kia. Hai bên khớp nhau" in page.text
    assert bach_mai.rows(transaction="page reconcile", other=bac_ninh.home)
    with as_owner_of_the_database(bac_ninh) as connection:
        connection.execute(text("DELETE FROM disclosure WHERE other IS NOT NULL"))
    page = officer.fills(officer.opens(RECORD), RECORD + "/compare", hospital="27001", days="7")
    assert "khác biệt cần làm rõ" in page.text and "bên kia không ghi" in page.text
    bac_ninh.goes_down()
    silent = officer.fills(page, RECORD + "/compare", hospital="27001", days="7")
    assert silent.status == 502 and "không trả lời được" in silent.text
    assert officer.fills(page, RECORD + "/compare", hospital="99999").status == 400


def test_heads_of_others_and_the_whole_record_leave_as_files_that_prove_something(
    officer: Browser, bach_mai: Hospital, bac_ninh: Hospital, tmp_path: Path
) -> None:
    for one in (bac_ninh, bach_mai):
        one.seals()
        offer_head(one.house)
    page = officer.opens(RECORD)
    (line,) = officer.submits(page, RECORD + "/heads", hospital="27001").response.get_data(as_text=True).splitlines()
    head = read_head(json.loads(line)["head"], home=bac_ninh.home, keys=list(bac_ninh.house.keys.ever()))
    assert head.size == len(bac_ninh.record)
    answer = officer.submits(page, RECORD + "/export")
    with ZipFile(BytesIO(answer.response.get_data())) as archive:
        archive.extractall(tmp_path / "record")
    wrong, rows, _ = VERIFIER.verify(tmp_path / "record")
    assert wrong == [] and rows > 0 and bach_mai.rows(transaction="page export-record")
    bach_mai.lab.clock.moves(by=timedelta(minutes=6))
    assert officer.submits(page, RECORD + "/export").response.headers["Location"].startswith("/prove")


def test_the_officer_answers_for_rows_that_a_backup_lost(officer: Browser, bach_mai: Hospital) -> None:
    assert "Dòng nhật ký đã mất" not in officer.opens(RECORD).text
    with bach_mai.house.storage.begin() as unit:
        unit.restores.add(Restore(bach_mai.house.now(), 3))
    page = officer.opens(RECORD)
    assert "còn 3 dòng đã niêm phong" in page.text
    assert officer.fills(page, RECORD + "/answer", because="đĩa").status == 400
    done = officer.fills(page, RECORD + "/answer", because="Ổ đĩa hỏng, bản sao lưu đêm 29/11")
    assert "Đã ghi nhận lời giải trình" in done.text and "còn 3 dòng" not in done.text
    assert officer.fills(page, RECORD + "/answer", because="Ổ đĩa hỏng, một lần nữa").status == 409
    administrator = Browser(bach_mai)
    administrator.signs_in(Role.ADMINISTRATOR)
    form = {"token": dict(administrator.opens(RECORD).form("/logout").fields)["token"], "because": "x" * 20}
    assert administrator.sends("POST", RECORD + "/answer", data=form).status == 403


def test_the_officer_prints_the_answer_for_the_patient_and_an_administrator_does_not(
    officer: Browser, bach_mai: Hospital
) -> None:
    page = officer.finds("BA-0017", desk="/disclosures")
    answer = officer.fills(page, "/consents/")
    assert answer.status == 200 and "Nguyễn Thị Lan" in answer.text and "/disclosures" in answer.links
    assert bach_mai.rows(transaction="page seen")
    administrator = Browser(bach_mai)
    administrator.signs_in(Role.ADMINISTRATOR)
    found = administrator.finds("BA-0017", desk="/disclosures")
    assert not [one for one in found._read.forms if one.action.endswith("/seen")]
    form = dict(page.form("/consents/").fields) | {"token": dict(found.form("/logout").fields)["token"]}
    assert administrator.sends("POST", page.form("/consents/").action, data=form).status == 403


def test_whose_accesses_are_shown_is_said_by_a_masked_number(officer: Browser, bach_mai: Hospital) -> None:
    page = officer.finds("BA-0017", desk="/disclosures")
    assert "lần truy cập: Mã người bệnh …017" in page.text


def test_a_review_says_whose_record_it_was_and_shows_what_was_opened(officer: Browser, bach_mai: Hospital) -> None:
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds("BA-0017")
    doctor.fills(page, page.address + "/emergency", reason="unconscious", text="Hôn mê, chưa rõ bệnh sử")
    queue = officer.opens("/emergencies")
    assert "Mã người bệnh BA-0017" in queue.text and "Nguyễn Thị Lan" not in queue.text
    opened = officer.fills(queue, "/disclosures")
    assert "lần truy cập: Mã người bệnh …017 · bs.minh" in opened.text and "truy cập khẩn cấp" in opened.text
    assert "Bùi Ngọc Lan" not in opened.text.partition("lần truy cập")[2], "only what the doctor did"
    done = officer.fills(queue, "/emergencies/", finding="justified", text="Đã đối chiếu sổ cấp cứu")
    assert "Đã ghi nhận: có căn cứ" in done.text


def _declares(hospital: Hospital, number: str, reason: str, text: str) -> None:
    doctor = Browser(hospital)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds(number)
    doctor.fills(page, page.address + "/emergency", reason=reason, text=text)


def test_reviews_of_a_period_are_listed_and_counted_by_reason_and_finding(officer: Browser, bach_mai: Hospital) -> None:
    clock = bach_mai.lab.clock
    _declares(bach_mai, "BA-0017", "unconscious", "Hôn mê")
    officer.fills(officer.opens("/emergencies"), "/emergencies/", finding="justified", text="Đã đối chiếu")
    clock.moves(by=timedelta(days=60))
    officer.signs_in(Role.DATA_PROTECTION_OFFICER)
    for happened in ("=Đa chấn thương", "Ngừng tim"):
        _declares(bach_mai, "BA-0017", "threat-to-life", happened)
        clock.moves(by=timedelta(hours=5))
    officer.signs_in(Role.DATA_PROTECTION_OFFICER)
    page = officer.fills(officer.opens("/emergencies"), "/emergencies/", finding="unjustified", text="Không khẩn cấp")
    assert "Người bệnh bất tỉnh 1 0 0 1" in page.text and "Đe dọa tính mạng 0 1 1 2" in page.text
    assert "Tổng 1 1 1 3" in page.text and "Đã đối chiếu Bùi Ngọc Lan" in page.text
    month = officer.opens("/emergencies?days=30")
    assert "bất tỉnh 1" not in month.text and "Đe dọa tính mạng 0 1 1 2" in month.text
    assert "Đã đối chiếu" not in month.text and "Không khẩn cấp" in month.text
    assert "Nguyễn Thị Lan" not in page.text
    answer = officer.submits(page, "/emergencies/export")
    lines = answer.response.get_data(as_text=True).splitlines()
    assert answer.response.mimetype == "text/csv" and len(lines) == 4
    assert "'=Đa chấn thương" in "".join(lines) and "Không khẩn cấp" in "".join(lines)
    assert bach_mai.rows(transaction="page export-emergencies")
    clock.moves(by=timedelta(minutes=6))
    assert officer.submits(page, "/emergencies/export").response.headers["Location"].startswith("/prove")


def test_a_long_search_goes_on_page_by_page_and_nobody_stands_in_an_address(
    officer: Browser, bach_mai: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosures, "MOST", 4)
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    for _ in range(5):
        doctor.finds("BA-0017")
    page = officer.finds("BA-0017", desk="/disclosures")
    told = re.search(r"Dòng 1 đến 4 trong (\d+)", page.text)
    assert told is not None and f"{told[1]} lần truy cập" in page.text
    rows = int(told[1])
    shown, pages = page.html.count('data-label="Thời điểm"'), 1
    while forms := [one for one in page._read.forms if dict(one.fields).get("after")]:
        fields = dict(forms[0].fields)
        page = officer.sends("POST", forms[0].action, data=fields)
        shown, pages = shown + page.html.count('data-label="Thời điểm"'), pages + 1
    # each page that was read is a row of its own, which the later ones do not repeat
    assert shown == rows > 20 and pages == -(-rows // 4)
    assert "Cũ hơn" not in page.text and "Về mới nhất" in page.text
    token = dict(officer.opens("/disclosures").form("/disclosures").fields)["token"]
    by = officer.sends("POST", "/disclosures", data={"token": token, "by": "bs.minh", "hospital": "", "days": "7"})
    fields = next(dict(one.fields) for one in by._read.forms if dict(one.fields).get("after"))
    second = officer.sends("POST", "/disclosures", data=fields)
    assert "Dòng 5 đến 8" in second.text and "bs.minh" in second.text
    of_something_else = officer.opens("/disclosures").form("/language").action.partition("?f=")[2]
    for after in ("x" * 50, of_something_else):
        forged = officer.sends("POST", "/disclosures", data=fields | {"after": after})
        assert forged.status == 200 and "Dòng 1 đến 4" in forged.text
    assert not [one.address for one in officer.seen if "?" in one.address.replace("?f=", "")]
