"""The doctor sees the very pixels of the other hospital, at once, and no longer than the patient allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Route
from pydicom import dcmread
from pydicom.data import get_testdata_file

from adapters.dicom.client import parts
from consent.requesters import Role
from tests.house.web.browser import Browser, Seen
from tests.house.web.scans import SIDE, Scan, sample
from tests.house.web.screen import HouseDoor, Screen, screen
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, written_request

CT = Scan(LAN)


@pytest.fixture
def bac_ninh(lab: Lab, bach_mai: Hospital) -> Hospital:
    hospital = lab.hospital("bac-ninh")
    hospital.registers(LAN)
    hospital.publishes_files(CT.files("bac-ninh"))
    return hospital


@pytest.fixture
def doctor(installed: Chromium, door: HouseDoor) -> Iterator[Screen]:
    with screen(installed, door) as made:
        made.signs_in()
        yield made
        assert [one for one in made.complaints if "the server responded" not in one] == []


def goes_to_the_images(doctor: Screen) -> None:
    doctor.finds("BA-0017")
    doctor.page.click("a[href^='/view'] >> nth=0")


def test_the_screen_shows_the_pixels_of_the_other_hospital(
    doctor: Screen, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.records(written_request(LAN, to="bach-mai"))
    goes_to_the_images(doctor)
    doctor.sees(".pane[data-state=done]")
    doctor.page.keyboard.press("Home")
    for key, number in (("", 1), ("ArrowDown", 2), ("End", CT.count)):
        if key:
            doctor.page.keyboard.press(key)
        doctor.sees(f".pane[data-drawn='{CT.image_uid(number)}']")
        for column, row in ((3, 4), (16, 16), (30, 2), (1, 29)):
            shown = doctor.grey(0, column, row, columns=SIDE, rows=SIDE)
            assert abs(shown - CT.grey(column, row, number)) <= 1, (number, column, row)
    text = doctor.page.inner_text(".pane")
    assert f"Ảnh {CT.count}/{CT.count}" in text and "W 400" in text and "Nguyễn Thị Lan" in text
    assert doctor.page.inner_text(".side.left") == "R" and doctor.page.inner_text(".side.top") == "A"
    doctor.page.keyboard.press("i")
    doctor.sees("[data-do=invert][aria-pressed=true]")
    doctor.page.wait_for_timeout(100)
    assert abs(doctor.grey(0, 16, 16, columns=SIDE, rows=SIDE) - (255 - CT.grey(16, 16, CT.count))) <= 1


def test_the_first_picture_is_there_while_the_others_are_still_on_their_way(
    doctor: Screen, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.records(written_request(LAN, to="bach-mai"))
    held: list[Route] = []
    doctor.page.route("**/pictures?v=*", lambda route: held.append(route))  # noqa: PLW0108 (the library marks its handlers)
    goes_to_the_images(doctor)
    doctor.sees(f".pane[data-drawn='{CT.image_uid(5)}'][data-loaded='1']")
    assert "Ảnh 5/9" in doctor.page.inner_text(".pane")
    held[0].continue_()
    doctor.sees(".pane[data-state=done][data-loaded='9']")
    assert doctor.page.get_attribute(".pane", "data-drawn") == CT.image_uid(5), "the eye stays where it was"


def test_a_request_taken_back_while_images_load_takes_them_off_the_screen(
    doctor: Screen, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    held: list[Route] = []
    doctor.page.route("**/pictures?v=*", lambda route: held.append(route))  # noqa: PLW0108 (the library marks its handlers)
    goes_to_the_images(doctor)
    doctor.sees(".pane[data-loaded='1']")
    bach_mai.withdraws(consent)
    bach_mai.works()
    held[0].continue_()
    doctor.sees(".pane[data-state=gone]")
    assert "đã được rút lại" in doctor.page.inner_text(".notice")
    assert doctor.grey(0, 30, 16, columns=SIDE, rows=SIDE) == 0, "nothing is left on the screen"


def test_a_hospital_that_falls_silent_is_said_and_what_is_missing_can_be_fetched_later(
    doctor: Screen, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    bach_mai.records(written_request(LAN, to="bach-mai"))
    held: list[Route] = []
    doctor.page.route("**/pictures?v=*", lambda route: held.append(route))  # noqa: PLW0108 (the library marks its handlers)
    goes_to_the_images(doctor)
    doctor.sees(".pane[data-loaded='1']")
    bac_ninh.goes_down()
    held[0].continue_()
    doctor.sees(".pane[data-state=silent]")
    assert "không phản hồi" in doctor.page.inner_text(".notice") and "1/9" in doctor.page.inner_text(".notice")
    bac_ninh.comes_up()
    doctor.page.click(".notice button")
    doctor.sees(".pane[data-state=done][data-loaded='9']")


def test_two_studies_beside_each_other_scroll_by_place_in_the_body(
    doctor: Screen, bach_mai: Hospital, bac_ninh: Hospital
) -> None:
    own = Scan(LAN, uid="1.2.826.0.1.3680043.10.99.8", count=30, first_mm=2.0, step_mm=1.5)
    bach_mai.publishes_files(own.files("bach-mai"))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    doctor.finds("BA-0017")
    doctor.sees("a[href^='/view'] >> nth=1")
    for box in doctor.page.query_selector_all("input[form=compare]"):
        box.check()
    doctor.page.click("button[form=compare]")
    doctor.sees(".pane[data-state=done] >> nth=1")
    places = (
        "[...document.querySelectorAll('.pane .where')]"
        ".map((one) => parseFloat(one.textContent.split('\\n')[1].replace(',', '.')))"
    )
    doctor.page.keyboard.press("Home")
    doctor.page.keyboard.press("ArrowDown")
    doctor.page.keyboard.press("ArrowDown")
    doctor.page.wait_for_timeout(150)
    left, right = doctor.page.evaluate(places)
    assert abs(left - right) <= 5.0
    before = right
    for _ in range(3):
        doctor.page.keyboard.press("ArrowDown")
    doctor.page.wait_for_timeout(150)
    left, right = doctor.page.evaluate(places)
    assert right != before and abs(left - right) <= 5.0


# ---- without a screen ----


@pytest.fixture
def clicks(browser: Browser) -> Browser:
    browser.signs_in(Role.DOCTOR)
    return browser


def opened(clicks: Browser) -> tuple[Seen, dict[str, Any]]:
    """The viewer's page, and what it tells its script of the first study."""
    page = clicks.finds("BA-0017")
    answer = clicks.fills(page, page.address + "/others")
    view = clicks.opens(answer.link("/view"))
    told = next(dict(attributes) for _, attributes in view.tags if attributes.get("id") == "viewer")
    return view, json.loads(told["data-studies"] or "")[0]


