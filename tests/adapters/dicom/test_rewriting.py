"""An object written anew in the default transfer syntax says the same, value by value."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread

from adapters.dicom.file_head import data_set_of
from adapters.dicom.rewriting import implicit
from registry.errors import Unreadable
from tests.adapters.dicom.files import (
    IMPLICIT,
    element,
    implicit_body,
    item,
    part10,
    sequence,
    slice_body,
)

NESTED = sequence(
    0x00081140, element(0x00081155, "UI", b"1.2.3") + sequence(0x0040A170, element(0x00080100, "SH", b"X")), b""
)
UNDEFINED = (
    b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff"
    + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + element(0x00400007, "LO", b"CT") + b"\xfe\xff\x0d\xe0\0\0\0\0"
    + b"\xfe\xff\xdd\xe0\0\0\0\0"
)  # fmt: skip


def rewritten(body: bytes) -> bytes:
    return b"".join(implicit(data_set_of([part10(body)])))


def test_plain_elements_keep_their_values() -> None:
    assert rewritten(slice_body(3)) == implicit_body(3)


def test_sequences_say_the_same_however_they_are_delimited() -> None:
    body = slice_body(extra=[(0x00081140, NESTED), (0x00400275, UNDEFINED)])
    before = dcmread(BytesIO(part10(body)))
    after = dcmread(BytesIO(part10(rewritten(body), syntax=IMPLICIT)))
    assert after == before
    assert after.PixelData == before.PixelData


@pytest.mark.parametrize(
    "broken",
    [
        slice_body()[:-5],
        slice_body(encapsulated=True),
        element(0x00081140, "SQ", element(0x00081155, "UI", b"1.2.3")),
        element(0x00081140, "SQ", item(b"")[:6]),
    ],
    ids=["cut", "compressed", "no item", "cut item"],
)
def test_what_is_broken_is_not_made_whole(broken: bytes) -> None:
    with pytest.raises(Unreadable):
        rewritten(broken)


def test_a_nest_without_bottom_ends() -> None:
    body = b""
    for _ in range(100):
        body = sequence(0x00081140, body)
    with pytest.raises(Unreadable):
        rewritten(body)
