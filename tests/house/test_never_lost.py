"""Promise 5: an acknowledged record is never lost, and is visible whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psycopg
import pytest
import requests
from sqlalchemy import text

from adapters.store.engine import make_engine
from adapters.trust import certificates
from hie_node.flows import audit
from hie_node.house import House
from registry.errors import StorageUnavailable
from registry.identifiers import PatientIdentifier
from registry.searches import DocumentSearch, StudySearch
from tests.adapters.fhir.exchange import BIN_URL, DOC_URL, SET_URL, SYSTEM, bundle
from tests.house.node import Node, bearer_of_a_system, made_node
from tests.lab import Hospital, Lab, until
from tests.papers import HOA, LAN, CtStudy, Person, ct_report, sha256s, written_request

KILLS = int(os.environ.get("HIE_TEST_KILLS", "4"))
"""How often a node is killed on each kind of database; each costs a start."""

TABLES = ("source_record", "document", "submission_set", "study", "link", "review", "patient_key")


# -- the same again


def counted(hospital: Hospital) -> dict[str, int]:
    engine = make_engine(hospital.house.settings.database_url)
    with engine.connect() as connection:
        found = {t: int(connection.execute(text(f"SELECT count(*) FROM {t}")).scalar_one()) for t in TABLES}
    engine.dispose()
    return found


def test_the_same_message_again_is_acknowledged_and_changes_nothing(lab: Lab) -> None:
    """By every way: a report with its note, images, and an ITI-65 message."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    message = provided(bac_ninh, "first")
    publish: dict[str, Callable[[], object]] = {
        "report": lambda: bac_ninh.publishes(ct_report(LAN)).id,
        "study": lambda: bac_ninh.publishes_study(CtStudy(LAN)).id,
        "message": lambda: bac_ninh.asked("POST", "/fhir", message).status,
    }
    first = {way: act() for way, act in publish.items()}
    assert first["message"] == 200
    rows, files = counted(bac_ninh), stored_files(bac_ninh.house)
    for way, act in publish.items():
        assert act() == first[way]
        assert counted(bac_ninh) == rows, way
    assert stored_files(bac_ninh.house) == files


def stored_files(house: House) -> list[Path]:
    return sorted(p for p in house.settings.contents.rglob("*") if p.is_file() and "incoming" not in p.parts)


def provided(hospital: Hospital, key: str, person: Person = LAN) -> dict[str, Any]:
    return provided_to(hospital.house, key, person)


def provided_to(house: House, key: str, person: Person) -> dict[str, Any]:
    """A whole ITI-65 message of this person, its ids made from `key`."""
    number = PatientIdentifier(house.settings.patient_id_system, person.number_at("bac-ninh"))
    own = int.from_bytes(key.encode()[-6:], "big")
    told = json.dumps(bundle())
    for url in (DOC_URL, SET_URL, BIN_URL):
        told = told.replace(url, f"urn:uuid:{uuid5(NAMESPACE_URL, url + key)}")
    for old, new in (
        ("BN-000123", number.value),
        ("urn:oid:1.2.840.99.1.10", f"urn:oid:1.2.840.99.1.10.{own}"),
        ("urn:oid:1.2.840.99.1.9", f"urn:oid:1.2.840.99.1.9.{own}"),
        ("1961-04", person.born),
        ('"female"', f'"{person.gender}"'),
        ("Tr\\u1ea7n Th\\u1ecb Th\\u1eed Nghi\\u1ec7m", person.name),
    ):
        told = told.replace(old, new)
    return dict(json.loads(told.replace(json.dumps(SYSTEM)[1:-1], number.system)))


# -- half written


