"""Questions to peers over mutual TLS 1.3: warm connections, one deadline, and failures as nouns.

Nothing of the environment is used (no proxies, no certificate bundles, no .netrc), no redirect is followed, nothing
is decompressed, and no peer gets more time or memory than it was given.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from adapters.interpreter import waiting
from adapters.peers.addresses import Resolver
from adapters.peers.breaker import CircuitBreaker
from adapters.peers.connection import PeerConnection, WatchedSocket, as_peer_errors
from adapters.peers.errors import PeerBroken, PeerError, PeerUnreachable
from adapters.peers.identity import Identity, IdentityFiles
from registry.directory import Peer
from registry.identifiers import HomeCommunityId

CHUNK = 256 * 1024
_OURS: Mapping[str, str] = {"accept-encoding": "identity", "user-agent": "hie-node"}


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """What one peer may cost.

    connect_seconds   until TCP and TLS stand, within the deadline
    idle_seconds      a connection unused for longer is not trusted to be alive
    idle_connections  kept warm for each peer
    stall_seconds     for each 256 KiB of a stream: some 9 KB/s is the slowest line that is served
    header_bytes      status line and headers
    failures, open_seconds   of the circuit breaker
    """

    connect_seconds: float = 5.0
    idle_seconds: float = 50.0
    idle_connections: int = 8
    stall_seconds: float = 30.0
    header_bytes: int = 64 * 1024
    failures: int = 5
    open_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class PeerResponse:
    """A whole answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Lane:
    """What is kept for one peer: connections that wait for the next question, and how it has been doing."""

    breaker: CircuitBreaker
    route: tuple[str, frozenset[str], Identity] | None = None
    idle: deque[PeerConnection] = field(default_factory=deque)
    lock: Lock = field(default_factory=Lock)


