"""C-FIND, C-MOVE and C-GET as viewers and archives use them: DCMTK's tools against a real port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.dicom.file_head import data_set_of
from hie_node.setting_tables import DicomSystem
from tests.adapters.dicom.files import STUDY, ct_slice, implicit_body, part10, slice_body, study_of
from tests.house.dimse.port import Port, Ran, listens, storescp

VIEWER = DicomSystem("VIEWER")


@pytest.fixture(scope="module")
def hospital(port: Port) -> Port:
    """With a study of three slices, and another patient's."""
    other = ct_slice(1, study=f"{STUDY}.9", series=f"{STUDY}.9.1", patient=b"BN-0077", name="Trần^Thị Bình".encode())
    assert port.stores(*study_of(3), other).code == 0
    return port


def finds(port: Port, level: str, *keys: str, root: str = "-S", calling: str = "CT1") -> Ran:
    options = [one for key in (f"QueryRetrieveLevel={level}", *keys) for one in ("-k", key)]
    return port.runs("findscu", "-v", root, *options, calling=calling)


def test_a_patients_studies_are_found_with_their_letters(hospital: Port) -> None:
    ran = finds(hospital, "STUDY", "PatientID=BN-0042", "PatientName", "StudyInstanceUID", "StudyDate")
    assert ran.code == 0 and f"[{STUDY}]" in ran.said, ran.said
    assert "Nguyễn^Văn An" in ran.said and "ISO_IR 192" in ran.said and "20260310" in ran.said
    assert f"{STUDY}.9" not in ran.said


def test_wildcards_dates_and_modalities_narrow(hospital: Port) -> None:
    for keys, found in (
        (("PatientName=NGUYEN*",), True),
        (("PatientName=LE*",), False),
        (("StudyDate=20260301-20260331", "PatientID=BN-0042"), True),
        (("StudyDate=20250101-20251231", "PatientID=BN-0042"), False),
        (("ModalitiesInStudy=MR", "PatientID=BN-0042"), False),
    ):
        assert (f"[{STUDY}]" in finds(hospital, "STUDY", "StudyInstanceUID", *keys).said) is found, keys


def test_each_level_is_answered(hospital: Port) -> None:
    patients = finds(hospital, "PATIENT", "PatientID", "PatientName", root="-P")
    assert "BN-0042" in patients.said and "BN-0077" in patients.said
    series = finds(hospital, "SERIES", f"StudyInstanceUID={STUDY}", "SeriesInstanceUID", "Modality")
    assert f"[{STUDY}.1]" in series.said and "[CT]" in series.said
    images = finds(
        hospital,
        "IMAGE",
        f"StudyInstanceUID={STUDY}",
        f"SeriesInstanceUID={STUDY}.1",
        "SOPInstanceUID",
        "InstanceNumber",
    )
    assert all(f"[{STUDY}.1.{number}]" in images.said for number in (1, 2, 3))


def test_a_key_of_a_level_above_has_to_be_there(hospital: Port) -> None:
    assert "DataSetDoesNotMatchSOPClass" in finds(hospital, "SERIES", "SeriesInstanceUID").said


def test_outside_a_lab_only_listed_systems_are_shown_records(make_port: Callable[..., Port]) -> None:
    port = make_port(systems=(VIEWER, DicomSystem("CT1")))
    assert port.stores(ct_slice()).code == 0
    assert f"[{STUDY}]" in finds(port, "STUDY", "PatientID=BN-0042", "StudyInstanceUID", calling="VIEWER").said
    refused = port.runs("echoscu", "-v", calling="STRANGER")
    assert refused.code != 0 and "Calling AE Title Not Recognized" in refused.said


def test_c_get_brings_the_objects_as_they_were_stored(hospital: Port, tmp_path: Path) -> None:
    (tmp_path / "got").mkdir()
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    ran = hospital.runs("getscu", "-v", "-S", "+B", "-od", str(tmp_path / "got"), *keys)
    assert ran.code == 0, ran.said
    assert objects(tmp_path / "got") == {bytes_of(content) for content in study_of(3)}
    assert "C-GET" in hospital.transactions()


def test_c_move_sends_to_a_listed_archive_only(make_port: Callable[..., Port], tmp_path: Path) -> None:
    pacs = listens("PACS")
    port = make_port(systems=(pacs, DicomSystem("CT1"), VIEWER))
    assert port.stores(*study_of(3)).code == 0
    keys = ("-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={STUDY}", "-k", f"SeriesInstanceUID={STUDY}.1")
    unknown = port.runs("movescu", "-v", "-S", "-aem", "NOWHERE", *keys, calling="VIEWER")
    assert "MoveDestinationUnknown" in unknown.said, unknown.said
    silent = port.runs("movescu", "-v", "-S", "-aem", "PACS", *keys, calling="VIEWER")
    assert "OutOfResourcesSubOperations" in silent.said, silent.said
    with storescp(tmp_path, pacs) as received:
        ran = port.runs("movescu", "-v", "-S", "-aem", "PACS", *keys, calling="VIEWER")
        assert ran.code == 0, ran.said
        assert objects(received) == {bytes_of(content) for content in study_of(3)}


def test_what_the_destination_cannot_take_is_counted_and_not_transcoded(
    make_port: Callable[..., Port], tmp_path: Path
) -> None:
    pacs = listens("PACS")
    port = make_port(systems=(pacs, DicomSystem("CT1"), VIEWER))
    compressed = part10(slice_body(4, encapsulated=True), syntax="1.2.840.10008.1.2.4.80")
    assert port.stores(ct_slice(1)).code == 0 and port.stores(compressed, options=("-xt",)).code == 0
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    with storescp(tmp_path, pacs, "+x=") as received:
        ran = port.runs("movescu", "-v", "-S", "-aem", "PACS", *keys, calling="VIEWER")
        assert "0xb000" in ran.said.lower() or "SubOperationsCompleteOneOrMoreFailures" in ran.said, ran.said
        assert objects(received) == {bytes_of(ct_slice(1))}


def test_an_archive_that_takes_only_the_default_transfer_syntax_gets_that(
    make_port: Callable[..., Port], tmp_path: Path
) -> None:
    pacs = listens("PACS")
    port = make_port(systems=(pacs, DicomSystem("CT1"), VIEWER))
    assert port.stores(ct_slice()).code == 0
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    with storescp(tmp_path, pacs, "+xi") as received:
        ran = port.runs("movescu", "-v", "-S", "-aem", "PACS", *keys, calling="VIEWER")
        assert ran.code == 0, ran.said
        assert objects(received) == {implicit_body(1)}


def objects(folder: Path) -> set[bytes]:
    return {bytes_of(file.read_bytes()) for file in folder.iterdir()}


def bytes_of(content: bytes) -> bytes:
    return b"".join(data_set_of([content]))
