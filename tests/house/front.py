"""A real front for the tests: supervisor, edge and workers as processes, certificates made on the spot."""

import datetime
import hashlib
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.processes import descendants, eventually

PATIENCE_SECONDS = 8.0  # only so that a broken front ends a test; no test asserts a time


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(name, self._key.public_key(), authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool = False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, name: str, *, file: str | None = None) -> tuple[Path, Path]:
        """A certificate and its key, as files named after `file` (or the name)."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key())
        stem = file or name
        paths = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(sock: socket.socket, *, head_only: bool = False) -> Answer:
    """One answer, strictly; `complete` is False when the connection broke before its end."""
    raw = b""
    try:
        while b"\r\n\r\n" not in raw:
            if not (piece := sock.recv(65536)):
                return Answer(0, {}, raw, complete=False)
            raw += piece
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        if status == 100:
            raise AssertionError("an unexpected 100 Continue")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        if head_only or status in (204, 304):
            return Answer(status, headers, rest, complete=not rest)
        if headers.get("transfer-encoding") == "chunked":
            return _chunked(sock, status, headers, rest)
        length, body = int(headers["content-length"]), bytearray(rest)
        while len(body) < length and (piece := sock.recv(1 << 20)):
            body += piece
        return Answer(status, headers, bytes(body), complete=len(body) == length)
    except (ConnectionError, ssl.SSLError):
        return Answer(0, {}, raw, complete=False)


def _chunked(sock: socket.socket, status: int, headers: dict[str, str], rest: bytes) -> Answer:
    body, buffer = bytearray(), bytearray(rest)
    while True:
        while (end := buffer.find(b"\r\n")) < 0:
            try:
                piece = sock.recv(1 << 20)
            except (ConnectionError, ssl.SSLError):
                piece = b""
            if not piece:
                return Answer(status, headers, bytes(body), complete=False)
            buffer += piece
        size = int(buffer[:end], 16)
        while len(buffer) < end + 4 + size:
            try:
                piece = sock.recv(1 << 20)
            except (ConnectionError, ssl.SSLError):
                piece = b""
            if not piece:
                return Answer(status, headers, bytes(body), complete=False)
            buffer += piece
        body += buffer[end + 2 : end + 2 + size]
        del buffer[: end + 4 + size]
        if not size:
            return Answer(status, headers, bytes(body), complete=True)


@dataclass(slots=True)
class Front:
    """A running front; `close` ends it by its id."""

    folder: Path
    ports: dict[str, int]
    server_ca: Authority
    federation: Authority
    process: subprocess.Popen[bytes]
    peer_files: tuple[Path, Path]
    open_sockets: list[socket.socket] = field(default_factory=list)

    def raw(self, door: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.ports[door]), timeout=PATIENCE_SECONDS)
        self.open_sockets.append(sock)
        return sock

    def context(self, *, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.server_ca.file))
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def connect(self, door: str) -> socket.socket:
        if door == "ops":
            return self.raw(door)
        context = self.context(certificate=self.peer_files if door == "peer" else None)
        sock = context.wrap_socket(self.raw(door), server_hostname="localhost")
        self.open_sockets.append(sock)
        return sock

    def ask(self, door: str, request: bytes, *, head_only: bool = False) -> Answer:
        sock = self.connect(door)
        try:
            sock.sendall(request)
            return read_answer(sock, head_only=head_only)
        finally:
            sock.close()

    def get(self, door: str, path: str, *lines: str) -> Answer:
        head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", ""])
        return self.ask(door, head.encode())

    def children(self) -> list[int]:
        return descendants(self.process.pid)

    def child(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def access_lines(self) -> list[list[Any]]:
        file = self.folder / "access.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def close(self) -> None:
        for sock in self.open_sockets:
            sock.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)


def resident_mb(pid: int) -> float:
    """The high-water mark of a process's memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def start_front(folder: Path, *, limits: dict[str, float] | None = None, threads: int = 8) -> Front:
    server_ca, federation = Authority(folder, "server-ca"), Authority(folder, "federation")
    server_ca.issue("localhost", file="server")
    peer_files = federation.issue("bach-mai.example", file="peer")
    ports = dict(zip(("house", "peer", "ops"), free_ports(3), strict=True))
    settings = {"folder": str(folder), "ports": ports, "limits": limits or {}, "threads": threads}
    with (folder / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.house.front", json.dumps(settings)],
            cwd=Path(__file__).parents[2],
            stderr=errors,
        )
    front = Front(folder, ports, server_ca, federation, process, peer_files)
    try:
        eventually(lambda: all(listens(port) for port in ports.values()), "all doors listen")
    except AssertionError:
        front.close()
        raise
    return front


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


