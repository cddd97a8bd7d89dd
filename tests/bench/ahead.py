"""j: a CT that was brought ahead of its patient, opened behind a line of 100 Mbit/s, against the line itself."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from adapters.trust.directory import LiveDirectory, write_by_hand
from registry.ahead import Ahead
from tests.bench import messages, transfer
from tests.bench.hospital import Hospital, hospitals
from tests.bench.rows import Row

ROWS = "j1"
VISIT = Path(__file__).parents[1] / "samples" / "insurance" / "visit.xml"
LINE = 100e6 / 8
"""Bytes a second."""
PIECE = 64 << 10
PATIENCE = 300.0


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    slices, rounds = (60, 2) if quick else (300, 3)
    with tempfile.TemporaryDirectory() as temporary, hospitals("bac-ninh", "bach-mai") as (holder, asker):
        message, size, uid = transfer.message_of(Path(temporary), holder, slices)
        transfer.stow(holder, message)
        with line_between(holder, asker):
            transfer.allow(holder, asker)
            target = transfer.Target(
                f"{asker.url}/network/dicomweb/studies/{uid}", asker.system().headers()["Authorization"]
            )
            over_the_line = median(transfer._pull(target, asker) for _ in range(rounds))
            refer(holder, asker)
            took = wait_until_here(asker)
            from_here = median(transfer._pull(target, asker) for _ in range(rounds))
        facts = {"mb": round(size / 1e6), "brought_in_s": round(took, 1), "mb_per_s": round(size / 1e6 / from_here)}
        yield Row("j1", "open a CT that was brought ahead, holder asked", from_here, "s", "over 100 Mbit/s",
                  over_the_line, 0.3, 0.1, "less", facts=facts)  # fmt: skip


def refer(holder: Hospital, asker: Hospital) -> None:
    """The patient signs at the holder, whose system writes the slip of the referral (insurance table 13)."""
    answer = holder.system().post("/fhir/Consent", transfer._consent(asker, holder))
    if answer.status_code != 201:
        raise RuntimeError(f"the request was not recorded: {answer.status_code} {answer.text[:200]}")
    visit = VISIT.read_text("utf-8")
    for sample, ours in (
        ("BN0001", messages.number(transfer.NUMBER)),
        ("Nguyễn Thị Thử", "Trần Thị Mẫu"),
        ("19640318", "19610405"),
        ("999164000011", transfer.NATIONAL),
        ("27001", holder.entry["facility_code"]),
        ("01929", asker.entry["facility_code"]),
    ):
        visit = visit.replace(sample, ours)
    folder = Path(holder.entry["drop_folder"])
    (folder / "visit.tmp").write_text(visit, "utf-8")
    (folder / "visit.tmp").rename(folder / "visit.xml")


def wait_until_here(asker: Hospital) -> float:
    """Seconds until everything has arrived."""
    started = time.monotonic()
    while not any(one.complete for one in brought(asker)):
        if time.monotonic() - started > PATIENCE:
            raise RuntimeError("nothing was brought ahead")
        time.sleep(0.1)
    return time.monotonic() - started


def brought(asker: Hospital) -> tuple[Ahead, ...]:
    storage = Storage(make_engine(asker.settings.database_url))
    try:
        with storage.read() as unit:
            return unit.ahead.all()
    finally:
        storage.close()


# ---- a line of 100 Mbit/s ----


@contextmanager
def line_between(holder: Hospital, asker: Hospital, bytes_a_second: float = LINE) -> Iterator[None]:
    """What the asker gets from the holder comes at the pace of the line; TLS goes through it untouched."""
    directory = LiveDirectory(asker.settings.network).current()
    line = _Line(_port(holder), bytes_a_second)
    home = holder.settings.home_community_id
    peers = [replace(one, peer_url=line.url) if one.home == home else one for one in directory.peers]
    write_by_hand(asker.settings.network, peers)
    time.sleep(1.0)  # the node looks at its directory now and then
    try:
        yield
    finally:
        line.end()


def _port(holder: Hospital) -> int:
    return urlsplit(holder.entry["peer_url"]).port or 443


class _Line:
    """Connections to one port, each slowed on its way back."""

    def __init__(self, port: int, bytes_a_second: float) -> None:
        self._port, self._pace = port, bytes_a_second
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads[0].start()

    def end(self) -> None:
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listening, *self._open):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._open.add(near)
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open.add(far)
                for way in ((near, far, 0.0), (far, near, self._pace)):
                    self._threads.append(threading.Thread(target=_pump, args=way))
                    self._threads[-1].start()


def _pump(source: socket.socket, sink: socket.socket, bytes_a_second: float) -> None:
    due = time.monotonic()
    with suppress(OSError):
        while piece := source.recv(PIECE):
            if bytes_a_second:
                due = max(due, time.monotonic() - 0.05) + len(piece) / bytes_a_second
                time.sleep(max(0.0, due - time.monotonic()))
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
