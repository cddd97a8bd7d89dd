"""One connection's bytes, in both directions, with a bound on what waits in memory."""

import array
import asyncio
import fcntl
import termios
import time
from collections.abc import Callable
from typing import cast

MOST_UNREAD = 128 * 1024  # bytes received and not yet taken; past it the sender is stopped
MOST_UNSENT = 768 * 1024  # bytes written and not yet sent: a normal answer fits, so its worker is free at once
RESUME_UNSENT = 256 * 1024
LOOK_SECONDS = 0.05


class Wire(asyncio.Protocol):
    """A transport with a buffer before it. `on_lost` is called once, when the other side is gone.

    buffer  bytes received and not yet taken
    passes  a body of known length is being taken: its pieces stay as they came, which spares two copies of each
    ended   no more bytes will come
    heard   something has been received since the caller last cleared it
    """

    transport: asyncio.Transport

    def __init__(self, on_lost: Callable[[], None] | None = None) -> None:
        self.buffer = bytearray()
        self.passes, self._piece = False, b""
        self.ended = self.heard = False
        self._on_lost = on_lost
        self._stopped = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._blocked_since = 0.0
        self._unsent_then = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=MOST_UNSENT, low=RESUME_UNSENT)

    def data_received(self, data: bytes) -> None:
        if self.passes and not self.buffer and not self._piece:
            self._piece = data
        else:
            self.buffer += self._piece
            self.buffer += data
            self._piece = b""
        self.heard = True
        if self._unread >= MOST_UNREAD and not self._stopped:
            self._stopped = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self._wake()
        self.resume_writing()
        if self._on_lost is not None:
            self._on_lost()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def more(self) -> bool:
        """Waits for bytes beyond those in the buffer; False when none will come."""
        if self.ended:
            return False
        if self._stopped:
            self._stopped = False
            self.transport.resume_reading()
        before = self._unread
        self._reader = asyncio.get_running_loop().create_future()
        await self._reader
        return self._unread > before

    @property
    def _unread(self) -> int:
        return len(self.buffer) + len(self._piece)

    def taken(self, most: int) -> bytes:
        """What has come, up to so many bytes."""
        piece, self._piece = self._piece, b""
        if piece:  # then nothing stands before it
            self.buffer += piece[most:]
            return piece[:most]
        with memoryview(self.buffer) as view:
            piece = bytes(view[:most])
        del self.buffer[: len(piece)]
        return piece

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        self._mark()

    def resume_writing(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        self._writer = None

    @property
    def blocked(self) -> bool:
        """The other side takes less than we have written."""
        return self._writer is not None

    async def drained(self, seconds: float, slowest: float) -> bool:
        """Waits for room to write; False when the other side took less than `slowest` bytes a second."""
        while self._writer is not None:
            done, _ = await asyncio.wait([self._writer], timeout=seconds)
            if not done:
                if self.pace() < slowest:
                    return False
                self._mark()
        return True

    async def flushed(self, seconds: float, slowest: float) -> bool:
        """Waits until the kernel has everything; False when the other side is slower than `slowest`.

        It looks again and again: uvloop's TLS transport does not call resume_writing for a limit of 0.
        """
        self._mark()
        await asyncio.sleep(0)
        while self.transport.get_write_buffer_size() and not self.ended:
            await asyncio.sleep(LOOK_SECONDS)
            if time.monotonic() - self._blocked_since > seconds:
                if self.pace() < slowest:
                    return False
                self._mark()
        return True

    def blocked_for(self) -> float:
        return time.monotonic() - self._blocked_since if self.blocked else 0.0

    def pace(self) -> float:
        """Bytes a second that the other side has taken since we began to wait for it."""
        return (self._unsent_then - self._unsent()) / max(time.monotonic() - self._blocked_since, 0.001)

    def _mark(self) -> None:
        self._blocked_since, self._unsent_then = time.monotonic(), self._unsent()

    def _unsent(self) -> int:
        """Bytes the other side has not acknowledged, in this process and in the kernel."""
        queued = array.array("i", [0])
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
        return self.transport.get_write_buffer_size() + queued[0]
