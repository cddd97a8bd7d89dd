"""What is answered over an association: echo, store, find, move, get, and whether objects are kept for good.

Each request goes through the same flow as its like at the web doors, in a thread; only bytes are moved here.
Objects are asked for by listed systems of this hospital alone; in a lab by anybody.

Sources: DICOM PS3.4 Annexes A, B, C, J; PS3.7: 9.1, 10.1.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, TypeVar

from adapters.dicom.file_head import file_head
from adapters.dicom.network.commands import ANSWER, Request, Status, write_command
from adapters.dicom.network.commitment import REQUESTED, Commitment, read_commitment
from adapters.dicom.network.errors import BadCommand, Refused
from adapters.dicom.network.find import Identifier, read_identifier, write_match
from adapters.dicom.network.services import (
    FIND,
    GET,
    MOVE,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    VERIFICATION,
    for_sending,
    is_storage,
)
from adapters.dicom.network.statuses import is_known, status_of
from adapters.dicom.part10 import read_instance
from adapters.dicom.queries import Row
from hie_node import log, metrics
from hie_node.acts import Act, Caller
from hie_node.dimse.association import Aborted, Association, Message
from hie_node.dimse.calling import call
from hie_node.dimse.committing import report, report_over
from hie_node.dimse.landing import Landing, system_caller
from hie_node.dimse.moving import hand_over, is_answer
from hie_node.dimse.retrieving import Retrieval, retrievals
from hie_node.flows.table import flow_for
from hie_node.house import House
from hie_node.image_feeds import feed_of, note_refused
from hie_node.setting_tables import DicomSystem
from registry.commands import (
    FindStudies,
    KeepInstances,
    Kept,
    Page,
    RetrievedStudy,
    RetrieveStudy,
)
from registry.errors import RegistryError, StorageUnavailable
from registry.identifiers import check_uid
from registry.studies import ReadInstance, Study
from registry.submissions import Content, FilePart

FOUND_LIMIT = 5_000
"""Studies that one query may find; a wider one is refused, since an answer cannot say that it is cut."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Called:
    """Who called: the AE title it gave, and the listed system that it is."""

    title: str
    system: DicomSystem | None


