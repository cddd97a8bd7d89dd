"""The `soap` package of npm, with IHE's own service contracts, walks through publish, query and retrieve at a node."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.dropped.sidecar import read_sidecar
from adapters.trust import certificates
from hie_node.acts import Act
from hie_node.flows.publish import publish
from hie_node.house import House
from hie_node.publishing import publisher
from registry.commands import ProvideSubmission
from tests.conformance.soap import APPROVED, FOLDER, QUERIES, Document, SoapClient, Submission, X
from tests.house.node import bearer_of_a_system, made_node
from tests.papers import LAN, Report

WSDL = FOLDER / "wsdl"
MODULES = Path(sys.prefix) / "node" / "node_modules"
WALK = Path(__file__).parent / "npm" / "walk.js"

pytestmark = pytest.mark.skipif(
    not WSDL.is_dir() and os.environ.get("CI") != "true", reason="IHE's contracts are not on this machine"
)


@pytest.fixture(scope="module")
def walked(
    tmp_path_factory: pytest.TempPathFactory, lab_authority: certificates.Credential
) -> Iterator[tuple[Document, dict[str, Any]]]:
    """A document that the library handed in, and what came back at each step."""
    assert MODULES.is_dir(), "./run test puts what is needed there"
    (folder := tmp_path_factory.mktemp("npm") / "bac-ninh").mkdir()
    with made_node(folder.parent, f"sqlite:///{folder / 'node.db'}", lab_authority) as node:
        node.starts()
        house = node.house()
        known(house)
        document, wanted = what_it_wants(house)
        house.storage.close()
        ran = subprocess.run(
            ["node", str(WALK)],
            input=json.dumps(wanted).encode(),
            capture_output=True,
            timeout=60,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "NODE_PATH": str(MODULES),
                "NODE_EXTRA_CA_CERTS": str(node.settings.tls / "federation-ca.crt"),
            },
        )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    yield document, json.loads(ran.stdout)


def known(house: House) -> None:
    """A patient is registered by a first report."""
    document, note = Report(LAN).files("bac-ninh")
    system = house.settings.patient_id_system
    read = read_sidecar(document, note, patient_id_system=system, home=house.home).submission
    publish(Act(house, publisher(house, "his"), "publish"), ProvideSubmission(read))


def what_it_wants(house: House) -> tuple[Document, dict[str, Any]]:
    client = SoapClient(SimpleNamespace(house=house, home=house.home))  # type: ignore[arg-type]
    number = LAN.number_at("bac-ninh")
    document = Document(number, b"%PDF by a library of npm \r\n\x00\xff")
    include = '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:d0@npm"/>'
    provide = (
        f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{X}">{Submission(number, [document]).xml(client)}'
        f'<x:Document id="{document.id}">{include}</x:Document></x:ProvideAndRegisterDocumentSetRequest>'
    )
    slots = {
        "$XDSDocumentEntryPatientId": f"'{client.cx(number)}'",
        "$XDSDocumentEntryStatus": f"('{APPROVED}')",
    }
    return document, {
        "contracts": str(WSDL),
        "house": house.settings.house.url,
        "authorization": bearer_of_a_system(house),
        "provide": provide,
        "content": base64.b64encode(document.content or b"").decode(),
        "query": f"urn:uuid:{QUERIES['FindDocuments']}",
        "slots": slots,
        "repository": client.repository,
        "uniqueId": document.unique_id,
    }


def test_it_publishes_asks_and_retrieves_byte_for_byte(walked: tuple[Document, dict[str, Any]]) -> None:
    document, came = walked
    assert came["published"]["status"].endswith(":Success")
    assert came["found"]["status"].endswith(":Success")
    assert len(came["found"]["found"]) == 2
    assert came["retrieved"]["status"].endswith(":Success")
    assert list(map(base64.b64decode, came["retrieved"]["parts"])) == [document.content]


def test_it_asks_the_network(walked: tuple[Document, dict[str, Any]]) -> None:
    _, came = walked
    assert came["network"]["status"].endswith(":Success")
    assert sorted(came["network"]["found"]) == sorted(came["found"]["found"])


def test_it_reads_a_fault(walked: tuple[Document, dict[str, Any]]) -> None:
    _, came = walked
    assert came["refused"]["status"] == 400
    assert "ActionNotSupported" in str(came["refused"]["fault"])