class PeerTransport:
    """The way to all peers. Threads share it; each question has a connection to itself."""

    def __init__(self, certificate: Path, key: Path, authority: Path, *, limits: TransportLimits | None = None) -> None:
        self._identity = IdentityFiles(certificate, key, authority)
        self._limits = limits or TransportLimits()
        self._resolver = Resolver()
        self._lanes: dict[HomeCommunityId, _Lane] = {}
        self._lock = Lock()

    @property
    def thumbprint(self) -> str:
        """x5t#S256 of the certificate that the next connection shows: what a token has to be bound to."""
        return self._identity.current().thumbprint

    @property
    def trouble(self) -> str:
        """Why a renewed certificate is not in use yet; empty when all is well."""
        return self._identity.trouble

    def request(
        self,
        peer: Peer,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        deadline: float,
        max_bytes: int,
    ) -> PeerResponse:
        """The whole answer before `deadline` (`time.monotonic()`), or a PeerError; never more than `max_bytes`."""
        _check(path, headers)
        with waiting(), self._attempt(peer) as lane:
            exchange = self._ask(lane, peer, (method, path, headers, body), deadline)
            try:
                with as_peer_errors(peer.home):
                    content = exchange.whole(max_bytes, deadline)
            except BaseException:
                exchange.close()
                raise
            self._keep(lane, exchange.connection)
            return PeerResponse(exchange.response.status, exchange.headers, content)

    def stream(
        self,
        peer: Peer,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        deadline: float | None = None,
        stall: float | None = None,
        max_bytes: int | None = None,
    ) -> PeerStream:
        """The answer as it flows; to be used as a context manager, or closed.

        `deadline` is for its headers (or as long as one part may take); `stall` in seconds is for each part after them.
        """
        _check(path, headers)
        stall = self._limits.stall_seconds if stall is None else stall
        deadline = time.monotonic() + stall if deadline is None else deadline
        with waiting(), self._attempt(peer) as lane:
            exchange = self._ask(lane, peer, (method, path, headers, body), deadline)
            if max_bytes is not None and (exchange.response.length_remaining or 0) > max_bytes:
                exchange.close()
                raise PeerBroken("too-much", peer.home)
        return PeerStream(self, lane, exchange, max_bytes=max_bytes, stall=stall)

    def warm(self, peers: Sequence[Peer], *, deadline: float) -> dict[HomeCommunityId, PeerError]:
        """Connect to peers that have no connection waiting, so that the first question is as quick as the next.

        Returns the failures, for the record; nothing is raised.
        """
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="warm") as pool:
            found = pool.map(lambda peer: self._warm_one(peer, deadline), peers)
            return {peer.home: failure for peer, failure in zip(peers, found, strict=True) if failure}

    def close(self) -> None:
        """Close all connections that wait; those in use end with their question."""
        with self._lock:
            lanes = tuple(self._lanes.values())
        for lane in lanes:
            _clear(lane)
        self._resolver.close()

    def _warm_one(self, peer: Peer, deadline: float) -> PeerError | None:
        try:
            with self._attempt(peer) as lane:
                waiting = self._waiting(lane)
                if waiting is not None:
                    # as old as before: that it was looked at proves nothing to the devices on the way
                    self._put_back(lane, waiting)
                else:
                    self._keep(lane, self._connected(lane, peer, deadline))
        except PeerError as failure:
            return failure
        return None

    @contextmanager
    def _attempt(self, peer: Peer) -> Iterator[_Lane]:
        """One try, counted by the peer's breaker."""
        lane = self._lane(peer)
        if not lane.breaker.admits(time.monotonic()):
            raise PeerUnreachable("circuit-open", peer.home)
        try:
            yield lane
        except PeerError:
            lane.breaker.failed(time.monotonic())
            raise
        except BaseException:
            lane.breaker.abandoned(time.monotonic())
            raise
        lane.breaker.succeeded()

    def _lane(self, peer: Peer) -> _Lane:
        route = (peer.peer_url, peer.thumbprints, self._identity.current())
        with self._lock:
            lane = self._lanes.get(peer.home)
            if lane is None:
                breaker = CircuitBreaker(failures=self._limits.failures, seconds=self._limits.open_seconds)
                lane = self._lanes[peer.home] = _Lane(breaker)
        with lane.lock:
            moved, lane.route = lane.route != route, route
        if moved:
            # another address, or one of the two certificates changed: nothing of before is used again
            _clear(lane)
        return lane

    def _ask(
        self, lane: _Lane, peer: Peer, question: tuple[str, str, Mapping[str, str], bytes], deadline: float
    ) -> _Exchange:
        """Send it and read the headers of the answer, on a connection that waited or on a new one."""
        waiting = self._waiting(lane)
        if waiting is not None:
            try:
                return self._send(waiting, peer, question, deadline)
            except PeerBroken as failure:
                # a peer may close a connection while our question is on its way; it has not read it then
                if failure.reason != "closed":
                    raise
        return self._send(self._connected(lane, peer, deadline), peer, question, deadline)

    def _send(
        self,
        connection: PeerConnection,
        peer: Peer,
        question: tuple[str, str, Mapping[str, str], bytes],
        deadline: float,
    ) -> _Exchange:
        method, path, headers, body = question
        target = urlsplit(peer.peer_url).path + path
        sent = {**{name.lower(): value for name, value in headers.items()}, **_OURS}
        try:
            tls = connection.tls
            tls.watch(deadline=deadline, allowance=self._limits.header_bytes)
            with as_peer_errors(peer.home):
                connection.request(method, target, body or None, sent, preload_content=False, decode_content=False)
                exchange = _Exchange(peer.home, connection, tls, connection.getresponse())
        except BaseException:
            connection.close()
            raise
        try:
            exchange.check_head()
        except PeerBroken:
            exchange.close()
            raise
        return exchange

    def _waiting(self, lane: _Lane) -> PeerConnection | None:
        while True:
            with lane.lock:
                if not lane.idle:
                    return None
                connection = lane.idle.pop()
            fresh = time.monotonic() - connection.idle_since < self._limits.idle_seconds
            if fresh and connection.reusable:
                return connection
            connection.close()

    def _connected(self, lane: _Lane, peer: Peer, deadline: float) -> PeerConnection:
        by = min(deadline, time.monotonic() + self._limits.connect_seconds)
        identity = lane.route[2] if lane.route else self._identity.current()
        connection = PeerConnection(peer, identity.context, self._resolver, deadline=by)
        with as_peer_errors(peer.home):
            connection.connect()
        return connection

    def _keep(self, lane: _Lane, connection: PeerConnection) -> None:
        connection.idle_since = time.monotonic()
        self._put_back(lane, connection)

    def _put_back(self, lane: _Lane, connection: PeerConnection) -> None:
        with lane.lock:
            ours = lane.route is not None and lane.route[2].context is connection.ssl_context
            if ours and connection.sock is not None and len(lane.idle) < self._limits.idle_connections:
                lane.idle.append(connection)
                return
        connection.close()


