"""pynetdicom, a foreign implementation, both ways: it calls the port, and the node calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from adapters.dicom.file_head import data_set_of, same_object
from hie_node.archives import look_between
from hie_node.flows.fetch import retrieve_study
from hie_node.setting_tables import DicomSystem, Pacs
from registry.commands import RetrieveStudy
from tests.adapters.dicom.files import EXPLICIT, JPEG_LS, SERIES, STUDY, part10, slice_body, study_of
from tests.house.dimse.port import AET, Port, listens
from tests.house.hospital import make_house
from tests.house.pacs.test_own_pacs import act
from tests.processes import free_port

FIND, GET, MOVE = (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
SUCCESS, PENDING = 0x0000, 0xFF00
FILES = study_of(3)


@contextmanager
def associated(port: Port, *contexts: str, role: bool = False, handlers: Any = ()) -> Iterator[Association]:
    """An association that pynetdicom opened, and releases."""
    ae = AE(ae_title="CT1")
    for context in contexts:
        ae.add_requested_context(context, [EXPLICIT])
    roles = [build_role(CTImageStorage, scp_role=True)] if role else None
    line = ae.associate("127.0.0.1", port.settings.dicom_port, ae_title=AET, ext_neg=roles, evt_handlers=list(handlers))
    assert line.is_established
    try:
        yield line
    finally:
        line.release()


def question(level: str, **keys: str) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    return asked


def read(file: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(file))


def found_among(kept: Sequence[Dataset], asked: Dataset) -> Iterator[tuple[int, Dataset | None]]:
    """One answer to C-FIND for each study, series or image of what is kept, with the elements that were asked for."""
    seen: set[str] = set()
    unique = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
    for one in kept:
        uid = str(one[unique[asked.QueryRetrieveLevel]].value)
        if uid not in seen:
            seen.add(uid)
            found = Dataset()
            for element in asked:
                if element.tag in one:
                    found[element.tag] = one[element.tag]
            found.QueryRetrieveLevel = asked.QueryRetrieveLevel
            found.NumberOfStudyRelatedInstances = len(kept)
            yield PENDING, found


@dataclass
class Archive:
    """What pynetdicom keeps, and was sent: data sets as they came, by SOP Instance UID."""

    kept: list[Dataset] = field(default_factory=list)
    received: dict[str, bytes] = field(default_factory=dict)

    @property
    def handlers(self) -> list[tuple[Any, Callable[[Any], Any]]]:
        return [(evt.EVT_C_STORE, self.stores), (evt.EVT_C_FIND, self.finds), (evt.EVT_C_GET, self.gets)]

    def stores(self, event: Any) -> int:
        self.received[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
        return SUCCESS

    def finds(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield from found_among(self.kept, event.identifier)

    def gets(self, event: Any) -> Iterator[Any]:
        wanted = event.identifier.get("SOPInstanceUID", "")
        chosen = [one for one in self.kept if not wanted or one.SOPInstanceUID == wanted]
        yield len(chosen)
        for one in chosen:
            yield PENDING, one

    @contextmanager
    def listening(self, port: int) -> Iterator[None]:
        ae = AE(ae_title="PACS")
        for context in StoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax or "", [EXPLICIT, JPEG_LS], scu_role=True, scp_role=True)
        ae.add_supported_context(FIND)
        ae.add_supported_context(GET)
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=self.handlers)
        try:
            yield
        finally:
            server.shutdown()


# ---- it calls the port


@pytest.fixture(scope="module")
def hospital(port: Port) -> Port:
    """With a study that pynetdicom stored."""
    with associated(port, CTImageStorage) as line:
        for file in FILES:
            assert line.send_c_store(read(file)).Status == SUCCESS
    return port


def test_it_hears_the_echo(port: Port) -> None:
    with associated(port, Verification) as line:
        assert line.send_c_echo().Status == SUCCESS


def test_what_it_stores_is_kept_as_it_came(hospital: Port) -> None:
    kept = hospital.contents(STUDY)
    assert sorted(kept) == [f"{SERIES}.{number}" for number in (1, 2, 3)]
    for number, file in enumerate(FILES, 1):
        assert read(kept[f"{SERIES}.{number}"]) == read(file)


def test_the_same_object_with_other_bytes_is_refused_and_the_first_stays(hospital: Port) -> None:
    other = read(FILES[0])
    other.PixelData = b"\7\7" * 16
    with associated(hospital, CTImageStorage) as line:
        assert line.send_c_store(other).Status == 0x0111
        assert line.send_c_store(read(FILES[0])).Status == SUCCESS, "and the line goes on"
    assert read(hospital.contents(STUDY)[f"{SERIES}.1"]) == read(FILES[0])


@pytest.mark.parametrize(
    ("level", "keys", "returned", "values"),
    [
        ("STUDY", {"PatientName": "NGUYEN*", "StudyInstanceUID": ""}, "StudyInstanceUID", [STUDY]),
        ("STUDY", {"StudyTime": "081530.4-081530.6", "StudyInstanceUID": ""}, "StudyInstanceUID", [STUDY]),
        ("STUDY", {"StudyTime": "081530.6-", "StudyInstanceUID": ""}, "StudyInstanceUID", []),
        ("SERIES", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": ""}, "SeriesInstanceUID", [SERIES]),
        (
            "IMAGE",
            {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": f"{SERIES}.1\\{SERIES}.3"},
            "SOPInstanceUID",
            [f"{SERIES}.1", f"{SERIES}.3"],
        ),
    ],
)
def test_it_finds(hospital: Port, level: str, keys: dict[str, str], returned: str, values: list[str]) -> None:
    with associated(hospital, FIND) as line:
        answers = list(line.send_c_find(question(level, **keys), FIND))
    assert answers[-1][0].Status == SUCCESS
    assert [one[returned].value for _, one in answers[:-1] if one is not None] == values


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_filter_that_is_no_uid_is_told(hospital: Port) -> None:
    with associated(hospital, FIND) as line:
        ((status, nothing),) = line.send_c_find(question("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID="x"), FIND)
    assert status.Status >= 0xA700 and nothing is None


def test_it_gets_objects_over_its_own_association(hospital: Port) -> None:
    archive = Archive()
    with associated(hospital, GET, CTImageStorage, role=True, handlers=archive.handlers[:1]) as line:
        *_, (last, _) = line.send_c_get(question("STUDY", StudyInstanceUID=STUDY), GET)
    assert (last.Status, last.NumberOfCompletedSuboperations) == (SUCCESS, 3)
    assert set(archive.received.values()) == {b"".join(data_set_of([one])) for one in hospital.contents(STUDY).values()}


def test_it_has_objects_moved_to_where_it_listens(make_port: Callable[..., Port]) -> None:
    pacs, archive = listens("PACS"), Archive()
    port = make_port(systems=(pacs, DicomSystem("CT1")))
    compressed = part10(slice_body(4, encapsulated=True), syntax=JPEG_LS)
    assert port.stores(*FILES).code == 0 and port.stores(compressed, options=("-xt",)).code == 0
    with archive.listening(pacs.port), associated(port, MOVE) as line:
        *_, (last, _) = line.send_c_move(question("STUDY", StudyInstanceUID=STUDY), "PACS", MOVE)
    assert (last.Status, last.NumberOfCompletedSuboperations) == (SUCCESS, 4)
    assert archive.received == {uid: b"".join(data_set_of([content])) for uid, content in port.contents(STUDY).items()}


# ---- the node calls it


def test_the_node_finds_and_gets_what_it_keeps(tmp_path: Path) -> None:
    archive, port = Archive(kept=[read(file) for file in FILES]), free_port()
    house = make_house(tmp_path, pacs=(Pacs("archive", ae_title="PACS", host="127.0.0.1", port=port),))
    with archive.listening(port):
        assert look_between(house, "archive", date(2026, 3, 1), date(2026, 3, 31)) == 1
        found = retrieve_study(act(house), RetrieveStudy(STUDY))
        got = {}
        for instance, chunks in found.instances:  # type: ignore[union-attr]
            got[instance.sop_instance_uid] = b"".join(chunks)
    house.storage.close()
    assert got.keys() == {f"{SERIES}.{number}" for number in (1, 2, 3)}
    assert all(same_object([got[f"{SERIES}.{n}"]], [file]) for n, file in enumerate(FILES, 1))
