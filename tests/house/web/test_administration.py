"""The administrator at night: what is wrong, what to do next, and nothing personal that leaves."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.store.unit import UnitOfWork
from adapters.trust.directory import entry_of
from adapters.trust.jwk import thumbprint
from consent.requesters import Role
from hie_node import jobs
from hie_node.flows.audit import verify
from hie_node.flows.network import set_peer_state
from hie_node.reading_again import reader_of
from hie_node.web.door import PAGES
from hie_node.web.wording import say
from registry.directory import PeerState
from registry.errors import StorageUnavailable
from registry.feeds import FeedSearch
from tests.conformance.client import Client, provided
from tests.house.web.browser import PASSWORD, STAFF, Browser, Seen
from tests.lab import Hospital
from tests.papers import LAN, ct_report, written_request


@pytest.fixture
def admin(browser: Browser) -> Browser:
    browser.signs_in(Role.ADMINISTRATOR)
    return browser


def test_every_light_says_what_to_do_next(admin: Browser, bach_mai: Hospital) -> None:
    page = admin.opens("/node")
    assert page.status == 200 and "Chỉ dùng để thử nghiệm" in page.text
    with bach_mai.house.storage.begin() as unit:
        unit.jobs.enqueue("notify-withdrawal", {"home": "x"}, run_at=bach_mai.house.now())
    assert "Báo việc rút lại" in admin.opens("/node").text


def test_each_peer_has_its_last_answer_and_how_long_it_took(admin: Browser, bach_mai: Hospital) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    page = admin.opens("/node/peers")
    assert "đã trả lời" in page.text and "1 / 1" in page.text
    bac_ninh.goes_down()
    bach_mai.finds_documents(LAN)
    page = admin.opens("/node/peers")
    assert "không phản hồi" in page.text and "1 / 2" in page.text


def test_every_question_to_a_peer_counts_whoever_asked_and_however(
    admin: Browser, bach_mai: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    for number in range(1, 4):
        bach_mai.finds_documents(LAN)
        assert f"{number} / {number}" in admin.opens("/node/peers").text, "also of the same patient"
    bach_mai.finds_studies(LAN)
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    patient = doctor.finds("BA-0017")
    doctor.fills(patient, patient.address + "/others")
    asked = {"reason": "unconscious", "text": "Hôn mê"}
    patient = doctor.fills(patient, patient.address + "/emergency", **asked)
    doctor.fills(patient, patient.address + "/others")
    asks = [row for row in bach_mai.record if any(one.startswith("27001:") for one in row.reasons)]
    assert len(asks) >= 8 and f"{len(asks)} / {len(asks)}" in admin.opens("/node/peers").text
    monkeypatch.setattr(jobs, "QUESTIONS", 5)
    jobs.forget(bach_mai.house)
    assert "5 / 5" in admin.opens("/node/peers").text, "the newest stay"


def test_a_peer_is_suspended_let_in_again_and_expelled_for_good(admin: Browser, bach_mai: Hospital) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")

    def state() -> PeerState:
        found = bach_mai.house.directory.current().peer(bac_ninh.home)
        assert found is not None
        return found.state

    for wanted in ("suspended", "active", "expelled"):
        admin.fills(admin.opens("/node/peers"), "/node/peers/state", state=wanted)
        assert state() == wanted
    page = admin.opens("/node/peers")
    token = dict(page.form("/node/peers/admit").fields)["token"]
    again = {"token": token, "facility": "27001", "state": "active"}
    assert admin.sends("POST", "/node/peers/state", data=again).status == 409
    shown = admin.fills(page, "/node/peers/admit", entry=json.dumps(entry_of(bac_ninh.peer)))
    assert state() is PeerState.EXPELLED, "first it is compared"
    assert thumbprint(bac_ninh.peer.jwks[0]) in shown.text and "Đối chiếu trước khi nhận" in shown.text
    done = admin.fills(shown, "/node/peers/admit", compared="yes")
    assert state() is PeerState.ACTIVE and "Đã nhận Bệnh viện bac-ninh" in done.text
    rows = [row for row in bach_mai.record if row.other == bac_ninh.home and row.direction == "changed"]
    assert [next(iter(row.reasons)) for row in rows] == [
        "peer-suspended", "peer-active", "peer-expelled", "peer-admitted",
    ]  # fmt: skip
    assert {row.requester.subject for row in rows} == {"qt.son"} and {row.items for row in rows} == {("27001",)}


@pytest.mark.parametrize(("english", "words"), [(False, "tạm ngừng"), (True, "suspended")])
def test_a_change_of_the_network_is_read_in_the_record(
    admin: Browser, bach_mai: Hospital, english: bool, words: str
) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    page = admin.opens("/node/peers")
    admin.fills(page, "/node/peers/state", state="suspended")
    admin.sends("GET", "/node/peers/invitation")
    admin.fills(page, "/node/peers/rotate")
    if english:
        admin.fills(page, "/language", language="en")
    told = admin.fills(admin.opens("/disclosures"), "/disclosures", by="", hospital="27001")
    assert f"{bac_ninh.house.settings.name}: {words}" in told.text
    mine = admin._follow(admin.sends("POST", "/disclosures", data={**_token(admin), "by": "qt.son", "days": "7"}))
    for kind in ("entry-given", "key-rotated"):
        assert say("en" if english else "vi", f"reason.{kind}") in mine.text
    bach_mai.seals()
    assert verify(bach_mai.house).findings == ()


def _token(admin: Browser) -> dict[str, str]:
    return {"token": dict(admin.opens("/disclosures").form("/disclosures").fields)["token"]}


def test_a_hospital_is_not_suspended_where_that_cannot_be_recorded(bach_mai: Hospital) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    act = bach_mai._act("page peer-state", Role.ADMINISTRATOR)

    def full(unit: UnitOfWork) -> None:
        raise StorageUnavailable("database", "disk full")

    act.also = full
    with pytest.raises(StorageUnavailable):
        set_peer_state(act, "27001", PeerState.SUSPENDED)
    peer = bach_mai.house.directory.current().peer(bac_ninh.home)
    assert peer is not None and peer.active


def test_a_hospital_that_was_silent_has_its_light_without_being_asked_again(admin: Browser, bach_mai: Hospital) -> None:
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    bach_mai.finds_documents(LAN)
    assert "27001" not in admin.opens("/node").text
    bac_ninh.goes_down()
    bach_mai.finds_documents(LAN)
    page = admin.opens("/node")
    assert "27001 Bệnh viện bac-ninh" in page.text and "gọi điện cho cơ sở đó" in page.text
    bac_ninh.comes_up()
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    patient = doctor.finds("BA-0017")
    patient = doctor.fills(patient, patient.address + "/emergency", reason="unconscious", text="Hôn mê")
    doctor.fills(patient, patient.address + "/others")
    assert "27001" not in admin.opens("/node").text, "what was asked in an emergency counts too"


def test_what_moved_and_what_broke_off_is_shown_without_a_patient(admin: Browser, bach_mai: Hospital) -> None:
    assert "Không có lần truyền nào" in admin.opens("/node/transfers").text
    bac_ninh = bach_mai.lab.hospital("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN, text="x" * 3000, title="CLVT của bà Lan"))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    assert bach_mai.fetches(report).status == 200
    with bach_mai.house.storage.begin() as unit:
        (row,) = [one for one in bach_mai.rows(direction="received") if one.bytes_sent]
        unit.disclosures.add(replace(row, id="broken", complete=False, bytes_sent=1 << 20))
    page = admin.opens("/node/transfers")
    (line,) = re.findall(rf"<th scope=\"row\">{bac_ninh.house.settings.name}</th>(.*?)</tr>", page.html, re.S)
    assert re.findall(r">(\d[^<]*)<", line) == ["2", "0", "1,0 MB", "1"]
    assert "bị ngắt" in page.text.lower() and "3 KB" in page.text
    for personal in ("Lan", "BA-0017", report.id, row.record_id or "none", "bs.minh"):
        assert personal not in page.html, personal


@pytest.mark.parametrize("entry", ["", "x", "[]", "{}", '{"home": "urn:oid:1.2.3"}'])
def test_what_is_no_entry_admits_nobody(admin: Browser, bach_mai: Hospital, entry: str) -> None:
    before = bach_mai.house.directory.current().peers
    assert admin.fills(admin.opens("/node/peers"), "/node/peers/admit", entry=entry).status == 400
    assert bach_mai.house.directory.current().peers == before


def test_the_invitation_holds_public_keys_and_no_other(admin: Browser, bach_mai: Hospital) -> None:
    entry = json.loads(admin.sends("GET", "/node/peers/invitation").response.get_data())
    assert entry["facility"] == "01929" and entry["jwks"]["keys"]
    assert not any("d" in key for key in entry["jwks"]["keys"])
    before = bach_mai.house.keys.kid
    admin.fills(admin.opens("/node/peers"), "/node/peers/rotate")
    assert bach_mai.house.keys.kid != before
    assert bach_mai.house.keys.kid in {key["kid"] for key in entry["jwks"]["keys"]}, "it was announced before it signs"


def test_a_refused_file_is_shown_with_its_reason_and_tried_again(admin: Browser, bach_mai: Hospital) -> None:
    refused = bach_mai.house.settings.drop / "refused"
    refused.mkdir(parents=True, exist_ok=True)
    (refused / "Nguyễn Thị Lan.xml").write_text("<x/>")
    (refused / "Nguyễn Thị Lan.xml.reason.txt").write_text("không phải GIAMDINHHS")
    page = admin.opens("/node/feeds")
    assert "không phải GIAMDINHHS" in page.text
    assert "Lan" not in str(page.form("/node/feeds/replay").fields)
    admin.fills(page, "/node/feeds/replay")
    assert (bach_mai.house.settings.drop / "Nguyễn Thị Lan.xml").exists()
    assert not list(refused.iterdir())
    assert admin.submits(page, "/node/feeds/replay").status == 404
    assert admin.submits(page, "/node/feeds/replay", file="../../node.toml").status == 400


def adds(admin: Browser, **who: str) -> Seen:
    token = dict(admin.opens("/node/people").form("/node/people").fields)["token"]
    return admin._follow(admin.sends("POST", "/node/people", data={"token": token, **who}))


def test_a_new_account_gets_a_password_once_and_a_disabled_one_is_out(admin: Browser, bach_mai: Hospital) -> None:
    page = adds(admin, username="bs.moi", name="BS. Mới", role="doctor")
    shown = re.search(r"<code>([\w-]{16})</code>", page.html)
    assert shown is not None and shown[1] not in admin.opens("/node/people").html
    fresh, own = Browser(bach_mai), "một câu dài mà chỉ tôi biết"
    assert fresh.fills(fresh.opens("/"), "/login", username="bs.moi", password=shown[1]).address == "/account"
    assert admin.opens("/node/people").text.count("chưa tự đặt mật khẩu") == 1
    fresh.fills(fresh.opens("/account"), "/account/password", password=shown[1], new=own)
    assert "chưa tự đặt mật khẩu" not in admin.opens("/node/people").text
    assert fresh.fills(fresh.opens("/"), "/login", username="bs.moi", password=own).address == "/patients"
    token = dict(admin.opens("/node/people").form("/node/people").fields)["token"]

    def changes(**how: str) -> Seen:
        return admin.sends("POST", "/node/people/change", data={"token": token, "username": "bs.moi", **how})

    changes(what="end-sessions")
    assert fresh.sends("GET", "/patients").status == 303
    changes(what="role", role="registrar")
    again = Browser(bach_mai)
    assert again.fills(again.opens("/"), "/login", username="bs.moi", password=own).address == "/reviews"
    changes(what="disable")
    assert again.sends("GET", "/reviews").status == 303
    assert changes(what="role", role="system").status == changes(what="burn").status == 400
    me = {"token": token, "username": STAFF[Role.ADMINISTRATOR][0], "what": "disable"}
    assert admin.sends("POST", "/node/people/change", data=me).status == 409


def test_a_forgotten_password_is_given_anew_and_changed_by_its_owner(admin: Browser, bach_mai: Hospital) -> None:
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    token = dict(admin.opens("/node/people").form("/node/people").fields)["token"]
    asked = {"token": token, "username": "bs.minh", "what": "password"}
    shown = re.search(r"<code>([\w-]{16})</code>", admin.sends("POST", "/node/people/change", data=asked).html)
    assert shown is not None and doctor.sends("GET", "/patients").status == 303, "the old sessions have ended"
    assert doctor.signs_in(Role.DOCTOR).address == "/login"
    assert doctor.signs_in(password=shown[1]).address == "/account", "somebody else knows it"
    page, own = doctor.opens("/account"), "một câu dài mà chỉ tôi biết"
    for old, new, words in ((own, own, "hiện tại không đúng"), (shown[1], "ngắn", "ít nhất 14 ký tự")):
        refused = doctor.fills(page, "/account/password", password=old, new=new)
        assert refused.status == 422 and words in refused.text
    done = doctor.fills(page, "/account/password", password=shown[1], new=own)
    assert "Đã đổi mật khẩu" in done.text and doctor.sends("GET", "/patients").status == 303
    assert (
        doctor.signs_in(password=shown[1]).address == "/login" and doctor.signs_in(password=own).address == "/patients"
    )


def test_a_password_that_somebody_else_set_opens_the_own_page_alone(admin: Browser, bach_mai: Hospital) -> None:
    with bach_mai.house.storage.begin() as unit:
        known = unit.people_of_the_house.user("bs.minh")
        assert known is not None and not known.given
        unit.people_of_the_house.add_user(replace(known, given=True), replace=True)
    doctor = Browser(bach_mai)
    page = doctor.signs_in(Role.DOCTOR)
    assert page.address == "/account" and "do người khác đặt" in page.text
    assert not [link for link in page.links if link.startswith("/patients")] and "Các phiên" not in page.text
    token = dict(page.form("/logout").fields)["token"]
    for one in PAGES:
        if one.roles is not None and one.name not in ("account", "new-password"):
            path = one.path.replace("<", "").replace(">", "")
            answer = doctor.sends(one.method, path, data={"token": token} if one.method == "POST" else None)
            assert answer.status == 303 and answer.response.headers["Location"] == "/account", one.path
    part = doctor.sends("POST", "/patients/x/others", data={"token": token}, headers={"Answer-Part": "1"})
    assert part.status == 401
    assert doctor.fills(page, "/language", language="en").text.count("Somebody else set this password") == 1
    own = "một câu dài mà chỉ tôi biết"
    doctor.fills(doctor.opens("/account"), "/account/password", password=PASSWORD, new=own)
    assert doctor.signs_in(Role.DOCTOR, password=own).address == "/patients"


def test_what_an_administrator_does_to_accounts_is_said_and_on_record(admin: Browser, bach_mai: Hospital) -> None:
    adds(admin, username="bs.moi", name="BS. Mới", role="doctor")
    token = dict(admin.opens("/node/people").form("/node/people").fields)["token"]
    told = {
        "disable": "Đã khóa tài khoản bs.moi",
        "enable": "Đã mở khóa tài khoản bs.moi",
        "reset-factor": "yếu tố thứ hai mới",
        "end-sessions": "Đã kết thúc mọi phiên",
        "role": "Đã đổi vai trò",
    }
    for what, words in told.items():
        asked = {"token": token, "username": "bs.moi", "what": what, "role": "nurse"}
        assert words in admin._follow(admin.sends("POST", "/node/people/change", data=asked)).text
    rows = [row for row in bach_mai.record if row.transaction in ("page add-user", "page change-user")]
    assert [row.direction for row in rows] == ["changed"] * 6 and {row.requester.subject for row in rows} == {"qt.son"}
    assert all(row.items == ("bs.moi",) and row.record_id is None for row in rows)


def test_nobody_becomes_an_administrator_by_a_list_that_was_left_as_it_was(admin: Browser) -> None:
    page = adds(admin, username="bs.moi", name="BS. Mới", role="")
    assert page.status == 400 and 'value="bs.moi"' in page.html, "what was typed is still there"


def test_accounts_and_peers_want_a_fresh_proof(admin: Browser, bach_mai: Hospital) -> None:
    bach_mai.lab.clock.moves(by=timedelta(minutes=6))
    asked = adds(admin, username="x", name="x", role="doctor")
    assert "Xác nhận lại danh tính" in asked.text
    assert admin.fills(asked, "/prove", password=PASSWORD).address == "/node/people"


def test_settings_are_shown_with_their_origin_and_no_secret(admin: Browser, bach_mai: Hospital) -> None:
    file = bach_mai.house.settings.home / "node.toml"
    file.write_text(file.read_text("utf-8") + "\n[limits]\nlogin_tries = 10\n", "utf-8")
    text = admin.opens("/node/settings").text
    assert "login_tries 10 node.toml" in text and "login_wait 900 mặc định" in text
    assert "facility_code 01929 " in text and "smtp_security = starttls" in text and "Notices(" not in text


def test_the_diagnosis_holds_nobody(admin: Browser, bach_mai: Hospital) -> None:
    refused = bach_mai.house.settings.drop / "refused"
    refused.mkdir(parents=True, exist_ok=True)
    (refused / "Nguyễn Thị Lan.xml").write_text("<x/>")
    told = admin.sends("GET", "/node/diagnosis").response.get_data(as_text=True)
    assert json.loads(told)["drop_folder"]["refused"] == 1
    for personal in ("Lan", "bv.lan", "bs.minh", "Trần", LAN.national_id or "-"):
        assert personal not in told


def test_the_access_log_of_a_patient_leaves_as_a_file_and_that_is_on_record(
    browser: Browser, bach_mai: Hospital
) -> None:
    browser.signs_in(Role.DATA_PROTECTION_OFFICER)
    page = browser.fills(browser.opens("/disclosures"), "/disclosures", q="BA-0017", days="30")
    answer = browser.submits(page, "/disclosures/export")
    text = answer.response.get_data(as_text=True)
    assert answer.response.mimetype == "text/csv" and "Bệnh viện bach-mai" in text
    assert bach_mai.rows(transaction="page export-disclosures")
    bach_mai.lab.clock.moves(by=timedelta(minutes=6))
    assert browser.submits(page, "/disclosures/export").response.headers["Location"].startswith("/prove")


def test_a_refused_message_is_listed_with_its_reason_and_read_again(admin: Browser, bach_mai: Hospital) -> None:
    (published,) = bach_mai.publishes_files({"ho-so.xml": b"<GIAMDINHHS><X/></GIAMDINHHS>"})
    assert published.outcome == "refused"
    page = admin.opens("/node/feeds")
    assert "insurance" in page.text and "Tin bị từ chối" in page.text
    with reader_of(bach_mai.house):
        assert "đã đọc lại" in admin.fills(page, "/node/feeds/again").text


def test_a_refused_submission_is_listed_by_its_system_and_read_again(admin: Browser, bach_mai: Hospital) -> None:
    his = Client(bach_mai)
    message = provided(his.subject("BN7"), profile="Minimal")
    assert his("POST", "/fhir", message, X_Request_Id="<b>7</b>").status == 422
    page = admin.opens("/node/feeds")
    assert "FHIR his" in page.text and "BN7" not in page.text
    assert "ITI-65 &lt;b&gt;7&lt;/b&gt;" in page.html
    his.registers("BN7")
    with reader_of(bach_mai.house):
        admin.fills(page, "/node/feeds/again")
    with bach_mai.house.storage.read() as unit:
        assert [one.outcome for one in unit.feeds.find(FeedSearch("fhir"))].count("refused") == 0