class Services:
    """Answers messages of all associations."""

    def __init__(self, house: House, pool: ThreadPoolExecutor) -> None:
        self._house, self._pool = house, pool
        self._landing = Landing(house)
        self._landing.recover()
        self._reports: set[asyncio.Task[None]] = set()

    async def answer(self, line: Association, message: Message, called: Called) -> None:
        """One request, whatever becomes of it. Raises Aborted, BadCommand."""
        started = time.perf_counter()
        name, serve = self._service(message)
        try:
            status = await serve(line, message, called)
        except (Aborted, BadCommand):
            raise
        except Exception as error:  # noqa: BLE001 - whatever goes wrong becomes a status
            status = self._failed(name, error)
            await line.send(message.context, _reply(message, status, ErrorComment=_comment(error)))
        seconds = time.perf_counter() - started
        metrics.observe(name, "dicom", status, seconds)
        log.event("dicom", service=name, status=f"{status:04X}", ms=round(seconds * 1000, 1))

    def _service(self, message: Message) -> tuple[str, Callable[[Association, Message, Called], Awaitable[int]]]:
        kind, sop_class = message.command.kind, message.context.abstract_syntax
        if kind == Request.ECHO and sop_class == VERIFICATION:
            return "C-ECHO", self._echo
        if kind == Request.STORE and is_storage(sop_class):
            return "C-STORE", self._store
        if kind == Request.FIND and sop_class in FIND:
            return "C-FIND", self._find
        if kind == Request.MOVE and sop_class in MOVE:
            return "C-MOVE", self._move
        if kind == Request.GET and sop_class in GET:
            return "C-GET", self._get
        if kind == Request.ACTION and sop_class == STORAGE_COMMITMENT:
            return "N-ACTION", self._commit
        if kind & ANSWER:
            raise BadCommand("an answer that nobody waits for")
        return "DIMSE", self._unknown

    def _failed(self, name: str, error: Exception) -> int:
        if isinstance(error, StorageUnavailable):
            log.storage_unavailable(name, error)
        elif not is_known(error):
            log.fault(name, error, "")
        return status_of(error)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    # ---- echo, store

    async def _echo(self, line: Association, message: Message, _called: Called) -> int:
        await line.send(message.context, _reply(message, Status.SUCCESS))
        return Status.SUCCESS

    async def _unknown(self, line: Association, message: Message, _called: Called) -> int:
        await line.send(message.context, _reply(message, Status.UNRECOGNIZED_OPERATION))
        return Status.UNRECOGNIZED_OPERATION

    async def _store(self, line: Association, message: Message, called: Called) -> int:
        """Success only once it is durable; or on its way, where this node asked its PACS for it."""
        status: int = Status.SUCCESS
        comment = ""
        if is_answer(self._house.settings, message, called.title):
            await hand_over(self._house.settings, message)
        else:
            status, comment = await self._in_thread(self._stored, message, called)
        sop_instance = message.command.text("AffectedSOPInstanceUID")
        await line.send(
            message.context, _reply(message, status, AffectedSOPInstanceUID=sop_instance, ErrorComment=comment)
        )
        return status

    def _stored(self, message: Message, called: Called) -> tuple[int, str]:
        try:
            read, content = self._read(message)
        except StorageUnavailable:
            raise
        except (RegistryError, Refused) as error:
            feed = feed_of("C-STORE", self._caller(called))
            note_refused(self._house, feed, [error.text if isinstance(error, Refused) else str(error)])
            raise
        result = self._landing.store(called.title, read, content)
        if result.failed:
            return result.failed[0].failure, result.failed[0].text
        if result.aside:
            return result.aside[0].failure, "kept aside: the patient is in doubt"
        return Status.SUCCESS, ""

    def _read(self, message: Message) -> tuple[ReadInstance, Content]:
        command, context = message.command, message.context
        if message.data is None:
            raise Refused(Status.CANNOT_UNDERSTAND, "no data set")
        sop_class = check_uid(command.text("AffectedSOPClassUID"), "SOP Class UID")
        sop_instance = check_uid(command.text("AffectedSOPInstanceUID"), "SOP Instance UID")
        head = file_head(sop_class, sop_instance, context.transfer_syntax)
        content = message.data.content(head)
        file = content.path if isinstance(content, FilePart) else BytesIO(b"".join(content.chunks()))
        size = len(head) + message.data.size
        read = read_instance(file, size=size, own_issuer=self._house.settings.patient_id_system)
        if (sop_class, sop_instance) != (read.instance.sop_class_uid, read.instance.sop_instance_uid):
            raise Refused(Status.DOES_NOT_MATCH, "the data set is of another class or instance")
        return read, content

    def _caller(self, called: Called) -> Caller:
        return system_caller(self._house, called.title)

    async def settle(self) -> None:
        """What was acknowledged shows from here on; where the database is away, later."""
        with suppress(StorageUnavailable):
            await self._in_thread(self._landing.settle)

    # ---- find

    async def _find(self, line: Association, message: Message, called: Called) -> int:
        identifier, studies = await self._in_thread(self._found, message, called, "C-FIND")
        pending = Status.PENDING_KEYS_IGNORED if identifier.ignored else Status.PENDING
        for row in _rows(identifier, studies):
            await line.look()
            if message.command.id in line.cancelled:
                await line.send(message.context, _reply(message, Status.CANCELLED))
                return Status.CANCELLED
            match = write_match(
                identifier,
                row,
                title=self._house.settings.dicom_aet,
                base=f"{self._house.settings.house.url}/dicomweb",
                transfer_syntax=message.context.transfer_syntax,
            )
            await line.send(message.context, _reply(message, pending, has_data=True), match)
        await line.send(message.context, _reply(message, Status.SUCCESS))
        return Status.SUCCESS

    def _found(self, message: Message, called: Called, name: str) -> tuple[Identifier, tuple[Study, ...]]:
        identifier = self._identifier(message, called)
        self._landing.settle()
        return identifier, self._studies(identifier, called, name)

    def _identifier(self, message: Message, called: Called) -> Identifier:
        if called.system is None and not self._house.settings.lab:
            raise Refused(Status.NOT_AUTHORIZED, "only systems in [[dicom.systems]] may ask for records")
        if message.data is None:
            raise Refused(Status.CANNOT_UNDERSTAND, "no identifier")
        return read_identifier(
            message.data.value(),
            sop_class=message.context.abstract_syntax,
            transfer_syntax=message.context.transfer_syntax,
        )

    def _studies(self, identifier: Identifier, called: Called, name: str) -> tuple[Study, ...]:
        search = identifier.query.search(self._house.settings.patient_id_system, limit=FOUND_LIMIT)
        act = Act(self._house, self._caller(called), name, "E")
        page: Page[Study] = flow_for(FindStudies(search), network=False)(act, FindStudies(search))
        if page.next is not None:
            raise Refused(Status.OUT_OF_RESOURCES, f"more than {FOUND_LIMIT} studies; ask for less")
        return page.items

    # ---- move, get

    async def _move(self, line: Association, message: Message, called: Called) -> int:
        target = self._target(message.command.text("MoveDestination"))
        retrieval = await self._retrieval(line, message, called, "C-MOVE")
        try:
            out = await call(self._house.settings, target, for_sending(retrieval.objects))
        except Aborted:
            return await retrieval.refuse_all()
        try:
            return await retrieval.run(out, partial(self._open, called, "C-MOVE"))
        finally:
            await out.release()

    def _target(self, title: str) -> DicomSystem:
        listed = self._house.settings.dicom.systems
        found = next((each for each in listed if each.ae_title == title and each.port), None)
        if found is None:
            raise Refused(Status.UNKNOWN_DESTINATION, "the destination is not in [[dicom.systems]] with host and port")
        return found

    async def _get(self, line: Association, message: Message, called: Called) -> int:
        retrieval = await self._retrieval(line, message, called, "C-GET")
        return await retrieval.run(line, partial(self._open, called, "C-GET"))

    async def _retrieval(self, line: Association, message: Message, called: Called, name: str) -> Retrieval:
        identifier, studies = await self._in_thread(self._found, message, called, name)
        wanted = [one for study in studies for one in retrievals(identifier, study)]
        return Retrieval(line, message, wanted, pool=self._pool, originator=called.title if name == "C-MOVE" else "")

    def _open(self, called: Called, name: str, command: RetrieveStudy) -> RetrievedStudy:
        act = Act(self._house, self._caller(called), name)
        result: RetrievedStudy = flow_for(command, network=False)(act, command)
        return result

    # ---- storage commitment

    async def _commit(self, line: Association, message: Message, called: Called) -> int:
        """Acknowledged at once; the report goes to where the system listens, else back over this line."""
        command, context = message.command, message.context
        if command.text("RequestedSOPInstanceUID") != STORAGE_COMMITMENT_INSTANCE:
            raise Refused(Status.NO_SUCH_INSTANCE, "the well-known instance of storage commitment is expected")
        if command.number("ActionTypeID") != REQUESTED or message.data is None:
            raise Refused(Status.NO_SUCH_ACTION, "the only action is the request for commitment")
        asked = read_commitment(message.data.value(), transfer_syntax=context.transfer_syntax)
        kept = await self._in_thread(self._kept, asked, called)
        reply = _reply(
            message, Status.SUCCESS, AffectedSOPInstanceUID=STORAGE_COMMITMENT_INSTANCE, ActionTypeID=REQUESTED
        )
        await line.send(context, reply)
        if called.system is not None and called.system.port:
            told = asyncio.create_task(report(self._house.settings, called.system, asked, kept))
            self._reports.add(told)
            told.add_done_callback(self._reports.discard)
        else:
            await report_over(line, context, asked, kept)
        return Status.SUCCESS

    def _kept(self, asked: Commitment, called: Called) -> Kept:
        self._landing.settle()
        act = Act(self._house, self._caller(called), "N-ACTION")
        command = KeepInstances(asked.objects)
        found: Kept = flow_for(command, network=False)(act, command)
        return found

    async def close(self) -> None:
        """Reports that were not told are asked for again; what was stored is indexed."""
        for told in self._reports:
            told.cancel()
        await asyncio.to_thread(self._landing.close)


def _rows(identifier: Identifier, studies: Sequence[Study]) -> Iterator[Row]:
    """At the level of patients each patient once."""
    seen: set[str] = set()
    for study in studies:
        if identifier.query.level != "PATIENT":
            yield from identifier.query.rows(study)
        elif study.record_id not in seen:
            seen.add(study.record_id)
            yield study, None, None


def _reply(message: Message, status: int, *, has_data: bool = False, **said: int | str) -> bytes:
    sop_class = message.command.sop_class or message.context.abstract_syntax
    values: dict[str, int | str] = {"AffectedSOPClassUID": sop_class, **said}
    return write_command(
        message.command.kind | ANSWER,
        MessageIDBeingRespondedTo=message.command.id,
        Status=status,
        **({"CommandDataSetType": 1} if has_data else {}),
        **values,
    )


def _comment(error: Exception) -> str:
    return str(getattr(error, "text", "")) if isinstance(error, Refused) else ""
