"""Whatever is sent to whichever page: an answer in the page's own words, no fault, nobody else's record."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest

from consent.requesters import Role
from hie_node.unsure_files import unsure_files
from hie_node.web import door
from hie_node.web.front import Page
from registry.pairing import doubt_id
from registry.searches import DocumentSearch
from tests.house.web.browser import Browser
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, ct_report, unreviewed_report, written_request

MARKUP = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
VALUES = (
    MARKUP,
    "\u202e\u2066gnp.exe\u200b\ufeff",
    "A" * 30_000,
    "1" * 400,
    "-1",
    "99999999999999999999",
    "٣٤",
    "0001-01-01",
    "9999-99-99",
    "31/02/2026",
    "{0.__class__} %s %(x)s ${7*7} {{7*7}}",
    "' OR 1=1 --",
    "../../../../etc/passwd",
    "\x00",
    "\r\nSet-Cookie: a=b",
    "\ud800",
    "\n\t\x1e\x7f",
    "",
)
HERE = Path(door.__file__).parent
FIELDS = sorted(
    {
        name
        for file in HERE.glob("*.py")
        for name in re.findall(
            r"""(?:field\(|(?:form|args)(?:\.get|\.getlist)?[(\[])\s*"([a-z0-9_.-]+)\"""", file.read_text("utf-8")
        )
    }
    - {"token"}
)
"""Every field that any page reads."""
SCANNED = "2026-03-10T08:20:00+07:00"
KEEPS_OUT = {"/logout", "/logout/provider"}


def pages(method: str) -> list[Page]:
    return [one for one in door.PAGES if one.method == method and one.path not in KEEPS_OUT]


def encoded(value: str) -> str:
    return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe="")


def at(path: str, value: str) -> str:
    return re.sub(r"<[^>]+>", lambda _: encoded(value) or "%20", path)


def filled(path: str, real: dict[str, str]) -> str:
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", lambda place: quote(real.get(place[1], "x"), safe=""), path)


class Staff:
    """One browser for each role, signed in; who was put out signs in again."""

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        self._browsers: dict[Role | None, Browser] = {}

    def browser(self, page: Page) -> Browser:
        role = min(page.roles) if page.roles else None
        if role not in self._browsers:
            browser = self._browsers[role] = Browser(self._hospital)
            if role is not None:
                browser.signs_in(role)
        return self._browsers[role]

    def token(self, browser: Browser) -> str:
        found = re.search(r'name="token" value="([^"]+)"', browser.opens("/").html)
        assert found is not None
        return found[1]


@pytest.fixture
def staff(bach_mai: Hospital) -> Staff:
    bach_mai.registers(replace(LAN, key="0018", national_id="027158004999"))
    bach_mai.publishes_files({"1.dcm": CtStudy(replace(HOA, key=LAN.key)).slices("bach-mai")[0]})
    refused = bach_mai.house.settings.drop / "refused"
    refused.mkdir(parents=True)
    (refused / f"{MARKUP[2:20]}.pdf".replace("/", "")).write_bytes(b"%PDF-1.4")
    return Staff(bach_mai)


@pytest.fixture
def real(staff: Staff, bach_mai: Hospital) -> dict[str, str]:
    """What stands in addresses of this hospital, by the name of its place there."""
    document, held = bach_mai.publishes(ct_report(LAN)).id, bach_mai.publishes(unreviewed_report(LAN)).id
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    with bach_mai.house.storage.read() as unit:
        record = unit.patients.record(bach_mai.number_of(LAN))
        review = unit.patients.reviews()[0].id
        held_back = unit.quarantine.waiting()[0].id
    assert record is not None
    images, report = bach_mai.publishes_study(CtStudy(LAN)), bach_mai.publishes(ct_report(LAN, performed=SCANNED))
    return {
        "pair_id": doubt_id(images.id, report.id),
        "file_id": unsure_files(bach_mai.house)[0].id,
        "record_id": record.id,
        "document_id": held or document,
        "review_id": review,
        "consent_id": consent.id,
        "quarantine_id": held_back,
    }


