"""One association as a line of messages: commands and data sets in, commands and data sets out.

A data set is never in memory as a whole unless it is small; whoever is slow or lies about a length costs this one
association. Source: DICOM PS3.8: 9.2 (state machine), PS3.7: 6.3 (messages).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from adapters.dicom.multipart import Spool, SpooledPart
from adapters.dicom.network import pdu
from adapters.dicom.network.commands import COMMAND_LIMIT, Command, Request, read_command
from adapters.dicom.network.errors import BadCommand, BadPdu, NetworkFault
from adapters.dicom.network.pdu import Context, Fragment, Kind
from registry.errors import RegistryError, TooLarge
from registry.submissions import Bytes, Content

IN_MEMORY = 1 << 20
"""Bytes of a data set that are kept in memory; what is longer goes to a file piece by piece."""

VIEWED = 4096
"""Bytes of a piece from which on it is not copied out of its PDU."""

QUERY_LIMIT = 256 << 10
"""Bytes of a data set that is no object: what is asked for, not what is stored."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that another system may take.

    pdu      from the first byte of a PDU to its last, and for a PDU of ours to be taken
    message  from the first piece of a message to its last
    idle     between two messages
    """

    pdu: float = 30.0
    message: float = 900.0
    idle: float = 120.0


class Aborted(Exception):
    """The association was ended, or its connection; what was not answered did not happen for the other system."""


class HungUp(Aborted):
    """The connection ended between two PDUs: a probe, or a system that ends without a word."""


class Incoming:
    """A data set on its way in. What cannot be taken is passed over, so that the request can be answered with why."""

    def __init__(self, folder: str, limit: int) -> None:
        self._pieces: list[bytes | memoryview] = []
        self._folder, self._limit, self._held = folder, limit, 0
        self._spool: Spool | None = None
        self._trouble: RegistryError | None = None
        self.size = 0

    async def add(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        if self._trouble is not None or not piece:
            return
        if self.size > self._limit:
            self._refuse(TooLarge("data set", limit=self._limit))
            return
        # a view keeps its PDU, which for many small pieces would cost more than they are long
        self._pieces.append(piece if len(piece) >= VIEWED else bytes(piece))
        self._held += len(piece)
        if self._held > IN_MEMORY:
            try:
                await asyncio.to_thread(self._put_away)
            except RegistryError as trouble:
                self._refuse(trouble)

    def _refuse(self, trouble: RegistryError) -> None:
        self._trouble, self._pieces, self._spool = trouble, [], None

    def _put_away(self) -> None:
        if self._spool is None:
            self._spool = Spool(self._folder)
        self._spool.add(self._pieces)
        self._pieces, self._held = [], 0

    def content(self, head: bytes = b"") -> Content:
        """Everything, behind `head`. Raises what kept it from being taken."""
        if self._trouble is not None:
            raise self._trouble
        if self._spool is None:
            return Bytes(b"".join((head, *self._pieces)))
        self._put_away()
        return SpooledPart(self._spool.path, 0, self._spool.size, self._spool)

    def value(self) -> bytes:
        """Of a data set that is small."""
        return b"".join(self.content().chunks())


@dataclass(frozen=True, slots=True)
class Message:
    """A command that came, the context it came in, and its data set where it has one."""

    context: Context
    command: Command
    data: Incoming | None = None


class Association:
    """Both ends of a line look the same once it is accepted.

    contexts  the accepted ones, by number
    longest   P-DATA-TF that the other system takes
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        spool: str,
        object_limit: int,
        pace: Pace = Pace(),
    ) -> None:
        self._reader, self._writer, self._pace = reader, writer, pace
        self._spool, self._object_limit = spool, object_limit
        self.contexts: dict[int, Context] = {}
        self.longest = 0
        self._next: asyncio.Task[Message | None] | None = None
        self._pieces: Iterator[Fragment] = iter(())
        self.cancelled: set[int] = set()
        self._is_over = False
        self.heard = asyncio.get_running_loop().time()

    # ---- PDUs

    async def pdu(self, *, within: float) -> tuple[Kind, bytes]:
        """The next PDU, whose first byte has to come in time. Raises Aborted, BadPdu."""
        try:
            async with asyncio.timeout(within):
                if not (first := await self._reader.read(1)):
                    raise HungUp("hung up")
            async with asyncio.timeout(self._pace.pdu):
                kind, length = pdu.read_header(first + await self._reader.readexactly(pdu.HEADER - 1))
                body = await self._reader.readexactly(length)
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise Aborted(type(error).__name__) from error
        self.heard = asyncio.get_running_loop().time()
        if kind is Kind.ABORT:
            raise Aborted("by the other system")
        return kind, body

    async def write(self, content: bytes) -> None:
        """Raises Aborted where the other system takes nothing any more."""
        try:
            self._writer.write(content)
            async with asyncio.timeout(self._pace.pdu):
                await self._writer.drain()
        except (TimeoutError, OSError) as error:
            self._writer.transport.abort()
            raise Aborted(type(error).__name__) from error

    # ---- messages in

    async def receive(self) -> Message | None:
        """The next message; None where the other system asks to release the association, which `released` agrees to.
        Raises Aborted, NetworkFault.
        """
        waiting, self._next = self._next, None
        return await (waiting or self._receive())

    async def look(self) -> None:
        """See whether a cancellation has come while something is being answered."""
        if self._next is None:
            self._next = asyncio.create_task(self._receive())
        await asyncio.sleep(0)
        if self._next.done() and self._next.exception() is not None:
            self._next.result()

    @property
    def is_heard(self) -> bool:
        """Whether `look` has found a message, which `receive` gives at once."""
        return self._next is not None and self._next.done()

    async def _receive(self) -> Message | None:
        while True:
            message = await self._whole_message()
            if message is None or message.command.kind != Request.CANCEL:
                return message
            self.cancelled.add(message.command.number("MessageIDBeingRespondedTo"))

    async def _whole_message(self) -> Message | None:
        first = await self._piece(within=self._pace.idle)
        if first is None:
            return None
        try:
            async with asyncio.timeout(self._pace.message):
                command, context = await self._command(first)
                return Message(context, command, await self._data_set(command, context))
        except TimeoutError as error:
            raise Aborted("a message that takes too long") from error

    async def _command(self, piece: Fragment) -> tuple[Command, Context]:
        content, number = bytearray(), piece.context
        while piece.is_command and piece.context == number and len(content) <= COMMAND_LIMIT:
            content += piece.data
            if piece.is_last:
                if number not in self.contexts:
                    raise BadCommand("a context that was not agreed")
                return read_command(bytes(content)), self.contexts[number]
            piece = await self._next_piece()
        raise BadCommand("a command that does not end, or a data set without one")

    async def _data_set(self, command: Command, context: Context) -> Incoming | None:
        if not command.has_data:
            return None
        data = Incoming(self._spool, self._object_limit if command.kind == Request.STORE else QUERY_LIMIT)
        while True:
            piece = await self._next_piece()
            if piece.is_command or piece.context != context.id:
                raise BadCommand("a command inside the data set of another")
            await data.add(piece.data)
            if piece.is_last:
                return data

    async def _next_piece(self) -> Fragment:
        piece = await self._piece(within=self._pace.pdu)
        if piece is None:
            raise Aborted("released in the middle of a message")
        return piece

    async def _piece(self, *, within: float) -> Fragment | None:
        """The next piece of a message; None where the association is released instead."""
        while (piece := next(self._pieces, None)) is None:
            if self._is_over:
                return None
            kind, body = await self.pdu(within=within)
            if kind is Kind.RELEASE_RQ:
                self._is_over = True
                return None
            if kind is not Kind.DATA:
                raise BadPdu("a PDU that makes no sense here", reason=2)
            self._pieces = pdu.fragments(body)
        return piece

    # ---- messages out

    async def send(self, context: Context, command: bytes, data: AsyncIterator[bytes] | bytes | None = None) -> None:
        """A whole message. Raises Aborted."""
        most = pdu.most_content(self.longest)
        await self.write(pdu.data(context.id, command, is_command=True, is_last=True))
        if data is None:
            return
        held: bytes | memoryview = b""
        async for piece in _several(data):
            for part in _cut(piece, most):
                if held:
                    await self.write(pdu.data(context.id, held, is_command=False, is_last=False))
                held = part
        await self.write(pdu.data(context.id, held, is_command=False, is_last=True))

    def context_for(self, sop_class: str, transfer_syntax: str = "") -> Context | None:
        """The accepted context for these objects as they are written."""
        for context in self.contexts.values():
            if context.abstract_syntax == sop_class and transfer_syntax in ("", context.transfer_syntax):
                return context
        return None

    # ---- the end

    async def released(self) -> None:
        """Agree to the end that the other system asked for."""
        await self.write(pdu.RELEASED)

    async def release(self) -> None:
        """An orderly end from this side."""
        with contextlib.suppress(Aborted, NetworkFault):
            await self.write(pdu.RELEASE)
            while (await self.pdu(within=self._pace.pdu))[0] is not Kind.RELEASE_RP:
                pass
        self.close()

    async def abort(self, fault: NetworkFault | None = None) -> None:
        """End it at once, and say so."""
        reason = fault.reason if isinstance(fault, BadPdu) else 0
        with contextlib.suppress(Aborted):
            await self.write(pdu.aborted(by_user=not isinstance(fault, BadPdu), reason=reason))
        self.close()

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._writer.close()

    def break_off(self) -> None:
        """Whoever waits on this line learns it now."""
        self._writer.transport.abort()


async def _several(data: AsyncIterator[bytes] | bytes) -> AsyncIterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    async for piece in data:
        yield piece


def _cut(piece: bytes, most: int) -> Iterator[memoryview | bytes]:
    view = memoryview(piece)
    return (view[at : at + most] for at in range(0, len(view), most))