def _check(path: str, headers: Mapping[str, str]) -> None:
    """A path or header that would say more than one thing is our own mistake, not the peer's: ValueError."""
    printable = path.isascii() and path.isprintable() and all(value.isprintable() for value in headers.values())
    if not path.startswith("/") or " " in path or not printable:
        raise ValueError("a path begins with a slash, and neither it nor a header holds control characters")


def _clear(lane: _Lane) -> None:
    with lane.lock:
        gone = tuple(lane.idle)
        lane.idle.clear()
    for connection in gone:
        connection.close()


@dataclass(slots=True)
class _Exchange:
    """A question that was sent, and an answer whose headers are there."""

    home: HomeCommunityId
    connection: PeerConnection
    tls: WatchedSocket
    response: HTTPResponse

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self.response.headers.items()}

    def check_head(self) -> None:
        """Refuse what is not followed, not unpacked, or has no end that could be checked."""
        response = self.response
        if response.status < 200:
            raise PeerBroken("not-http", self.home)
        if 300 <= response.status < 400 and response.status != 304:
            raise PeerBroken("redirect", self.home)
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise PeerBroken("encoded", self.home)
        if response.length_remaining is None and not response.chunked:
            raise PeerBroken("unframed", self.home)

    def close(self) -> None:
        """Both, since an answer that ends its connection has taken the socket with it."""
        with _whatever_the_state():
            self.response.close()
        self.connection.close()

    def whole(self, max_bytes: int, deadline: float) -> bytes:
        if (self.response.length_remaining or 0) > max_bytes:
            raise PeerBroken("too-much", self.home)
        self.tls.watch(deadline=deadline, allowance=2 * max_bytes + CHUNK)
        content = bytearray()
        while chunk := self.response.read(CHUNK, decode_content=False):
            content += chunk
            if len(content) > max_bytes:
                raise PeerBroken("too-much", self.home)
        return bytes(content)


class PeerStream:
    """An answer that flows: status, headers, and its content in parts of at most 256 KiB.

    Closing it before its end closes the connection, so that the holder stops to send. A part that does not come in
    time raises PeerTooSlow, an end before the announced one PeerBroken.
    """

    def __init__(
        self, transport: PeerTransport, lane: _Lane, exchange: _Exchange, *, max_bytes: int | None, stall: float
    ) -> None:
        self.status, self.headers = exchange.response.status, exchange.headers
        self.length = exchange.response.length_remaining
        self._transport, self._lane, self._exchange = transport, lane, exchange
        self._left, self._stall = max_bytes, stall
        self._open, self._complete = True, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def chunks(self) -> Iterator[bytes]:
        """Each part once; closes the stream when it ends, breaks or is left."""
        try:
            while not self._complete:
                chunk = self._next()
                if chunk:
                    yield chunk
                else:
                    self._end()
        finally:
            self.close()

    def _next(self) -> bytes:
        exchange = self._exchange
        if not self._open:
            # closed here in mid-stream: whoever reads must not take it for the end
            raise PeerBroken("cut-off", exchange.home)
        exchange.tls.watch(deadline=time.monotonic() + self._stall, allowance=4 * CHUNK)
        try:
            with as_peer_errors(exchange.home, too_slow="stalled"):
                chunk = exchange.response.read(CHUNK, decode_content=False)
            if self._left is not None:
                self._left -= len(chunk)
                if self._left < 0:
                    raise PeerBroken("too-much", exchange.home)
        except PeerError:
            self._lane.breaker.failed(time.monotonic())
            raise
        return chunk

    def _end(self) -> None:
        self._complete, self._open = True, False
        self._transport._keep(self._lane, self._exchange.connection)

    def close(self) -> None:
        """End it here and upstream; may be called again, and from another thread."""
        if self._open:
            self._open = False
            # at the level below TLS, so that a thread that waits for bytes wakes up and gives its buffer free
            with _whatever_the_state():
                socket.socket.shutdown(self._exchange.tls, socket.SHUT_RDWR)
            self._exchange.close()


@contextmanager
def _whatever_the_state() -> Iterator[None]:
    """Closing what is broken already is no news."""
    try:
        yield
    except (OSError, HTTPError):
        return
