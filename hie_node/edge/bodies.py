"""Request bodies, read whole before a worker hears of them: small in memory, large in a nameless file."""

import asyncio
import errno
import tempfile
import time
from pathlib import Path
from typing import IO

from hie_node.edge.http1 import BodyReader
from hie_node.edge.limits import EdgeLimits
from hie_node.edge.refusals import Refusal
from hie_node.edge.wire import Wire

POUR_BYTES = 256 * 1024


class Spool:
    """What all bodies together hold, in memory and in files."""

    def __init__(self, folder: Path, limits: EdgeLimits) -> None:
        self.folder, self.limits = folder, limits
        self.in_memory = self.in_files = 0

    def body(self) -> "Body":
        return Body(self)


class Body:
    """One request body. Closing it gives back what it held; its file has no name, so nothing stays."""

    __slots__ = ("_spool", "file", "memory", "size")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.memory = bytearray()
        self.file: IO[bytes] | None = None
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        spool, limits = self._spool, self._spool.limits
        if self.file is None and (
            self.size <= limits.memory_bytes and spool.in_memory + len(piece) <= limits.memory_total_bytes
        ):
            self.memory += piece
            spool.in_memory += len(piece)
            return
        waiting = len(self.memory) + len(piece)
        if spool.in_files + waiting > limits.spool_total_bytes:
            raise Refusal(503, "too many large bodies are arriving at once")
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile(dir=spool.folder, buffering=0)  # noqa: SIM115 - closed in close()
                self.file.write(self.memory)
                spool.in_memory -= len(self.memory)
                self.memory.clear()
            self.file.write(piece)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise Refusal(507 if full else 503, "the body could not be kept; nothing was stored") from error
        spool.in_files += waiting

    async def pour(self, wire: Wire) -> None:
        """Writes the file's bytes to a worker, as fast as it reads them."""
        assert self.file is not None
        self.file.seek(0)
        while piece := self.file.read(POUR_BYTES):
            wire.write(piece)
            while wire.blocked and not wire.ended:
                await wire.drained(1, 0)
            if wire.ended:
                return

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self._spool.in_files -= self.size
        self._spool.in_memory -= len(self.memory)
        self.memory = bytearray()
        self.file, self.size = None, 0


async def read_body(wire: Wire, body: Body, length: int | None, *, most: int) -> None:
    """Fills `body` from the wire. Raises Refusal when it is too long or too slow, Malformed when broken."""
    limits = body._spool.limits
    reader, started = BodyReader(length), time.monotonic()
    loop = asyncio.get_running_loop()
    last = loop.time() + limits.body_seconds
    try:
        async with asyncio.timeout_at(None) as patience:
            while True:
                body.add(reader.take(wire))
                if body.size > most:
                    raise Refusal(413, f"the body may have {most} bytes here")
                if reader.done:
                    return
                elapsed = time.monotonic() - started
                if elapsed > limits.body_gap_seconds and body.size < elapsed * limits.slowest_bytes_per_second:
                    raise Refusal(408, "the body comes too slowly")
                patience.reschedule(min(loop.time() + limits.body_gap_seconds, last))
                if not await wire.more():
                    raise ConnectionResetError
    except TimeoutError as error:
        raise Refusal(408, "the body did not arrive in time") from error
