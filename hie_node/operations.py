"""The operations listener, loopback only: is it alive, can it serve, and how is it doing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from hie_node import metrics
from hie_node.house import House
from hie_node.settings import Settings
from registry.errors import StorageUnavailable

NO_ROOM = 1 << 20
SEALING_LATE = timedelta(minutes=10)
TAKEN_WITHIN = 1.0
"""Seconds until a connection has somebody who answers: what is started by it takes a tenth."""


def application(house: House) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """`/health/live`, `/health/ready`, `/metrics`."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, kind, body = _answer(house, environ.get("PATH_INFO", ""))
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    return answer


def _answer(house: House, path: str) -> tuple[str, str, bytes]:
    if path == "/health/live":
        return "200 OK", "application/json", b'{"status":"alive"}'
    if path == "/health/ready":
        problems = readiness(house)
        status = "503 Service Unavailable" if problems else "200 OK"
        word = "not ready" if problems else "ready"
        return status, "application/json", orjson.dumps({"status": word, "problems": problems})
    if path == "/metrics":
        return "200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()
    return "404 Not Found", "application/json", b'{"status":"no such page"}'


def readiness(house: House) -> list[str]:
    """What keeps this node from serving, in words; empty when all is well."""
    problems = []
    try:
        with house.storage.read() as unit:
            last = unit.disclosures.last_seal()
            unsealed = unit.disclosures.unsealed(1)
        if unsealed and last and house.now() - last.sealed > SEALING_LATE:
            problems.append("the record of disclosures has not been sealed for ten minutes; is the jobs process alive?")
    except StorageUnavailable as failure:
        problems.append(str(failure))
    if house.settings.mllp_port and not hl7_listens(house.settings):
        problems.append("the door for HL7 does not answer; is the mllp process alive, is its port free?")
    if house.settings.dicom_port and not dicom_listens(house.settings):
        problems.append("the DICOM port does not answer; is the dicom process alive, is its port free?")
    if shutil.disk_usage(house.settings.home).free < NO_ROOM:
        problems.append("the disk is full: nothing can be recorded, so nothing is shown or stored")
    if not house.settings.contents.is_dir():
        problems.append("the folder of contents is not there")
    return problems


def hl7_listens(settings: Settings) -> bool:
    """Whether connections at the port for HL7 are taken."""
    return _listens(settings.mllp_port)


def dicom_listens(settings: Settings) -> bool:
    """Whether connections at the DICOM port are taken."""
    return _listens(settings.dicom_port)


def _listens(port: int) -> bool:
    """Asked of the kernel: a connection would start what answers there, and nobody may have called yet."""
    until = time.monotonic() + TAKEN_WITHIN
    while waiting := _untaken(port):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return waiting == 0


def _untaken(port: int) -> int | None:
    """How many connections nobody has taken yet; None where nothing listens.

    Source: Linux, Documentation/networking/proc_net_tcp.rst: st 0A is LISTEN, rx_queue then counts those that wait.
    """
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(FileNotFoundError), table.open(encoding="ascii") as lines:
            for line in lines:
                _, local, _, state, queues, *_ = line.split(maxsplit=5)
                if state == "0A" and local.endswith(f":{port:04X}"):
                    return int(queues.partition(":")[2], 16)
    return None
