"""Ports that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house.dimse.port import Port

MakePort = Callable[..., Port]


@pytest.fixture
def make_port(tmp_path: Path) -> Iterator[MakePort]:
    """Opens a port with these bounds."""
    made: list[Port] = []

    def make(**bounds: Any) -> Port:
        made.append(Port(tmp_path, **bounds))
        return made[-1].open()

    yield make
    for port in made:
        port.clear()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    """One hospital for all tests of a file: each takes a study of its own."""
    made = Port(tmp_path_factory.mktemp("port")).open()
    yield made
    made.clear()
