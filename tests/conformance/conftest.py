"""A hospital whose every answer is held against the specification, and a second one to ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.trust.certificates import Credential
from tests.conformance.client import Client
from tests.conformance.soap import SoapClient
from tests.databases import postgres, sqlite_template
from tests.house.conftest import hospital
from tests.lab import Lab, database, lab, lab_authority

__all__ = ["database", "hospital", "lab", "lab_authority", "postgres", "sqlite_template"]


@pytest.fixture
def clients(
    tmp_path: Path, lab_authority: Credential, sqlite_template: Path
) -> Iterator[Callable[..., tuple[Client, ...]]]:
    """Foreign systems, each at one hospital of a network."""

    def new_database(home: Path) -> str:
        (home / "node.db").write_bytes(sqlite_template.read_bytes())
        return f"sqlite:///{home / 'node.db'}"

    lab = Lab(tmp_path, lab_authority, new_database)
    yield lambda *names, **limits: tuple(Client(one) for one in lab.hospitals(*names, **limits))
    lab.close()


@pytest.fixture(scope="module")
def soap(
    tmp_path_factory: pytest.TempPathFactory, lab_authority: Credential, sqlite_template: Path
) -> Iterator[SoapClient]:
    """A system of Bắc Ninh that speaks SOAP, for a whole file; its patients A1 and B1 are registered."""

    def new_database(home: Path) -> str:
        (home / "node.db").write_bytes(sqlite_template.read_bytes())
        return f"sqlite:///{home / 'node.db'}"

    lab = Lab(tmp_path_factory.mktemp("soap"), lab_authority, new_database)
    client = Client(lab.hospital("bac-ninh"))
    for number, born in (("A1", "1990-05-01"), ("B1", "1944-11-30")):
        client.registers(number, birthDate=born)
    yield SoapClient(client.hospital)
    lab.close()


def pytest_assertrepr_compare(op: str, left: Any, right: Any) -> list[str] | None:
    """Resources are read best as JSON."""
    if op == "==" and isinstance(left, dict) and isinstance(right, dict):
        return [json.dumps(left, ensure_ascii=False, indent=1), json.dumps(right, ensure_ascii=False, indent=1)]
    return None
