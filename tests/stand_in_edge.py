"""A stand-in for the edge: a small threaded TLS server in the test's own process, which says what the edge says.

It is no part of the program. It sets the `X-Hie-*` fields as `hie_node/edge/connection.py` does and hands each request
to the WSGI application of `hie_node.doors`; an answer that breaks in the middle breaks the connection.
"""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread, current_thread
from typing import Any
from urllib.parse import unquote, urlsplit

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
_CLEAN = (b"", b"0\r\n\r\n")


@dataclass(slots=True)
class Reply:
    """The head of an answer and its body, which may still be flowing."""

    status: int
    headers: Mapping[str, str]
    flowing: Iterator[bytes]

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.flowing)


def ask(
    application: Wsgi,
    door: str,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    certificate: bytes = b"",
) -> Reply:
    """One request to the application, with what the edge would say of it."""
    told: list[Any] = []
    environ = _environ(door, method, target, {k.lower(): v for k, v in headers.items()}, body, certificate)
    answer = application(environ, lambda status, fields, exc_info=None: told.extend((status, fields)))
    pieces = flowing(answer)
    first = next(pieces, b"")  # an application may wait with its head until its first piece
    return Reply(int(told[0].split()[0]), {k.lower(): v for k, v in told[1]}, _chained(first, pieces))


def _environ(
    door: str, method: str, target: str, headers: Mapping[str, str], body: bytes, certificate: bytes
) -> dict[str, Any]:
    parts = urlsplit(target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path, "latin-1"),
        "RAW_URI": target,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers.get("content-type", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        if not name.startswith(("x-hie-", "x-forwarded-")) and "_" not in name:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ |= {"HTTP_X_HIE_DOOR": door, "HTTP_X_HIE_CLIENT_ADDRESS": "127.0.0.1"}
    if certificate:
        environ["HTTP_X_HIE_CLIENT_CERTIFICATE"] = base64.b64encode(certificate).decode()
    return environ


def flowing(answer: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The pieces of an application's answer, which is closed with them (PEP 3333): close them where you stop early."""
    try:
        yield from answer
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


def _chained(first: bytes, rest: Generator[bytes, None, None]) -> Iterator[bytes]:
    try:
        if first:
            yield first
        yield from rest
    finally:
        rest.close()


class PeerDoor(ThreadingMixIn, TCPServer):
    """The peer door of one hospital on loopback: mutual TLS, one thread a connection. Bound at once, served later."""

    daemon_threads, block_on_close, allow_reuse_address = True, False, True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = int(self.server_address[1])
        self.application: Wsgi | None = None
        self._context: ssl.SSLContext | None = None
        self._open: set[socket.socket] = set()
        self._answering: set[Thread] = set()
        self.broken: list[BaseException] = []

    def serve(self, application: Wsgi, tls: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(tls / "node.crt", tls / "node.key")
        context.load_verify_locations(tls / "federation-ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.application, self._context = application, context
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """A handshake that fails, or a caller who hangs up, ends its own connection and nothing else."""
        assert self._context is not None
        with contextlib.suppress(OSError, ValueError):
            request.settimeout(30)
            tls = self._context.wrap_socket(request, server_side=True)
            self._open.add(tls)
            self._answering.add(current_thread())
            try:
                self.RequestHandlerClass(tls, client_address, self)
            finally:
                self._answering.discard(current_thread())
                self._open.discard(tls)
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(tls, socket.SHUT_RDWR)
                tls.close()

    def stop(self) -> None:
        if self.application is not None:
            self.shutdown()
            self._thread.join(5)
        for one in tuple(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        self.server_close()

    def falls_quiet(self) -> None:
        """Once stopped: whoever asked may have given up, and the answer is still being made, with what it needs."""
        until = time.monotonic() + 10
        for one in tuple(self._answering):
            one.join(max(0.0, until - time.monotonic()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PeerDoor

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        certificate = self.connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        assert self.server.application is not None
        reply = ask(
            self.server.application,
            "peer",
            self.command,
            self.path,
            headers=dict(self.headers.items()),
            body=body,
            certificate=certificate,
        )
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        chunked = "content-length" not in reply.headers
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in reply.flowing:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        except Exception as error:  # noqa: BLE001 - as in a worker: the connection breaks, nobody takes it for whole
            self.server.broken.append(error)
            self.close_connection = True
            return
        finally:
            with contextlib.suppress(Exception):
                reply.flowing.close()  # type: ignore[attr-defined]
        self.wfile.write(_CLEAN[chunked])

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: Any) -> None: ...
