"""The DICOM port of one hospital in a process of its own, and DCMTK's tools as the systems that call it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.dicom.network import pdu
from adapters.dicom.network.commands import Command, read_command
from adapters.dicom.network.pdu import Associate, Context, Kind
from hie_node.bootstrap import build
from hie_node.dimse.door import run_dicom
from hie_node.line_door import listen
from hie_node.operations import dicom_listens
from hie_node.setting_tables import Dicom, DicomSystem
from hie_node.settings import Settings
from registry.studies import Study
from tests.house.hospital import make_house
from tests.processes import PATIENCE, ended, eventually, forked, free_port, is_answered

AET = "BACNINH"


def forked_port(settings: Settings) -> int:
    """It is open once somebody answers there."""
    listening = listen(settings.dicom.host, settings.dicom_port)
    pid = forked(lambda: run_dicom(build(settings), listening))
    is_answered(listening)
    return pid


def wait_until_open(settings: Settings) -> None:
    eventually(lambda: dicom_listens(settings), "the port opens")


class Port:
    """A hospital with its DICOM port open."""

    def __init__(self, folder: Path, **bounds: Any) -> None:
        made = {name: bounds.pop(name) for name in ("lab", "database_url") if name in bounds}
        dicom = Dicom(**bounds)
        self.folder = folder
        self.house = make_house(folder, dicom_port=free_port(), dicom_aet=AET, dicom=dicom, **made)
        self.settings = self.house.settings
        self.pid = 0
        self._held: list[socket.socket] = []

    def open(self) -> Port:
        self.house.storage.close()
        self.pid = forked_port(self.settings)
        wait_until_open(self.settings)
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        pid, self.pid = self.pid, 0
        return ended(pid, number)

    def clear(self) -> None:
        for sock in self._held:
            sock.close()
        if self.pid:
            assert self.end() == 0
        self.house.storage.close()

    def runs(self, tool: str, *arguments: str | Path, calling: str = "CT1", called: str = AET) -> Ran:
        """One of DCMTK's tools against this port."""
        command = [tool, "-aet", calling, "-aec", called, *map(str, arguments[:-1])]
        where = ["127.0.0.1", str(self.settings.dicom_port)]
        last = [str(arguments[-1])] if arguments else []
        files = [one for one in (*command[5:], *last) if one.endswith(".dcm")]
        options = [one for one in (*command[5:], *last) if not one.endswith(".dcm")]
        done = subprocess.run(
            [*command[:5], *options, *where, *files],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        return Ran(done.returncode, done.stdout + done.stderr)

    def stores(self, *files: bytes, calling: str = "CT1", options: tuple[str, ...] = ("-xs",)) -> Ran:
        """storescu sends these files, each in a transfer syntax that fits it."""
        paths = []
        for number, content in enumerate(files):
            path = self.folder / f"sent-{number:04d}.dcm"
            path.write_bytes(content)
            paths.append(path)
        return self.runs("storescu", "-R", "-v", *options, *paths, calling=calling)

    @contextmanager
    def _looked_at(self) -> Iterator[None]:
        """The database is closed again, since a connection to SQLite must not be carried over the next fork."""
        try:
            yield
        finally:
            self.house.storage.close()

    def study(self, uid: str) -> Study | None:
        with self._looked_at(), self.house.storage.read() as unit:
            return unit.studies.by_uid(uid)

    def contents(self, uid: str) -> dict[str, bytes]:
        """The stored files of a study by SOP instance UID."""
        study = self.study(uid)
        assert study is not None
        with self._looked_at():
            return {
                one.sop_instance_uid: b"".join(self.house.contents.open(study.record_id, one.content_hash))
                for one in study.selected()
            }

    def recorded(self) -> list[tuple[str, list[str]]]:
        """What is on record, row by row: the transaction, and what it was about."""
        with self._looked_at(), self.house.storage.read() as unit:
            return [(row.transaction, list(row.items)) for row in unit.disclosures.search(limit=10_000)]

    def transactions(self) -> list[str]:
        return [transaction for transaction, _ in self.recorded()]

    def socket(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.settings.dicom_port), PATIENCE)
        self._held.append(sock)
        return sock

    def associates(self, *contexts: Context, calling: str = "CT1", called: str = AET) -> Line:
        line = Line(self.socket())
        line.send(pdu.write_associate(Kind.ASSOCIATE_RQ, Associate(called, calling, contexts)))
        return line


@dataclass(frozen=True)
class Ran:
    """What a tool said."""

    code: int
    said: str


@dataclass
class Line:
    """One raw association, byte by byte."""

    sock: socket.socket
    left: bytes = field(default=b"")

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def pdu(self) -> tuple[Kind, bytes] | None:
        """The next PDU; None where the connection ended."""
        try:
            head = self._exactly(6)
            return None if head is None else (Kind(head[0]), self._exactly(int.from_bytes(head[2:6], "big")) or b"")
        except ConnectionError:
            return None

    def _exactly(self, count: int) -> bytes | None:
        found = b""
        while len(found) < count:
            piece = self.sock.recv(count - len(found))
            if not piece:
                return None
            found += piece
        return found

    def accepted(self) -> Associate:
        answer = self.pdu()
        assert answer is not None and answer[0] is Kind.ASSOCIATE_AC
        return pdu.read_associate(answer[1])

    def answer(self) -> Command:
        answer = self.pdu()
        assert answer is not None and answer[0] is Kind.DATA
        return read_command(b"".join(bytes(one.data) for one in pdu.fragments(answer[1])))

    def data(self) -> bytes:
        """The data set that follows a command."""
        answer = self.pdu()
        assert answer is not None and answer[0] is Kind.DATA
        return b"".join(bytes(one.data) for one in pdu.fragments(answer[1]))


def listens(ae_title: str = "PACS", **options: Any) -> DicomSystem:
    """A listed system that also listens."""
    return DicomSystem(ae_title, ("127.0.0.1/32",), "127.0.0.1", options.pop("port", free_port()), **options)


@contextmanager
def storescp(folder: Path, system: DicomSystem, *options: str) -> Iterator[Path]:
    """DCMTK's archive: what it was sent lies in the folder it gives."""
    received = folder / "received"
    received.mkdir(exist_ok=True)
    command = [
        "storescp",
        "-aet",
        system.ae_title,
        "+B",
        *(options or ("+xa",)),
        "-od",
        str(received),
        str(system.port),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TCP_NODELAY": "1"}
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", system.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield received
    finally:
        process.terminate()
        process.wait(10)
