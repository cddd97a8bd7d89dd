"""A PACS that speaks only DIMSE: its studies are found with C-FIND, its objects come with C-GET.

Each call has an association, and a small loop, of its own; objects are taken one by one, as fast as they are passed on.

Source: DICOM PS3.4: C.4.1 (C-FIND), C.4.3 (C-GET).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from adapters.dicom.data_sets import read_data_set
from adapters.dicom.dictionary import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.elements import DataSet
from adapters.dicom.file_head import file_head
from adapters.dicom.header_values import HeaderValues
from adapters.dicom.network.commands import ANSWER, Request, Status, write_command
from adapters.dicom.network.errors import NetworkFault
from adapters.dicom.network.find import write_question
from adapters.dicom.network.pdu import Context, Role
from adapters.dicom.network.services import STORAGE_CLASSES, STUDY_ROOT_FIND, STUDY_ROOT_GET, TRANSFER_SYNTAXES
from adapters.dicom.part10 import read_header_values
from adapters.dicom.texts import Charset
from hie_node.dimse.association import Aborted, Association, Message
from hie_node.dimse.calling import call
from hie_node.setting_tables import DicomSystem
from hie_node.settings import Settings
from registry.errors import ArchiveUnavailable, RegistryError
from registry.ports import ArchivedStudy
from registry.studies import ReadInstance

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
    def opened(self, path: tuple[str, ...]) -> Iterator[Iterator[tuple[str, str, Iterator[bytes]]]]:
        """What C-GET brings, object by object."""
        asked = dict(zip(_UNIQUE, path, strict=False))
        with asyncio.Runner() as runner:
            line = _now(runner, self._get(_LEVELS[len(path) - 1], asked))
            try:
                yield _objects(runner, line)
            finally:
                runner.run(line.abort())

    def _find(self, level: str, asked: Mapping[str, str], returned: list[str]) -> list[HeaderValues]:
        with asyncio.Runner() as runner:
            return _now(runner, self._found(level, asked, tuple(returned)))

    async def _found(self, level: str, asked: Mapping[str, str], returned: tuple[str, ...]) -> list[HeaderValues]:
        context = Context(1, STUDY_ROOT_FIND, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))
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

    async def _get(self, level: str, asked: Mapping[str, str]) -> Association:
        storage = [Context(3 + 2 * n, uid, tuple(sorted(TRANSFER_SYNTAXES))) for n, uid in enumerate(STORAGE_CLASSES)]
        roles = {uid: Role(scu=True, scp=True) for uid in STORAGE_CLASSES}
        context = Context(1, STUDY_ROOT_GET, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))
        line = await call(self.settings, self.system, [context, *storage], roles=roles)
        await _ask(line, STUDY_ROOT_GET, Request.GET, level, asked, ())
        return line

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


def _now(runner: asyncio.Runner, work: Coroutine[Any, Any, T]) -> T:
    try:
        return runner.run(work)
    except _TROUBLE as error:
        raise ArchiveUnavailable(type(error).__name__) from error


async def _ask(
    line: Association, sop_class: str, kind: Request, level: str, asked: Mapping[str, str], returned: tuple[str, ...]
) -> None:
    context = line.context_for(sop_class)
    if context is None:
        raise Aborted("does not speak this service")
    command = write_command(kind, AffectedSOPClassUID=sop_class, MessageID=1, Priority=0, CommandDataSetType=1)
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


def _objects(runner: asyncio.Runner, line: Association) -> Iterator[tuple[str, str, Iterator[bytes]]]:
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


def _taken(message: Message) -> bytes:
    return write_command(
        Request.STORE | ANSWER,
        AffectedSOPClassUID=message.context.abstract_syntax,
        MessageIDBeingRespondedTo=message.command.id,
        Status=Status.SUCCESS,
        AffectedSOPInstanceUID=message.command.text("AffectedSOPInstanceUID"),
    )
