"""C-MOVE and C-GET: objects leave as sub-operations, one C-STORE each, read from the store as fast as they are taken.

Stored objects go out in the transfer syntax they are stored in; uncompressed ones in the default one where a receiver
takes no other. Nothing is decoded, and what could not be sent is counted and named. Source: DICOM PS3.4: C.4.2, C.4.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from adapters.dicom.data_sets import write_data_set
from adapters.dicom.dicom_json import attributes
from adapters.dicom.dictionary import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.file_head import data_set_of
from adapters.dicom.network.commands import ANSWER, Request, Status, write_command
from adapters.dicom.network.errors import BadCommand, NetworkFault
from adapters.dicom.network.find import Identifier
from adapters.dicom.rewriting import implicit
from hie_node.dimse.association import Aborted, Association, Message
from hie_node.flows.streaming import TransferStopped
from registry.commands import RetrievedStudy, RetrieveStudy
from registry.errors import RegistryError
from registry.studies import Instance, Study

T = TypeVar("T")

AT_ONCE = 1 << 20
UNABLE = 0xA702
Open = Callable[[RetrieveStudy], RetrievedStudy]


def retrievals(identifier: Identifier, study: Study) -> Iterator[tuple[RetrieveStudy, tuple[Instance, ...]]]:
    """What of a study is asked for, in as few retrievals as there are rows, and the objects of each."""
    for study_, series, instance in identifier.query.rows(study):
        command = RetrieveStudy(
            study_.study_instance_uid,
            series.series_instance_uid if series else None,
            instance.sop_instance_uid if instance else None,
        )
        yield command, study_.selected(command.series_instance_uid, command.sop_instance_uid)


@dataclass(slots=True)
class Counts:
    """What became of the sub-operations so far."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def count(self, uid: str, status: int) -> None:
        self.remaining -= 1
        if status == Status.SUCCESS:
            self.completed += 1
        elif status >> 12 == 0xB:
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(uid)

    @property
    def status(self) -> int:
        if not self.failed:
            return Status.SUCCESS
        return Status.SOME_FAILED if self.completed or self.warning else UNABLE