def received(clicks: Browser, study: dict[str, Any], *, viewing: str = "") -> Seen:
    address = f"/studies/{study['uid']}/series/{study['uid']}.1/pictures?v={viewing or study['viewing']}"
    return clicks.sends("GET", address)


@pytest.mark.parametrize("packing", ["jpeg_ls_lossless", "jp2klossless", "RLE", "implicit"])
def test_packed_pixels_arrive_as_numbers_that_a_browser_can_read(
    clicks: Browser, bach_mai: Hospital, packing: str
) -> None:
    bach_mai.publishes_files(sample(f"MR_small_{packing}.dcm", LAN, "bach-mai", "1.2.826.0.1.3680043.10.99.9"))
    _, study = opened(clicks)
    answer = received(clicks, study)
    (image,) = [b"".join(part.chunks) for part in parts(answer.response.content_type, [answer.response.data])]
    plain = get_testdata_file("MR_small.dcm", download=False)
    assert plain is not None
    assert dcmread(BytesIO(image)).PixelData == dcmread(plain).PixelData


def test_an_image_that_nobody_can_decode_is_said_and_the_others_are_shown(clicks: Browser, bach_mai: Hospital) -> None:
    bad = sample("JPEG-lossy.dcm", LAN, "bach-mai", CT.uid)
    good = CT.files("bach-mai")
    bach_mai.publishes_files({"000.dcm": bad["001.dcm"], "002.dcm": good["002.dcm"], "003.dcm": good["003.dcm"]})
    _, study = opened(clicks)
    body = received(clicks, study).response.data
    assert body.count(b"Content-Type: application/dicom") == 2
    assert body.count(b"Content-Type: application/problem+json") == 1 and b"cannot be decoded" in body


def test_a_permission_opens_one_study_for_one_person_for_a_while(clicks: Browser, bach_mai: Hospital, lab: Lab) -> None:
    bach_mai.publishes_files(CT.files("bach-mai"))
    other = Scan(LAN, uid="1.2.826.0.1.3680043.10.99.11")
    bach_mai.publishes_files(other.files("bach-mai"))
    _, study = opened(clicks)
    assert received(clicks, study).status == 200
    mine = study["viewing"]
    assert received(clicks, study, viewing="x" * 40).status == 403
    stranger = dict(study, uid=next(uid for uid in (CT.uid, other.uid) if uid != study["uid"]))
    assert received(clicks, stranger, viewing=mine).status == 403
    nurse = Browser(bach_mai)
    nurse.signs_in(Role.NURSE)
    assert received(nurse, study, viewing=mine).status == 403
    lab.clock.moves(by=timedelta(minutes=14))
    clicks.opens("/patients")
    lab.clock.moves(by=timedelta(minutes=14))
    assert received(clicks, study).status == 200
    lab.clock.moves(by=timedelta(minutes=14))
    assert received(clicks, study).status == 403


def test_studies_of_two_people_are_never_shown_beside_each_other(clicks: Browser, bach_mai: Hospital) -> None:
    bach_mai.registers(HOA)
    bach_mai.publishes_files(CT.files("bach-mai"))
    bach_mai.publishes_files(Scan(HOA, uid="1.2.826.0.1.3680043.10.99.12").files("bach-mai"))
    links = [clicks.finds(number).link("/view").partition("?")[2] for number in ("BA-0017", "BA-0023")]
    page = clicks.opens(f"/view?{links[0]}&{links[1]}")
    assert page.status == 400 and "hai người khác nhau" in page.text


def test_each_look_at_pictures_is_on_record_with_the_person_who_looked(clicks: Browser, bach_mai: Hospital) -> None:
    bach_mai.publishes_files(CT.files("bach-mai"))
    _, study = opened(clicks)
    clicks.sends("GET", f"/studies/{study['uid']}/list?v={study['viewing']}")
    received(clicks, study)
    rows = {row.transaction: row for row in bach_mai.rows(direction="disclosed")}
    for name in ("page view-study", "page view-images"):
        assert rows[name].requester.subject == "bs.minh" and rows[name].items and rows[name].patient is not None
    assert rows["page view-images"].bytes_sent and rows["page view-images"].complete
