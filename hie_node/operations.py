"""The operations listener, loopback only: is it alive, can it serve, and how is it doing."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import orjson

from hie_node import metrics
from hie_node.house import House
from hie_node.line_door import waiting_at
from hie_node.settings import Settings
from registry.errors import StorageUnavailable

NO_ROOM = 1 << 20
SEALING_LATE = timedelta(minutes=10)
TAKEN_WITHIN = 1.0
"""Seconds until a connection has somebody who answers it; who has to be started first takes a tenth of that."""

Held = Mapping[int, socket.socket]
"""Listening sockets of this node, by their ports: whose door is known to be open needs no call to be sure."""


def application(house: House, held: Held) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """`/health/live`, `/health/ready`, `/metrics`."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, kind, body = _answer(house, environ.get("PATH_INFO", ""), held)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    return answer


def _answer(house: House, path: str, held: Held) -> tuple[str, str, bytes]:
    if path == "/health/live":
        return "200 OK", "application/json", b'{"status":"alive"}'
    if path == "/health/ready":
        problems = readiness(house, held)
        status = "503 Service Unavailable" if problems else "200 OK"
        word = "not ready" if problems else "ready"
        return status, "application/json", orjson.dumps({"status": word, "problems": problems})
    if path == "/metrics":
        return "200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()
    return "404 Not Found", "application/json", b'{"status":"no such page"}'


def readiness(house: House, held: Held | None = None) -> list[str]:
    """What keeps this node from serving, in words; empty when all is well."""
    problems, doors = [], held or {}
    try:
        with house.storage.read() as unit:
            last = unit.disclosures.last_seal()
            unsealed = unit.disclosures.unsealed(1)
        if unsealed and last and house.now() - last.sealed > SEALING_LATE:
            problems.append("the record of disclosures has not been sealed for ten minutes; is the jobs process alive?")
    except StorageUnavailable as failure:
        problems.append(str(failure))
    if house.settings.mllp_port and not hl7_listens(house.settings, doors):
        problems.append("the door for HL7 does not answer; is the mllp process alive, is its port free?")
    if house.settings.dicom_port and not dicom_listens(house.settings, doors):
        problems.append("the DICOM port does not answer; is the dicom process alive, is its port free?")
    if shutil.disk_usage(house.settings.home).free < NO_ROOM:
        problems.append("the disk is full: nothing can be recorded, so nothing is shown or stored")
    if not house.settings.contents.is_dir():
        problems.append("the folder of contents is not there")
    return problems


def hl7_listens(settings: Settings, held: Held | None = None) -> bool:
    """Whether somebody takes connections at the port for HL7."""
    return _listens(settings.mllp.host, settings.mllp_port, held or {})


def dicom_listens(settings: Settings, held: Held | None = None) -> bool:
    """Whether somebody takes connections at the DICOM port."""
    return _listens(settings.dicom.host, settings.dicom_port, held or {})


def _listens(host: str, port: int, held: Held) -> bool:
    """A call would start who answers there, so none is made to a door that this node holds."""
    if port in held:
        return _are_taken(held[port])
    host = host if host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104 (compared)
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _are_taken(listening: socket.socket) -> bool:
    """Whether nobody waits there, or not for long."""
    until = time.monotonic() + TAKEN_WITHIN
    while waiting_at(listening):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