def body(token: str, value: str, *, twice: bool) -> str:
    """Each field with this value; or each twice, since the same name may come again."""
    pairs = [f"{name}={encoded(value)}" for name in FIELDS]
    again = [*(f"{name}=x" for name in FIELDS), f"token={token}x", "=", "&", "%"] if twice else []
    return "&".join([f"token={token}", *pairs, *again])[:60_000]


def judged(browser: Browser, page: Page, answer: object) -> None:
    seen = browser.seen[-1]
    assert seen.status < 500 or seen.status == 502, (page.method, page.path, seen.status, seen.text[:300])
    assert "<img src=x" not in seen.html and "<script>alert" not in seen.html, (page.path, answer)
    assert "a=b" not in seen.response.headers.get("Set-Cookie", ""), page.path
    location = seen.response.headers.get("Location", "/")
    assert location.startswith("/") and not location.startswith("//"), location


def test_no_address_breaks_a_page(staff: Staff, real: dict[str, str]) -> None:
    for page in pages("GET"):
        browser = staff.browser(page)
        for value in VALUES if "<" in page.path else ():
            browser.sends("GET", at(page.path, value))
            judged(browser, page, value)
        for value in (MARKUP, "A" * 30_000, "99999999999999999999", "\x00", "\ud800"):
            query = "&".join(f"{name}={encoded(value)}&{name}=x" for name in (*FIELDS, "f", "from", "to", "months"))
            browser.sends("GET", f"{filled(page.path, real)}?{query[:20_000]}")
            judged(browser, page, value)


def test_no_form_breaks_a_page(staff: Staff, real: dict[str, str]) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for page in pages("POST"):
        browser = staff.browser(page)
        token = staff.token(browser)
        for number, value in enumerate(VALUES):
            content = body(token, value, twice=number % 2 == 1)
            browser.sends("POST", filled(page.path, real), data=content, headers=form)
            judged(browser, page, value)
        browser.sends("POST", at(page.path, MARKUP), data=body(token, MARKUP, twice=True), headers=form)
        judged(browser, page, MARKUP)


ODD = (
    ("application/json", b'{"token": 1}'),
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n'),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name=scan; filename="\x00"\r\n\r\n\xff\r\n--x--',
    ),
    ("application/x-www-form-urlencoded; charset=utf-7", b"token=+ADw-script+AD4-"),
    ("application/x-www-form-urlencoded; charset=nonsense", b"token=%ff%fe"),
    ("text/plain", b"\xff\xfe\x00" * 100),
    ("", b"token=x"),
)


@pytest.mark.parametrize(("kind", "body"), ODD)
def test_a_body_in_another_form_does_nothing(staff: Staff, kind: str, body: bytes) -> None:
    for page in pages("POST"):
        browser = staff.browser(page)
        browser.sends("POST", at(page.path, "x"), data=body, headers={"Content-Type": kind})
        assert 400 <= browser.seen[-1].status < 500 or browser.seen[-1].status == 303, (page.path, kind)
        judged(browser, page, kind)


def test_a_form_of_one_role_with_the_session_of_another_does_nothing(staff: Staff, bach_mai: Hospital) -> None:
    for page in pages("POST"):
        for role in Role:
            if not page.roles or role in page.roles or role in (Role.SYSTEM, Role.PATIENT):
                continue
            other = next((one for one in pages("GET") if one.roles and min(one.roles) is role), None)
            if other is None:
                continue
            browser = staff.browser(other)
            token = staff.token(browser)
            browser.sends("POST", at(page.path, "x"), data={"token": token})
            assert browser.seen[-1].status == 403, (page.path, role)


def test_no_number_of_another_patients_thing_opens_it_for_a_hospital_that_may_not(
    lab: Lab, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    """A doctor guesses addresses with ids that are real elsewhere: without a listing there is no way to them."""
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    with bac_ninh.house.storage.read() as unit:
        record = unit.patients.record(bac_ninh.number_of(LAN))
        assert record is not None
        (entry, *_) = unit.documents.find(DocumentSearch(record_ids=(record.id,), limit=1))
    for one in (record.id, entry.id, f"27001.{entry.id}"):
        for path in ("/documents/{}", "/documents/{}/content", "/patients/{}", "/patients/{}/summary", "/held/{}"):
            seen = doctor.sends("GET", path.format(one))
            assert seen.status == 404 and LAN.name not in seen.html, (path, one)
