"""The edge as a process: its doors, how many may be inside, and an orderly end."""

import asyncio
import contextlib
import errno
import gc
import logging
import resource
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import uvloop

from hie_node.edge.bodies import Spool
from hie_node.edge.connection import BodyLimit, Connection, Edge, OnAccess, Phase
from hie_node.edge.limits import EdgeLimits
from hie_node.edge.listeners import CertificateWatch, Listener, open_listener
from hie_node.edge.upstream import Upstream

LOG = logging.getLogger("hie.edge")
ACCEPT_AT_ONCE = 64
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
TCP_NOTSENT_LOWAT = 25  # linux/tcp.h; Python names it from 3.12 on
UNSENT_IN_KERNEL = 128 * 1024  # bytes the kernel takes ahead of the line; more would only arrive after a withdrawal


class EdgeServer:
    """All doors of one node, and everybody who stands in them."""

    def __init__(self, edge: Edge, listeners: Sequence[Listener]) -> None:
        self._edge = edge
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._doors = [
            (listener.name, open_listener(listener), CertificateWatch(listener.tls) if listener.tls else None)
            for listener in listeners
        ]

    def open(self) -> None:
        loop = asyncio.get_running_loop()
        for name, sock, tls in self._doors:
            loop.add_reader(sock, self._accept, name, sock, tls)

    def _accept(self, door: str, listening: socket.socket, tls: CertificateWatch | None) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in NO_DESCRIPTORS or not self._make_room():
                    LOG.error("a connection could not be accepted: %s", errno.errorcode.get(error.errno or 0))
                return
            if len(self._connections) >= self._edge.limits.connections and not self._make_room():
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL)
            self._serve(Connection(self._edge, door, sock, address[0]), tls)

    def _serve(self, connection: Connection, tls: CertificateWatch | None) -> None:
        task = connection.start(tls)
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._forget(connection))

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        connection.close()

    def _make_room(self) -> bool:
        """Ends the oldest connection no worker is busy for; one that sends a body goes after all others."""
        candidates = (one for one in self._connections if one.phase is not Phase.ANSWERING)
        oldest = min(candidates, key=lambda one: one.phase, default=None)  # a dict keeps the order of arrival
        if oldest is None:
            return False
        del self._connections[oldest]
        oldest.abort()
        return True

    async def close(self) -> None:
        """No new connections; what runs may end within the grace, then everything is cut."""
        loop = asyncio.get_running_loop()
        for _, sock, _ in self._doors:
            loop.remove_reader(sock)
            sock.close()
        for connection in list(self._connections):
            if connection.between_requests:
                connection.abort()
        if self._connections:
            await asyncio.wait(list(self._connections.values()), timeout=self._edge.limits.grace_seconds)
        for connection in list(self._connections):
            connection.abort()
        self._edge.upstream.close()
        await asyncio.sleep(0)


def raise_descriptor_limit() -> None:
    """A client is a descriptor, and so are its file and its worker; the usual 1,024 would be too few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run_edge(
    listeners: Sequence[Listener],
    *,
    worker_socket: Path,
    worker_slots: int,
    spool_folder: Path,
    body_limit: BodyLimit | None = None,
    on_access: OnAccess | None = None,
    limits: EdgeLimits | None = None,
) -> None:
    """Serves all doors in this process until SIGTERM. Meant as the `run` of a supervised child.

    worker_slots  threads behind `worker_socket`, over all workers
    body_limit    (door, method, path) -> bytes a body may have there
    on_access     (door, method, route_hint, status, seconds, bytes_out), once for each request
    Raises OSError when a port is taken, ssl.SSLError when a certificate cannot be used.
    """
    bounds = limits or EdgeLimits()

    async def serve() -> None:
        edge = Edge(
            upstream=Upstream(worker_socket, slots=worker_slots, limits=bounds),
            spool=Spool(spool_folder, bounds),
            limits=bounds,
            body_limit=body_limit or (lambda door, method, path: bounds.body_bytes),
            on_access=on_access or (lambda *line: None),
            stopping=asyncio.Event(),
        )
        server = EdgeServer(edge, listeners)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, edge.stopping.set)
        server.open()
        gc.freeze()
        await edge.stopping.wait()
        await server.close()

    raise_descriptor_limit()
    spool_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
