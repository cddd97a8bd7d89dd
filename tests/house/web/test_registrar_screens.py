"""The registrar's pages for pairs and files in a real browser, by the keyboard alone, and without any script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser as Chromium

from consent.requesters import Role
from tests.house.web.screen import DESKTOP, PHONE, HouseDoor, Screen, screen
from tests.house.web.test_files_page import PDF, documents, drops, note
from tests.house.web.test_pairs_page import AT_THE_TIME
from tests.lab import Hospital
from tests.papers import HOA, LAN, CtStudy, ct_report

MOST_TABS = 80
WAYS = [(DESKTOP, False), (PHONE, True)]


def reaches(person: Screen, selector: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(MOST_TABS):
        if person.page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
        person.page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def presses(person: Screen, selector: str, *, then: str) -> None:
    reaches(person, selector)
    person.page.keyboard.press("Enter")
    person.sees(then)


@pytest.mark.parametrize(("size", "english"), WAYS, ids=["desk-vi", "phone-en"])
def test_pairs_and_files_are_decided_by_the_keyboard(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital, size: tuple[int, int], english: bool
) -> None:
    bach_mai.registers(HOA)
    images = bach_mai.publishes_study(CtStudy(LAN))
    report = bach_mai.publishes(ct_report(LAN, performed=AT_THE_TIME)).id
    drops(bach_mai, {"kq.pdf": PDF, "kq.json": note(HOA)})
    with screen(installed, door, size, judged=True) as person:
        person.english = english
        person.signs_in(Role.REGISTRAR)
        presses(person, "a[href='/pairs']", then=".choices a")
        presses(person, ".choices a", then="button[value=together]")
        assert person.barriers() == []
        presses(person, "button[value=together]", then=".note.good")
        presses(person, "a[href='/files']", then=".choices a")
        presses(person, ".choices a", then="[name=patient]")
        reaches(person, "[name=patient]")
        person.page.keyboard.type(HOA.number_at("bach-mai"))
        presses(person, "button[value=look]", then="button[value=file]")
        assert person.barriers() == []
        presses(person, "button[value=file]", then=".note.good")
        assert person.barriers() == [] and person.complaints == []
    with bach_mai.house.storage.read() as unit:
        joined = unit.studies.study(images.id)
    assert joined is not None and joined.report_id == report
    assert len(documents(bach_mai, HOA)) == 1


def test_two_columns_stand_beside_each_other_on_a_phone(
    installed: Chromium, door: HouseDoor, bach_mai: Hospital
) -> None:
    bach_mai.publishes_study(CtStudy(LAN))
    bach_mai.publishes(ct_report(LAN, performed=AT_THE_TIME))
    with screen(installed, door, PHONE) as person:
        person.signs_in(Role.REGISTRAR)
        person.opens("/pairs")
        person.page.click(".choices a")
        widths = person.page.eval_on_selector_all(
            ".compare td:not(:last-child)", "all => all.map(one => one.offsetWidth)"
        )
        assert min(width for width in widths if width) > 80
