"""Hospitals for the tests of the house, on each kind of database; and one in this process alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hie_node import log
from hie_node.setting_tables import Mllp
from tests.conformance.client import Client
from tests.conformance.soap import SoapClient
from tests.databases import database_url, postgres, sqlite_template
from tests.house.hospital import Hospital, make_house
from tests.impostors import impostors
from tests.lab import Lab, database, lab, lab_authority

__all__ = ["database", "database_url", "hospital", "impostors", "lab", "lab_authority", "postgres", "sqlite_template"]


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A node that hears HL7, its logs silenced."""
    log.configure(level=logging.CRITICAL)
    made = Hospital(make_house(tmp_path, mllp=Mllp(authorities={"BVB": "urn:oid:1.2.4"})))
    yield made
    made.house.storage.close()


@pytest.fixture
def client(lab: Lab) -> Client:
    """A system of Bắc Ninh that speaks FHIR."""
    return Client(lab.hospital("bac-ninh"))


@pytest.fixture
def soap(lab: Lab) -> SoapClient:
    """A system of Bắc Ninh that speaks SOAP."""
    return SoapClient(lab.hospital("bac-ninh"))
