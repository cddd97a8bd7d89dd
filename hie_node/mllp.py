"""The door for HL7 v2: MLLP over TCP, with TLS where the settings say so, in a process of its own.

Messages of one connection are answered one after the other, in order; connections do not wait for each other. Whoever
is slow, silent, endless or huge costs a connection and a bounded piece of memory, no thread and nobody else's time.
What a message says is read in a process beside this one that can be killed (`hie_node/hl7_workers.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from adapters.hl7v2.framing import Framer, Oversized, framed
from adapters.hl7v2.message import MAX_MESSAGE
from hie_node import log, metrics
from hie_node.apart import USUAL, Bounds
from hie_node.edge.listeners import ServerTls
from hie_node.edge.server import raise_descriptor_limit
from hie_node.hl7_workers import Hl7Workers
from hie_node.house import House
from hie_node.line_door import serve_until_stopped
from hie_node.setting_tables import Mllp
from hie_node.settings import Settings

CHUNK = 64 << 10
HELD_TOGETHER = 256 << 20
"""Bytes of unfinished messages of all connections; beyond, the one that asks for more is closed."""

GARBAGE = 64 << 10
"""Bytes that belong to no message, until a connection is closed."""

ANSWER_SECONDS = 30.0
LINGER_SECONDS, LINGER_BYTES = 10.0, 256 << 20
"""What is still read of a sender whose message is too large, so that it hears that."""

GRACE_SECONDS = 8.0
TOGETHER = 50
"""Messages of a pipelining sender that share one wait for the disk; the first waits for the last of them."""

Answer = Callable[[Sequence[bytes | Oversized], str], list[bytes]]


@dataclass(eq=False, slots=True)
class Connection:
    """One sender. `since` is when it was last heard of, `busy` while its message is worked on or answered."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str
    since: float
    framer: Framer = field(default_factory=lambda: Framer(MAX_MESSAGE))
    began: float = 0.0
    busy: bool = False
    closed_for: str = ""


