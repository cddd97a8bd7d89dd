"""d: a CT of 158 MB from the node that holds it, through the node that asks, to a client that keeps it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from hie_node.lab.studies import SeriesSpec, StudySpec, write_study
from registry.identifiers import NATIONAL_ID
from tests.bench import messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.rows import Row
from tests.house.pacs.orthanc import orthanc
from tests.processes import free_port

ROWS = "d1 d2 d3 d4"
NUMBER, NATIONAL = 7, "001161000123"
DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STOW = 'multipart/related; type="application/dicom"; boundary=part'


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    slices, rounds = (60, 2) if quick else (300, 3)
    with tempfile.TemporaryDirectory() as temporary, hospitals("bac-ninh", "bach-mai") as (holder, asker):
        folder = Path(temporary)
        message, size, uid = message_of(folder, holder, slices)
        stowed = stow(holder, message)
        idle = holder.memory() + asker.memory()
        allow(holder, asker)
        target = Target(f"{asker.url}/network/dicomweb/studies/{uid}", asker.system().headers()["Authorization"])
        with _hop(message, asker.settings.tls) as url:
            hop = Target(url, "none")
            _pull(hop, asker)
            here = Target(f"{holder.url}/dicomweb/studies/{uid}", holder.system().headers()["Authorization"])
            pairs = [
                (_pull(hop, asker), _pull(here, holder), _pull(target, asker), _pull(target, asker, keep=folder))
                for _ in range(rounds)
            ]
        one_hop, alone, through, kept = (median(times) for times in zip(*pairs, strict=True))
        megabytes = size / 1e6
        if "d1" in wanted:
            facts = {"mb": round(megabytes), "mb_per_s": round(megabytes / kept), "one_hop_s": round(one_hop, 2)}
            pushed = _pushed_by_orthanc(message, folder)
            yield Row("d1", "pull a CT through two nodes, SHA-256, one fsync", kept, "s", "Orthanc to Orthanc",
                      pushed, 0.5, 0.25, "less", facts=facts)  # fmt: skip
        if "d2" in wanted:
            yield Row("d2", "stream a CT through two nodes", megabytes / through, "MB/s", HOP,
                      megabytes / one_hop, 0.3, 0.5)  # fmt: skip
            yield Row("d2", "the same from the one node that holds it", megabytes / alone, "MB/s", HOP,
                      megabytes / one_hop, 0.3, 0.5)  # fmt: skip
        if "d3" in wanted:
            yield _memory((holder, asker), target, idle, 1)
            yield _memory((holder, asker), target, idle, 8)
        if "d4" in wanted:
            theirs = _stow_to_orthanc(message, folder)
            facts = {"mb_per_s": round(megabytes / stowed)}
            yield Row("d4", "store a CT (STOW-RS), durable and indexed", stowed, "s", "Orthanc", theirs,
                      1.0, 0.4, "less", facts=facts)  # fmt: skip


# ---- the study ----


def spec_of(facility: str, title: str, slices: int) -> StudySpec:
    """A generated CT of one patient."""
    return StudySpec(
        patient_id=messages.number(NUMBER), family="Trần", middle="Thị", given="Mẫu", birth_date="19610405", sex="F",
        issuer=facility, accession_number="ACC1", started=datetime(2026, 5, 4, 8, tzinfo=UTC),
        modality="CT", body_part="HEAD", description="CT so nao", protocol="head",
        institution=title, series=(SeriesSpec(1, "head", slices=slices),),
    )  # fmt: skip


def message_of(folder: Path, holder: Hospital, slices: int) -> tuple[Path, int, str]:
    """A generated CT as one STOW-RS message on disk; returns its size and the study's UID as well."""
    spec = spec_of(holder.entry["facility_code"], holder.entry["title"], slices)
    message, size = folder / "stow", 0
    with message.open("wb") as out:
        for path in write_study(spec, folder / "study"):
            content = path.read_bytes()
            path.unlink()
            size += len(content)
            out.write(b"--part\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n")
        out.write(b"--part--\r\n")
    return message, size, spec.study_uid


def stow(holder: Hospital, message: Path) -> float:
    _patient(holder)
    started = time.monotonic()
    with message.open("rb") as body:
        answer = holder.system().post_bytes("/dicomweb/studies", body, STOW)
    if answer.status_code != 200:
        raise RuntimeError(f"STOW-RS: {answer.status_code}")
    return time.monotonic() - started


def _stow_to_orthanc(message: Path, folder: Path) -> float:
    with orthanc(folder / "stow-orthanc") as archive:
        return _stow_to(archive.http_port, message)


def _stow_to(port: int, message: Path) -> float:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    started = time.monotonic()
    with message.open("rb") as body:
        size = {"Content-Length": str(message.stat().st_size)}
        line.request("POST", "/dicom-web/studies", body, {"Content-Type": STOW, **size})
        answer = line.getresponse()
        answer.read()
    seconds = time.monotonic() - started
    line.close()
    if answer.status != 200:
        raise RuntimeError(f"STOW-RS to Orthanc: {answer.status}")
    return seconds


def _patient(hospital: Hospital) -> None:
    own, number = hospital.entry["patient_id_system"], messages.number(NUMBER)
    resource = messages.patient(own, NUMBER) | {
        "identifier": [{"system": own, "value": number}, {"system": NATIONAL_ID, "value": NATIONAL}],
        "name": [{"text": "Trần Thị Mẫu"}], "birthDate": "1961-04-05", "gender": "female",
    }  # fmt: skip
    answer = hospital.system().put(f"/fhir/Patient?identifier={own}|{number}", resource)
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"a patient was not registered: {answer.status_code}")


