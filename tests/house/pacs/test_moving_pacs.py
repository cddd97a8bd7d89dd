"""A PACS that gives its images by C-MOVE alone: they come in at the DICOM port and go on to who asked for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from adapters.dicom.file_head import data_set_of
from hie_node.archives import look_between
from hie_node.flows.fetch import retrieve_study
from hie_node.house import House
from hie_node.setting_tables import Pacs
from registry.commands import RelayedStudy, RetrieveStudy
from registry.errors import ArchiveUnavailable
from tests.adapters.dicom.files import EXPLICIT, SERIES, STUDY, study_of
from tests.house.dimse.port import AET, forked_port, wait_until_open
from tests.house.dimse.test_foreign_pynetdicom import found_among
from tests.house.hospital import make_house
from tests.house.pacs.orthanc import orthanc
from tests.house.pacs.test_own_pacs import act, whole
from tests.processes import ended, eventually, forked, free_port

SUCCESS, PENDING = 0x0000, 0xFF00
COUNT = 40
FILES = study_of(COUNT)


class MovingArchive:
    """What pynetdicom keeps, finds, and sends to the one place it knows; nothing comes back over the same line."""

    def __init__(self, node_port: int, node_aet: str = AET) -> None:
        self.kept = [pydicom.dcmread(BytesIO(file)) for file in FILES]
        self.node_port, self.node_aet, self.port = node_port, node_aet, free_port()

    def finds(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield from found_among(self.kept, event.identifier)

    def moves(self, event: Any) -> Iterator[Any]:
        if event.move_destination != self.node_aet:
            yield None, None
            return
        yield "127.0.0.1", self.node_port
        wanted = event.identifier.get("SOPInstanceUID", "")
        chosen = [one for one in self.kept if not wanted or one.SOPInstanceUID == wanted]
        yield len(chosen)
        for one in chosen:
            yield PENDING, one

    def serve(self) -> None:
        ae = AE(ae_title="OLDPACS")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        ae.add_requested_context(CTImageStorage, [EXPLICIT])
        handlers = [(evt.EVT_C_FIND, self.finds), (evt.EVT_C_MOVE, self.moves)]
        ae.start_server(("127.0.0.1", self.port), evt_handlers=handlers)  # type: ignore[arg-type]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """In a process of its own: pynetdicom leaves sockets of lines that its caller broke off to the collector."""
        pid = forked(self.serve)
        try:
            eventually(self._is_heard, "the archive listens")
            yield
        finally:
            ended(pid)

    def _is_heard(self) -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


@contextmanager
def hospital(folder: Path, pacs: Pacs, port: int) -> Iterator[House]:
    """A node with this PACS, its DICOM port open in a process of its own."""
    made = make_house(folder, pacs=(pacs,), dicom_port=port, dicom_aet=AET)
    made.storage.close()
    pid = forked_port(made.settings)
    try:
        wait_until_open(made.settings)
        yield made
    finally:
        ended(pid)
        made.storage.close()


def indexed(house: House) -> int:
    return look_between(house, "old", date(2026, 3, 1), date(2026, 3, 31))


@contextmanager
def hospital_of(folder: Path, archive: MovingArchive) -> Iterator[House]:
    pacs = Pacs("old", ae_title="OLDPACS", host="127.0.0.1", port=archive.port)
    with hospital(folder, pacs, archive.node_port) as made, archive.listening():
        assert indexed(made) == 1
        yield made


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with hospital_of(tmp_path, MovingArchive(free_port())) as made:
        yield made


def test_orthanc_that_may_not_answer_c_get_is_asked_to_move(tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc", gets=False) as archive:
        archive.keeps(*(whole(file) for file in FILES))
        pacs, port = Pacs("old", ae_title="ORTHANC", host="127.0.0.1", port=archive.dicom_port), free_port()
        archive.knows(AET, port)
        with hospital(tmp_path, pacs, port) as made:
            assert indexed(made) == 1
            assert set(opened(made, RetrieveStudy(STUDY)).values()) == {b"".join(data_set_of([file])) for file in FILES}
            assert left_over(made) == []


def opened(house: House, command: RetrieveStudy) -> dict[str, bytes]:
    found = retrieve_study(act(house), command)
    assert not isinstance(found, RelayedStudy)
    return {one.sop_instance_uid: b"".join(data_set_of(chunks)) for one, chunks in found.instances}


def left_over(house: House) -> list[Path]:
    return list((house.settings.spool / "moved").iterdir())


def test_a_study_comes_whole_and_is_not_kept(house: House) -> None:
    assert opened(house, RetrieveStudy(STUDY)) == {
        f"{SERIES}.{number}": b"".join(data_set_of([file])) for number, file in enumerate(FILES, 1)
    }
    assert left_over(house) == []
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and {one.content_hash for one in study.selected()} == {""}, "it stays in the PACS"


def test_one_image_comes_alone(house: House) -> None:
    assert list(opened(house, RetrieveStudy(STUDY, SERIES, f"{SERIES}.7"))) == [f"{SERIES}.7"]


def test_who_stops_looking_leaves_nothing_behind_and_the_next_is_served(house: House) -> None:
    found = retrieve_study(act(house), RetrieveStudy(STUDY))
    assert not isinstance(found, RelayedStudy)
    objects = iter(found.instances)
    next(objects)
    objects.close()  # type: ignore[attr-defined]
    assert left_over(house) == []
    assert len(opened(house, RetrieveStudy(STUDY))) == COUNT


def test_a_pacs_that_does_not_know_the_node_is_said(tmp_path: Path) -> None:
    stranger = MovingArchive(free_port(), node_aet="SOMEBODYELSE")
    with hospital_of(tmp_path, stranger) as made, pytest.raises(ArchiveUnavailable):
        opened(made, RetrieveStudy(STUDY))


def test_an_object_that_nobody_asked_for_is_refused_and_not_stored(house: House) -> None:
    ae = AE(ae_title="OLDPACS")
    ae.add_requested_context(CTImageStorage, [EXPLICIT])
    line = ae.associate("127.0.0.1", house.settings.dicom_port, ae_title=AET)
    answer = line.send_c_store(pydicom.dcmread(BytesIO(FILES[0])), originator_aet=AET, originator_id=4711)
    line.release()
    assert answer.Status == 0xA700
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and {one.content_hash for one in study.selected()} == {""}


def test_what_a_killed_process_had_asked_for_is_swept_away(house: House) -> None:
    old = house.settings.spool / "moved" / "77"
    old.mkdir(parents=True)
    (old / "1").write_bytes(b"left")
    os.utime(old, (0, 0))
    opened(house, RetrieveStudy(STUDY, SERIES, f"{SERIES}.1"))
    assert left_over(house) == []
