"""No page is forgotten: each route is looked at in both languages, at a desk and on a phone, with a hospital down."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from consent.requesters import Role
from hie_node.web.door import PAGES
from hie_node.web.wording import Language, say, wordings
from tests.house.web.scene import LOOKS, NO_PAGES, Look, Scene, furnish
from tests.house.web.screen import DESKTOP, PHONE, HouseDoor, Screen, screen
from tests.lab import Hospital, Lab

WAYS = [(DESKTOP, False), (DESKTOP, True), (PHONE, False), (PHONE, True)]
NAMES = ["desk-vi", "desk-en", "phone-vi", "phone-en"]
REFUSALS = [key for key in wordings() if key.startswith("error.") and "{" not in wordings()[key]["vi"]]
PICTURES = os.environ.get("PICTURES_OF_PAGES", "")
"""A folder for a picture of each page, for whoever changes one and wants to look."""


@pytest.fixture
def scene(lab: Lab, bach_mai: Hospital, bac_ninh: Hospital) -> Scene:
    return furnish(lab, bach_mai, bac_ninh)


def test_every_route_that_a_browser_opens_is_looked_at() -> None:
    routes = {page.path for page in PAGES if page.method == "GET"}
    looked_at = {look.path for look in LOOKS}
    assert routes - looked_at - set(NO_PAGES) == set(), "add the page to LOOKS in scene.py"
    assert set(NO_PAGES) <= routes and not looked_at & set(NO_PAGES)


@pytest.mark.parametrize(("size", "english"), WAYS, ids=NAMES)
def test_no_page_has_a_barrier(
    installed: Chromium,
    door: HouseDoor,
    scene: Scene,
    request: pytest.FixtureRequest,
    size: tuple[int, int],
    english: bool,
) -> None:
    found, way = [], request.node.callspec.id
    for role in dict.fromkeys(look.role for look in LOOKS):
        with screen(installed, door, size, judged=True) as person:
            person.english = english
            _comes(person, role)
            for look in (one for one in LOOKS if one.role is role):
                found += [f"{look.name}: {told}" for told in _looked_at(person, look, scene, way)]
    assert not found, "\n".join(found)


def _comes(person: Screen, role: Role | None) -> None:
    if role is not None:
        person.signs_in(role)
        return
    person.opens("/login")
    person.speaks()


def _looked_at(person: Screen, look: Look, scene: Scene, way: str) -> Iterator[str]:
    first = person.page
    look.go(person, scene)
    yield from person.barriers()
    if look.role is not None:
        assert "/login" not in person.page.url, look.name
    if look.name != "error":
        language: Language = "en" if person.english else "vi"
        assert person.page.inner_text("h1 >> nth=0") not in {say(language, key) for key in REFUSALS}, look.name
    if look.name != "paper":
        yield from (f"in the other language: {text}" for text in _foreign_words_of_ours(person))
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        person.page.screenshot(path=f"{PICTURES}/{look.name}-{way}.png", full_page=True)
    if person.page is not first:
        person.page.close()
        person.page = first


def _foreign_words_of_ours(person: Screen) -> list[str]:
    """Buttons and heads of tables are always ours, and labels that do not name what somebody wrote; what nobody has
    translated yet is marked with its language."""
    if not person.english:
        return person.page.eval_on_selector_all("main [lang=en]", "all => all.map(one => one.textContent.trim())")
    said = person.page.eval_on_selector_all(
        "main button, main th, main label:not([translate=no]), main legend",
        "all => all.filter(one => one.offsetParent).map(one => one.textContent.trim())",
    )
    return [text for text in said if re.search("[ăâđêôơưĂÂĐÊÔƠƯ]", text)]
