"""a: publish, with every acknowledgement durable, indexed, on record, and its token checked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import requests

from hie_node.lab import nodes
from tests.bench import ground, messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, Load, request, run
from tests.bench.rows import Row
from tests.bench.thin_peer import running

ROWS = "a1 a2 a3 a4"
PATIENTS = 200


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    seconds = 2.0 if quick else 5.0
    with tempfile.TemporaryDirectory() as folder, hospitals("bac-ninh") as (hospital,):
        register(hospital, PATIENTS)
        if "a1" in wanted:
            yield _many(hospital, Path(folder), seconds)
        if "a2" in wanted:
            yield _one(hospital, Path(folder), seconds)
        if "a3" in wanted:
            for documents in (10, 100):
                yield _batch(hospital, Path(folder), seconds, documents=documents)
        if "a4" in wanted:
            yield _killed(hospital, rounds=1 if quick else 4)


def register(hospital: Hospital, count: int) -> None:
    """Invented patients, as the hospital's system feeds them (ITI-104)."""
    system, own = hospital.system(), hospital.entry["patient_id_system"]
    for n in range(count):
        number = messages.number(n)
        answer = system.put(f"/fhir/Patient?identifier={own}|{number}", messages.patient(own, n))
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"a patient was not registered: {answer.status_code}")


def _load(hospital: Hospital, *, clients: int, seconds: float, documents: int = 1) -> Load:
    body, marks = messages.bundle(
        hospital.entry["patient_id_system"], hospital.entry["home_community_id"], documents=documents
    )
    numbers = {messages.PATIENT: (0, PATIENTS - 1, 9)}
    asking = hospital.asking("POST", "/fhir", body)
    return run(Job(hospital.url, asking, clients, seconds, 0.5, hospital.ca_file, marks, numbers))


def _many(hospital: Hospital, folder: Path, seconds: float) -> Row:
    peer = _thin(folder, seconds)
    before = hospital.cpu()
    mine = _load(hospital, clients=16, seconds=seconds)
    cpu = (hospital.cpu() - before) / mine.answers * seconds / (seconds + 0.5)
    facts = {"p99_ms": round(mine.p99), "cpu_ms": round(cpu * 1e3, 1), "failures": mine.failures}
    what = "publish one document, 16 clients"
    return Row("a1", what, mine.per_second, "/s", "thin Flask + SQLite", peer.per_second, 0.6, 2.0, facts=facts)


def _thin(folder: Path, seconds: float) -> Load:
    subject = {"identifier": {"system": "urn:oid:1.2.3", "value": f"BN{messages.PATIENT}"}}
    marks = messages.mark("doc"), messages.mark("bin")
    body = json.dumps(messages.reference(subject, *marks)).encode()
    asking = request("POST", "/fhir/DocumentReference", {"Content-Type": "application/fhir+json"}, body)
    with running("create", folder) as url:
        return run(Job(url, asking, 16, seconds, 0.5, "", marks, {messages.PATIENT: (0, PATIENTS - 1, 9)}, 201))


def _one(hospital: Hospital, folder: Path, seconds: float) -> Row:
    sync = 1e3 / ground.fdatasync(folder)
    mine = _load(hospital, clients=1, seconds=seconds)
    more = mine.p50 - sync
    facts = {"p99_ms": round(mine.p99, 1), "value": "ms beyond one fdatasync"}
    what = "publish one document, one client, p50"
    return Row("a2", what, mine.p50, "ms", "one fdatasync", sync, 4.0, 1.5, "less", ratio=more, facts=facts)


def _batch(hospital: Hospital, folder: Path, seconds: float, *, documents: int) -> Row:
    limit = ground.sqlite_documents(folder, a_commit=documents)
    mine = _load(hospital, clients=4, seconds=seconds, documents=documents)
    figure = mine.per_second * documents
    facts = {"p50_ms": round(mine.p50), "failures": mine.failures}
    what = f"publish bundles of {documents} documents, 4 clients"
    return Row("a3", what, figure, "documents/s", f"SQLite FULL, {documents} a commit", limit, 0.05, 0.15, facts=facts)


# ---- a4 ----


def _killed(hospital: Hospital, *, rounds: int) -> Row:
    """Kill -9 under load, start again: is each acknowledged document there, and the record intact?"""
    acknowledged: list[str] = []
    lost = broken = 0
    for _ in range(rounds):
        acknowledged += _publish_until_killed(hospital)
        nodes.start(hospital.settings)
        lost += sum(not _is_there(hospital, unique_id) for unique_id in acknowledged[-50:])
        broken += not _verified(hospital)
    facts = {"rounds": rounds, "acknowledged": len(acknowledged), "record_broken": broken}
    what = "acknowledged documents lost after kill -9 under load"
    return Row("a4", what, lost, "documents", "none may be", 0, 0, 0, "less", ratio=lost + broken, facts=facts)


def _publish_until_killed(hospital: Hospital, *, clients: int = 4) -> list[str]:
    acknowledged: list[str] = []
    enough = threading.Event()

    def client() -> None:
        system = hospital.system()
        while True:
            unique_id = str(uuid.uuid4())
            try:
                answer = system.post_bytes("/fhir", messages.one(hospital.entry, unique_id))
            except requests.RequestException:
                return
            if answer.status_code == 200:
                acknowledged.append(f"urn:uuid:{unique_id}")
                if len(acknowledged) >= 60:
                    enough.set()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    enough.wait(30)
    pid = nodes._pid(hospital.settings)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    return acknowledged


def _is_there(hospital: Hospital, unique_id: str) -> bool:
    found = hospital.system().get("/fhir/DocumentReference", params={"identifier": unique_id})
    return found.status_code == 200 and bool(found.json().get("entry"))


def _verified(hospital: Hospital) -> bool:
    command = [sys.executable, "-m", "hie_node", "--home", hospital.entry["home"], "audit", "verify", "--json"]
    run_ = subprocess.run(command, capture_output=True, check=False, timeout=120)
    return run_.returncode == 0 and bool(json.loads(run_.stdout)["intact"])