class MllpServer:
    """All connections of the door. `answer` is called in a thread, for one group of a connection at a time."""

    def __init__(self, bounds: Mllp, answer: Answer) -> None:
        self._bounds, self._answer = bounds, answer
        self._pool = ThreadPoolExecutor(bounds.threads, thread_name_prefix="hl7")
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._held = 0
        self._stopping = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its beginning to its end."""
        peer = writer.get_extra_info("peername")
        loop = asyncio.get_running_loop()
        connection = Connection(reader, writer, str(peer[0]) if peer else "", loop.time())
        task = asyncio.current_task()
        assert task is not None
        if not self._may_come(connection.address):
            self._close(connection, "address")
            return
        if len(self._connections) >= self._bounds.connections:
            self._make_room()
        self._connections[connection] = task
        metrics.MLLP_OPEN.inc()
        try:
            await self._talk(connection)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # the other end is gone; whatever was not answered will be sent again
        finally:
            metrics.MLLP_OPEN.dec()
            self._held -= connection.framer.held
            self._connections.pop(connection, None)
            self._close(connection, connection.closed_for)

    def _may_come(self, address: str) -> bool:
        senders = self._bounds.senders
        return not senders or any(sender.comes_from(address) for sender in senders)

    def _make_room(self) -> None:
        """The connection that was silent longest goes; its sender connects again when it has something to say."""
        idle = [each for each in self._connections if not each.busy]
        oldest = min(idle, key=lambda each: each.since, default=None)
        if oldest is not None:
            oldest.closed_for = "room"
            oldest.writer.transport.abort()

    def _close(self, connection: Connection, reason: str) -> None:
        if reason:
            metrics.MLLP_CLOSED.labels(reason).inc()
            log.warning("hl7 connection closed", reason=reason)
        connection.writer.close()

    async def _talk(self, connection: Connection) -> None:
        while not self._stopping:
            data = await self._heard(connection)
            if not data:
                return
            frames = self._frames(connection, data)
            for start in range(0, len(frames), TOGETHER):
                group = frames[start : start + TOGETHER]
                await self._respond(connection, group)
                if connection.closed_for in ("fault", "does-not-read"):
                    return  # nothing after it may be acknowledged out of order
                if any(isinstance(frame, Oversized) for frame in group):
                    connection.closed_for = "too-large"
            if connection.closed_for:
                await self._let_it_hear(connection)
                return

    async def _let_it_hear(self, connection: Connection) -> None:
        """A sender that is still sending would lose its answer, and send the same for ever: the rest is thrown away."""
        writer, thrown_away = connection.writer, 0
        if connection.closed_for != "too-large":
            return
        if writer.can_write_eof():
            writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while thrown_away < LINGER_BYTES and (data := await connection.reader.read(CHUNK)):
                    thrown_away += len(data)

    async def _heard(self, connection: Connection) -> bytes:
        """The next bytes; none when the other end or the time has ended."""
        loop = asyncio.get_running_loop()
        inside = connection.framer.is_inside
        until = connection.began + self._bounds.frame_seconds if inside else loop.time() + self._bounds.idle_seconds
        try:
            async with asyncio.timeout_at(until):
                data = await connection.reader.read(CHUNK)
        except TimeoutError:
            connection.closed_for = "slow" if inside else "idle"
            return b""
        connection.since = loop.time()
        return data

    def _frames(self, connection: Connection, data: bytes) -> list[bytes | Oversized]:
        framer, before = connection.framer, connection.framer.held
        was_inside = framer.is_inside
        frames = framer.feed(data)
        self._held += framer.held - before
        if framer.is_inside and (frames or not was_inside):
            connection.began = connection.since
        if framer.garbage > GARBAGE:
            connection.closed_for = "garbage"
        elif self._held > HELD_TOGETHER and framer.held:
            connection.closed_for = "memory"
        return frames

    async def _respond(self, connection: Connection, group: Sequence[bytes | Oversized]) -> None:
        """Answer what came together, in its order, once all of it is durable."""
        connection.busy = True
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._pool, self._answer, group, connection.address)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this connection and no other
            log.fault("mllp", error, "")
            connection.closed_for = "fault"
            connection.busy = False
            return
        connection.writer.writelines(map(framed, answers))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.writer.drain()
        except TimeoutError:
            connection.closed_for = "does-not-read"
            connection.writer.transport.abort()
        connection.busy = False

    async def close(self) -> None:
        """Whatever is worked on is finished and answered, within the grace; everybody else is sent away."""
        self._stopping = True
        for connection in list(self._connections):
            if not connection.busy:
                connection.writer.transport.abort()
        if self._connections:
            await asyncio.wait(list(self._connections.values()), timeout=GRACE_SECONDS)
        for connection in list(self._connections):
            connection.writer.transport.abort()
        self._pool.shutdown(wait=False, cancel_futures=True)


def run_mllp(house: House, listening: socket.socket, bounds: Bounds = USUAL) -> None:
    """Serve until SIGTERM. Meant as the `run` of a supervised child, before it has threads.

    Raises WorkerEnded where nobody can work.
    """
    raise_descriptor_limit()
    house.storage.close()  # nothing is open at a fork
    workers = Hl7Workers(house, bounds)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(house.settings, listening, workers.answer))
    finally:
        workers.close()


async def _serve(settings: Settings, listening: socket.socket, answer: Answer) -> None:
    door = MllpServer(settings.mllp, answer)
    await serve_until_stopped(door, listening, tls=_tls(settings), buffer=CHUNK)


def _tls(settings: Settings) -> ServerTls | None:
    if not settings.mllp.tls:
        return None
    authority = settings.mllp.client_authority
    signers = settings.home / Path(authority) if authority else None
    return ServerTls(settings.tls / "house.crt", settings.tls / "house.key", signers)
