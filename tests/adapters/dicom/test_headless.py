"""Files of old devices: what stands before a data set is put there, and nothing is taken for an image that is none."""

from __future__ import annotations

import io

import pytest

from adapters.dicom.headless import begins_an_image, missing_head
from adapters.dicom.part10 import read_instance
from registry.errors import Unreadable
from tests.adapters.dicom.files import CT_IMAGE, OWN, SERIES, STUDY, ct_slice, element, implicit_body, slice_body

WHOLE = ct_slice()
UIDS = (STUDY, SERIES, f"{SERIES}.1")


def read(content: bytes) -> tuple[str, str, str]:
    file = io.BytesIO(content)
    head = missing_head(file)
    found = read_instance(file, size=len(content), own_issuer=OWN, head=head)
    whole = head + content
    assert whole.endswith(content) and found.instance.size == len(whole)
    again = read_instance(io.BytesIO(whole), size=len(whole), own_issuer=OWN)
    assert again == found, "with its head it is a file like any other"
    return found.study.study_instance_uid, found.series.series_instance_uid, found.instance.sop_instance_uid


@pytest.mark.parametrize(
    "content",
    [WHOLE, WHOLE[128:], WHOLE[132:], slice_body(), slice_body(charset=None), implicit_body()],
    ids=["whole", "no preamble", "no prefix", "no head", "no head, SOP class first", "no head, implicit"],
)
def test_a_file_without_its_head_is_read_and_its_bytes_stay(content: bytes) -> None:
    assert begins_an_image(content) or content is WHOLE
    assert read(content) == UIDS


@pytest.mark.parametrize("content", [WHOLE[128:], WHOLE[132:], slice_body(), implicit_body()])
@pytest.mark.parametrize("lost", [1, 40])
def test_a_cut_file_without_its_head_is_refused(content: bytes, lost: int) -> None:
    with pytest.raises(Unreadable):
        read(content[:-lost])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DICM",
        bytes(200),
        b"\x08\x00",
        b"\x08\x00\x05\x00" + b"\xff" * 200,
        b"\x08\x00\x05\x00LO\x0a\x00ISO_IR 192" + bytes(100),
        b"\x02\x00\x10\x00XX" + bytes(200),
        b"\x08\x00\x16\x00UI\x04\x001.2\0" + bytes(100),
        element(0x00080016, "UI", CT_IMAGE.encode()) + element(0x00100010, "PN", b"A"),
        b"MZ" + WHOLE[2:131],
        "Không phải ảnh".encode() * 20,
    ],
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read(content)


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7", b"\x08\x00\x05\x00LO\x0a\x00", b"\x08\x00\x20\x00DA\x08\x00", bytes(132)]
)
def test_only_a_beginning_without_doubt_counts(content: bytes) -> None:
    assert not begins_an_image(content)
