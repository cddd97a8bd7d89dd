"""Files of modalities: what is read from them, and what is refused with a reason."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pydicom
import pytest

from adapters.dicom.header_values import issuer_system
from adapters.dicom.part10 import read_instance
from adapters.dicom.sources import INFLATED_LIMIT
from registry.errors import TooLarge, Unreadable
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.studies import ReadInstance
from tests.adapters.dicom.files import (
    BIG,
    DEFLATED,
    GSPS,
    IMPLICIT,
    JPEG_LS,
    OWN,
    SERIES,
    STUDY,
    ct_slice,
    element,
    item,
    part10,
    sequence,
    slice_body,
)

LIBRARY_FILES = sorted(
    file
    for file in (Path(pydicom.__path__[0]) / "data").rglob("*")
    if file.is_file() and file.suffix not in (".py", ".pyc")
)


def read(content: bytes) -> ReadInstance:
    return read_instance(io.BytesIO(content), size=len(content), own_issuer=OWN)


def refusal(content: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(content)
    return caught.value.reason


def test_a_ct_slice_says_of_whom_and_what_it_is():
    found = read(ct_slice(7))
    assert found.patient == PatientIdentifier(OWN, "BN-0042")
    name = found.demographics.name
    assert name is not None
    assert (name.text, name.family, name.given) == ("Nguyễn Văn An", "Nguyễn", "Văn An")
    assert (str(found.demographics.birth_date), found.demographics.gender) == ("1958-03-21", "male")
    hanoi = timezone(timedelta(hours=7))
    assert found.study.started == datetime(2026, 3, 10, 8, 15, 30, 500_000, tzinfo=hanoi)
    assert (found.study.study_instance_uid, found.study.accession_number) == (STUDY, "ACC1")
    assert found.study.examination == "CT/brain/unknown"
    assert (found.series.series_instance_uid, found.series.modality, found.series.slice_thickness) == (
        SERIES,
        "CT",
        1.25,
    )
    assert (found.instance.number, found.instance.rows, found.instance.columns) == (7, 4, 4)
    assert found.instance.size == len(ct_slice(7))


def test_where_a_slice_lies_and_its_dose_are_read():
    extra = [
        (0x00200032, element(0x00200032, "DS", b"-125\\-125\\-42.5")),
        (0x00189345, element(0x00189345, "FD", struct.pack("<d", 48.5))),
    ]
    found = read(ct_slice(extra=extra))
    assert (found.instance.position, found.series.dose) == (-42.5, 48.5)
    slices = tuple(replace(found.instance, position=place) for place in (-42.5, 10.0, 0.0))
    assert replace(found.series, instances=slices).coverage == 53.75


@pytest.mark.parametrize("file", LIBRARY_FILES, ids=lambda file: file.name)
def test_files_of_many_makers_are_read_or_refused_by_name(file):
    try:
        found = read_instance(file, size=file.stat().st_size, own_issuer=OWN)
    except Unreadable as error:
        assert error.reason
    else:
        assert found.study.study_instance_uid
        assert found.instance.transfer_syntax


def test_most_complete_files_of_many_makers_are_read():
    """A reader that refuses everything would pass the test above."""
    reading = {
        "CT_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_padded.dcm",
        "image_dfl.dcm",
        "JPEG2000.dcm",
        "SC_rgb_rle_2frame.dcm",
        "test-SR.dcm",
        "waveform_ecg.dcm",
        "chrH32.dcm",
        "chrX2.dcm",
    }
    for file in LIBRARY_FILES:
        if file.name in reading:
            read_instance(file, size=file.stat().st_size, own_issuer=OWN)
            reading.discard(file.name)
    assert not reading


def library_file(name: str) -> bytes:
    return next(file for file in LIBRARY_FILES if file.name == name).read_bytes()


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(ct_slice(), id="native"),
        pytest.param(ct_slice(encapsulated=True), id="encapsulated"),
        pytest.param(library_file("MR_small_implicit.dcm"), id="implicit"),
        pytest.param(library_file("MR_small_bigendian.dcm"), id="big endian"),
        pytest.param(library_file("JPEG2000.dcm"), id="JPEG 2000"),
        pytest.param(library_file("image_dfl.dcm"), id="deflated"),
    ],
)
def test_a_cut_file_is_refused_wherever_it_was_cut(whole):
    read(whole)
    for at in {len(whole) * step // 50 for step in range(50)} | {len(whole) - 1, len(whole) - 9}:
        refusal(whole[:at])


def test_a_changed_length_never_gives_another_error_than_unreadable():
    whole = ct_slice()
    for at in range(132, len(whole)):
        for value in (0x00, 0x7F, 0xFF):
            changed = whole[:at] + bytes([value]) + whole[at + 1 :]
            try:
                read(changed)
            except Unreadable:
                continue


@pytest.mark.parametrize("size", [0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFF, 34, 30])
def test_pixels_that_are_not_as_long_as_they_say_are_refused(size):
    pixels = element(0x7FE00010, "OW", bytes(32), length=size)
    refusal(part10(slice_body(extra=[(0x7FE00010, pixels)])))


def test_an_image_whose_pixels_are_missing_is_refused():
    assert "pixels" in refusal(part10(slice_body(extra=[(0x7FE00010, b"")])))


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = sequence(0x00081140, content)
    return content


def nested_without_lengths(depth: int) -> bytes:
    head = struct.pack("<HH", 0x0008, 0x1140) + b"SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return head * depth


def test_sequences_may_be_sixteen_deep_and_no_deeper():
    read(part10(slice_body(extra=[(0x00081140, nested(16))])))
    assert "nested" in refusal(part10(slice_body(extra=[(0x00081140, nested(17))])))


@pytest.mark.parametrize("depth", [17, 400, 4000])
def test_a_nest_without_bottom_is_refused_before_it_is_entered(depth):
    for bomb in (nested_without_lengths(depth), nested(min(depth, 400))):
        assert "nested" in refusal(part10(slice_body(extra=[(0x00081140, bomb)])))


def deflated(body: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return engine.compress(body) + engine.flush()


def test_a_deflated_file_is_read_and_its_padding_byte_is_allowed():
    content = deflated(slice_body())
    assert read(part10(content, syntax=DEFLATED)).patient == PatientIdentifier(OWN, "BN-0042")
    read(part10(content + b"\0", syntax=DEFLATED))
    assert "follow" in refusal(part10(content + b"MZ", syntax=DEFLATED))


def test_a_deflate_bomb_is_stopped_at_its_limit():
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = [engine.compress(slice_body(extra=[(0x7FE00010, element(0x7FE00010, "OW", b"", length=0xFFFFFFF0))]))]
    bomb += [engine.compress(bytes(1 << 20)) for _ in range((INFLATED_LIMIT >> 20) + 1)]
    with pytest.raises(TooLarge):
        read(part10(b"".join(bomb) + engine.flush(), syntax=DEFLATED))


@pytest.mark.parametrize(
    "preamble",
    [b"MZ\x90\0", b"\x7fELF", b"#!/bin/sh\n", b"PK\3\4", b"%PDF-1.7", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"],
)
def test_a_program_in_the_preamble_is_refused(preamble):
    assert "preamble" in refusal(part10(slice_body(), preamble=preamble))


def test_a_harmless_preamble_is_accepted():
    read(part10(slice_body(), preamble=b"II*\0 tiff"))


def test_a_file_without_the_mark_of_dicom_is_refused():
    assert "DICM" in refusal(part10(slice_body(), magic=b"DICN"))
    for content in (b"", b"DICM", bytes(131), bytes(132)):
        refusal(content)


@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E, 0x00080018, 0x00080016])
@pytest.mark.parametrize(
    "uid", [b"", b"../../etc/passwd", b"1.2/3", b"1.2.3\\4", b"1." * 40, b"1.2 3", b"1.2.\xc0\xaf"]
)
def test_a_missing_or_path_like_uid_is_refused(tag, uid):
    reason = refusal(part10(slice_body(extra=[(tag, element(tag, "UI", uid))])))
    assert "passwd" not in reason


def test_a_file_that_names_two_instances_is_refused():
    assert "instances" in refusal(part10(slice_body(), announced="1.2.3.4"))
    read(part10(slice_body(), announced=f"{SERIES}.1"))


def test_an_unknown_transfer_syntax_uid_is_passed_on_and_a_missing_one_refused():
    assert read(part10(slice_body(), syntax="1.2.840.10008.1.2.4.999")).instance.transfer_syntax.endswith("999")
    assert "transfer syntax" in refusal(part10(slice_body(), syntax=""))


def test_what_implicit_files_do_not_say_comes_from_the_dictionary():
    plain = library_file("MR_small_implicit.dcm")
    assert read(plain).instance.transfer_syntax == IMPLICIT
    assert read(library_file("MR_small_bigendian.dcm")).instance.transfer_syntax == BIG
    assert read(plain).instance.rows == read(library_file("MR_small_bigendian.dcm")).instance.rows == 64


def test_a_presentation_state_without_pixels_is_accepted():
    no_image = [
        (0x00280010, b""),
        (0x00280011, b""),
        (0x7FE00010, b""),
        (0x00080016, element(0x00080016, "UI", GSPS.encode())),
    ]
    assert read(part10(slice_body(extra=no_image))).instance.sop_class_uid == GSPS


def test_encapsulated_pixels_are_walked_to_their_delimiter():
    whole = ct_slice(encapsulated=True)
    assert read(whole).instance.rows == 4
    refusal(whole[:-8])
    refusal(whole + b"\0" * 8)
    assert read(part10(slice_body(encapsulated=True), syntax=JPEG_LS)).instance.transfer_syntax == JPEG_LS


# --- the patient ---------------------------------------------------------------------------------------------------


def issued_by(oid: str, kind: str = "ISO") -> bytes:
    return sequence(0x00100024, element(0x00400032, "UT", oid.encode()) + element(0x00400033, "CS", kind.encode()))


def test_the_same_number_of_two_hospitals_is_two_patients():
    here = read(ct_slice())
    there = read(ct_slice(extra=[(0x00100024, issued_by("1.2.704.1"))]))
    named = read(ct_slice(extra=[(0x00100021, element(0x00100021, "LO", b"BV Viet Duc"))]))
    assert here.patient == PatientIdentifier(OWN, "BN-0042")
    assert there.patient == PatientIdentifier("urn:oid:1.2.704.1", "BN-0042")
    assert named.patient == PatientIdentifier(issuer_system("BV Viet Duc"), "BN-0042")
    assert len({here.patient, there.patient, named.patient}) == 3


def test_a_file_without_a_number_has_no_patient_and_shares_none():
    one, other = (read(ct_slice(study=study, patient=b"  ")) for study in (STUDY, STUDY + ".2"))
    assert one.patient is None
    assert one.study.patient != other.study.patient


def other_id(value: str, *, issuer: str = "", kind: str = "") -> bytes:
    return (
        element(0x00100020, "LO", value.encode())
        + element(0x00100021, "LO", issuer.encode())
        + (element(0x00100022, "CS", kind.encode()))
    )


def test_personal_and_insurance_numbers_are_found_where_the_header_says_so():
    listed = sequence(
        0x00101002,
        other_id("001058000123", issuer=NATIONAL_ID),
        other_id("DN4010123456789", issuer=INSURANCE_NUMBER),
        other_id("not a number", issuer=NATIONAL_ID),
        other_id("777", issuer="somebody"),
    )
    assert read(ct_slice(extra=[(0x00101002, listed)])).numbers == (
        PatientIdentifier(NATIONAL_ID, "001058000123"),
        PatientIdentifier(INSURANCE_NUMBER, "DN4010123456789"),
    )


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        (b"ISO_IR 192", "Nguyễn^Văn Ánh".encode(), "Nguyễn Văn Ánh"),
        (None, "Nguyễn^Văn Ánh".encode(), "Nguyễn Văn Ánh"),
        (b"", "NGUYỄN^VĂN ÁNH".encode(), "NGUYỄN VĂN ÁNH"),
        (b"ISO_IR 100", "Đặng^Thùy".encode(), "Đặng Thùy"),
        (b"ISO_IR 100", "Jérôme^Buc".encode("latin-1"), "Jérôme Buc"),
        (None, "Tr\u00e2\u0300n^Minh".encode("cp1258"), "Trần Minh"),
        (None, b"Tr\xc7n^V\xa8n", "Trần Văn"),  # TCVN3
        (None, b"NGUY\xd4n^Th\xde B\xd7nh", "NGUYễn Thị Bình"),
        (None, b"Tr\xc7n^V\xa8nx", "Tr?n V?nx"),
        (b"ISO_IR 192", b"Nguy\xff\xfen^An", "Nguy??n An"),
        (b"MADE UP", "Lê^Lợi".encode(), "Lê Lợi"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada Tarou"),
        (b"ISO_2022_IR_100", b"x\x1b\x1b\x1bq", None),
    ],
)
def test_a_name_is_readable_whatever_charset_was_forgotten(charset, raw, text):
    name = read(ct_slice(name=raw, charset=charset)).demographics.name
    assert name is not None
    assert text is None or name.text == text


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("Trần^Bình^Văn", "Trần Văn Bình"),
        ("TRAN^MAI^THI", "TRAN THI MAI"),
        ("TRAN^THI^MAI", "TRAN THI MAI"),
        ("Lê^Ngọc^Thị", "Lê Thị Ngọc"),
        ("Nguyễn^Thị Lan", "Nguyễn Thị Lan"),
        ("Nguyễn^Lan^Thị^^TS=", "Nguyễn Thị Lan TS"),
        ("Smith^John^Michael", "Smith John Michael"),
    ],
)
def test_a_name_is_told_in_the_order_in_which_it_is_said(raw, said):
    name = read(ct_slice(name=raw.encode(), charset=b"ISO_IR 192")).demographics.name
    assert name is not None and name.text == said


@pytest.mark.parametrize(
    ("written", "birth"),
    [
        (b"19580321", "1958-03-21"),
        (b"19580000", "1958"),
        (b"1958", "1958"),
        (b"1958.03.21", "1958-03-21"),
        (b"19581341", None),
        (b"00000000", None),
        (b"unknown", None),
    ],
)
def test_a_birth_date_keeps_its_precision_and_a_broken_one_costs_no_scan(written, birth):
    found = read(ct_slice(extra=[(0x00100030, element(0x00100030, "DA", written))]))
    assert (str(found.demographics.birth_date) if found.demographics.birth_date else None) == birth


def test_no_reason_repeats_what_the_file_holds():
    whole = ct_slice(name=b"TRAN^THI^MAI", patient=b"SECRET-77")
    for at in range(140, len(whole), 9):
        try:
            read(whole[:at])
        except Unreadable as error:
            assert "TRAN" not in str(error)
            assert "SECRET" not in str(error)


def test_an_instance_is_read_from_the_middle_of_a_larger_file(tmp_path):
    one, two = ct_slice(1), ct_slice(2)
    (tmp_path / "both").write_bytes(one + two)
    found = read_instance(tmp_path / "both", size=len(two), offset=len(one), own_issuer=OWN)
    assert found.instance.number == 2


def test_an_item_longer_than_its_sequence_is_refused():
    inner = item(element(0x00100020, "LO", b"1234"))
    refusal(part10(slice_body(extra=[(0x00101002, element(0x00101002, "SQ", inner, length=len(inner) - 2))])))


def test_a_file_with_two_patient_numbers_is_refused():
    twice = element(0x00100020, "LO", b"BN-0042") + element(0x00100020, "LO", b"BN-0043")
    assert "twice" in refusal(part10(slice_body(extra=[(0x00100020, twice)])))