def allow(holder: Hospital, asker: Hospital) -> None:
    """The patient's written request at the asking hospital, and the question that lists the study there."""
    _patient(asker)
    system = asker.system()
    answer = system.post("/fhir/Consent", _consent(asker, asker))
    if answer.status_code != 201:
        raise RuntimeError(f"the request was not recorded: {answer.status_code} {answer.text[:200]}")
    question = {"patient.identifier": f"{NATIONAL_ID}|{NATIONAL}", "patient.name": "Trần Thị Mẫu",
                "patient.birthdate": "1961-04-05", "patient.gender": "female"}  # fmt: skip
    bundle = system.search("/network/fhir/ImagingStudy", question)
    if not any(e["resource"]["resourceType"] == "ImagingStudy" for e in bundle["entry"]):
        raise RuntimeError(f"the study was not listed: {_said(bundle)}")


def _said(bundle: dict[str, Any]) -> str:
    """What the hospitals answered instead."""
    return "; ".join(str(e["resource"].get("issue")) for e in bundle["entry"])


def _consent(asker: Hospital, at: Hospital) -> dict[str, Any]:
    """What the patient signs `at` one of the two hospitals: the asking one may see."""
    now = datetime.now(UTC)
    me, keeper = (
        {
            "identifier": {"system": "urn:ietf:rfc:3986", "value": one.entry["home_community_id"]},
            "display": one.entry["title"],
        }
        for one in (asker, at)
    )
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    return {
        "resourceType": "Consent",
        "meta": {"profile": ["https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"]},
        "status": "active",
        "scope": scope,
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": {"system": at.entry["patient_id_system"], "value": messages.number(NUMBER)}},
        "dateTime": now.isoformat(timespec="seconds"),
        "performer": [{"display": "the patient"}],
        "organization": [keeper],
        "sourceAttachment": {"contentType": "application/pdf", "data": b64encode(b"%PDF-1.4 signed").decode()},
        "policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}],
        "provision": {
            "type": "permit",
            "period": {"start": now.isoformat(timespec="seconds"), "end": (now + timedelta(days=9)).isoformat()},
            "actor": [{"role": role, "reference": me}],
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
        },
    }


# ---- pulling ----


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client pulls from."""

    url: str
    authorization: str


def _pull(target: Target, asker: Hospital, *, keep: Path | None = None) -> float:
    """Seconds until everything is there, by a client in a process of its own."""
    (done,) = _clients(target, asker, 1, keep)
    return done


def _clients(target: Target, asker: Hospital, count: int, keep: Path | None = None) -> list[float]:
    command = [sys.executable, "-m", "tests.bench.download", target.url, target.authorization, asker.ca_file]
    if keep is not None:
        command.append(str(keep / "pulled"))
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    outs = [process.communicate(timeout=300)[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a pull broke off")
    return [float(json.loads(out)["seconds"]) for out in outs]


def _memory(nodes_: Sequence[Hospital], target: Target, idle: int, count: int) -> Row:
    """The most that both nodes held together while so many clients pulled, beyond what they held idle."""
    peak, stopping = 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not stopping.wait(0.1):
            peak = max(peak, sum(node.memory() for node in nodes_))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        seconds = max(_clients(target, nodes_[1], count))
    finally:
        stopping.set()
        watcher.join()
    more = (peak - idle) / 1e6 / len(nodes_)
    facts = {"idle_mb": round(idle / 1e6 / len(nodes_)), "seconds": round(seconds, 2), "value": "MB"}
    what = f"memory of a node while {count} studies flow through (mean of both), beyond idle"
    return Row("d3", what, more, "MB", "nothing", 0, 64, 16, "less", ratio=more, facts=facts)


# ---- what a relay is held against ----

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
HOP = "nginx over TLS, one hop" if NGINX else "one plain TLS hop (Python)"
_NGINX = """
{user} daemon off; error_log stderr crit; pid {folder}/pid; worker_processes 1;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {tls}/house.crt; ssl_certificate_key {tls}/house.key;
    location = /study {{ alias {message}; }} }} }}
"""


@contextmanager
def _hop(message: Path, tls: Path) -> Iterator[str]:
    """The same bytes over one TLS connection, from a process that does nothing else."""
    if NGINX:
        folder, port = message.parent / "nginx", free_port()
        folder.mkdir()
        conf = folder / "nginx.conf"
        user = "" if os.geteuid() else "user root;"
        conf.write_text(_NGINX.format(user=user, folder=folder, port=port, tls=tls, message=message), "utf-8")
        command = [NGINX, "-p", str(folder), "-c", str(conf), "-e", "stderr"]
    else:
        command = [sys.executable, "-m", "tests.bench.tls_hop", str(message), str(tls)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if not NGINX:
            port = int(process.stdout.readline())
        _until_open(port)
        yield f"https://127.0.0.1:{port}/study"
    finally:
        process.terminate()
        process.wait(10)


def _until_open(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("nothing listens there")


def _pushed_by_orthanc(message: Path, folder: Path) -> float:
    """Seconds that one Orthanc takes to send the study to another, over plain HTTP."""
    with orthanc(folder / "receiving") as there, orthanc(folder / "sending", peer=there.http_port) as here:
        _stow_to(here.http_port, message)
        (study,) = here.studies()
        started = time.monotonic()
        here.pushes(study)
        return time.monotonic() - started