# What follows runs in the front's own processes.

BLOCK = bytes(range(256)) * 256


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A worker's side of every test."""
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if path.endswith("/big"):
        start_response("200 OK", [("Content-Type", "application/dicom")])
        return stream(int(query))
    if path.endswith("/sized"):
        start_response("200 OK", [("Content-Length", query)])
        return stream(int(query))
    if path.endswith("/breaks"):
        start_response("200 OK", [("Content-Length", "1000000")] if query == "sized" else [])
        return breaks()
    if path.endswith("/fails"):
        raise RuntimeError("Nguyen Van A must not be seen")
    if path.endswith("/sleeps"):
        time.sleep(float(query))
    if path.endswith("/dies"):
        os._exit(9)
    if path.endswith("/endless"):
        start_response("200 OK", [])
        return endless(Path(query))
    if path.endswith("/ignores-body"):
        return reply(start_response, {"read": 0})
    size, digest = 0, hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
        digest.update(piece)
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    return reply(start_response, {"size": size, "sha256": digest.hexdigest(), "environ": seen})


def reply(start_response: Callable[..., Any], found: dict[str, Any]) -> list[bytes]:
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def stream(size: int) -> Iterator[bytes]:
    while size > 0:
        yield BLOCK[: min(size, len(BLOCK))]
        size -= len(BLOCK)


def breaks() -> Iterator[bytes]:
    yield BLOCK
    os._exit(9)


def endless(mark: Path) -> Iterator[bytes]:
    """Streams until nobody listens, and then says so in a file."""
    try:
        while True:
            yield BLOCK
    finally:
        mark.write_text("closed")


def says_its_pid(file: Path) -> None:
    """Whole or not at all: a reader on a busy machine found the file empty."""
    beside = file.with_suffix(".new")
    beside.write_text(str(os.getpid()))
    beside.rename(file)


def main(settings: dict[str, Any]) -> int:
    from hie_node.edge import EdgeLimits, Listener, ServerTls, run_edge
    from hie_node.supervisor import Child, Supervisor
    from hie_node.workers import WorkerLimits, listen, run_worker

    logging.basicConfig(level=logging.INFO)
    folder, ports = Path(settings["folder"]), settings["ports"]
    worker_limits = WorkerLimits(threads=settings["threads"])
    listening = listen(folder / "workers" / "http.sock")
    own = folder / "server.pem", folder / "server.key"
    listeners = [
        Listener("house", "127.0.0.1", ports["house"], ServerTls(*own)),
        Listener("peer", "127.0.0.1", ports["peer"], ServerTls(*own, folder / "federation.pem")),
        Listener("ops", "127.0.0.1", ports["ops"]),
    ]

    def on_access(*line: Any) -> None:
        with (folder / "access.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def edge() -> None:
        says_its_pid(folder / "edge.pid")
        run_edge(
            listeners,
            worker_socket=folder / "workers" / "http.sock",
            worker_slots=worker_limits.slots,
            spool_folder=folder / "spool",
            body_limit=lambda door, method, path: 1 << 30 if path == "/dicomweb/upload" else 100_000,
            on_access=on_access,
            limits=EdgeLimits(**settings["limits"]),
        )

    def workers() -> None:
        says_its_pid(folder / "workers.pid")
        run_worker(lambda: application, listening=listening, limits=worker_limits)

    return Supervisor([Child("workers", workers), Child("edge", edge, front=True)]).run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(main(json.loads(sys.argv[1])))
