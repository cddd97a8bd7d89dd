"""Run a node: the edge in front, the workers behind it, the jobs; each a process that is started again if it dies."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from types import FrameType

from hie_node import jobs, log
from hie_node.bootstrap import build
from hie_node.dimse.door import run_dicom
from hie_node.doors import application
from hie_node.edge import Listener, ServerTls, run_edge
from hie_node.mllp import run_mllp
from hie_node.returning import before_serving
from hie_node.setting_tables import UnsafeSettings
from hie_node.settings import Settings
from hie_node.supervisor import Child, Supervisor
from hie_node.warmth import keep_warm
from hie_node.workers import WorkerLimits, listen, run_worker

UNLIMITED_BODIES = ("/dicomweb/studies",)
DOCUMENTS = "/xds/repository"
SCANS = "/consents/"


def serve(settings: Settings) -> int:
    """Until SIGTERM. Raises UnsafeSettings before anything listens."""
    settings.check()
    _refuse_taken_ports(settings)
    _prepare(settings)
    house = build(settings)
    before_serving(house)
    house.transport.close()
    house.storage.close()
    log.event("starting", lab=settings.lab, facility=str(settings.facility_code), pid=os.getpid())
    workers = WorkerLimits(processes=settings.workers, threads=settings.threads)
    listening = listen(settings.run / "workers.sock")
    worker = partial(_worker, settings, workers, listening)
    children = [
        *(Child(f"worker {number}", worker) for number in range(1, workers.processes + 1)),
        Child("edge", partial(_edge, settings, workers), front=True),
        Child("jobs", partial(_jobs, settings)),
    ]
    if settings.mllp_port:
        children.append(Child("mllp", partial(_mllp, settings)))
    if settings.dicom_port:
        children.append(Child("dicom", partial(_dicom, settings)))
    return Supervisor(children).run()


def _refuse_taken_ports(settings: Settings) -> None:
    """Said once and clearly, where the edge would only die and be started again."""
    for name, at in (("house", settings.house), ("peer", settings.peer), ("ops", settings.ops)):
        try:
            socket.create_server((at.host, at.port)).close()
        except OSError as error:
            raise UnsafeSettings(
                f"[{name}] cannot listen on {at.host}:{at.port} ({error.strerror}); "
                "stop what uses it, or change it in node.toml"
            ) from error


def _prepare(settings: Settings) -> None:
    """Folders that only this user may enter; counters of an earlier run are gone."""
    metrics_folder = settings.run / "metrics"
    for folder in (settings.run, settings.spool, settings.drop, settings.contents, metrics_folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in metrics_folder.glob("*.db"):
        file.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_folder)
    (settings.run / "pid").write_text(f"{os.getpid()}\n", "ascii")


def _worker(settings: Settings, limits: WorkerLimits, listening: socket.socket) -> None:
    log.configure()
    house = build(settings)
    run_worker(partial(application, house), listening=listening, limits=limits, in_each=partial(keep_warm, house))


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


def _mllp(settings: Settings) -> None:
    log.configure()
    run_mllp(settings, build)


def _dicom(settings: Settings) -> None:
    log.configure()
    run_dicom(settings, build)


def _jobs(settings: Settings) -> None:
    log.configure()
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    jobs.run(build(settings), lambda: stopping)
