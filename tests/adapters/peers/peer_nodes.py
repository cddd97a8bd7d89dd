"""A hospital at the other end of a real TLS socket, that can behave as badly as it likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from adapters.trust import certificates
from adapters.trust.certificates import Credential
from registry.answers import Community
from registry.directory import Peer
from registry.identifiers import FacilityCode, HomeCommunityId

OURS, THEIRS, OTHER = (HomeCommunityId(f"urn:oid:1.2.840.99999.{number}") for number in (1, 2, 3))
Behaviour = Callable[[ssl.SSLSocket, bytes], None]


def answer(body: bytes = b"{}", *, head: str = "HTTP/1.1 200 OK", extra: str = "") -> bytes:
    return f"{head}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


class Desk:
    """What every test needs: an authority, and files for any node."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, datetime.now(UTC)
        self.authority = certificates.make_authority("Federation of tests", now=self.now)
        self.ca = self._file("ca.pem", self.authority.certificate)

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def credential(self, home: HomeCommunityId, *, authority: Credential | None = None, host: str = "127.0.0.1"):
        return certificates.issue(authority or self.authority, home, organization="x", hosts=[host], now=self.now)

    def write(self, name: str, credential: Credential) -> tuple[Path, Path]:
        return self._file(f"{name}.crt", credential.certificate), self._file(f"{name}.key", credential.key)


class Node:
    """A peer door on loopback: one thread a connection, ended with the test."""

    def __init__(self, desk: Desk, behaviour: Behaviour, credential: Credential) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*map(str, desk.write(f"node{id(self)}", credential)))
        self._context.load_verify_locations(str(desk.ca))
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections, self.questions = 0, []
        self.gone, self._ending = Event(), Event()
        self._open: list[socket.socket] = []
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(10)
            self.connections += 1
            self._open.append(sock)
            thread = Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        # the last one is what a TLS socket says when the test ended it in mid-sentence
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            tls = self._context.wrap_socket(sock, server_side=True)
            self._open.append(tls)
            with tls:
                while question := _question(tls):
                    self.questions.append(question)
                    self._behaviour(tls, question)
        self.gone.set()

    def wait(self, seconds: float) -> bool:
        """For a behaviour that is slow: true when the test is over."""
        return self._ending.wait(seconds)

    def end(self) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def peer(self, **changed: object) -> Peer:
        community = Community(THEIRS, FacilityCode("27001"), "Bắc Ninh")
        known = {"community": community, "peer_url": f"https://127.0.0.1:{self.port}", "jwks": ()}
        return Peer(**(known | changed))  # type: ignore[arg-type]


def _question(tls: ssl.SSLSocket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        part = tls.recv(65536)
        if not part:
            return b""
        read += part
    head, _, body = read.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += tls.recv(65536)
    return head + b"\r\n\r\n" + body