class Retrieval:
    """One C-MOVE or C-GET: progress and outcome are told on `line`, objects leave on `out`."""

    def __init__(
        self,
        line: Association,
        message: Message,
        wanted: Sequence[tuple[RetrieveStudy, tuple[Instance, ...]]],
        *,
        pool: ThreadPoolExecutor,
        originator: str = "",
    ) -> None:
        self._line, self._message, self._wanted, self._pool = line, message, wanted, pool
        self._originator = originator
        self._sent = 0
        self._counts = Counts(sum(len(instances) for _, instances in wanted))

    async def run(self, out: Association, open_: Open) -> int:
        """Send everything; a cancellation is heard between two objects."""
        for command, instances in self._wanted:
            before = self._done
            try:
                await self._retrieve(out, open_, command)
            except (RegistryError, TransferStopped):
                self._give_up(instances[self._done - before :])
            except (Aborted, NetworkFault):
                if out is self._line:
                    raise
                self._give_up_all()  # a destination that breaks off or talks nonsense is none
                break
            if self._is_cancelled:
                return await self._finish(Status.CANCELLED)
        return await self._finish(self._counts.status)

    async def refuse_all(self) -> int:
        """Nothing could be sent, because the destination does not answer."""
        self._give_up_all()
        return await self._finish(self._counts.status)

    @property
    def objects(self) -> list[tuple[str, str]]:
        """SOP class and transfer syntax of all that is to be sent."""
        return [(one.sop_class_uid, one.transfer_syntax) for _, instances in self._wanted for one in instances]

    @property
    def _done(self) -> int:
        return self._counts.completed + self._counts.failed + self._counts.warning

    @property
    def _is_cancelled(self) -> bool:
        return self._message.command.id in self._line.cancelled

    def _give_up(self, instances: Sequence[Instance]) -> None:
        for instance in instances:
            self._counts.count(instance.sop_instance_uid, Status.PROCESSING_FAILURE)

    def _give_up_all(self) -> None:
        self._give_up([one for _, instances in self._wanted for one in instances][self._done :])

    async def _retrieve(self, out: Association, open_: Open, command: RetrieveStudy) -> None:
        result = await self._in_thread(open_, command)
        try:
            while (found := await self._in_thread(next, result.instances, None)) is not None:
                instance, chunks = found
                self._counts.count(instance.sop_instance_uid, await self._send(out, instance, chunks))
                await self._tell_progress(out)
                if self._is_cancelled:
                    return
        finally:
            close = getattr(result.instances, "close", None)
            if close is not None:
                await self._in_thread(close)

    async def _send(self, out: Association, instance: Instance, chunks: Iterator[bytes]) -> int:
        context = out.context_for(instance.sop_class_uid, instance.transfer_syntax or "unknown")
        data_set = data_set_of(chunks)
        if context is None and instance.transfer_syntax == EXPLICIT_LITTLE:
            context = out.context_for(instance.sop_class_uid, IMPLICIT_LITTLE)
            data_set = implicit(data_set)
        if context is None:
            return Status.NO_SUCH_CLASS
        self._sent += 1
        command = write_command(
            Request.STORE,
            AffectedSOPClassUID=instance.sop_class_uid,
            MessageID=self._sent,
            Priority=0,
            CommandDataSetType=1,
            AffectedSOPInstanceUID=instance.sop_instance_uid,
            MoveOriginatorApplicationEntityTitle=self._originator,
            **({"MoveOriginatorMessageID": self._message.command.id} if self._originator else {}),
        )
        try:
            await out.send(context, command, self._drawn(data_set))
        except (RegistryError, TransferStopped):
            # a data set that was begun cannot be taken back, and must not be taken for whole
            await out.abort()
            raise Aborted("the transfer was stopped") from None
        answer = await out.receive()
        if answer is None or answer.command.kind != Request.STORE | ANSWER:
            raise BadCommand("no answer to a sub-operation")
        return answer.command.number("Status")

    async def _drawn(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._in_thread(_some, chunks):
            yield piece

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _tell_progress(self, out: Association) -> None:
        if out is not self._line:
            await self._line.look()
        await self._line.send(self._message.context, self._reply(Status.PENDING, remaining=True))

    async def _finish(self, status: int) -> int:
        """The last answer, with the objects that could not be sent."""
        missing = self._counts.failed_uids
        data = None
        if missing:
            implicit = self._message.context.transfer_syntax == IMPLICIT_LITTLE
            data = write_data_set(attributes(FailedSOPInstanceUIDList=missing[:1000]), implicit=implicit)
        command = self._reply(status, remaining=status == Status.CANCELLED, has_data=bool(missing))
        await self._line.send(self._message.context, command, data)
        return status

    def _reply(self, status: int, *, remaining: bool, has_data: bool = False) -> bytes:
        counts = self._counts
        said = {"NumberOfRemainingSuboperations": min(counts.remaining, 0xFFFF)} if remaining else {}
        return write_command(
            self._message.command.kind | ANSWER,
            AffectedSOPClassUID=self._message.context.abstract_syntax,
            MessageIDBeingRespondedTo=self._message.command.id,
            CommandDataSetType=1 if has_data else 0x0101,
            Status=status,
            NumberOfCompletedSuboperations=min(counts.completed, 0xFFFF),
            NumberOfFailedSuboperations=min(counts.failed, 0xFFFF),
            NumberOfWarningSuboperations=min(counts.warning, 0xFFFF),
            **said,
        )


def _some(chunks: Iterator[bytes]) -> bytes:
    """About a mebibyte of them; empty at the end."""
    pieces, size = [], 0
    while size < AT_ONCE and (piece := next(chunks, b"")):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
