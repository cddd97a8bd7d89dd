"""A PACS that speaks only DIMSE: its studies are found with C-FIND, its objects come with C-GET, else with C-MOVE.

Each call has an association, and a small loop, of its own; objects are taken one by one, as fast as they are passed on.

Source: DICOM PS3.4: C.4.1 (C-FIND), C.4.2 (C-MOVE), C.4.3 (C-GET).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any, TypeVar

from adapters.dicom.data_sets import read_data_set
from adapters.dicom.dictionary import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.elements import DataSet
from adapters.dicom.file_head import file_head
from adapters.dicom.header_values import HeaderValues
from adapters.dicom.network.commands import ANSWER, Request, Status, write_command
from adapters.dicom.network.errors import NetworkFault
from adapters.dicom.network.find import write_question
from adapters.dicom.network.pdu import Context
from adapters.dicom.network.pdu import Role as RoleOf
from adapters.dicom.network.services import (
    STORAGE_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    TRANSFER_SYNTAXES,
)
from adapters.dicom.part10 import head_of, read_header_values
from adapters.dicom.texts import Charset
from hie_node.dimse.association import Aborted, Association, Message
from hie_node.dimse.calling import call
from hie_node.dimse.moving import LOOK_SECONDS, Expected, expected
from hie_node.setting_tables import DicomSystem
from hie_node.settings import Settings
from registry.errors import ArchiveUnavailable, RegistryError
from registry.ports import ArchivedStudy
from registry.studies import ReadInstance

Objects = Iterator[tuple[str, str, Iterator[bytes]]]
"""SOP instance UID, transfer syntax, and the file."""

_PLAIN = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
_LEVELS = ("STUDY", "SERIES", "IMAGE")
_UNIQUE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_OF_STUDY = [
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedInstances",
]
_OF_SERIES = [
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesDate",
    "SeriesTime",
]
_OF_IMAGE = ["SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "NumberOfFrames"]
T = TypeVar("T")
_TROUBLE = (Aborted, NetworkFault)


@dataclass(frozen=True, slots=True)
class DimseArchive:
    """Implements `registry.ports.Archive` over DIMSE."""

    settings: Settings
    system: DicomSystem

    def listed(self, since: date, until: date) -> Iterator[ArchivedStudy]:
        span = f"{since:%Y%m%d}-{until:%Y%m%d}"
        for found in self._find("STUDY", {"StudyDate": span}, _OF_STUDY):
            yield ArchivedStudy(found.text("StudyInstanceUID"), found.whole("NumberOfStudyRelatedInstances") or 0)

    def instances(self, study_instance_uid: str) -> Iterator[ReadInstance]:
        """Asked level by level; what a level says holds for those below."""
        above = {"StudyInstanceUID": study_instance_uid}
        for study in self._find("STUDY", above, _OF_STUDY):
            for series in self._find("SERIES", above, _OF_SERIES):
                within = {**above, "SeriesInstanceUID": series.text("SeriesInstanceUID")}
                for image in self._find("IMAGE", within, _OF_IMAGE):
                    if (read := self._read(study, series, image)) is not None:
                        yield read

    def metadata(self, path: tuple[str, ...]) -> None:
        """A PACS without DICOMweb gives headers only with the objects."""

    @contextmanager
    def opened(self, path: tuple[str, ...]) -> Iterator[Objects]:
        """What C-GET brings, or C-MOVE where the PACS knows no other way, object by object."""
        with asyncio.Runner() as runner, ExitStack() as stack:
            yield self._got(runner, stack, path) or self._moved(runner, stack, path)

    def _got(self, runner: asyncio.Runner, stack: ExitStack, path: tuple[str, ...]) -> Objects | None:
        """None where the PACS does not give anything so: it knows no C-GET, or ends the association at it."""
        roles = {uid: RoleOf(scu=True, scp=True) for uid in STORAGE_CLASSES}
        syntaxes = tuple(sorted(TRANSFER_SYNTAXES))
        storage = [Context(3 + 2 * n, uid, syntaxes) for n, uid in enumerate(STORAGE_CLASSES)]
        line = self._opened(runner, stack, [Context(1, STUDY_ROOT_GET, _PLAIN), *storage], roles)
        if line.context_for(STUDY_ROOT_GET) is None and self.settings.dicom_port:
            return None
        level, asked = _keys(path)
        _now(runner, _ask(line, STUDY_ROOT_GET, Request.GET, level, asked, ()))
        objects = _objects(runner, line)
        try:
            first = next(objects, None)
        except ArchiveUnavailable:
            if self.settings.dicom_port:
                return None
            raise
        return chain([first], objects) if first else iter(())

    def _moved(self, runner: asyncio.Runner, stack: ExitStack, path: tuple[str, ...]) -> Objects:
        """To this node's own DICOM port, by the title that the PACS knows it by."""
        line = self._opened(runner, stack, [Context(1, STUDY_ROOT_MOVE, _PLAIN)], {})
        waited = stack.enter_context(expected(self.settings))
        level, asked = _keys(path)
        how: dict[str, int | str] = {"MessageID": waited.number, "MoveDestination": self.settings.dicom_aet}
        _now(runner, _ask(line, STUDY_ROOT_MOVE, Request.MOVE, level, asked, (), **how))
        return _moved(runner, line, waited)

    def _opened(
        self, runner: asyncio.Runner, stack: ExitStack, contexts: list[Context], roles: Mapping[str, RoleOf]
    ) -> Association:
        line = _now(runner, call(self.settings, self.system, contexts, roles=roles))
        stack.callback(lambda: runner.run(line.abort()))
        return line

    def _find(self, level: str, asked: Mapping[str, str], returned: list[str]) -> list[HeaderValues]:
        with asyncio.Runner() as runner:
            return _now(runner, self._found(level, asked, tuple(returned)))

    async def _found(self, level: str, asked: Mapping[str, str], returned: tuple[str, ...]) -> list[HeaderValues]:
        context = Context(1, STUDY_ROOT_FIND, _PLAIN)
        line = await call(self.settings, self.system, [context])
        try:
            await _ask(line, STUDY_ROOT_FIND, Request.FIND, level, asked, returned)
            found = []
            while (answer := await _answer(line, Request.FIND)).data is not None:
                dataset, charset = read_data_set(answer.data.value(), answer.context.transfer_syntax)
                found.append(HeaderValues(dataset, charset))
            return found
        finally:
            await line.release()

    def _read(self, *levels: HeaderValues) -> ReadInstance | None:
        elements: dict[int, Any] = {}
        for level in levels:
            elements |= level.dataset.elements
        charset: Charset = levels[0].charset
        try:
            return read_header_values(
                DataSet("<", elements), charset, transfer_syntax="", own_issuer=self.settings.patient_id_system
            )
        except RegistryError:
            return None


