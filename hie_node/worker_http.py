"""One kept connection of the edge: a request, its answer, the next request.

The edge has parsed and bounded every request and says it again in one canonical form
(`hie_node/edge/connection.py`), so this reader knows that form and no other: a length always, no chunks, a field
once. What breaks it ends the connection.

Source: PEP 3333 (WSGI), RFC 9112 for the answer's framing.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from adapters.interpreter import computing

LOG = logging.getLogger("hie.workers")
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

READ_BYTES = 256 << 10
UNSENT_BYTES = 1 << 20
"""That the kernel may hold on their way to the edge: with less than a few pieces, worker and edge wait for each other
in turn. A kernel that allows less (`net.core.wmem_max`) gives what it allows."""
MOST_HEAD_BYTES = 128 << 10
"""More than the edge lets through and adds itself."""
FAULT = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/problem+json\r\nContent-Length: 49\r\n"
    b'Connection: close\r\n\r\n{"title": "Internal Server Error", "status": 500}'
)
"""What the edge hands on where the application has failed before its answer began."""
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Unframed(Exception):
    """The edge would not say this: whoever does is not the edge."""


class AnswerBroken(Exception):
    """The application ended its body elsewhere than it had announced."""


class Conversation:
    """Requests and answers over one connection, one after the other."""

    def __init__(self, sock: socket.socket, application: Wsgi) -> None:
        self._sock, self._application = sock, application
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES)
        self._buffer = bytearray()
        self.idle = True

    def run(self) -> None:
        """Until the edge closes, or something breaks; nothing of a request is ever logged."""
        try:
            while (head := self._head()) is not None:
                self.idle = False
                self._one(head)
                self.idle = True
        except (OSError, AnswerBroken):
            pass  # the edge has left, or learns from the end of the connection that the answer is not whole
        except Exception as error:  # noqa: BLE001 - it costs this connection and never the worker
            LOG.error("%s in a worker", type(error).__name__)
        finally:
            with contextlib.suppress(OSError):
                self._sock.close()

    def end_when_idle(self) -> None:
        """From another thread: nothing more is read, so an idle conversation ends at once."""
        if self.idle:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RD)

    def _head(self) -> bytes | None:
        """The head of the next request; None where the edge has closed between two."""
        buffer = self._buffer
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if len(buffer) > MOST_HEAD_BYTES:
                raise Unframed
            piece = self._sock.recv(READ_BYTES)
            if not piece:
                return None
            buffer += piece
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        return head

    def _one(self, head: bytes) -> None:
        environ, length = environment(head)
        body = RequestBody(self._sock, self._buffer, length)
        environ["wsgi.input"] = io.BufferedReader(body, READ_BYTES) if body.flows else io.BytesIO(body.at_once())
        answer = Answering(self._sock, head_only=environ["REQUEST_METHOD"] == "HEAD")
        try:
            self._answer(environ, answer)
        except Exception as error:
            if not answer.begun and not isinstance(error, OSError):
                self._sock.sendall(FAULT)
            raise
        body.discard()

    def _answer(self, environ: dict[str, Any], answer: Answering) -> None:
        # a large body is read while it comes, and computes little
        with contextlib.nullcontext() if isinstance(environ["wsgi.input"], io.BufferedReader) else computing():
            pieces = self._application(environ, answer.start)
        try:
            answer.send(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()


def environment(head: bytes) -> tuple[dict[str, Any], int]:
    """The WSGI environment of a request, without its body, and the body's length in bytes. Raises Unframed."""
    request_line, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, protocol = request_line.split(" ")
        path, _, query = target.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
            "RAW_URI": target,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": protocol,
            "SERVER_SOFTWARE": "hie-node",
            "REMOTE_ADDR": "",
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        for line in lines:
            name, _, value = line.partition(": ")
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
        environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", "http")
        host, _, port = str(environ["HTTP_HOST"]).rpartition(":")
        environ["SERVER_NAME"], environ["SERVER_PORT"] = (host, port) if port.isdigit() else (environ["HTTP_HOST"], "")
        return environ, int(str(environ["CONTENT_LENGTH"]))
    except (ValueError, KeyError) as error:
        raise Unframed from error


class RequestBody(io.RawIOBase):
    """A body as it comes from the edge; the part that came with the head is read first."""

    def __init__(self, sock: socket.socket, buffer: bytearray, length: int) -> None:
        self._sock, self._buffer, self._left = sock, buffer, length

    @property
    def flows(self) -> bool:
        """Whether it is too large to be waited for as a whole."""
        return self._left > len(self._buffer) and self._left > READ_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        """Some bytes of the body, none at its end. Raises ConnectionError where the edge left before it."""
        view = memoryview(into)[: self._left]
        if not view:
            return 0
        if self._buffer:
            count = min(len(view), len(self._buffer))
            view[:count] = self._buffer[:count]
            del self._buffer[:count]
        elif not (count := self._sock.recv_into(view)):
            raise ConnectionResetError
        self._left -= count
        return count

    def at_once(self) -> bytes:
        """All of it, for a small one."""
        whole = bytearray()
        while piece := self.read(self._left):
            whole += piece
        return bytes(whole)

    def discard(self) -> None:
        """Read what the application did not want, so that the next request is found behind it."""
        into = bytearray(READ_BYTES)
        while self._left:
            self.readinto(into)


class Answering:
    """One answer on its way. Framed by its Content-Length, else in chunks, so that a broken one shows."""

    def __init__(self, sock: socket.socket, *, head_only: bool) -> None:
        self._sock, self._bodiless = sock, head_only
        self._status, self._fields = "", [("", "")]
        self.begun = False
        self._left: int | None = 0

    def start(self, status: str, fields: Headers, _exc_info: Any = None) -> Callable[[bytes], None]:
        """`start_response`: nothing leaves before the first piece of the body is there."""
        self._status, self._fields = status, fields
        self._bodiless = self._bodiless or int(status[:3]) in WITHOUT_BODY
        return self._hand_on

    def send(self, pieces: Iterable[bytes]) -> None:
        """Head and body. Raises AnswerBroken where the body is longer or shorter than announced, OSError if nobody
        listens any more."""
        whole = len(pieces[0]) if isinstance(pieces, list) and len(pieces) == 1 else None
        for piece in pieces:
            if piece:
                self._hand_on(piece, whole)
        if not self.begun:
            self._sock.sendall(self._head(0))
        elif self._left is None:
            self._sock.sendall(b"0\r\n\r\n")
        if self._left:
            raise AnswerBroken

    def _hand_on(self, piece: bytes, whole: int | None = None) -> None:
        head = b"" if self.begun else self._head(whole)
        if self._bodiless:
            piece = b""
        elif self._left is None:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        else:
            self._left -= len(piece)
            if self._left < 0:
                raise AnswerBroken
        self._sock.sendall(head + piece if head else piece)

    def _head(self, whole: int | None) -> bytes:
        """The head, and how the body is framed; `whole` is the length of the body where it is known without a field."""
        announced = next((int(value) for name, value in self._fields if name.lower() == "content-length"), None)
        lines = [f"HTTP/1.1 {self._status}\r\n", *(f"{name}: {value}\r\n" for name, value in self._fields)]
        if not self._bodiless and announced is None:
            announced = whole
            framing = "Transfer-Encoding: chunked" if whole is None else f"Content-Length: {whole}"
            lines.append(f"{framing}\r\n")
        self._left = 0 if self._bodiless else announced
        self.begun = True
        return "".join(lines).encode("latin-1") + b"\r\n"
