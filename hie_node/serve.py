"""Run a node: the edge in front, the workers behind it, the jobs; each a process that is started again if it dies."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType

from werkzeug.test import Client

from hie_node import jobs, line_door, log
from hie_node.bootstrap import build
from hie_node.dimse.landing import Landing, has_landed
from hie_node.doors import Wsgi, application
from hie_node.edge import Listener, ServerTls, run_edge
from hie_node.file_worker import FileWorker, rear_readers
from hie_node.house import House
from hie_node.reading_again import call_reader, rear_again
from hie_node.returning import before_serving
from hie_node.setting_tables import UnsafeSettings
from hie_node.settings import Settings
from hie_node.supervisor import Child, Supervisor
from hie_node.warmth import keep_warm
from hie_node.workers import WorkerLimits, listen, run_worker

UNLIMITED_BODIES = ("/dicomweb/studies",)
DOCUMENTS = "/xds/repository"
SCANS = "/consents/"
FILES_SOCKET = "files.sock"
WARMED = (("ops", "/health/ready"), ("house", "/nowhere"), ("house", "/fhir/nowhere"), ("peer", "/fhir/nowhere"))
"""Requests that show nobody anything, and that are neither counted nor logged: by door and path."""


def serve(settings: Settings) -> int:
    """Until SIGTERM. Raises UnsafeSettings before anything listens."""
    settings.check()
    _refuse_taken_ports(settings)
    _prepare(settings)
    _catch_up(settings)
    # once for all processes, which share its memory; and with nothing open that a fork would give to two
    house = build(settings)
    lines = _listening(settings)
    serving = application(house, lines)
    warm_up(house, serving)
    log.event("starting", lab=settings.lab, facility=str(settings.facility_code), pid=os.getpid())
    workers = WorkerLimits(processes=settings.workers, threads=settings.threads)
    listening = listen(settings.run / "workers.sock")
    files = listen(settings.run / FILES_SOCKET)
    worker = partial(_worker, house, serving, workers, listening)
    children = [
        *(Child(f"worker {number}", partial(worker, number)) for number in range(1, workers.processes + 1)),
        *(_reader_again(house, number) for number in range(1, workers.processes + 1)),
        Child("edge", partial(_edge, settings, workers), front=True),
        Child("jobs", partial(_jobs, house)),
        Child("files", partial(_files, house, files), door=files),
        *_line_doors(house, lines),
    ]
    return Supervisor(children).run()


def _listening(settings: Settings) -> dict[int, socket.socket]:
    """The ports for HL7 and DICOM, as far as they are open."""
    doors = ((settings.mllp.host, settings.mllp_port), (settings.dicom.host, settings.dicom_port))
    return {port: line_door.listen(host, port) for host, port in doors if port}


def _line_doors(house: House, lines: Mapping[int, socket.socket]) -> Iterator[Child]:
    """Each is there from the first sender on."""
    if hl7 := lines.get(house.settings.mllp_port):
        yield Child("mllp", partial(_mllp, house, hl7), door=hl7)
    if dicom := lines.get(house.settings.dicom_port):
        # what was acknowledged before a crash is indexed by it, and waits for nobody
        yield Child("dicom", partial(_dicom, house, dicom), door=None if has_landed(house) else dicom)


def _refuse_taken_ports(settings: Settings) -> None:
    """Said once and clearly, where the edge would only die and be started again."""
    doors = [
        ("[house]", settings.house.host, settings.house.port),
        ("[peer]", settings.peer.host, settings.peer.port),
        ("[ops]", settings.ops.host, settings.ops.port),
        ("mllp_port", settings.mllp.host, settings.mllp_port),
        ("dicom_port", settings.dicom.host, settings.dicom_port),
    ]
    for name, host, port in doors:
        if not port:
            continue
        try:
            line_door.listen(host, port).close()
        except OSError as error:
            raise UnsafeSettings(
                f"{name} cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}); "
                "stop what uses it, or change it in node.toml"
            ) from error


def _prepare(settings: Settings) -> None:
    """Folders that only this user may enter; counters of an earlier run are gone."""
    for folder in (settings.run, settings.spool, settings.drop, settings.contents, settings.counters):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in settings.counters.glob("*.db"):
        file.unlink()
    (settings.run / "pid").write_text(f"{os.getpid()}\n", "ascii")


def _catch_up(settings: Settings) -> None:
    """With connections of its own, which are closed before a process is forked."""
    house = build(settings)
    before_serving(house)
    house.transport.close()
    house.storage.close()


def warm_up(house: House, serving: Wsgi) -> None:
    """What each process would change in its own copy of the memory at its first request is changed before they part."""
    visitor = Client(serving)
    for door, path in WARMED * 2:
        visitor.get(path, headers={"X-Hie-Door": door}).close()
    jobs.look_around(house)
    house.storage.close()


def _again_socket(settings: Settings, number: int) -> Path:
    """Where a worker calls when something that was kept is to be read again."""
    return settings.run / f"again-{number}.sock"


def _reader_again(house: House, number: int) -> Child:
    door = listen(_again_socket(house.settings, number))
    return Child(f"again {number}", partial(_again, house, door), door=door)


def _worker(house: House, serving: Wsgi, limits: WorkerLimits, listening: socket.socket, number: int) -> None:
    log.configure()
    call_reader(house, _again_socket(house.settings, number))
    run_worker(lambda: serving, listening=listening, limits=limits, in_each=partial(keep_warm, house))


def _edge(settings: Settings, workers: WorkerLimits) -> None:
    tls = settings.tls
    house_tls = ServerTls(tls / "house.crt", tls / "house.key", None)
    peer_tls = ServerTls(tls / "node.crt", tls / "node.key", tls / "federation-ca.crt")
    run_edge(
        [
            Listener("house", settings.house.host, settings.house.port, house_tls),
            Listener("peer", settings.peer.host, settings.peer.port, peer_tls),
            Listener("ops", settings.ops.host, settings.ops.port, None),
        ],
        worker_socket=settings.run / "workers.sock",
        worker_slots=workers.slots,
        spool_folder=settings.spool,
        body_limit=partial(_body_limit, settings),
    )


def _body_limit(settings: Settings, door: str, method: str, path: str) -> int:
    """Only the house's own systems may hand in images, which are large."""
    if door == "house" and method == "POST" and path.startswith(UNLIMITED_BODIES):
        return settings.limits.dicom_body
    if door == "house" and method == "POST" and path == DOCUMENTS:
        return settings.limits.file_body
    if door == "house" and method == "POST" and path.startswith(SCANS):
        # a larger scan than the page takes still reaches it, so that people read why in their own language
        return settings.limits.scan_body * 4
    return settings.limits.fhir_body


def _mllp(house: House, listening: socket.socket) -> None:
    from hie_node.mllp import run_mllp

    log.configure()
    run_mllp(house, listening)


def _dicom(house: House, listening: socket.socket) -> None:
    from hie_node.dimse.door import run_dicom

    log.configure()
    run_dicom(house, listening)


def _again(house: House, listening: socket.socket) -> None:
    log.configure()
    rear_again(house, listening)


def _files(house: House, listening: socket.socket) -> None:
    log.configure()
    rear_readers(house, listening)


def _jobs(house: House) -> None:
    log.configure()
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    with closing(FileWorker(house.settings.run / FILES_SOCKET)) as reader:
        if not house.settings.dicom_port:
            Landing(house).recover()  # the port was taken away after a crash
        jobs.run(house, lambda: stopping, publish=partial(reader.publish, house))
