"""d, h: images taken in over the DICOM port, found among many, resumed after a break, and beside everything else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median

from adapters.dicom.file_head import file_head
from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from hie_node.lab.studies import write_study
from hie_node.settings import Settings
from registry.identifiers import PatientIdentifier
from registry.studies import Instance, Series, Study
from tests.adapters.dicom.files import EXPLICIT, slice_body
from tests.bench import loading, messages, socket_sink, transfer
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, Load, run
from tests.bench.rows import Row
from tests.house.pacs.orthanc import orthanc

ROWS = "d5 d6 d7 h4"

OBJECTS = 30
"""Of each study that is looked up."""

FIRST = 100_000
"""Patients of the filled index; those of the other rows are below."""

_CT = "1.2.840.10008.5.1.4.1.1.2"
_QUICKLY = {**os.environ, "TCP_NODELAY": "1"}


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    slices, studies, documents, seconds = (60, 2_000, 100_000, 2.0) if quick else (300, 10_000, 1_000_000, 5.0)
    with tempfile.TemporaryDirectory() as temporary, hospitals("bac-ninh", "bach-mai") as (holder, asker):
        folder = Path(temporary)
        if "d7" in wanted:
            yield from _over_the_port(holder, folder, slices)
        if "h4" in wanted:
            yield _beside(holder, folder, slices, seconds)
        if "d6" in wanted:
            yield _resumed(holder, asker, folder, slices)
        if "d5" in wanted:
            yield from _look_up(holder, folder, studies, documents, seconds)


# ---- d5


def _look_up(holder: Hospital, folder: Path, studies: int, documents: int, seconds: float) -> Iterator[Row]:
    loading.fill(holder.settings, patients=studies, documents_each=0, first=FIRST)
    _fill(holder.settings, studies)
    found = _asked(holder, studies, seconds)
    facts = {"studies": studies, "p99_ms": round(found.p99, 1), "failures": found.failures}
    theirs = _orthanc_asked(folder, studies)
    yield Row("d5", "QIDO-RS by patient id, one client, p50", found.p50, "ms", "Orthanc with as many studies",
              theirs, 0.3, 0.1, "less", facts=facts)  # fmt: skip
    loading.fill(holder.settings, patients=documents // 50, documents_each=50, first=FIRST + 2 * studies)
    later = _asked(holder, studies, seconds)
    yield Row("d5", f"the same beside {documents:,} documents", later.p50, "ms", "without them", found.p50,
              1.5, 1.5, "less", facts={"p99_ms": round(later.p99, 1), "failures": later.failures})  # fmt: skip


def _asked(holder: Hospital, studies: int, seconds: float) -> Load:
    path = f"/dicomweb/studies?PatientID=BN{messages.PATIENT}"
    numbers = {messages.PATIENT: (FIRST, FIRST + studies - 1, 9)}
    os.sync()  # what was loaded before is not in the way of the commits that are measured
    asking = holder.asking("GET", path).replace("application/fhir+json", "application/dicom+json")
    return run(Job(holder.url, asking, 1, seconds, 0.5, holder.ca_file, (), numbers))


def _orthanc_asked(folder: Path, studies: int) -> float:
    """ms, p50, of the same question to Orthanc; the studies that are asked for are as large as ours, others small."""
    every = max(1, studies // 100)
    with orthanc(folder / "looked-up", durable=False) as archive:
        line = http.client.HTTPConnection("127.0.0.1", archive.http_port, timeout=60)
        for n in range(studies):
            for number in range(OBJECTS if n % every == 0 else 1):
                line.request("POST", "/instances", _small_object(n, number))
                line.getresponse().read()
        times = []
        for n in range(0, studies, every):
            started = time.monotonic()
            line.request("GET", f"/dicom-web/studies?PatientID={messages.number(n)}")
            answer = line.getresponse()
            if len(json.loads(answer.read())) != 1:
                raise RuntimeError("Orthanc does not find its study")
            times.append((time.monotonic() - started) * 1000)
        line.close()
    return median(times)


def _small_object(n: int, number: int) -> bytes:
    uid = f"1.2.826.0.1.77.{n}"
    body = slice_body(number, study=uid, series=f"{uid}.1", patient=messages.number(n).encode())
    return file_head(_CT, f"{uid}.1.{number}", EXPLICIT) + body


def _fill(settings: Settings, studies: int) -> None:
    storage = Storage(make_engine(settings.database_url))
    try:
        for start in range(0, studies, loading.BATCH):
            with storage.begin() as unit:
                for n in range(FIRST + start, FIRST + min(start + loading.BATCH, studies)):
                    unit.studies.save(_study(settings, n))
    finally:
        storage.close()


def _study(settings: Settings, n: int) -> Study:
    uid = f"1.2.826.0.1.77.{n}"
    slices = tuple(Instance(f"{uid}.1.{i}", _CT, "1.2.840.10008.1.2.1", "0" * 64, 526_000, i) for i in range(OBJECTS))
    patient = PatientIdentifier(settings.patient_id_system, messages.number(n))
    series = (Series(f"{uid}.1", "CT", instances=slices),)
    started = loading._FIRST + timedelta(minutes=n)
    return Study(f"study-{n}", uid, patient, f"record-{n}", started, series=series, extra={"PatientName": "Nguyễn^A"})


# ---- d7


def _over_the_port(holder: Hospital, folder: Path, slices: int) -> Iterator[Row]:
    files = _files(folder / "ct", slices, "d7")
    size = sum(file.stat().st_size for file in files)
    mine = _sent(files, int(holder.entry["dicom_port"]), str(holder.entry["dicom_aet"]))
    with orthanc(folder / "orthanc") as archive:
        theirs = _sent(files, archive.dicom_port, "ORTHANC")
    with _sink(folder) as port:
        bare = socket_sink.send(files, port)
    with _storescp(folder) as port:
        careless = _sent(files, port, "PEER")
    facts = {"mb_per_s": round(size / 1e6 / mine), "slices": slices, "storescp_s": round(careless, 2)}
    what = "C-STORE of a CT, durable and indexed"
    yield Row("d7", what, mine, "s", "Orthanc", theirs, 1.0, 0.5, "less", facts=facts)
    yield Row("d7", what, mine, "s", "a socket and an fsync for each object", bare, 5.0, 2.0, "less")


def _files(folder: Path, slices: int, accession: str) -> list[Path]:
    spec = replace(transfer.spec_of("27001", "Bắc Ninh", slices), accession_number=accession)
    return list(write_study(spec, folder))


def _sent(files: Sequence[Path], port: int, title: str) -> float:
    command = ["storescu", "-R", "-xs", "-aec", title, "127.0.0.1", str(port), *map(str, files)]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=_QUICKLY)
    return time.monotonic() - started


@contextmanager
def _sink(folder: Path) -> Iterator[int]:
    kept = folder / "sink"
    kept.mkdir()
    command = [sys.executable, "-m", "tests.bench.socket_sink", str(kept)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _storescp(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    kept = folder / "storescp"
    kept.mkdir()
    process = subprocess.Popen(["storescp", "-aet", "PEER", "-od", str(kept), str(port)], env=_QUICKLY)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)


# ---- h4


def _beside(holder: Hospital, folder: Path, slices: int, seconds: float) -> Row:
    files = _files(folder / "beside", slices, "h4")
    alone = _search(holder, seconds)
    stopping = threading.Event()

    def keep_sending() -> None:
        while not stopping.is_set():
            _sent(files, int(holder.entry["dicom_port"]), str(holder.entry["dicom_aet"]))

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        beside = _search(holder, seconds)
    finally:
        stopping.set()
        sender.join()
    facts = {"p50_ms": round(beside.p50, 1), "p50_alone_ms": round(alone.p50, 1), "failures": beside.failures}
    return Row("h4", "p99 of a search while a CT comes in over the port", beside.p99, "ms", "the same alone",
               alone.p99, 5.0, 2.0, "less", facts=facts)  # fmt: skip


def _search(holder: Hospital, seconds: float) -> Load:
    system = holder.entry["patient_id_system"]
    path = f"/fhir/ImagingStudy?patient.identifier={system}|{messages.number(transfer.NUMBER)}"
    return run(Job(holder.url, holder.asking("GET", path), 2, seconds, 0.5, holder.ca_file))


# ---- d6


def _resumed(holder: Hospital, asker: Hospital, folder: Path, slices: int) -> Row:
    message, size, uid = transfer.message_of(folder, holder, slices)
    transfer.stow(holder, message)
    transfer.allow(holder, asker)
    out = folder / "fetched"
    command = [sys.executable, "-m", "hie_node", "--home", str(asker.entry["home"]), "fetch", uid, "--out", str(out)]
    command += ["--as", str(asker.entry["users"][0]["username"]), "--json"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while first.poll() is None and (not out.is_dir() or len(list(out.glob("*.dcm"))) < slices * 0.9):
        time.sleep(0.001)
    first.send_signal(signal.SIGKILL)
    first.wait()
    begun = sum(file.stat().st_size for file in out.glob("*.part"))
    arrived = sum(file.stat().st_size for file in out.glob("*.dcm"))
    again = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)
    twice = begun + arrived + int(again["bytes"]) - size
    facts = {"arrived_before": f"{arrived / size:.0%}", "one_slice_mb": round(size / slices / 1e6, 2)}
    return Row("d6", "resume a study after a kill: bytes sent again", twice / 1e6, "MB", "the study", size / 1e6,
               0.2, 1 / slices, "less", facts=facts)  # fmt: skip
