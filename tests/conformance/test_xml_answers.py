"""Whatever a node says in FHIR XML, a foreign reader understands, finds valid, and as the same that is said in JSON.

The reader is the `fhir` package of npm. Its JSON goes to the validator that judges JSON; what it writes again as XML,
in the order of the specification, has to be what the node wrote.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from lxml import etree

from adapters.store.people import Client as System
from adapters.trust import certificates
from consent.requesters import Role
from hie_node.setting_tables import Subscriptions
from tests.conformance.client import MHD, Client, Resource, consent, provided, stored
from tests.conformance.endpoint import Endpoint
from tests.conformance.profiles import refuse_faulty
from tests.conformance.test_subscriptions import OF_ALL, Subscriber
from tests.conformance.test_what_goes_out import NID, VISIT
from tests.lab import Lab
from tests.papers import CtStudy, Person

MODULES = Path(sys.prefix) / "node" / "node_modules"
READER = Path(__file__).parent / "npm" / "read_fhir_xml.js"
XML = "application/fhir+xml"
KINDS = {
    "AuditEvent", "Basic", "Binary", "Bundle", "CapabilityStatement", "Composition", "Condition", "Consent",
    "DocumentReference", "Endpoint", "ImagingStudy", "List", "Location", "MedicationStatement",
    "OperationOutcome", "Organization", "Parameters", "Patient", "Subscription",
}  # fmt: skip


@dataclass
class Said:
    """One answer in XML, and in JSON where asking twice changes nothing."""

    where: str
    xml: bytes
    json: Resource | None


class Asker:
    """A system that wants XML."""

    def __init__(self, client: Client) -> None:
        self.client, self.said = client, list[Said]()

    def reads(self, target: str, **parameters: str) -> Resource:
        """In both languages."""
        path = f"{target}?{urlencode(parameters)}" if parameters else target
        plain = self.client("GET", path)
        assert plain.headers["content-type"].startswith("application/fhir+json"), (path, plain.status)
        self._keeps("GET", path, self.client("GET", path, Accept=XML), plain.bundle)
        return plain.bundle

    def does(self, method: str, target: str, resource: Resource | None = None, **headers: str) -> int:
        """Once; gives the status."""
        answer = self.client(method, target, resource, Accept=XML, **headers)
        self._keeps(method, target, answer, None)
        return answer.status

    def _keeps(self, method: str, target: str, answer: Any, plain: Resource | None) -> None:
        assert answer.headers["content-type"].startswith(XML), (method, target, answer.status, answer.headers)
        self.said.append(Said(f"{method} {target} {answer.status}", answer.body, plain))


@pytest.fixture(scope="module")
def asker(
    tmp_path_factory: pytest.TempPathFactory, lab_authority: certificates.Credential, sqlite_template: Path
) -> Iterator[Asker]:
    """A system of Bắc Ninh that has asked everything that a system may ask."""

    def new_database(home: Path) -> str:
        (home / "node.db").write_bytes(sqlite_template.read_bytes())
        return f"sqlite:///{home / 'node.db'}"

    lab = Lab(tmp_path_factory.mktemp("xml"), lab_authority, new_database)
    node, _ = (Client(one) for one in lab.hospitals("bac-ninh", "bach-mai"))
    endpoint = told(node)
    asker = Asker(node)
    publishes_and_asks(asker)
    consents(asker)
    is_told(asker, Subscriber(node, endpoint))
    asks_what_is_no_document(asker)
    asks_wrongly(asker)
    yield asker
    endpoint.close()
    lab.close()


def told(node: Client) -> Endpoint:
    house = node.hospital.house
    tls = house.settings.tls
    endpoint = Endpoint(tls / "house.crt", tls / "house.key")
    chosen = Subscriptions((f"127.0.0.1:{endpoint.port}",), "tls/federation-ca.crt", give_up=1.0, most=5)
    node.hospital.house = replace(house, settings=replace(house.settings, subscriptions=chosen))
    node.hospital.opens_anew()
    with house.storage.begin() as unit:
        unit.people_of_the_house.add_client(System("his", {"keys": []}, ("system/*.cruds",), Role.SYSTEM))
    assert node.registers("A1", numbers=[NID]).status == 201
    return endpoint


def publishes_and_asks(asker: Asker) -> None:
    node, of_a1 = asker.client, {"patient.identifier": f"{asker.client.system}|A1"}
    assert asker.does("POST", "/fhir", provided(node.subject("A1"))) == 200
    for profile in ("Minimal", "UnContained"):
        assert asker.does("POST", "/fhir", provided(node.subject("A1"), profile=profile)) == 200
    first = provided(node.subject("A1"))
    old = stored(node("POST", "/fhir", first))
    named = {"identifier": first["entry"][1]["resource"]["identifier"][0]}
    assert (
        asker.does("POST", "/fhir", provided(node.subject("A1"), relatesTo=[{"code": "replaces", "target": named}]))
        == 200
    )
    alone = provided(node.subject("A1"), profile="Minimal")["entry"][1]["resource"]
    alone["content"][0]["attachment"] = {"contentType": "text/plain", "data": "aGVsbG8="}
    del alone["identifier"]
    alone["meta"] = {"profile": [f"{MHD}IHE.MHD.SimplifiedPublish.DocumentReference"]}
    assert asker.does("POST", "/fhir/DocumentReference", alone) == 201
    asker.reads(f"/fhir/{old}")
    asker.reads(f"/fhir/{old}/_history")
    asker.reads(f"/fhir/{old}/_history/1")
    asker.reads("/fhir/DocumentReference", **of_a1)
    assert asker.does("GET", f"/fhir/DocumentReference?{urlencode(of_a1)}&_count=2") == 200, "each page has its own key"
    asker.reads("/fhir/DocumentReference", **of_a1, _summary="count")
    lists = asker.reads("/fhir/List", **of_a1, code="submissionset")
    asker.reads(f"/fhir/List/{lists['entry'][0]['resource']['id']}")
    assert asker.does("GET", f"/fhir/Binary/{old.partition('/')[2]}") == 200


def consents(asker: Asker) -> None:
    node = asker.client
    written = consent(node.subject("A1"), node.community, node.community)
    assert asker.does("POST", "/fhir/Consent", written) == 201
    found = asker.reads("/fhir/Consent", **{"patient.identifier": f"{node.system}|A1"})["entry"][0]["resource"]
    asker.reads(f"/fhir/Consent/{found['id']}")
    parts = [
        {"name": "patient", "valueReference": node.subject("A1")},
        {"name": "hospital", "valueString": "01929"},
        {"name": "consent", "resource": written},
    ]
    asked = {"resourceType": "Parameters", "parameter": parts}
    assert asker.does("POST", "/fhir/Consent/$preview", asked) == 200


def is_told(asker: Asker, subscriber: Subscriber) -> None:
    """What the endpoint hears in XML is judged with the rest."""
    for content in ("empty", "id-only", "full-resource"):
        url = subscriber.subscribes(OF_ALL, (), content=content, payload=XML)
        asker.reads(url)
        assert asker.does("GET", f"{url}/$status") == 200
    assert asker.does("POST", "/fhir", provided(asker.client.subject("A1"))) == 200
    asker.client.hospital.works()
    assert asker.does("GET", f"{url}/$events") == 200
    asker.reads("/fhir/Subscription")
    heard = [one for one in subscriber.endpoint.notices if XML in one.headers["content-type"]]
    assert len(heard) >= 6
    asker.said += [Said("a message to an endpoint", one.body, None) for one in heard]
    topics = asker.reads("/fhir/Basic", code="SubscriptionTopic")
    asker.reads(f"/fhir/Basic/{topics['entry'][0]['resource']['id']}")


def asks_what_is_no_document(asker: Asker) -> None:
    node = asker.client
    node.hospital.publishes_study(CtStudy(Person("9", "Nguyễn Văn Mẫu", "1990-05-01", "male")))
    study = asker.reads("/fhir/ImagingStudy")["entry"][0]["resource"]
    asker.reads(f"/fhir/ImagingStudy/{study['id']}")
    assert not node.hospital.publishes_files({"visit.xml": VISIT.replace("BN0001", "BN77").encode()})[0].reason
    asker.reads(f"/fhir/Patient/$summary?identifier={quote(node.system)}%7CBN77")
    found = asker.reads("/fhir/Patient", family="nguyen")["entry"][0]["resource"]
    asker.reads(f"/fhir/Patient/{found['id']}")
    asker.reads(f"/fhir/Patient/{found['id']}/_history/1")
    asker.reads(f"/fhir/Patient/$ihe-pix?sourceIdentifier={quote(node.system)}%7CA1")
    asked = {"resourceType": "Patient", "name": [{"text": "Nguyễn Văn Mẫu"}], "birthDate": "1990-05-01"}
    assert asker.does("POST", "/fhir/Patient/$match", asked) == 200
    for kind in ("Organization", "Location", "Endpoint"):
        one = asker.reads(f"/fhir/{kind}")["entry"][0]["resource"]
        asker.reads(f"/fhir/{kind}/{one['id']}")
    for base in ("/fhir", "/network/fhir"):
        asker.reads(f"{base}/metadata")
    asker.reads("/network/fhir/DocumentReference", **{"patient.identifier": f"{node.system}|A1"})
    rows = node.get("/fhir/AuditEvent", **{"patient.identifier": f"{node.system}|A1"}).found
    assert asker.does("GET", f"/fhir/AuditEvent?patient.identifier={quote(node.system)}%7CA1") == 200
    asker.reads(f"/fhir/AuditEvent/{rows[0]['id']}")
    lines = [{"request": {"method": "GET", "url": url}} for url in ("metadata", "Patient/nobody", "Organization")]
    assert asker.does("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": lines}) == 200


def asks_wrongly(asker: Asker) -> None:
    for method, target, status in (
        ("GET", "/fhir/Nothing", 404),
        ("GET", "/fhir/Patient/nobody", 404),
        ("DELETE", "/fhir/Patient/nobody", 405),
        ("GET", "/fhir/Patient?birthdate=never", 400),
        ("GET", "/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:9.9%7C1", 400),
        ("GET", "/fhir/Patient/$ihe-pix?sourceIdentifier=" + quote(asker.client.system) + "%7Cnobody", 404),
    ):
        assert asker.does(method, target) == status, target
    broken = provided(asker.client.subject("A1"))
    del broken["entry"][1]["resource"]["masterIdentifier"]
    broken["entry"][1]["resource"]["status"] = "nonsense"
    assert asker.does("POST", "/fhir", broken) in (400, 422)
    assert asker.does("POST", "/fhir/Consent", {"resourceType": "Consent", "status": "nonsense"}) in (400, 422)


@pytest.fixture(scope="module")
def read(asker: Asker) -> list[tuple[Said, dict[str, Any]]]:
    """Each answer, and what the foreign reader made of it."""
    return list(zip(asker.said, read_by_npm([one.xml for one in asker.said]), strict=True))


def read_by_npm(documents: list[bytes]) -> list[dict[str, Any]]:
    assert MODULES.is_dir(), "./run test puts what is needed there"
    ran = subprocess.run(
        ["node", str(READER)],
        input=json.dumps([one.decode() for one in documents]).encode(),
        env={"NODE_PATH": str(MODULES), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def test_every_kind_of_resource_was_said(asker: Asker) -> None:
    said = {etree.QName(node).localname for one in asker.said for node in etree.fromstring(one.xml).iter("{*}*")}
    assert said >= KINDS


def test_a_foreign_reader_finds_nothing_wrong(read: list[tuple[Said, dict[str, Any]]]) -> None:
    for one, found in read:
        wrong = [each for each in found["faults"] if each["severity"] in ("error", "fatal")]
        assert not wrong, (one.where, wrong, one.xml)


def test_what_it_read_is_valid_by_the_judges_of_json(read: list[tuple[Said, dict[str, Any]]]) -> None:
    for _, found in read:
        refuse_faulty(json.loads(found["json"]))


def test_xml_says_what_json_says(read: list[tuple[Said, dict[str, Any]]]) -> None:
    compared = [(one, json.loads(found["json"])) for one, found in read if one.json is not None]
    assert len(compared) > 30
    for one, found in compared:
        assert timeless(found) == timeless(one.json), one.where


def timeless(said: Resource) -> Resource:
    """What was made to be answered, a Bundle or Parameters, without when that was."""
    if said["resourceType"] not in ("Bundle", "Parameters"):
        return said
    entries = [one | {"resource": timeless(one["resource"])} for one in said.get("entry", ()) if "resource" in one]
    about = {name: value for name, value in said.get("meta", {}).items() if name != "lastUpdated"}
    return said | {"meta": about, "timestamp": "", "entry": entries or said.get("entry")}


def test_elements_stand_in_the_order_of_the_specification(read: list[tuple[Said, dict[str, Any]]]) -> None:
    for one, found in read:
        assert canonical(one.xml) == canonical(found["again"].encode()), one.where


def canonical(xml: bytes) -> bytes:
    return bytes(etree.tostring(etree.fromstring(xml), method="c14n"))


def test_the_reader_sees_what_is_wrong() -> None:
    good = b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/><gender value="male"/></Patient>'
    swapped = b'<Patient xmlns="http://hl7.org/fhir"><gender value="male"/><active value="true"/></Patient>'
    unknown, moved, coded = read_by_npm([good.replace(b"gender", b"sex"), swapped, good.replace(b"male", b"x")])
    assert canonical(unknown["again"].encode()) != canonical(good.replace(b"gender", b"sex"))
    assert canonical(moved["again"].encode()) == canonical(good) != canonical(swapped)
    assert coded["faults"]