def test_content_that_no_index_names_is_invisible(lab: Lab) -> None:
    """What is left when a node dies between writing content and indexing it."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    orphan = bac_ninh.house.contents.put(report.record_id, [b"nobody's"])
    assert bac_ninh.finds_own_documents(LAN).ids == [report.id]
    assert bac_ninh.fetches(orphan.content_hash).status == 404
    assert bac_ninh.publishes(ct_report(LAN)) == report


def test_a_submission_that_fails_leaves_nothing_but_its_line_in_the_log_of_feeds(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    before = counted(bac_ninh)
    other = provided(bac_ninh, "other", HOA)
    refused = json.loads(json.dumps(other).replace(HOA.number_at("bac-ninh"), LAN.number_at("bac-ninh")))
    assert bac_ninh.asked("POST", "/fhir", refused).status == 422
    left = counted(bac_ninh)
    changed = {table: left[table] - before[table] for table in left if left[table] != before[table]}
    assert changed == {"patient_key": 1}  # its original is under the key of its day


# -- no database, no disk


def test_without_the_database_nothing_is_acknowledged_and_the_sender_is_told_to_come_back(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    with database_away(bac_ninh):
        for reply in (
            bac_ninh.asked("POST", "/fhir", provided(bac_ninh, "lost")),
            bac_ninh.feeds(HOA),
            bac_ninh.finds_own_documents(LAN),
        ):
            assert reply.status == 503 and int(reply.headers["retry-after"]) > 0
            assert report.id.encode() not in reply.body
        with pytest.raises(StorageUnavailable):
            bac_ninh.publishes(ct_report(HOA))
    assert bac_ninh.finds_own_documents(LAN).ids == [report.id]
    assert [one.id for one in bac_ninh.holds()] == [report.id]
    assert bac_ninh.feeds(HOA).status == 201


@contextmanager
def database_away(hospital: Hospital) -> Iterator[None]:
    """PostgreSQL lets nobody in and throws out who is in; SQLite's file cannot grow."""
    url = hospital.house.settings.database_url
    if url.startswith("postgresql"):
        name = url.partition("@/")[2].partition("?")[0]
        owner = url.replace(f"/{name}?", "/postgres?")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            try:
                yield
            finally:
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    else:
        with largest_file(0):
            yield


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk that takes no file beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_with_a_full_disk_nothing_is_acknowledged_and_reading_goes_on(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN, "x" * 100_000))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    large = provided(bac_ninh, "large")
    content = b"%PDF-" + b"y" * 6_000_000
    told = json.loads(json.dumps(large))
    binary = next(e["resource"] for e in told["entry"] if e["resource"]["resourceType"] == "Binary")
    binary["data"] = b64encode(content).decode()
    attachment = next(e["resource"] for e in told["entry"] if e["resource"]["resourceType"] == "DocumentReference")
    attachment["content"][0]["attachment"] |= {
        "size": len(content),
        "hash": b64encode(hashlib.sha1(content).digest()).decode(),
    }
    with largest_file(5_000_000):
        reply = bac_ninh.asked("POST", "/fhir", told)
        assert reply.status == 503 and int(reply.headers["retry-after"]) > 0, reply.body
        assert report in bach_mai.finds_documents(LAN)
        assert bach_mai.fetches(report).body == b"x" * 100_000
    assert [one.id for one in bac_ninh.holds()] == [report.id]
    incoming = bac_ninh.house.settings.contents / "incoming"
    assert not [p for p in incoming.rglob("*") if p.is_file() and p.stat().st_size]
    assert bac_ninh.asked("POST", "/fhir", told).status == 200


# -- killed


@pytest.fixture
def node(tmp_path: Path, database: Callable[[Path], str], lab_authority: certificates.Credential) -> Iterator[Node]:
    (home := tmp_path / "bac-ninh").mkdir()
    with made_node(tmp_path, database(home), lab_authority) as made:
        yield made


