"""Who gets in, for how long, and what a forged form can do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.requesters import Role
from hie_node.house import House
from hie_node.web.door import PAGES
from hie_node.web.front import CONTENT_POLICY
from tests.house.web.browser import PASSWORD, STAFF, Browser
from tests.lab import Hospital

FIRST_PAGES = {
    Role.DOCTOR: "/patients",
    Role.NURSE: "/patients",
    Role.REGISTRAR: "/reviews",
    Role.CONSENT_DESK: "/consents",
    Role.ADMINISTRATOR: "/node",
    Role.DATA_PROTECTION_OFFICER: "/disclosures",
}


@pytest.mark.parametrize("role", FIRST_PAGES, ids=str)
def test_everybody_comes_to_the_page_of_their_work(browser: Browser, role: Role) -> None:
    page = browser.signs_in(role)
    assert page.status == 200 and page.address == FIRST_PAGES[role]
    assert STAFF[role][1] in page.text


def test_nobody_sees_anything_but_the_door(browser: Browser) -> None:
    for page in (one for one in PAGES if one.method == "GET" and one.roles is not None):
        path = page.path.replace("<", "").replace(">", "")
        answer = browser.sends("GET", path)
        assert answer.status == 303 and answer.response.headers["Location"].startswith("/login")


def test_a_wrong_password_and_an_unknown_name_read_the_same(browser: Browser) -> None:
    wrong = browser.signs_in(password="không phải")
    unknown = browser.fills(browser.opens("/"), "/login", username="nobody", password=PASSWORD)
    assert wrong.status == unknown.status == 403
    assert wrong.text == unknown.text


def test_after_ten_wrong_passwords_the_name_waits(browser: Browser, bach_mai: Hospital) -> None:
    assert [browser.signs_in(password="sai").status for _ in range(10)] == [403] * 10
    waiting = browser.signs_in()
    assert waiting.status == 429 and "15 phút" in waiting.text
    assert browser.signs_in(Role.NURSE).status == 200
    bach_mai.lab.clock.moves(by=timedelta(seconds=901))
    assert Browser(bach_mai).signs_in().status == 200


def test_a_right_password_forgets_the_wrong_ones(bach_mai: Hospital) -> None:
    for _ in range(3):
        browser = Browser(bach_mai)
        assert [browser.signs_in(password="sai").status for _ in range(6)] == [403] * 6
        assert browser.signs_in().status == 200


def test_a_desk_that_was_left_alone_asks_again(browser: Browser, bach_mai: Hospital) -> None:
    browser.signs_in()
    bach_mai.lab.clock.moves(by=timedelta(minutes=14))
    assert browser.opens("/patients").address == "/patients"
    bach_mai.lab.clock.moves(by=timedelta(minutes=16))
    page = browser.opens("/patients")
    assert page.address.startswith("/login") and "đã kết thúc" in page.text


def test_after_a_shift_even_a_busy_desk_asks_again(browser: Browser, bach_mai: Hospital) -> None:
    browser.signs_in()
    for _ in range(72):
        assert browser.sends("GET", "/patients").status == 200
        bach_mai.lab.clock.moves(by=timedelta(minutes=10, seconds=1))
    assert browser.sends("GET", "/patients").status == 303


def test_signing_in_again_leads_back_to_the_page_that_was_wanted(browser: Browser) -> None:
    door = browser.opens("/consents")
    page = browser.fills(door, "/login", username=STAFF[Role.DOCTOR][0], password=PASSWORD)
    assert page.address.startswith("/consents")


def test_a_session_that_was_ended_is_dead_for_whoever_kept_the_cookie(browser: Browser, bach_mai: Hospital) -> None:
    page = browser.signs_in()
    kept = browser._client.get_cookie("__Host-hie-session", domain="node.example")
    assert kept is not None
    browser.fills(page, "/logout")
    thief = Browser(bach_mai)
    thief._client.set_cookie("__Host-hie-session", kept.value, domain="node.example", secure=True)
    assert thief.sends("GET", "/patients").status == 303


def test_a_cookie_that_was_touched_is_nobody(browser: Browser, bach_mai: Hospital) -> None:
    browser.signs_in()
    kept = browser._client.get_cookie("__Host-hie-session", domain="node.example")
    assert kept is not None
    secret, _, signature = kept.value.partition(".")
    for value in (secret, f"{secret}.", f"{secret}x.{signature}", f"{secret}.{signature[:-1]}0x", ".", "é.é"):
        thief = Browser(bach_mai)
        thief._client.set_cookie("__Host-hie-session", value, domain="node.example", secure=True)
        assert thief.sends("GET", "/patients").status == 303


def test_a_disabled_account_is_out_at_once(browser: Browser, bach_mai: Hospital) -> None:
    browser.signs_in()
    with bach_mai.house.storage.begin() as unit:
        unit.people_of_the_house.disable_user(STAFF[Role.DOCTOR][0])
    assert browser.sends("GET", "/patients").status == 303
    assert Browser(bach_mai).signs_in().status == 403


def test_the_database_keeps_no_secret_of_a_session_and_no_name_that_was_tried(
    browser: Browser, bach_mai: Hospital
) -> None:
    browser.fills(browser.opens("/"), "/login", username="mật khẩu gõ nhầm", password="x")
    browser.signs_in()
    kept = browser._client.get_cookie("__Host-hie-session", domain="node.example")
    assert kept is not None
    files = b"".join(f.read_bytes() for f in bach_mai.house.settings.home.glob("node.db*"))
    assert kept.value.partition(".")[0].encode() not in files
    assert "mật khẩu gõ nhầm".encode() not in files


def test_cookies_are_for_this_host_over_tls_and_out_of_reach_of_scripts(browser: Browser) -> None:
    browser.signs_in()
    given = [h for seen in browser.seen for h in seen.response.headers.getlist("Set-Cookie") if "Max-Age=0" not in h]
    assert given
    for cookie in given:
        assert cookie.startswith("__Host-hie-")
        for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie


@pytest.mark.parametrize("page", [p for p in PAGES if p.method == "POST"], ids=lambda p: f"{p.method} {p.path}")
def test_a_form_without_our_token_does_nothing(browser: Browser, bach_mai: Hospital, page: object) -> None:
    role = next(iter(page.roles or {Role.DOCTOR}))  # type: ignore[attr-defined]
    browser.signs_in(role)
    before = len(bach_mai.record)
    path = page.path.replace("<", "").replace(">", "")  # type: ignore[attr-defined]
    for token in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "é"}):
        assert browser.sends("POST", path, data={**token, "q": "1"}).status == 403
    assert len(bach_mai.record) == before
    assert browser.sends("GET", "/").status == 303, "still signed in"


def test_the_token_of_another_browser_is_not_ours(browser: Browser, bach_mai: Hospital) -> None:
    other = Browser(bach_mai)
    token = dict(other.signs_in(Role.DOCTOR).form("/logout").fields)["token"]
    browser.signs_in(Role.DOCTOR)
    assert browser.sends("POST", "/patients", data={"token": token, "q": "BA-0017"}).status == 403


@pytest.mark.parametrize("role", FIRST_PAGES, ids=str)
def test_a_role_opens_its_pages_and_no_others(browser: Browser, role: Role) -> None:
    token = dict(browser.signs_in(role).form("/logout").fields)["token"]
    for page in (one for one in PAGES if one.roles is not None):
        path = page.path.replace("<", "").replace(">", "")
        answer = browser.sends(page.method, path, data={"token": token} if page.method == "POST" else None)
        assert (answer.status == 403) == (role not in page.roles), (page.method, page.path, answer.status)  # type: ignore[operator]


def test_every_answer_forbids_what_no_page_needs(browser: Browser) -> None:
    browser.opens("/nothing")
    browser.signs_in()
    browser.finds("BA-0017")
    browser.sends("POST", "/patients", data={})
    for tag, given in browser.seen[-2].tags:
        if tag in ("script", "link"):
            browser.sends("GET", given.get("src") or given.get("href") or "")
    for seen in browser.seen:
        headers = seen.response.headers
        assert headers["Content-Security-Policy"] == CONTENT_POLICY
        assert "unsafe" not in CONTENT_POLICY and "frame-ancestors 'none'" in CONTENT_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        if not seen.address.startswith("/static/"):
            assert headers["Cache-Control"] == "no-store"


def test_no_page_has_a_script_or_a_style_inside(browser: Browser) -> None:
    browser.signs_in()
    browser.finds("BA-0017")
    for seen in browser.seen:
        for tag, given in seen.tags:
            assert tag != "style" and "style" not in given
            assert tag != "script" or given.get("src", "").startswith("/static/")  # type: ignore[union-attr]
            assert not [name for name in given if name.startswith("on")]


def test_errors_are_pages_in_the_readers_language(browser: Browser) -> None:
    assert "Không có trang" in browser.opens("/nothing").text
    browser.fills(browser.opens("/"), "/language", language="en")
    assert "There is no such page" in browser.opens("/nothing").text
    assert browser.sends("GET", "/logout").status == 405
    long = browser.sends("POST", "/login", data={"username": "x" * 100_000})
    assert long.status == 413 and "too large" in long.text


def test_systems_keep_the_errors_of_their_own_standard(browser: Browser) -> None:
    answer = browser.sends("GET", "/fhir/Nothing")
    assert answer.status == 404 and answer.response.json["resourceType"] == "OperationOutcome"  # type: ignore[index]
    for path in ("/dicomweb/nothing", "/oauth/nothing", "/.well-known/nothing"):
        assert browser.sends("GET", path).response.mimetype == "application/problem+json"


def test_a_fault_of_ours_shows_a_reference_and_nothing_else(browser: Browser, bach_mai: Hospital) -> None:
    browser.signs_in(Role.ADMINISTRATOR)
    broken: House = replace(bach_mai.house, directory=None)  # type: ignore[arg-type]
    bach_mai.house = broken
    bach_mai.opens_anew()
    page = browser.opens("/node/peers")
    assert page.status == 500 and "Mã lỗi" in page.text
    assert "NoneType" not in page.html and "Traceback" not in page.html
