"""Orthanc as a hospital's own PACS, started by the test that needs it."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from tests.processes import free_port

PATIENCE = 30.0
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@dataclass(frozen=True)
class Orthanc:
    """A running archive: its DICOMweb service, and where it speaks DIMSE."""

    http_port: int
    dicom_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def keeps(self, *files: bytes) -> None:
        """What its modalities have sent it."""
        for content in files:
            self._asked("/instances", content)

    def knows(self, ae_title: str, port: int) -> None:
        """A system that it may send to, by its name and where it listens."""
        told = json.dumps({"AET": ae_title, "Host": "127.0.0.1", "Port": port, "AllowGet": False}).encode()
        self._asked(f"/modalities/{ae_title}", told, method="PUT")

    def studies(self) -> list[str]:
        """Its own ids of what it has."""
        return list(json.loads(self._asked("/studies")))

    def pushes(self, study: str) -> None:
        """Send a study to the other one; back when that has it."""
        self._asked("/peers/other/store", study.encode())

    def _asked(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def is_ready(self) -> bool:
        try:
            self._asked("/system")
        except (URLError, OSError):
            return False
        return True


@contextmanager
def orthanc(folder: Path, *, durable: bool = True, gets: bool = True, peer: int = 0) -> Iterator[Orthanc]:
    """An empty archive, until the block ends.

    durable  what it acknowledges is on the disk, as it is delivered
    gets     it answers C-GET
    peer     HTTP port of another one that it may send to
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = Orthanc(free_port(), free_port())
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": archive.http_port,
        "DicomPort": archive.dicom_port,
        "DicomAet": "ORTHANC",
        "DefaultEncoding": "Utf8",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": gets,
        "SyncStorageArea": durable,
        "OrthancPeers": {"other": [f"http://127.0.0.1:{peer}/"]} if peer else {},
        "Plugins": [PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings))
    process = subprocess.Popen(
        ["Orthanc", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not archive.is_ready():
            assert time.monotonic() < deadline and process.poll() is None, "Orthanc starts"
            time.sleep(0.05)
        yield archive
    finally:
        process.terminate()
        process.wait(15)
