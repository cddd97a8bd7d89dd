"""One client, from first byte to last: read a whole request, ask a worker, hand the answer on, again."""

import asyncio
import base64
import contextlib
import logging
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus

from hie_node.edge.bodies import Body, Spool, read_body
from hie_node.edge.http1 import BARE_LF, Fields, Malformed, RequestHead, parse_request, tokens
from hie_node.edge.limits import EdgeLimits
from hie_node.edge.listeners import CertificateWatch
from hie_node.edge.refusals import Refusal, StalledReader, UpstreamBroken, encode
from hie_node.edge.upstream import Answer, Upstream
from hie_node.edge.wire import Wire

LOG = logging.getLogger("hie.edge")

BodyLimit = Callable[[str, str, str], int]
OnAccess = Callable[[str, str, str, int, float, int], None]

CLIENT_LEFT = 499  # only in the access line: nobody was there to read a status
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REASONS = {int(status): status.phrase.encode() for status in HTTPStatus}
PAUSE_SECONDS = 0.3  # a client that has sent nothing for so long is reading, or will not read at all
LAST_BYTES_SECONDS = 0.05
PATH_LOOK = 64  # bytes of a head that tell which door's language it speaks
LETTERS = re.compile(r"[A-Za-z]{1,32}")
# RFC 9110, section 7.6.1, and what only this edge may say. Host and the length are written anew.
NOT_FORWARDED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization proxy te trailer "
    b"transfer-encoding upgrade expect content-length host forwarded x-real-ip".split()
)
NOT_RETURNED = frozenset(b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade server".split())


class Phase(IntEnum):
    """What a connection is doing; those before ANSWERING may have to make room, the lower ones first."""

    WAITING = 0
    READING_BODY = 1
    ANSWERING = 2


@dataclass(frozen=True, slots=True)
class Edge:
    """What all connections share."""

    upstream: Upstream
    spool: Spool
    limits: EdgeLimits
    body_limit: BodyLimit
    on_access: OnAccess
    stopping: asyncio.Event


@dataclass(slots=True)
class Exchange:
    """One request and what became of it, for the access line.

    seen  the path of a request that was refused before its head was understood: in which language to refuse it
    """

    started: float
    head: RequestHead | None = None
    seen: bytes = b""
    status: int = CLIENT_LEFT
    bytes_out: int = 0
    begun: bool = False

    @property
    def path(self) -> bytes:
        return self.head.path if self.head else self.seen

    @property
    def method(self) -> str:
        method = self.head.method.decode() if self.head else "-"
        return method if method in KNOWN_METHODS else "-"


def route_hint(path: bytes) -> str:
    """The first two segments of a path, and of those only words: never an identifier."""
    segments = path.decode("ascii").split("/")[1:3]
    return "/" + "/".join(part if not part or LETTERS.fullmatch(part) else "*" for part in segments)


def path_seen(head: bytearray) -> bytes:
    """The path in the first line of a head that may be anything."""
    _, _, rest = bytes(head[:PATH_LOOK]).partition(b" ")
    return re.split(rb"[ ?\r\n]", rest, maxsplit=1)[0]


class Connection:
    """A client's connection on one door. `run` ends with it, whatever happens inside."""

    def __init__(self, edge: Edge, door: str, sock: socket.socket, address: str) -> None:
        self._edge, self._door, self._sock, self._address = edge, door, sock, address
        self._wire = Wire(self._lost)
        self._task: asyncio.Task[None] | None = None
        self._identity: bytes = b""
        self.phase = Phase.WAITING
        self.between_requests = True

    def start(self, tls: CertificateWatch | None) -> "asyncio.Task[None]":
        self._task = asyncio.get_running_loop().create_task(self.run(tls))
        return self._task

    def _lost(self) -> None:
        """The client is gone: whatever runs for it stops here, its worker included."""
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """Ends the connection at once, in any phase."""
        self._lost()

    async def run(self, tls: CertificateWatch | None) -> None:
        try:
            if await self._open(tls):
                while await self._one_request():
                    pass
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - a fault of the edge costs one connection, never the edge
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            line = place.tb_lineno if place else 0
            LOG.error("%s in line %d ended a connection", type(error).__name__, line)

    def close(self) -> None:
        """Frees the socket; whatever was not sent until now is not sent."""
        if hasattr(self._wire, "transport"):
            self._wire.transport.abort()
        self._sock.close()

    async def _open(self, tls: CertificateWatch | None) -> bool:
        """Ends the TLS handshake. A client that fails at it hears so from TLS itself."""
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: self._wire,
                self._sock,
                ssl=tls.context() if tls else None,
                ssl_handshake_timeout=self._edge.limits.handshake_seconds if tls else None,
                ssl_shutdown_timeout=self._edge.limits.linger_seconds if tls else None,
            )
            # No ticket follows our handshake: a client with Nagle's algorithm would wait 40 ms for the
            # delayed acknowledgement of its last handshake message before it sends its request.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:  # ssl.SSLError and TimeoutError are among them
            return False
        self._identity = self._identify(https=tls is not None)
        return True

    def _identify(self, *, https: bool) -> bytes:
        """The fields by which the application knows the door, the address and the certificate."""
        lines = [f"X-Hie-Door: {self._door}", f"X-Hie-Client-Address: {self._address}"]
        lines.append(f"X-Forwarded-Proto: {'https' if https else 'http'}")
        if self._door == "peer":
            certificate = self._wire.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            lines.append(f"X-Hie-Client-Certificate: {base64.b64encode(certificate).decode()}")
        return "".join(line + "\r\n" for line in lines).encode()

    async def _one_request(self) -> bool:
        """Answers one request; True when the connection may carry another."""
        self.phase, self.between_requests = Phase.WAITING, True
        limits, wire = self._edge.limits, self._wire
        if not wire.buffer:
            try:
                async with asyncio.timeout(limits.idle_seconds):
                    if not await wire.more():
                        return False
            except TimeoutError:
                return False
        self.between_requests = False
        exchange = Exchange(time.monotonic())
        body = self._edge.spool.body()
        try:
            return await self._exchange(exchange, body)
        except Malformed as error:
            return await self._refuse(exchange, Refusal(400, str(error)))
        except Refusal as refusal:
            return await self._refuse(exchange, refusal)
        except UpstreamBroken:
            return await self._refuse(exchange, Refusal(502, "the node broke off while answering"))
        except (StalledReader, ConnectionResetError):
            return False
        finally:
            body.close()
            seconds = time.monotonic() - exchange.started
            hint = route_hint(exchange.path) if exchange.head else "/*"
            self._edge.on_access(self._door, exchange.method, hint, exchange.status, seconds, exchange.bytes_out)

    async def _exchange(self, exchange: Exchange, body: Body) -> bool:
        edge = self._edge
        head = exchange.head = await self._read_head(exchange)
        self.phase = Phase.READING_BODY
        await self._read_body(head, body)
        self.phase = Phase.ANSWERING
        async with edge.upstream.slot(self._wire):
            answer = await edge.upstream.send(self._forwarded(head, body), body, method=head.method)
            try:
                return await self._relay(exchange, head, answer)
            finally:
                answer.close()

    async def _read_head(self, exchange: Exchange) -> RequestHead:
        limits, buffer = self._edge.limits, self._wire.buffer
        looked = 0
        try:
            async with asyncio.timeout(limits.head_seconds):
                while (end := buffer.find(b"\r\n\r\n", looked)) < 0:
                    if BARE_LF.search(buffer, max(looked - 1, 0)):
                        raise Malformed("a line ends without CR")
                    if len(buffer) > limits.head_bytes:
                        break
                    looked = max(len(buffer) - 3, 0)
                    if not await self._wire.more():
                        raise ConnectionResetError
        except TimeoutError as error:
            raise Refusal(408, "the request did not arrive in time") from error
        exchange.seen = path_seen(buffer)
        if not 0 <= end <= limits.head_bytes:
            raise Refusal(431, f"the head of a request may have {limits.head_bytes} bytes")
        raw = bytes(buffer[:end])
        del buffer[: end + 4]
        return parse_request(raw, most_fields=limits.fields)

    async def _read_body(self, head: RequestHead, body: Body) -> None:
        if head.length == 0:
            return
        most = self._edge.body_limit(self._door, head.method.decode(), head.path.decode())
        if head.length is not None and head.length > most:
            raise Refusal(413, f"the body may have {most} bytes here")
        if head.expects_continue and not self._wire.buffer:
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await read_body(self._wire, body, head.length, most=most)

    def _forwarded(self, head: RequestHead, body: Body) -> bytes:
        """The request again, in one canonical form: nothing but what the parser understood is left of it."""
        named = tokens(head.fields, b"connection")
        lines = [head.method + b" " + head.target + b" HTTP/1.1\r\n", self._identity]
        lines.extend(
            name + b": " + value + b"\r\n"
            for name, value in head.fields
            # A name with "_" reads like one with "-" in WSGI, and would pass for a field of ours.
            if name not in NOT_FORWARDED
            and name not in named
            and not name.startswith((b"x-hie-", b"x-forwarded-"))
            and b"_" not in name
        )
        host = next((value for name, value in head.fields if name == b"host"), b"-")
        lines.append(b"Host: " + host + b"\r\nContent-Length: " + str(body.size).encode() + b"\r\n\r\n")
        return b"".join(lines)

    async def _relay(self, exchange: Exchange, head: RequestHead, answer: Answer) -> bool:
        """Hands the answer on. When it breaks, so does the client's connection, without a clean end."""
        keep = head.keep_alive and not self._edge.stopping.is_set()
        chunked = answer.head.length is None and head.minor == 1
        if answer.head.length is None and not chunked:
            keep = False
        exchange.status, exchange.begun = answer.head.status, True
        start = returned_head(answer.head.status, answer.head.fields, chunked=chunked, keep=keep)
        waiting = [start]
        try:
            while piece := await answer.next_piece():
                exchange.bytes_out += len(piece)
                waiting.append(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await self._hand_on(b"".join(waiting))
                waiting.clear()
        except UpstreamBroken:
            exchange.status = 502
            if waiting:  # not a byte of the answer has left: the client can still be told
                exchange.begun = False
            raise
        if chunked:
            waiting.append(b"0\r\n\r\n")
        if waiting:
            await self._hand_on(b"".join(waiting))
        if not keep:
            await self._leave()
        return keep

    async def _hand_on(self, data: bytes) -> None:
        """Writes and waits for the client, so that a slow reader slows its worker and fills no memory."""
        wire, limits = self._wire, self._edge.limits
        wire.write(data)
        if wire.blocked and not await wire.drained(limits.reader_gap_seconds, limits.slowest_bytes_per_second):
            raise StalledReader

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> bool:
        exchange.status = refusal.status
        if not exchange.begun:
            head_only = exchange.method == "HEAD"
            self.phase = Phase.WAITING
            self._wire.write(encode(refusal, exchange.path, head_only=head_only))
            # A refused body may still be on its way; closing over it would destroy the answer with it.
            await self._leave(discard=exchange.head is not None and exchange.head.length != 0)
        return False

    async def _leave(self, *, discard: bool = False) -> None:
        """Closes so that the client can read the last answer, even one that is still sending its body."""
        wire, limits = self._wire, self._edge.limits
        if not await wire.flushed(limits.reader_gap_seconds, limits.slowest_bytes_per_second):
            return
        if discard:
            await self._discard()
        wire.transport.close()
        await asyncio.sleep(limits.reader_gap_seconds + 1)  # ended by _lost, as soon as the last byte has gone

    async def _discard(self) -> None:
        """Reads what is still on its way, until it pauses."""
        loop, wire = asyncio.get_running_loop(), self._wire
        last = loop.time() + self._edge.limits.linger_seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS) as patience:
                while await wire.more():
                    wire.buffer.clear()
                    patience.reschedule(min(last, loop.time() + PAUSE_SECONDS))


def returned_head(status: int, fields: Fields, *, chunked: bool, keep: bool) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b""))]
    lines.extend(name + b": " + value + b"\r\n" for name, value in fields if name not in NOT_RETURNED)
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    if not keep:
        lines.append(b"connection: close\r\n")
    return b"".join([*lines, b"\r\n"])
