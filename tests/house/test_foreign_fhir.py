"""A foreign system that knows HTTP and the standard, against a running node: batches, versions, and being told."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from adapters.store.people import Client
from adapters.trust import certificates
from consent.requesters import Role
from tests.conformance.endpoint import Endpoint
from tests.house.node import Node, bearer_of_a_system, made_node
from tests.lab import until

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TOPIC = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/DSUBm-SubscriptionTopic-DocumentReference-MultiPatient"
Resource = dict[str, Any]


class System:
    """A system of the hospital, its session and its endpoint."""

    def __init__(self, node: Node, endpoint: Endpoint) -> None:
        self.node, self.endpoint = node, endpoint
        self.base = f"{node.settings.house.url}/fhir"
        self.number = {"system": node.settings.patient_id_system, "value": "K1"}
        house = node.house()
        with house.storage.begin() as unit:
            unit.people_of_the_house.add_client(Client("his", {"keys": []}, ("system/*.cruds",), Role.SYSTEM))
        self.session = requests.Session()
        self.session.trust_env, self.session.verify = False, str(node.settings.tls / "federation-ca.crt")
        self.session.headers["Authorization"] = bearer_of_a_system(house)
        house.storage.close()

    def __call__(self, method: str, path: str = "", body: Resource | None = None, **headers: str) -> requests.Response:
        told = {"Content-Type": "application/fhir+json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        url = path if path.startswith("https") else f"{self.base}/{path}".rstrip("/")
        return self.session.request(method, url, data=json.dumps(body) if body else None, headers=told, timeout=30)

    def registers(self) -> None:
        patient: Resource = {
            "resourceType": "Patient",
            "identifier": [self.number],
            "name": [{"text": "Nguyễn Văn Mẫu", "family": "Nguyễn", "given": ["Văn", "Mẫu"]}],
            "birthDate": "1990-05-01",
            "gender": "male",
        }
        answer = self("PUT", f"Patient?identifier={self.number['system']}|K1", patient)
        assert answer.status_code in (200, 201), answer.text

    def document(self) -> Resource:
        text = f"CT sọ não {uuid.uuid4()}".encode()
        return {
            "resourceType": "DocumentReference",
            "meta": {"profile": [f"{MHD}IHE.MHD.SimplifiedPublish.DocumentReference"]},
            "masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": uuid.uuid4().urn},
            "status": "current",
            "subject": {"identifier": self.number},
            "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(text).decode()}}],
        }

    def subscribes(self) -> str:
        answer = self(
            "POST",
            "Subscription",
            {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": "báo kết quả mới",
                "criteria": TOPIC,
                "channel": {
                    "type": "rest-hook",
                    "endpoint": self.endpoint.url,
                    "payload": "application/fhir+json",
                    "_payload": {"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": "id-only"}]},
                    "header": ["Authorization: Bearer s3cret"],
                },
            },
        )
        assert answer.status_code == 201, answer.text
        url = f"Subscription/{answer.json()['id']}"
        assert until(lambda: self("GET", url).json()["status"] == "active", seconds=30)
        return url

    def told(self) -> list[tuple[int, str]]:
        """Number and focus of each event, as they came; a message that came again counts once."""
        found: dict[int, str] = {}
        for notice in list(self.endpoint.notices):
            for event in notice.status["events"]:
                found.setdefault(int(event["event-number"]), event["focus"]["reference"].rpartition("/")[2])
        return list(found.items())


@pytest.fixture
def system(tmp_path: Path, database: Callable[[Path], str], lab_authority: certificates.Credential) -> Iterator[System]:
    (home := tmp_path / "bac-ninh").mkdir()
    with made_node(tmp_path, database(home), lab_authority) as node:
        endpoint = Endpoint(node.settings.tls / "house.crt", node.settings.tls / "house.key")
        file = node.settings.home / "node.toml"
        told = f'[subscriptions]\nendpoints = ["127.0.0.1:{endpoint.port}"]\nauthority = "tls/federation-ca.crt"\n'
        file.write_text(f"{file.read_text('utf-8')}\n{told}", "utf-8")
        one = System(node, endpoint)
        node.starts()
        one.registers()
        yield one
        endpoint.close()


def test_a_foreign_system_sends_a_batch_and_reads_what_was(system: System) -> None:
    document = system.document()
    batch: Resource = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"resource": document, "request": {"method": "POST", "url": "DocumentReference"}},
            {"resource": {"resourceType": "Consent"}, "request": {"method": "POST", "url": "Consent"}},
            {"request": {"method": "GET", "url": f"Patient?identifier={system.number['system']}%7CK1"}},
        ],
    }
    answer = system("POST", "", batch)
    lines = [one["response"]["status"][:3] for one in answer.json()["entry"]]
    assert (answer.status_code, lines) == (200, ["201", "422", "200"])
    made = answer.json()["entry"][0]["response"]["location"]
    assert system("GET", made).json()["masterIdentifier"]["value"] == document["masterIdentifier"]["value"]
    old = made.partition("/_history")[0]
    target = {"identifier": document["masterIdentifier"]}
    newer = system.document() | {"relatesTo": [{"code": "replaces", "target": target}]}
    assert system("POST", "DocumentReference", newer).status_code == 201
    history = system("GET", f"{old}/_history", Accept="application/fhir+xml")
    assert (
        history.text.count('<status value="superseded"/>') == 1 and history.text.count('<status value="current"/>') == 1
    )
    again = system("POST", "DocumentReference", newer, If_None_Exist=f"identifier={newer['masterIdentifier']['value']}")
    assert again.status_code == 200
    alone = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "document",
                "resource": {
                    "resourceType": "Binary",
                    "contentType": "text/plain",
                    "securityContext": {"identifier": system.number},
                    "data": base64.b64encode("Đơn thuốc".encode()).decode(),
                },
            }
        ],
    }
    generated = system("POST", "DocumentReference/$generate-metadata", alone)
    assert generated.json()["parameter"][0]["valueReference"]["reference"].startswith("DocumentReference/")


def test_what_a_node_acknowledged_before_it_was_killed_is_told_in_order(system: System) -> None:
    url = system.subscribes()
    assert system.endpoint.notices[0].headers["authorization"] == "Bearer s3cret"

    def publish(_: int) -> str:
        answer = system("POST", "DocumentReference", system.document())
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    acknowledged: list[str] = []
    for _ in range(2):
        with ThreadPoolExecutor(4) as many:
            acknowledged += many.map(publish, range(8))
        system.node.is_killed()
        system.node.starts()
    assert until(lambda: len(system.told()) >= len(acknowledged), seconds=60), system("GET", url).text
    numbers = [number for number, _ in system.told()]
    assert numbers == list(range(1, len(acknowledged) + 1))
    assert sorted(focus for _, focus in system.told()) == sorted(acknowledged)
    events = system("GET", f"{url}/$events").json()["entry"]
    assert [one["fullUrl"].rpartition("/")[2] for one in events[1:]] == [focus for _, focus in system.told()]
    command = [sys.executable, "-m", "hie_node", "--home", str(system.node.settings.home), "subscriptions", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    (one,) = json.loads(shown)
    assert (one["system"], one["status"], one["told"], one["error"]) == ("his", "active", len(acknowledged), None)
    assert one["endpoint"] == f"127.0.0.1:{system.endpoint.port}" and "/told" not in shown
    log = system.node.log.read_text()
    assert "s3cret" not in log and "/told" not in log
