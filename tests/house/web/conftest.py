"""Bạch Mai with its staff and a browser, and Bắc Ninh, where the patient has been."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from tests.house.web.browser import Browser, hires
from tests.house.web.screen import HouseDoor, chromium
from tests.lab import Hospital, Lab
from tests.papers import LAN, CtStudy, ct_report


@pytest.fixture(scope="session")
def installed() -> Iterator[Chromium]:
    """Debian's chromium, started once."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def door(bach_mai: Hospital) -> Iterator[HouseDoor]:
    made = HouseDoor(bach_mai)
    yield made
    made.close()


@pytest.fixture
def database(sqlite_template: Path) -> Callable[[Path], str]:
    """SQLite alone: what the pages store passes the store's own tests on both kinds."""

    def copied(home: Path) -> str:
        shutil.copy(sqlite_template, home / "node.db")
        return f"sqlite:///{home / 'node.db'}"

    return copied


@pytest.fixture
def bach_mai(lab: Lab) -> Hospital:
    hospital = lab.hospital("bach-mai")
    hires(hospital)
    hospital.registers(LAN)
    return hospital


@pytest.fixture
def bac_ninh(lab: Lab, bach_mai: Hospital) -> Hospital:
    """It has a report and a CT of Lan."""
    hospital = lab.hospital("bac-ninh")
    hospital.registers(LAN)
    hospital.publishes(ct_report(LAN, text="Nhồi máu não vùng đỉnh phải.", title="CLVT sọ não ở Bắc Ninh"))
    hospital.publishes_study(CtStudy(LAN))
    return hospital


@pytest.fixture
def browser(bach_mai: Hospital) -> Browser:
    return Browser(bach_mai)
