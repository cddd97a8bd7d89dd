"""Studies: the right person, the pixels of the source, and never more than a slice in memory."""

import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian

from hie_node.lab.phantoms import Phantom
from hie_node.lab.studies import SAMPLES, NameStyle, SeriesSpec, StudySpec, uid, write_study

SPEC = StudySpec(
    patient_id="BN0000007",
    family="Nguyễn",
    middle="Thị Thu",
    given="Đào",
    birth_date="19640318",
    sex="F",
    issuer="27001",
    accession_number="2726110200002",
    started=datetime(2026, 11, 2, 8, 45, tzinfo=timezone(timedelta(hours=7))),
    modality="CT",
    body_part="HEAD",
    description="Cắt lớp vi tính sọ não",
    protocol="Sọ não thường quy",
    institution="Bệnh viện Đa khoa Bắc Ninh",
    series=(SeriesSpec(1, "Nhu mô", samples=SAMPLES["CT"], contrast_agent="Iohexol 300"),),
)


def of(modality: str) -> StudySpec:
    if modality == "CT":
        return SPEC
    return replace(SPEC, modality="MR", series=(SeriesSpec(1, "T2W", samples=SAMPLES["MR"]),))


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_sample_images_keep_pixels_and_syntax_under_another_name(modality: str, tmp_path: Path) -> None:
    spec = of(modality)
    for path, name in zip(write_study(spec, tmp_path), SAMPLES[modality], strict=True):
        found, source = dcmread(path), dcmread(str(get_testdata_file(name, download=False)))
        assert found.PixelData == source.PixelData
        assert found.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
        assert (found.Rows, found.BitsStored) == (source.Rows, source.BitsStored)
        assert str(found.PatientName) == "Nguyễn^Đào^Thị Thu"
        assert found.SpecificCharacterSet == "ISO_IR 192"
        assert (found.PatientID, found.IssuerOfPatientID) == ("BN0000007", "27001")
        assert (found.PatientBirthDate, found.PatientSex) == ("19640318", "F")
        assert (found.StudyDate, found.StudyTime) == ("20261102", "084500")
        assert (found.AccessionNumber, found.BodyPartExamined) == ("2726110200002", "HEAD")
        assert found.StudyDescription == "Cắt lớp vi tính sọ não"
        assert found.StudyInstanceUID == spec.study_uid != source.StudyInstanceUID
        assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID


def test_nothing_of_the_person_in_the_sample_is_left(tmp_path: Path) -> None:
    for modality in ("CT", "MR"):
        for path in write_study(of(modality), tmp_path / modality):
            found = dcmread(path)
            assert not [element for element in found if element.tag.is_private]
            assert "OtherPatientIDs" not in found
            assert "OperatorsName" not in found
            assert b"CompressedSamples" not in path.read_bytes()
            assert b"JXD1910" not in path.read_bytes()


def test_several_compressed_syntaxes_are_among_the_samples(tmp_path: Path) -> None:
    found = {str(dcmread(p).file_meta.TransferSyntaxUID) for p in write_study(of("MR"), tmp_path)}
    assert len(found) == 5


def test_uids_are_under_2_25_differ_and_come_back_the_same(tmp_path: Path) -> None:
    uids = [str(dcmread(path).SOPInstanceUID) for path in write_study(of("MR"), tmp_path)]
    assert len(set(uids)) == 5
    assert all(one.startswith("2.25.") and len(one) <= 64 for one in uids)
    assert uid("a", "b") == uid("a", "b") != uid("ab")


@pytest.mark.parametrize(
    ("style", "raw"),
    [("undeclared", "Nguyễn^Đào^Thị Thu".encode()), ("folded", b"NGUYEN THI THU DAO")],
)
def test_dirty_names_arrive_without_a_declared_charset(style: NameStyle, raw: bytes, tmp_path: Path) -> None:
    for path in write_study(replace(SPEC, name_style=style), tmp_path):
        assert raw in path.read_bytes()
        assert "SpecificCharacterSet" not in dcmread(path)


def test_a_generated_study_has_two_series_with_their_parameters(tmp_path: Path) -> None:
    series = (
        SeriesSpec(2, "Nhu mô 5 mm", slices=3, slice_thickness=5.0, kernel="H31s", contrast_agent="Iohexol 300"),
        SeriesSpec(3, "Xương 1,25 mm", slices=4, slice_thickness=1.25, kernel="H60s", region="chest"),
    )
    found = [dcmread(path) for path in write_study(replace(SPEC, series=series), tmp_path)]
    assert [one.InstanceNumber for one in found] == [1, 2, 3, 1, 2, 3, 4]
    assert {one.file_meta.TransferSyntaxUID for one in found} == {ExplicitVRLittleEndian}
    assert [float(one.SliceThickness) for one in found[2:4]] == [5.0, 1.25]
    assert [one.ConvolutionKernel for one in found[2:4]] == ["H31s", "H60s"]
    assert found[0].ContrastBolusAgent == "Iohexol 300"
    assert "ContrastBolusAgent" not in found[3]
    assert len({one.SeriesInstanceUID for one in found}) == 2
    assert len({bytes(one.PixelData) for one in found}) == 7
    assert all(len(one.PixelData) == 512 * 512 * 2 for one in found)
    positions = [float(one.ImagePositionPatient[2]) for one in found[3:]]
    assert positions == [0.0, 1.25, 2.5, 3.75]


def test_a_phantom_looks_like_a_head_in_hounsfield_units() -> None:
    pixels = Phantom("head", 9, seed="x").pixels(4)

    def mean(row: int, column: int) -> float:
        values = [
            int.from_bytes(pixels[2 * (512 * y + x) : 2 * (512 * y + x) + 2], "little")
            for y in range(row - 4, row + 4)
            for x in range(column - 4, column + 4)
        ]
        return sum(values) / len(values) - 1024

    assert mean(20, 20) < -950
    assert abs(mean(150, 180) - 36) < 12
    assert max(int.from_bytes(pixels[i : i + 2], "little") for i in range(0, len(pixels), 2)) < 4096


def test_the_same_seed_gives_the_same_slices() -> None:
    assert Phantom("chest", 5, seed="a").pixels(2) == Phantom("chest", 5, seed="a").pixels(2)
    assert Phantom("chest", 5, seed="a").pixels(2) != Phantom("chest", 5, seed="b").pixels(2)


def test_a_study_of_three_hundred_slices_has_the_size_of_a_real_one(tmp_path: Path) -> None:
    written = 0
    for path in write_study(replace(SPEC, series=(SeriesSpec(1, "Não", slices=300),)), tmp_path):
        assert len(list(tmp_path.iterdir())) == 1  # nothing is written ahead of who reads
        written += path.stat().st_size
        path.unlink()
    assert 157_000_000 < written < 160_000_000


def test_slices_are_never_in_memory_together(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        slices = sum(1 for _ in write_study(replace(SPEC, series=(SeriesSpec(1, "Não", slices=40),)), tmp_path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < slices * 512 * 512 * 2 / 3