class Sender:
    """A hospital's systems, sending as fast as they are answered, and what they were told is stored."""

    def __init__(self, node: Node, house: House, run: int) -> None:
        self._node, self._house, self._run = node, house, run
        self.acknowledged: list[str] = []
        self.images: dict[str, set[str]] = {}
        self._over = threading.Event()

    def stop(self) -> None:
        self._over.set()

    def sends_documents(self) -> None:
        for number in range(1000):
            person = Person(f"{self._run:02d}{number:03d}", f"Trần Văn {chr(65 + number % 26)}", "1960-04-01", "male")
            message = provided_to(self._house, f"r{self._run:02d}{number:03d}", person)
            if not self._posts("/fhir", json.dumps(message).encode(), "application/fhir+json"):
                return
            self.acknowledged.append(person.number_at("bac-ninh"))

    def sends_studies(self) -> None:
        for number in range(1000):
            person = Person(f"S{self._run:02d}{number:03d}", "Lê Thị Ảnh", "1966-06-06")
            study = CtStudy(person, uid=f"1.2.826.0.1.3680043.10.98.{self._run}.{number + 1}", size=100_000)
            slices = study.slices("bac-ninh")
            parts = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in slices)
            kind = 'multipart/related; type="application/dicom"; boundary=x'
            if not self._posts("/dicomweb/studies", parts + b"--x--\r\n", kind):
                return
            self.images[study.uid] = sha256s(slices)

    def _posts(self, path: str, body: bytes, kind: str) -> bool:
        """False when the node is gone; anything but an acknowledgement of a living node is a fault."""
        if self._over.is_set():
            return False
        at = self._house.settings.house.url
        try:
            answer = requests.post(at + path, data=body, headers=self._headers(kind), verify=self._ca, timeout=20)
        except requests.RequestException:
            return False
        assert answer.status_code == 200 or self._over.is_set(), answer.text + self._node.log.read_text()[-2000:]
        return answer.status_code == 200

    @property
    def _ca(self) -> str:
        return str(self._house.settings.tls / "federation-ca.crt")

    def _headers(self, kind: str) -> dict[str, str]:
        accept = "application/dicom+json" if "dicom" in kind else "application/fhir+json"
        return {"Authorization": bearer_of_a_system(self._house), "Content-Type": kind, "Accept": accept}


def drops(node: Node, run: int) -> None:
    """Reports with their notes, put into the drop folder as a system would: written beside, then named."""
    for number in range(3):
        person = Person(f"D{run:02d}{number}", "Hoàng Thị Rơi", "1955-05-05")
        for ending, content in zip((".txt", ".json"), ct_report(person).files("bac-ninh"), strict=True):
            beside = node.settings.drop / f"{person.key}{ending}.part"
            beside.write_bytes(content)
            beside.rename(beside.with_suffix(""))
        node.files[person.number_at("bac-ninh")] = ct_report(person).files("bac-ninh")[0]


def test_a_node_that_is_killed_at_any_moment_has_what_it_acknowledged_and_nothing_half(node: Node) -> None:
    """Documents by ITI-65, images by STOW and files in the drop folder, while the processes are killed again and again.

    Each start has to be ready by itself, with the record of disclosures whole.
    """
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    documents: set[str] = set()
    studies: dict[str, set[str]] = {}
    house = node.house()
    for run in range(KILLS):
        node.starts()
        drops(node, run)
        sender = Sender(node, house, run)
        threads = [threading.Thread(target=t) for t in (sender.sends_documents, sender.sends_studies)]
        for one in threads:
            one.start()
        time.sleep(chance.uniform(0.05, 1.6))
        sender.stop()
        node.is_killed()
        for one in threads:
            one.join(30)
        documents |= set(sender.acknowledged)
        studies |= sender.images
        is_whole(house, documents, studies, seed)
    node.starts()
    left = [p for p in node.settings.drop.iterdir() if p.is_file()]
    assert until(lambda: not [p for p in node.settings.drop.iterdir() if p.is_file()], seconds=30), left
    assert not list((node.settings.drop / "refused").iterdir())
    node.is_killed()
    is_whole(house, documents | set(node.files), studies, seed)
    assert documents and studies
    house.storage.close()
    house.transport.close()


def is_whole(house: House, documents: set[str], studies: dict[str, set[str]], seed: int) -> None:
    """All that was acknowledged is there, all that is there is whole and on record, and the record is intact."""
    with house.storage.read() as unit:
        entries = list(unit.documents.find(DocumentSearch(limit=10_000)))
        known = {one.study_instance_uid: one for one in unit.studies.find(StudySearch(limit=10_000))}
        recorded = {item for row in unit.disclosures.search(limit=100_000) for item in row.items}
    assert documents <= {entry.patient.value for entry in entries}, seed
    assert studies.keys() <= known.keys(), seed
    for entry in entries:
        body = b"".join(house.contents.open(entry.record_id, entry.attachment.content_hash))
        assert hashlib.sha1(body).hexdigest() == entry.attachment.hash, seed
    for uid, study in known.items():
        instances = [instance for series in study.series for instance in series.instances]
        bytes_of = [b"".join(house.contents.open(study.record_id, one.content_hash)) for one in instances]
        found = {hashlib.sha256(one).hexdigest() for one in bytes_of}
        assert len(found) == 3 and found == studies.get(uid, found), seed
    assert {one.id for one in (*entries, *known.values())} <= recorded, seed
    assert audit.verify(house).findings == (), seed
