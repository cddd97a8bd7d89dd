"""A hospital for each test that asks for one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hie_node import log
from hie_node.settings import Mllp
from tests.house.hospital import Hospital, make_house


@pytest.fixture(autouse=True)
def _quiet() -> None:
    log.configure(level=logging.CRITICAL)


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(make_house(tmp_path, mllp=Mllp(authorities={"BVB": "urn:oid:1.2.4"})))
    yield made
    made.house.storage.close()