def _keys(path: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The level that a path of UIDs leads to, and the keys above it."""
    return _LEVELS[len(path) - 1], dict(zip(_UNIQUE, path, strict=False))


def _now(runner: asyncio.Runner, work: Coroutine[Any, Any, T]) -> T:
    try:
        return runner.run(work)
    except _TROUBLE as error:
        raise ArchiveUnavailable(type(error).__name__) from error


async def _ask(
    line: Association,
    sop_class: str,
    kind: Request,
    level: str,
    asked: Mapping[str, str],
    returned: tuple[str, ...],
    **how: int | str,
) -> None:
    context = line.context_for(sop_class)
    if context is None:
        raise Aborted("does not speak this service")
    said: dict[str, int | str] = {"MessageID": 1, **how}
    command = write_command(kind, AffectedSOPClassUID=sop_class, Priority=0, CommandDataSetType=1, **said)
    implicit = context.transfer_syntax == IMPLICIT_LITTLE
    await line.send(context, command, write_question(level, asked, returned, implicit=implicit))


async def _answer(line: Association, kind: Request) -> Message:
    """The next answer; one without a data set is the last. Raises Aborted where that is a failure."""
    answer = await line.receive()
    if answer is None or answer.command.kind != kind | ANSWER:
        raise Aborted("no answer")
    if answer.data is None and answer.command.number("Status") != Status.SUCCESS:
        raise Aborted(f"status {answer.command.number('Status'):04X}")
    return answer


def _objects(runner: asyncio.Runner, line: Association) -> Objects:
    """Each object once it is here; the next is taken when this one was passed on."""
    while True:
        message: Message | None = _now(runner, line.receive())
        if message is None:
            raise ArchiveUnavailable("released")
        if message.command.kind == Request.STORE and message.data is not None:
            command, syntax = message.command, message.context.transfer_syntax
            uid = command.text("AffectedSOPInstanceUID")
            head = file_head(command.text("AffectedSOPClassUID"), uid, syntax)
            yield uid, syntax, iter(message.data.content(head).chunks())
            _now(runner, line.send(message.context, _taken(message)))
        elif message.command.number("Status") not in (Status.PENDING, Status.PENDING_KEYS_IGNORED):
            if message.command.number("Status") != Status.SUCCESS:
                raise ArchiveUnavailable(f"status {message.command.number('Status'):04X}")
            _now(runner, line.release())
            return


def _moved(runner: asyncio.Runner, line: Association, waited: Expected) -> Objects:
    """Each object once it came in at the port; the PACS waits while too many lie there."""
    status: int = Status.PENDING
    while True:
        is_over = status not in (Status.PENDING, Status.PENDING_KEYS_IGNORED)
        for file in waited.arrived():
            yield head_of(file)
        if is_over:
            break
        status = _now(runner, _looked(line, status))
    if status != Status.SUCCESS:
        raise ArchiveUnavailable(f"status {status:04X}")
    _now(runner, line.release())


async def _looked(line: Association, status: int) -> int:
    """What the PACS says of its progress, if it says something now."""
    await line.look()
    await asyncio.sleep(LOOK_SECONDS)
    if not line.is_heard:
        return status
    message = await line.receive()
    if message is None:
        raise Aborted("released")
    return message.command.number("Status")


def _taken(message: Message) -> bytes:
    return write_command(
        Request.STORE | ANSWER,
        AffectedSOPClassUID=message.context.abstract_syntax,
        MessageIDBeingRespondedTo=message.command.id,
        Status=Status.SUCCESS,
        AffectedSOPInstanceUID=message.command.text("AffectedSOPInstanceUID"),
    )
