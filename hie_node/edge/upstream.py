"""The workers, seen from the edge: a pool of kept connections, one for each worker thread and never more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hie_node.edge.bodies import Body
from hie_node.edge.http1 import AnswerHead, BodyReader, Malformed, parse_answer
from hie_node.edge.limits import EdgeLimits
from hie_node.edge.refusals import Refusal, UpstreamBroken
from hie_node.edge.wire import Wire

ANSWER_HEAD_BYTES = 64 * 1024
LOOK_SECONDS = 0.25  # how often a waiting request looks for a reader that should give way
PATIENCE_WITH_READERS_SECONDS = 1.0
SAFE_TO_REPEAT = (b"GET", b"HEAD")


class Upstream:
    """The way to the workers behind a Unix socket.

    slots  worker threads behind the socket. A request beyond them waits here, where waiting costs nothing,
           and not unseen in a worker's queue behind a long download.
    """

    def __init__(self, socket_file: Path, *, slots: int, limits: EdgeLimits) -> None:
        self._socket_file, self._limits = socket_file, limits
        self._slots = asyncio.Semaphore(slots)
        self._idle: list[Wire] = []
        self._served: set[Wire] = set()
        self._waiting = 0

    @asynccontextmanager
    async def slot(self, client: Wire) -> AsyncIterator[None]:
        """One worker thread for this client's request. Raises Refusal 503 when none becomes free in time."""
        if self._slots.locked():
            await self._wait_for_slot()
        else:
            await self._slots.acquire()
        self._served.add(client)
        try:
            yield
        finally:
            self._served.discard(client)
            self._slots.release()

    async def _wait_for_slot(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.slot_seconds):
                if self._waiting == 1:
                    self._make_room()
                await self._slots.acquire()
        except TimeoutError as error:
            raise Refusal(503, "the node is busy, please repeat the request") from error
        finally:
            self._waiting -= 1

    def _make_room(self) -> None:
        """Cuts off the slowest readers while others wait, so that reading slowly cannot stop a hospital."""
        if not self._waiting:
            return
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._make_room)
        blocked = [wire for wire in self._served if wire.blocked_for() > PATIENCE_WITH_READERS_SECONDS]
        slow = [(wire.pace(), number, wire) for number, wire in enumerate(blocked)]
        modest = self._limits.modest_bytes_per_second
        for _, _, wire in sorted(entry for entry in slow if entry[0] < modest)[: self._waiting]:
            wire.transport.abort()

    async def send(self, head: bytes, body: Body, *, method: bytes) -> "Answer":
        """Gives a whole request to a worker, reads the answer's head. Raises UpstreamBroken or Refusal."""
        while True:
            wire, reused = await self._connect()
            answer = Answer(self, wire, self._limits)
            try:
                await answer.begin(head, body, method=method)
            except UpstreamBroken:
                answer.close()
                # A kept connection may have ended just now, with its worker, before it heard the request.
                if reused and not wire.heard and method in SAFE_TO_REPEAT:
                    continue
                raise
            except BaseException:
                answer.close()
                raise
            return answer

    async def _connect(self) -> tuple[Wire, bool]:
        while self._idle:
            wire = self._idle.pop()
            if not wire.ended and not wire.buffer:
                return wire, True
            wire.transport.abort()
        loop = asyncio.get_running_loop()
        last = loop.time() + self._limits.slot_seconds
        while True:
            try:
                _, wire = await loop.create_unix_connection(Wire, str(self._socket_file))
                return wire, False
            except OSError as error:  # workers are just starting again: nothing was sent, so waiting is safe
                if loop.time() > last:
                    raise Refusal(503, "the node is starting, please repeat the request") from error
                await asyncio.sleep(0.05)

    def keep(self, wire: Wire) -> None:
        wire.heard = False
        self._idle.append(wire)

    def close(self) -> None:
        for wire in self._idle:
            wire.transport.abort()
        self._idle.clear()


class Answer:
    """A worker's answer while it comes. `close` must be called; before the end it also stops the worker."""

    def __init__(self, upstream: Upstream, wire: Wire, limits: EdgeLimits) -> None:
        self._upstream, self._wire, self._limits = upstream, wire, limits
        self._pouring: asyncio.Task[None] | None = None
        self._reader = BodyReader(None)
        self.head = AnswerHead(502, [], 0, keep_alive=False)

    async def begin(self, head: bytes, body: Body, *, method: bytes) -> None:
        self._wire.write(head + body.memory if body.file is None else head)
        if body.file is not None:
            self._pouring = asyncio.create_task(body.pour(self._wire))
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                self.head = await self._read_head(method)
        except TimeoutError as error:
            raise Refusal(504, "the node did not answer in time") from error
        self._reader = BodyReader(self.head.length)

    async def _read_head(self, method: bytes) -> AnswerHead:
        buffer = self._wire.buffer
        while True:
            end = buffer.find(b"\r\n\r\n", 0, ANSWER_HEAD_BYTES)
            if end >= 0:
                head = parse_answer(bytes(buffer[:end]), method=method, most_fields=256)
                del buffer[: end + 4]
                if head.status >= 200:
                    return head
            elif len(buffer) >= ANSWER_HEAD_BYTES or not await self._wire.more():
                raise UpstreamBroken("no answer")

    async def next_piece(self) -> bytes:
        """What has come of the body; empty at its end. Raises UpstreamBroken when it breaks or is silent."""
        while True:
            try:
                piece = self._reader.take(self._wire)
            except Malformed as error:
                raise UpstreamBroken("a malformed answer") from error
            if piece or self._reader.done:
                return piece
            loop = asyncio.get_running_loop()
            silence = loop.call_later(self._limits.answer_seconds, self._wire.transport.abort)
            try:
                if not await self._wire.more():
                    raise UpstreamBroken("half an answer")
            finally:
                silence.cancel()

    def close(self) -> None:
        """Gives the connection back when the whole exchange is over, and ends it otherwise."""
        poured = self._pouring is None or self._pouring.done()
        if self._pouring is not None and not poured:
            self._pouring.cancel()
        whole = self._reader.done and poured and not self._wire.buffer and not self._wire.ended
        if whole and self.head.keep_alive:
            self._upstream.keep(self._wire)
        else:
            self._wire.transport.abort()
