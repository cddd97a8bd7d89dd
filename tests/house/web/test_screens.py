"""Every role's main path in a real browser, in both languages, at a desk and on a phone, with a hospital down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from consent.requesters import Role
from hie_node import jobs
from hie_node.acts import Act, Caller
from hie_node.flows.pairs import put_together
from tests.adapters.test_pdf import drawn
from tests.conformance.pdf import is_whole
from tests.house.web.browser import STAFF
from tests.house.web.scans import Scan
from tests.house.web.screen import DESKTOP, PHONE, HouseDoor, Screen, screen
from tests.lab import Hospital, Lab
from tests.papers import LAN, CtStudy, Person, ct_report, unreviewed_report, written_request

TWIN = replace(LAN, key="0018", national_id="027158004999")
"""A second Lan with the same card and another number: only a person can tell whether it is the same."""

WAYS = [(DESKTOP, False), (DESKTOP, True), (PHONE, False), (PHONE, True)]
NAMES = ["desk-vi", "desk-en", "phone-vi", "phone-en"]


@pytest.fixture(params=WAYS, ids=NAMES)
def person(request: pytest.FixtureRequest, installed: Chromium, door: HouseDoor) -> Iterator[Screen]:
    size, english = request.param
    with screen(installed, door, size, judged=True) as made:
        made.english = english
        yield made
        assert made.complaints == []


def looked_at(person: Screen, where: str) -> None:
    assert person.barriers() == [], where


def test_a_doctor_goes_from_signing_in_to_report_and_images(
    person: Screen, lab: Lab, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    lab.hospital("thai-nguyen").goes_down()
    bac_ninh.publishes_files(Scan(LAN).files("bac-ninh"))
    person.opens("/")
    looked_at(person, "sign in")
    person.signs_in(Role.DOCTOR)
    looked_at(person, "search")
    person.finds("BA-0017")
    person.sees(".asked .silent")
    person.sees("details.why[open] a.button")
    looked_at(person, "nothing without a request")
    bach_mai.records(written_request(LAN, to="bach-mai"))
    person.page.click(".again button")
    person.sees("a[href^='/view']")
    looked_at(person, "the patient")
    person.page.click("a[href^='/documents'] >> nth=0")
    assert "Nhồi máu não" in person.page.inner_text("main")
    looked_at(person, "a report")
    person.page.go_back()
    person.sees("a[href^='/view']")
    person.page.click("a[href^='/view'] >> nth=0")
    person.sees(".pane[data-state=done]")
    looked_at(person, "the viewer")


@pytest.mark.parametrize("person", [WAYS[0], WAYS[3]], ids=[NAMES[0], NAMES[3]], indirect=True)
def test_a_registrar_and_the_desk_do_their_work(person: Screen, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    bach_mai.registers(TWIN)
    person.signs_in(Role.REGISTRAR)
    looked_at(person, "doubts")
    person.page.click(".choices a >> nth=0")
    looked_at(person, "a doubt")
    person.page.click("button[value=apart]")
    person.sees(".note.good")
    person.page.click("form[action='/logout'] button")
    person.signs_in(Role.CONSENT_DESK)
    person.finds("BA-0017", desk="/consents")
    person.sees("form[enctype]")
    looked_at(person, "the desk")
    person.page.check("input[name=from][value='27001']")
    person.page.check("input[name=days][value='180']")
    person.page.check("input[name=kind][value=paper]")
    person.page.set_input_files(
        "input[name=scan]", {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"}
    )
    person.page.click("form[enctype] button.main")
    person.sees(".note.good")
    looked_at(person, "a recorded request")


def test_nothing_is_left_on_the_screen_after_signing_out(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital
) -> None:
    with screen(installed, door) as doctor:
        doctor.signs_in()
        doctor.finds("BA-0017")
        doctor.sees(".patient")
        doctor.page.click("form[action='/logout'] button")
        doctor.sees("input[type=password]")
        doctor.page.go_back()
        doctor.page.wait_for_load_state()
        assert "Nguyễn Thị Lan" not in doctor.page.inner_text("body")


def test_the_hospitals_name_stays_on_one_line_beside_a_signed_in_person(installed: Chromium, door: HouseDoor) -> None:
    with screen(installed, door, PHONE) as administrator:
        administrator.signs_in(Role.ADMINISTRATOR)
        for name in ("Bệnh viện đa khoa Bắc Ninh", "Bệnh viện Trung ương Thái Nguyên"):
            lines = administrator.page.evaluate(
                """name => {
                    const strong = document.querySelector(".brand strong");
                    strong.textContent = name;
                    return Math.round(strong.offsetHeight / parseFloat(getComputedStyle(strong).lineHeight));
                }""",
                name,
            )
            assert lines == 1, name


ONE_LINE = """name => {
    document.querySelector(".brand strong").textContent = name;
    const links = [...document.querySelectorAll(".head nav a")];
    const middle = (one) => { const box = one.getBoundingClientRect(); return (box.top + box.bottom) / 2; };
    const all = [...links, ...document.querySelectorAll(".who form"), document.querySelector(".person")].map(middle);
    const head = document.querySelector(".head");
    const brand = document.querySelector(".brand").getBoundingClientRect();
    return [Math.max(...all) - Math.min(...all), head.scrollWidth - head.clientWidth,
            Math.round(brand.right - links[0].getBoundingClientRect().left)];
}"""


@pytest.mark.parametrize("english", [False, True], ids=["vi", "en"])
def test_the_menu_is_one_line_for_every_role_from_a_small_desk_on(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, english: bool
) -> None:
    for role in STAFF:
        with screen(installed, door, (1024, 700)) as person:
            person.english = english
            person.signs_in(role)
            for width in (1024, 1100, 1200, 1280, 1440, 1441, 1600):
                person.page.set_viewport_size({"width": width, "height": 700})
                apart, over, overlap = person.page.evaluate(ONE_LINE, "Bệnh viện Trung ương Thái Nguyên")
                assert apart < 2 and over <= 0 and overlap <= 0, (role, width, apart, over, overlap)
            if folder := os.environ.get("PICTURES_OF_PAGES"):
                person.page.set_viewport_size({"width": 1024, "height": 300})
                person.page.screenshot(path=f"{folder}/menu-{role}-{'en' if english else 'vi'}.png")


HOSTILE = '<img src=x onerror="document.title=1">\u202e<script>alert(1)</script> ' + "dài" * 40


@pytest.mark.parametrize(
    ("english", "runs", "whole"), [(False, "Đang kiểm tra", "Nguyên vẹn"), (True, "Verifying", "Intact")]
)
def test_a_verification_says_by_itself_that_it_has_ended(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, english: bool, runs: str, whole: str
) -> None:
    bach_mai.seals()
    stopped = Event()
    with screen(installed, door) as officer:
        officer.english = english
        officer.signs_in(Role.DATA_PROTECTION_OFFICER)
        officer.opens("/disclosures/record")
        officer.page.click("form[action='/disclosures/record'] button")
        officer.page.wait_for_selector("#check progress")
        assert runs in officer.page.inner_text("#check")
        if folder := os.environ.get("PICTURES_OF_PAGES"):
            officer.page.screenshot(path=f"{folder}/verifying-{'en' if english else 'vi'}.png")
        worker = Thread(target=jobs.run, args=(bach_mai.house, stopped.is_set))
        worker.start()
        try:
            officer.sees("#check .note.good")
        finally:
            stopped.set()
            worker.join()
        assert whole in officer.page.inner_text("#check") and officer.page.is_enabled("#check button")
        assert officer.complaints == []


def test_hostile_names_and_texts_stay_words_inside_their_place(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    mallory = Person("0666", HOSTILE[:150], "1970-01-01", "male", "027070006666")
    bach_mai.registers(mallory)
    bac_ninh.registers(mallory)
    bach_mai.publishes(ct_report(mallory, title=HOSTILE[:200], text=HOSTILE * 20))
    with screen(installed, door, PHONE, judged=True) as doctor:
        doctor.signs_in()
        doctor.finds("BA-0666")
        doctor.sees("a[href^='/documents']")
        assert "<script>" in doctor.page.inner_text(".patient") and doctor.page.title() != "1"
        assert doctor.barriers() == []
        doctor.page.click("a[href^='/documents']")
        assert doctor.barriers() == [] and "alert(1)" in doctor.page.inner_text("pre")
        assert doctor.complaints == []


def test_pictures_of_the_pages_are_small_enough_to_keep() -> None:
    for picture in (Path(__file__).parents[3] / "docs" / "pictures").glob("*.png"):
        assert picture.stat().st_size < 150_000, picture.name


CHILD = replace(LAN, key="0077", name="Nguyễn Gia Bảo", born="2018-02-03", gender="male", national_id="")


def draws(paper: Page, pad: int) -> None:
    """A signature in one of the fields."""
    field = paper.locator("[data-sign]").nth(pad)
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    assert box is not None
    paper.mouse.move(box["x"] + 40, box["y"] + 60)
    paper.mouse.down()
    for step in range(12):
        paper.mouse.move(box["x"] + 40 + 20 * step, box["y"] + 60 + 15 * (step % 3))
    paper.mouse.up()


@pytest.mark.parametrize(
    ("who", "represented_by", "fields"),
    [(LAN, "", ["người yêu cầu"]), (CHILD, "Lê Thị Ba (mẹ)", ["người yêu cầu", "người đại diện"])],
    ids=["grown", "child"],
)
def test_whoever_has_to_sign_does_so_on_the_screen_and_the_words_are_kept_with_the_signatures(
    installed: Chromium,
    door: HouseDoor,
    bach_mai: Hospital,
    bac_ninh: Hospital,
    who: Person,
    represented_by: str,
    fields: list[str],
) -> None:
    bach_mai.registers(who)
    with screen(installed, door) as desk:
        desk.signs_in(Role.CONSENT_DESK)
        desk.finds(f"BA-{who.key}", desk="/consents")
        desk.page.check("input[name=from][value='27001']")
        desk.page.check("input[name=days][value='180']")
        desk.page.fill("input[name=represented_by]", represented_by)
        with desk.page.expect_popup() as opened:
            desk.page.click("button[formaction]")
        paper = opened.value
        paper.wait_for_selector("form.signing")
        pads = paper.locator("[data-sign]")
        assert [one.get_attribute("aria-label") for one in pads.all()] == [f"Khung ký tên: {one}" for one in fields]
        for pad in range(len(fields)):
            assert paper.is_disabled("[data-done]"), "somebody has not signed yet"
            draws(paper, pad)
        paper.click("[data-again] >> nth=0")
        assert paper.is_disabled("[data-done]")
        draws(paper, 0)
        if folder := os.environ.get("PICTURES_OF_PAGES"):
            paper.screenshot(path=f"{folder}/signing-{who.key}.png", full_page=True)
        paper.click("[data-done]")
        paper.wait_for_selector(".note.good")
        assert desk.complaints == []
    with bach_mai.house.storage.read() as unit:
        record = unit.patients.record(bach_mai.number_of(who))
        assert record is not None
        (consent,) = unit.consents.of_records([record.id])
    assert consent.evidence is not None and consent.evidence.kind == "electronic"
    kept = b"".join(bach_mai.house.contents.open(record.id, consent.evidence.hash))
    if folder:
        (Path(folder) / f"signed-{who.key}.pdf").write_bytes(kept)
    assert is_whole(kept) and drawn(kept) == len(fields)
    assert consent.custodian == bac_ninh.home


def test_a_representative_without_a_name_is_asked_for_before_anybody_signs(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.registers(CHILD)
    with screen(installed, door) as desk:
        desk.signs_in(Role.CONSENT_DESK)
        desk.finds("BA-0077", desk="/consents")
        desk.page.check("input[name=from][value='27001']")
        desk.page.check("input[name=days][value='180']")
        with desk.page.expect_popup() as opened:
            desk.page.click("button[formaction]")
        opened.value.wait_for_selector(".note.signing")
        assert opened.value.query_selector("[data-sign]") is None


def test_a_doctor_reads_a_text_that_was_held_back(person: Screen, bach_mai: Hospital, bac_ninh: Hospital) -> None:
    bach_mai.publishes(unreviewed_report(LAN))
    bach_mai.publishes(unreviewed_report(replace(LAN, key="0044", name="Phạm Thị Mai", national_id="027158004444")))
    person.signs_in(Role.DOCTOR)
    person.opens("/held")
    looked_at(person, "what waits")
    person.page.click("a[href^='/held/'] >> nth=0")
    assert "HIV" in person.page.inner_text("article.report")
    looked_at(person, "the text and both answers")
    person.page.click("button[value=open]")
    person.sees(".note.good")
    looked_at(person, "what was said")


def test_asking_again_by_the_keyboard_keeps_the_place(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    with screen(installed, door) as person:
        person.signs_in(Role.DOCTOR)
        person.finds("BA-0017")
        person.sees(".again button")
        person.page.focus(".again button")
        person.page.keyboard.press("Enter")
        person.sees(".again button:focus:enabled")


def test_a_phone_has_the_report_beside_the_name_and_the_tools_in_reach(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital
) -> None:
    study = bach_mai.publishes_study(CtStudy(LAN))
    report = bach_mai.publishes(ct_report(LAN, text="Nhồi máu não."))
    registrar = Act(bach_mai.house, Caller(bach_mai.requester(Role.REGISTRAR), "house"), "page decide-pair")
    put_together(registrar, study.id, report.id)
    with screen(installed, door, PHONE, judged=True) as person:
        person.signs_in(Role.DOCTOR)
        person.finds("BA-0017")
        person.page.click("a[href^='/view'] >> nth=0")
        person.sees(".pane[data-state=done]")
        box = person.page.locator("[data-do=report]").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0]
        person.page.click("[data-do=report]")
        person.page.wait_for_selector("#report >> text=Nhồi máu não.")
        person.page.locator("[data-do=sync]").scroll_into_view_if_needed()
        assert person.barriers() == []


def test_without_a_script_a_phone_is_led_on_from_the_viewer(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital
) -> None:
    bach_mai.publishes_study(CtStudy(LAN))
    with screen(installed, door, PHONE, script=False) as person:
        person.signs_in(Role.DOCTOR)
        person.finds("BA-0017")
        person.page.click("a[href^='/view'] >> nth=0")
        person.page.click("nav a[href='/patients']")
        person.sees("form.search")


def test_a_printed_page_of_a_patient_has_nothing_to_press(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    with screen(installed, door) as person:
        person.signs_in(Role.DOCTOR)
        person.finds("BA-0017")
        person.sees(".again button")
        person.page.emulate_media(media="print")
        shown = "all => all.filter(one => one.offsetParent).map(one => one.textContent.trim())"
        assert person.page.eval_on_selector_all("button, a.button, input, summary", shown) == []
        assert person.page.locator(".asked .top p").bounding_box()["x"] < 40  # type: ignore[index]
