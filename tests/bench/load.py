"""Clients that ask as fast as they get answers: a process of its own, so that the node shares no interpreter with them.

A template is a whole request in bytes. In it each of `fresh` is replaced by a new UUID, and each of `numbers` by a
number of fixed width between two bounds, so that the announced length stays right.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from threading import Thread
from urllib.parse import urlsplit

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Job:
    """What one process asks. `numbers`: mark -> (first, last, width)."""

    url: str
    template: str
    connections: int = 1
    seconds: float = 3.0
    warm_up: float = 0.5
    ca_file: str = ""
    fresh: tuple[str, ...] = ()
    numbers: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    expect: int = 200


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it; times in milliseconds."""

    per_second: float
    p50: float
    p99: float
    answers: int
    failures: int


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> str:
    """A request as a template."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join(lines) + "\r\n\r\n" + body.decode()


def run(job: Job) -> Load:
    """Over two processes where there is more than one connection."""
    shares = _shares(job.connections)
    started = [_start(job, share) for share in shares]
    times: list[float] = []
    failures, seconds = 0, job.seconds
    for process in started:
        out, _ = process.communicate()
        if process.returncode:
            raise RuntimeError("a load generator broke")
        found = json.loads(out)
        times += found["times"]
        failures += found["failures"]
    times.sort()
    if not times:
        raise RuntimeError(f"no request was answered with {job.expect} ({failures} failures)")
    return Load(len(times) / seconds, _at(times, 0.5) * 1e3, _at(times, 0.99) * 1e3, len(times), failures)


def _shares(connections: int) -> list[int]:
    if connections < PROCESSES:
        return [connections]
    return [connections // PROCESSES] * PROCESSES


def _at(times: Sequence[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


def _start(job: Job, connections: int) -> subprocess.Popen[str]:
    text = json.dumps(asdict(job) | {"connections": connections})
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    process.stdin = None
    return process


class _Client(Thread):
    """One connection, one request after another."""

    def __init__(self, job: Job, begin: float) -> None:
        super().__init__(daemon=True)
        self._job, self._begin, self._end = job, begin, begin + job.seconds
        self.times: list[float] = []
        self.failures = 0

    def run(self) -> None:
        job, sock = self._job, self._connect()
        status = f"HTTP/1.1 {job.expect}".encode()
        while (started := time.monotonic()) < self._end:
            sock.sendall(self._filled())
            head = _answer(sock)
            taken = time.monotonic() - started
            if not head.startswith(status):
                self.failures += 1
                if not head:
                    sock = self._connect()
            elif started >= self._begin:
                self.times.append(taken)

    def _connect(self) -> socket.socket:
        at = urlsplit(self._job.url)
        plain = socket.create_connection((at.hostname, at.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if at.scheme == "http":
            return plain
        return ssl.create_default_context(cafile=self._job.ca_file).wrap_socket(plain, server_hostname=at.hostname)

    def _filled(self) -> bytes:
        text = self._job.template
        for mark in self._job.fresh:
            fresh = uuid.uuid4()
            text = text.replace(mark, fresh.hex if len(mark) == 32 else str(fresh))
        for mark, (first, last, width) in self._job.numbers.items():
            text = text.replace(mark, f"{random.randint(first, last):0{width}d}")
        return text.encode()


def _answer(sock: socket.socket) -> bytes:
    """The head of one whole answer; empty where the connection broke."""
    raw = bytearray()
    while (end := raw.find(b"\r\n\r\n")) < 0:
        if not (piece := sock.recv(65536)):
            return b""
        raw += piece
    head = bytes(raw[:end])
    _, _, rest = head.lower().partition(b"content-length:")
    missing = int(rest.split(b"\r\n", 1)[0]) - (len(raw) - end - 4)
    while missing > 0:
        if not (piece := sock.recv(65536)):
            return b""
        missing -= len(piece)
    return head


def _main() -> None:
    found = json.loads(sys.stdin.read())
    numbers = {mark: (low, high, width) for mark, (low, high, width) in found.pop("numbers").items()}
    job = Job(**found | {"numbers": numbers, "fresh": tuple(found["fresh"])})
    sys.setswitchinterval(0.001)
    begin = time.monotonic() + job.warm_up
    clients = [_Client(job, begin) for _ in range(job.connections)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(job.warm_up + job.seconds + 60)
    times = [taken for client in clients for taken in client.times]
    print(json.dumps({"times": times, "failures": sum(client.failures for client in clients)}))


if __name__ == "__main__":
    _main()
