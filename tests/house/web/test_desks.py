"""The consent desk, the registrar and the administrator: each does their work, and it is on record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consent.requesters import Role
from hie_node.jobs import carry_checks
from hie_node.request_form import WORDS, RequestForm, sentences
from tests.adapters.test_pdf import drawn
from tests.conformance.pdf import is_whole
from tests.house.test_request_form import said
from tests.house.web.browser import Browser, Scan, Seen
from tests.lab import Hospital
from tests.papers import HOA, LAN, Person, ct_report, unreviewed_report, written_request

TWIN = replace(LAN, key="0018", national_id="027158004999")


@pytest.fixture
def desk(browser: Browser) -> Browser:
    browser.signs_in(Role.CONSENT_DESK)
    return browser


def patient(desk: Browser, hospital: Hospital) -> Seen:
    return desk.finds("BA-0017", desk="/consents")


def fill(desk: Browser, page: Seen, hospital: Hospital, **changed: Any) -> Seen:
    now = hospital.house.now().strftime("%d/%m/%Y")
    typed: dict[str, Any] = {"from": "27001", "days": "180", "kind": "paper", "signed": now, "scan": Scan()}
    return desk.fills(page, page.address.partition("?")[0], **{**typed, **changed})


def test_a_signed_request_opens_the_other_hospital_until_it_is_withdrawn(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    done = fill(desk, patient(desk, bach_mai), bach_mai)
    assert "Đã ghi nhận" in done.text and "đang có hiệu lực" in done.text
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds("BA-0017")
    assert "CLVT sọ não ở Bắc Ninh" in doctor.fills(page, page.address + "/others").text
    address = next(form.action for form in done._read.forms if form.action.endswith("/withdraw"))
    after = desk.fills(done, address)
    assert "đã rút lại" in after.text
    assert "CLVT sọ não ở Bắc Ninh" not in doctor.fills(page, page.address + "/others").text


def test_the_signed_paper_is_kept_and_its_days_count_from_the_day_of_signing(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    signed = bach_mai.house.now() - timedelta(days=10)
    fill(desk, patient(desk, bach_mai), bach_mai, signed=signed.strftime("%d/%m/%Y"), days="30", kind="witnessed")
    with bach_mai.house.storage.read() as unit:
        (consent,) = unit.consents.search(record_ids=None, statuses=None, limit=10)
    assert consent.evidence is not None and consent.evidence.kind == "witnessed" and consent.custodian == bac_ninh.home
    assert consent.recorded_by == "dt.nga"
    end = consent.provision.period.end
    assert end is not None and timedelta(days=19) < end - bach_mai.house.now() <= timedelta(days=21)
    paper = bach_mai.fetches(consent.evidence.reference.removeprefix("DocumentReference/"), base="")
    assert paper.body == b"%PDF-1.7 signed"


def test_the_desk_sees_the_paper_that_it_recorded(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    done = fill(desk, patient(desk, bach_mai), bach_mai)
    assert "người ghi nhận: Vũ Thị Nga" in done.text
    address = done.link("/consents/")
    paper = desk.sends("GET", address)
    assert paper.response.data == b"%PDF-1.7 signed" and paper.response.mimetype == "application/pdf"
    assert bach_mai.rows(transaction="page signed-paper")
    bach_mai.registers(HOA)
    other = desk.finds("BA-0023", desk="/consents").address
    assert desk.sends("GET", other + "/" + address.partition("/consents/")[2].partition("/")[2]).status == 404


def test_the_patient_reads_who_looked_and_not_every_click(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    page = patient(desk, bach_mai)
    for _ in range(4):
        desk.opens(page.address)
    asked = dict(page.form(page.address + "/seen").fields) | {"days": "30"}
    answer = desk.sends("POST", page.address + "/seen", data=asked)
    lines = [given for tag, given in answer.tags if tag == "tr" and given.get("class")]
    assert len(lines) < 5 and "5 lần, từ" in answer.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"from": []}, "ít nhất một cơ sở"),
        ({"from": ["99999"]}, "ít nhất một cơ sở"),
        ({"days": "100000"}, "thời hạn"),
        ({"days": ""}, "thời hạn"),
        ({"kind": "spoken"}, "được ký thế nào"),
        ({"signed": "31/02/2026"}, "Ngày ký"),
        ({"signed": "01/01/2099"}, "Ngày ký"),
        ({"signed": "01/01/2020"}, "Ngày ký"),
        ({"scan": Scan(b"")}, "Cần bản quét"),
        ({"scan": Scan(b"MZ this is a program", "to giay.pdf")}, "không phải PDF"),
        ({"scan": Scan(b"<svg onload=x>", "a.png")}, "không phải PDF"),
    ],
)
def test_an_incomplete_request_is_not_recorded(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital, changed: dict[str, Any], words: str
) -> None:
    page = fill(desk, patient(desk, bach_mai), bach_mai, **changed)
    assert page.status == 400 and words in page.text
    with bach_mai.house.storage.read() as unit:
        assert unit.consents.search(record_ids=None, statuses=None, limit=10) == ()


def test_a_scan_that_is_too_large_is_refused_in_words(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    page = patient(desk, bach_mai)
    for size in ((10 << 20) + 1, 11 << 20):
        answer = fill(desk, page, bach_mai, scan=Scan(b"%PDF-" + bytes(size)))
        assert answer.status == 413 and "tối đa 10 MB" in answer.text


def test_a_patient_who_is_sent_on_lets_the_next_hospital_see_the_records_here(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    report = bach_mai.publishes(ct_report(LAN, title="CLVT ở Bạch Mai"))
    assert report not in bac_ninh.finds_documents(LAN)
    page = patient(desk, bach_mai)
    paper = desk.sends(
        "POST",
        page.address + "/paper",
        data={"token": dict(page.form("/logout").fields)["token"], "to": "27001", "days": "90"},
    )
    provides = paper.text.partition("3. Bên cung cấp")[2].partition("4. Bên nhận")
    assert bach_mai.house.settings.name in provides[0] and "☐" not in provides[0]
    assert provides[2].strip().startswith(bac_ninh.house.settings.name)
    assert f"tại {bach_mai.house.settings.name}, không cần nêu lý do" in paper.text
    done = fill(desk, page, bach_mai, from_=[], to="27001")
    assert "đang có hiệu lực" in done.text
    assert report in bac_ninh.finds_documents(LAN)
    theirs = bac_ninh.publishes(ct_report(LAN, title="ở Bắc Ninh"))
    assert theirs not in bach_mai.finds_documents(LAN), "it opens one direction"


@pytest.mark.parametrize("changed", [{"to": "27001"}, {"from": [], "to": "99999"}, {"from": [], "to": "01929"}])
def test_a_request_for_another_hospital_is_about_the_records_here_alone(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital, changed: dict[str, Any]
) -> None:
    page = fill(desk, patient(desk, bach_mai), bach_mai, **changed)
    assert page.status == 400 and "hồ sơ tại bệnh viện này" in page.text
    with bach_mai.house.storage.read() as unit:
        assert unit.consents.search(record_ids=None, statuses=None, limit=10) == ()


def test_nothing_is_ticked_before_the_patient_has_spoken(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    page = patient(desk, bach_mai)
    assert not [given for tag, given in page.tags if tag == "input" and "checked" in given]


def test_the_paper_says_everything_that_the_law_wants_said(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    page = patient(desk, bach_mai)
    desk.fills(page, "/language", language="en")
    token = dict(page.form("/logout").fields)["token"]
    paper = desk.sends("POST", page.address + "/paper", data={"token": token, "from": "27001", "days": "90"})
    for words in (
        "VĂN BẢN YÊU CẦU CUNG CẤP DỮ LIỆU",
        "Nguyễn Thị Lan",
        "Bệnh viện bac-ninh",
        "Bệnh viện bach-mai",
        "90 ngày",
        "dữ liệu cá nhân nhạy cảm",
        "rút lại",
        "tự nguyện",
        "Mục đích",
        "nhật ký truy cập",
        "Người làm chứng",
    ):
        assert words in paper.text
    assert "027158004321" not in paper.html


def test_the_page_and_the_pdf_are_the_same_sentences(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    page = patient(desk, bach_mai)
    token = dict(page.form("/logout").fields)["token"]
    asked = {"token": token, "from": "27001", "days": "90"}
    shown = desk.sends("POST", page.address + "/paper", data=asked).text
    with bach_mai.house.storage.read() as unit:
        record = unit.patients.record(bach_mai.number_of(LAN))
    assert record is not None
    here, there = bach_mai.house.settings.name, bac_ninh.house.community
    form = RequestForm(record, here, (there,), days=90, explained_by="Vũ Thị Nga", signed_at=here)
    for block in sentences(form, WORDS["vi"], bach_mai.house.now()):
        for words in said(block).replace("1. ", "").split("\n"):
            assert " ".join(words.split()) in shown, words
    assert is_whole(desk.sends("POST", page.address + "/form", data=asked).response.data)


CHILD = replace(LAN, key="0077", name="Nguyễn Gia Bảo", born="2018-02-03", gender="male", national_id="")
BABY = replace(CHILD, key="0078", born="2024-02-03")
INK = json.dumps([[20 * n + m for n in range(10) for m in (0, 5)]])


@pytest.mark.parametrize(
    ("who", "represented_by", "inks", "missing"),
    [
        (CHILD, "Lê Thị Ba (mẹ)", ["representative"], "Thiếu chữ ký của người bệnh"),
        (CHILD, "Lê Thị Ba (mẹ)", ["patient"], "Thiếu chữ ký của người đại diện"),
        (CHILD, "", ["patient", "representative"], "cần ghi tên người đại diện"),
        (CHILD, "Lê Thị Ba (mẹ)", ["patient", "representative"], ""),
        (BABY, "Lê Thị Ba (mẹ)", ["patient"], "Thiếu chữ ký của người đại diện"),
        (BABY, "Lê Thị Ba (mẹ)", ["representative"], ""),
        (LAN, "Lê Văn Tư (con)", ["patient"], "Thiếu chữ ký của người đại diện"),
        (LAN, "Lê Văn Tư (con)", ["representative"], ""),
        (LAN, "", ["representative"], "Thiếu chữ ký của người bệnh"),
        (LAN, "", ["patient"], ""),
    ],
)
def test_whoever_has_to_sign_signs_on_the_screen(
    desk: Browser,
    bach_mai: Hospital,
    bac_ninh: Hospital,
    who: Person,
    represented_by: str,
    inks: list[str],
    missing: str,
) -> None:
    bach_mai.registers(who)
    page = desk.finds(f"BA-{who.key}", desk="/consents")
    token = dict(page.form("/logout").fields)["token"]
    asked = {"token": token, "from": "27001", "days": "90", "represented_by": represented_by}
    signed = {f"ink.{one}": INK for one in inks}
    answer = desk._follow(desk.sends("POST", page.address + "/sign", data=asked | signed))
    with bach_mai.house.storage.read() as unit:
        kept = unit.consents.search(record_ids=None, statuses=None, limit=10)
    if missing:
        assert answer.status == 400 and missing in answer.text and kept == ()
        return
    (consent,) = kept
    assert consent.evidence is not None and consent.evidence.kind == "electronic"
    assert consent.evidence.represented_by == represented_by and consent.custodian == bac_ninh.home
    paper = bach_mai.fetches(consent.evidence.reference.removeprefix("DocumentReference/"), base="").body
    assert len(inks) == drawn(paper) and answer.text.count("Xem bản đã ký") == 1


@pytest.mark.parametrize("ink", ["", "[]", "[[1,1]]", "[[1]]", '["a"]', "[[901,0]]", "{}", "[" * 20_000, "[[0.5,1]]"])
def test_what_is_no_signature_is_refused(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital, ink: str) -> None:
    page = patient(desk, bach_mai)
    token = dict(page.form("/logout").fields)["token"]
    asked = {"token": token, "from": "27001", "days": "90", "ink.patient": ink}
    answer = desk.sends("POST", page.address + "/sign", data=asked)
    assert answer.status == 400 and "Thiếu chữ ký của người bệnh" in answer.text


def test_the_request_of_another_patient_is_not_withdrawn_from_this_page(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:

    bach_mai.registers(HOA)
    consent = bach_mai.records(written_request(HOA, to="bach-mai"))
    page = patient(desk, bach_mai)
    token = dict(page.form("/logout").fields)["token"]
    answer = desk.sends("POST", f"{page.address}/{consent.id}/withdraw", data={"token": token})
    assert answer.status == 404
    with bach_mai.house.storage.read() as unit:
        kept = unit.consents.consent(consent.id)
    assert kept is not None and kept.status == "active"


@pytest.fixture
def registrar(browser: Browser, bach_mai: Hospital) -> Browser:
    """A second Lan with the same card and another number: only a person can tell whether it is the same."""
    bach_mai.registers(TWIN)
    browser.signs_in(Role.REGISTRAR)
    return browser


def persons(hospital: Hospital) -> int:
    with hospital.house.storage.read() as unit:
        records = [unit.patients.record(hospital.number_of(one)) for one in (LAN, TWIN, HOA)]
        return len({unit.patients.person_of(record.id) for record in records if record})


def test_a_doubt_is_shown_side_by_side_decided_and_undone(registrar: Browser, bach_mai: Hospital) -> None:
    reviews = registrar.opens("/reviews")
    review = registrar.opens(reviews.link("/reviews/"))
    assert "BA-0017" in review.text and "BA-0018" in review.text and "giống" in review.text
    assert persons(bach_mai) == 2
    done = registrar.fills(review, "/reviews/", answer="same")
    assert "Đã gộp" in done.text and persons(bach_mai) == 1
    person = registrar.finds("BA-0018", desk="/people")
    undone = registrar.fills(person, "/people/")
    assert "Đã tách" in undone.text and persons(bach_mai) == 2
    authors = {row.requester.subject for row in bach_mai.record if row.transaction == "page undo-link"}
    assert authors == {"tn.tuan"}


def test_a_second_click_and_a_second_registrar_change_nothing(registrar: Browser, bach_mai: Hospital) -> None:
    review = registrar.opens(registrar.opens("/reviews").link("/reviews/"))
    registrar.fills(review, "/reviews/", answer="apart")
    again = registrar.fills(review, "/reviews/", answer="same")
    assert again.status == 409 and "đã được xử lý" in again.text
    assert persons(bach_mai) == 2


@pytest.mark.parametrize(("answer", "joined"), [("same", 1), ("apart", 2)])
def test_a_decision_either_way_is_taken_back_and_waits_again(
    registrar: Browser, bach_mai: Hospital, answer: str, joined: int
) -> None:
    review = registrar.opens(registrar.opens("/reviews").link("/reviews/"))
    done = registrar.fills(review, "/reviews/", answer=answer)
    assert persons(bach_mai) == joined and "Quyết định gần đây" in done.text
    undo = done.form("/reviews/").action
    assert undo.endswith("/undo")
    again = registrar.fills(done, undo)
    assert "chờ quyết định lại" in again.text and persons(bach_mai) == 2
    assert registrar.fills(done, undo).status == 409, "somebody else was quicker"
    assert "Nghi trùng" in registrar.opens(registrar.opens("/reviews").link("/reviews/")).text


def test_a_registrar_puts_two_records_beside_each_other_and_joins_them(registrar: Browser, bach_mai: Hospital) -> None:
    bach_mai.registers(HOA)
    assert persons(bach_mai) == 3
    person = registrar.finds("BA-0023", desk="/people")
    compare = person.address + "/doubt"
    review = registrar.fills(person, compare, number="BA-0017")
    assert "nhân viên quản lý hồ sơ nêu nghi vấn" in review.text and "BA-0017" in review.text
    assert persons(bach_mai) == 3, "nothing is joined before somebody decides"
    registrar.fills(review, "/reviews/", answer="same")
    assert persons(bach_mai) == 2
    assert "đã là của một người" in registrar.fills(person, compare, number="BA-0017").text
    assert registrar.fills(person, compare, number="BA-9999").status == 400


def test_a_pair_that_was_decided_is_not_asked_about_again(registrar: Browser, bach_mai: Hospital) -> None:
    bach_mai.registers(HOA)
    person = registrar.finds("BA-0023", desk="/people")
    compare = person.address + "/doubt"
    registrar.fills(registrar.fills(person, compare, number="BA-0017"), "/reviews/", answer="apart")
    again = registrar.fills(person, compare, number="BA-0017")
    assert again.status == 409 and "đã được quyết định trước đây" in again.text


def test_an_answer_that_is_none_decides_nothing(registrar: Browser, bach_mai: Hospital) -> None:
    review = registrar.opens(registrar.opens("/reviews").link("/reviews/"))
    assert registrar.fills(review, "/reviews/", answer="maybe").status == 400
    assert len(registrar.opens("/reviews").links) > 1


def test_the_administrator_sees_health_without_a_peer_being_asked(browser: Browser, bac_ninh: Hospital) -> None:
    before = len(bac_ninh.record)
    bac_ninh.goes_down()
    browser.signs_in(Role.ADMINISTRATOR)
    page = browser.opens("/node/peers")
    assert page.status == 200 and "Bệnh viện bac-ninh" in page.text and "đang tham gia" in page.text
    asked = browser.fills(page, "/node/peers")
    assert "không phản hồi" in asked.text
    assert len(bac_ninh.record) == before


def test_a_peer_that_answers_is_said_to_answer(browser: Browser, bac_ninh: Hospital) -> None:
    browser.signs_in(Role.ADMINISTRATOR)
    assert "đã trả lời 200" in browser.fills(browser.opens("/node/peers"), "/node/peers").text


def test_the_sealed_record_is_verified_by_name_and_time(browser: Browser, bach_mai: Hospital) -> None:
    bach_mai.seals()
    page = browser.fills(browser.signs_in(Role.ADMINISTRATOR), "/disclosures/record")
    assert "Đang kiểm tra" in page.text and "Đỗ Hồng Sơn" in page.text
    carry_checks(bach_mai.house)
    for where in ("/disclosures/record", "/node"):
        page = browser.opens(where)
        assert "Nguyên vẹn" in page.text and "Đỗ Hồng Sơn" in page.text


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER])
def test_who_saw_a_record_is_answered_and_the_answer_is_on_record(
    browser: Browser, bach_mai: Hospital, role: Role
) -> None:
    bach_mai.publishes(ct_report(LAN))
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    doctor.finds("BA-0017")
    browser.signs_in(role)
    page = browser.finds("027158004321", desk="/disclosures")
    assert "BS. Trần Văn Minh" in page.text and "khám bệnh, chữa bệnh" in page.text
    assert "Nguyễn Thị Lan" not in page.text
    assert any(row.transaction == "page find-disclosures" for row in bach_mai.record)


def test_nobody_under_sixteen_signs_alone(desk: Browser, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    child = replace(LAN, key="0077", name="Nguyễn Gia Bảo", born="2018-02-03", gender="male", national_id="")
    bach_mai.registers(child)
    page = desk.finds("BA-0077", desk="/consents")
    refused = fill(desk, page, bach_mai)
    assert refused.status == 400 and "người đại diện đã ký" in refused.text
    token = dict(page.form("/logout").fields)["token"]
    asked = {"token": token, "from": "27001", "days": "90", "represented_by": "Lê Thị Ba (mẹ)"}
    paper = desk.sends("POST", page.address + "/paper", data=asked)
    signatures = paper.text.partition("Tôi đã đọc")[2]
    assert "Người yêu cầu (ngày, ký" in signatures and "Người đại diện (ngày, ký" in signatures
    done = fill(desk, page, bach_mai, represented_by="Lê Thị Ba")
    assert "Đã ghi nhận" in done.text and "người đại diện: Lê Thị Ba" in done.text


def test_a_doctor_reads_what_was_held_back_and_says_whether_it_may_leave(
    desk: Browser, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    text = bach_mai.publishes(unreviewed_report(LAN))
    queue = doctor.opens("/held")
    assert "Nguyễn Thị Lan" in queue.text and "BA-0017" in queue.text
    page = doctor.opens(f"/held/{text.id}")
    assert "Xét nghiệm HIV âm tính." in page.text
    done = doctor.fills(page, f"/held/{text.id}", finding="open")
    assert "được phép chia sẻ" in done.text and "Không có văn bản nào đang chờ" in done.text
    assert doctor.opens(f"/held/{text.id}").status == 404
    again = doctor.fills(done, f"/held/{text.id}", finding="held")
    assert "lại được giữ chờ đọc" in again.text and "Nguyễn Thị Lan" in again.text
    assert doctor.fills(doctor.opens(f"/held/{text.id}"), f"/held/{text.id}", finding="maybe").status == 400
    assert desk.opens("/held").status == desk.opens(f"/held/{text.id}/content").status == 403
