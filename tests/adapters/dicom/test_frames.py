"""Single frames and long values, as a viewer asks for them: the stored bytes, found without decoding anything."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest

from adapters.dicom import dicom_json, rad107_frames
from adapters.dicom.errors import NotAcceptable
from adapters.dicom.multipart import boundary_of, read_parts
from adapters.wire import WireRequest, WireResponse
from registry.commands import RetrievedObject
from registry.errors import InvalidValue, NotFound, Unreadable
from tests.adapters.dicom.files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_LS,
    SERIES,
    STUDY,
    ct_slice,
    element,
    implicit_body,
    item,
    part10,
    slice_body,
)
from tests.adapters.dicom.test_dicomweb import BASE, HOME, header, study_from, whole

OCTETS = 'multipart/related; type="application/octet-stream"'
INSTANCE = f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
SHAPE = {
    0x00280002: element(0x00280002, "US", struct.pack("<H", 1)),
    0x00280008: element(0x00280008, "IS", b"3"),
    0x00280100: element(0x00280100, "US", struct.pack("<H", 16)),
}
WRAPPED = "1.2.840.10008.1.2.1.98"
FRAMES = [bytes([number]) * 32 for number in (1, 2, 3)]


def asked(path: str, accept: str = "*/*") -> WireRequest:
    what, _, value = path.partition("/")
    params = {"study": STUDY, "series": SERIES, "instance": f"{SERIES}.1", {"bulkdata": "tag"}.get(what, what): value}
    return WireRequest("GET", f"{INSTANCE}/{path}", "house", BASE, HOME, params=params, headers={"accept": accept})


def answered(file: bytes, path: str, accept: str = "*/*") -> WireResponse:
    ends: list[bool] = []

    def read(start: int, length: int | None) -> Iterator[bytes]:
        end = len(file) if length is None else start + length
        return (file[at : min(at + 50, end)] for at in range(start, end, 50))

    study = study_from(file)
    request = asked(path, accept)
    rad107_frames.decode(request)
    return rad107_frames.encode(RetrievedObject(study, study.selected()[0], read, ends.append), request)


def parts(response: WireResponse) -> list[tuple[str, bytes]]:
    kind = header(response, "Content-Type")
    root = kind.split('type="')[1].split('"')[0]
    body = whole(response)
    assert header(response, "Content-Length") == str(len(body))
    return [(one.headers["content-type"], b"".join(one.chunks)) for one in read_parts([body], boundary_of(kind, root))]


def native(syntax: str = EXPLICIT) -> bytes:
    make = implicit_body if syntax == IMPLICIT else slice_body
    return part10(make(1, extra=SHAPE.items(), pixels=b"".join(FRAMES)), syntax=syntax)


def fragments(*pieces: bytes, table: bytes = b"") -> bytes:
    """Encapsulated pixels of these fragments."""
    head = struct.pack("<HH", 0x7FE0, 0x0010) + b"OB\0\0" + struct.pack("<L", 0xFFFFFFFF)
    return head + item(table) + b"".join(map(item, pieces)) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def encapsulated(pixels: bytes, **extra: bytes) -> bytes:
    more = {**SHAPE, 0x7FE00010: pixels, **{int(tag[1:], 16): value for tag, value in extra.items()}}
    return part10(slice_body(1, extra=more.items()), syntax=JPEG_LS)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_native_frames_are_their_own_bytes(syntax: str) -> None:
    told = f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert parts(answered(native(syntax), "frames/3,1", OCTETS)) == [(told, FRAMES[2]), (told, FRAMES[0])]


@pytest.mark.parametrize("table", [b"", struct.pack("<3L", 0, 40, 80)], ids=["without a table", "with a table"])
def test_encapsulated_frames_are_found(table: bytes) -> None:
    file = encapsulated(fragments(*FRAMES, table=table))
    told = f"image/jls; transfer-syntax={JPEG_LS}"
    for accept in ("*/*", f"{OCTETS}; transfer-syntax=*", 'multipart/related; type="image/jls"'):
        assert parts(answered(file, "frames/2", accept)) == [(told, FRAMES[1])]


def test_a_frame_of_several_fragments_is_whole() -> None:
    halves = [half for frame in FRAMES for half in (frame[:16], frame[16:])]
    file = encapsulated(fragments(*halves, table=struct.pack("<3L", 0, 48, 96)))
    assert [content for _, content in parts(answered(file, "frames/1,3"))] == [FRAMES[0], FRAMES[2]]
    with pytest.raises(NotAcceptable):
        answered(encapsulated(fragments(*halves)), "frames/1")


def test_extended_offsets_are_followed() -> None:
    offsets = element(0x7FE00001, "UN", struct.pack("<3Q", 0, 40, 80))
    lengths = element(0x7FE00002, "UN", struct.pack("<3Q", 31, 32, 32))
    file = encapsulated(fragments(*FRAMES), _7FE00001=offsets, _7FE00002=lengths)
    assert [content for _, content in parts(answered(file, "frames/1,2"))] == [FRAMES[0][:31], FRAMES[1]]


@pytest.mark.parametrize("table", [b"", struct.pack("<3L", 0, 40, 80)], ids=["without a table", "with a table"])
def test_native_pixels_in_fragments_are_native_frames(table: bytes) -> None:
    wrapped = fragments(*FRAMES, table=table)
    file = part10(slice_body(1, extra={**SHAPE, 0x7FE00010: wrapped}.items()), syntax=WRAPPED)
    told = f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert parts(answered(file, "frames/3,1", OCTETS)) == [(told, FRAMES[2]), (told, FRAMES[0])]
    odd = {**SHAPE, 0x00280010: element(0x00280010, "US", b"\3\0"), 0x00280011: element(0x00280011, "US", b"\3\0")}
    odd |= {0x00280100: element(0x00280100, "US", b"\x08\0"), 0x00280008: element(0x00280008, "IS", b"2")}
    even = [bytes(range(9)) + b"\0", bytes(range(9, 18)) + b"\0"]
    file = part10(slice_body(1, extra={**odd, 0x7FE00010: fragments(*even)}.items()), syntax=WRAPPED)
    assert [content for _, content in parts(answered(file, "frames/1,2", OCTETS))] == [one[:9] for one in even]
    short = part10(slice_body(1, extra={**odd, 0x7FE00010: fragments(even[0][:8], even[1])}.items()), syntax=WRAPPED)
    with pytest.raises(Unreadable):
        answered(short, "frames/1")


def test_one_frame_can_be_had_bare() -> None:
    response = answered(encapsulated(fragments(*FRAMES)), "frames/2", "image/jls")
    assert header(response, "Content-Type") == f"image/jls; transfer-syntax={JPEG_LS}"
    assert whole(response) == FRAMES[1]


@pytest.mark.parametrize(
    ("file", "accept"),
    [
        (encapsulated(fragments(*FRAMES)), OCTETS),
        (encapsulated(fragments(*FRAMES)), 'multipart/related; type="image/jpeg"'),
        (native(), 'multipart/related; type="image/jls"'),
        (native(), "text/html"),
        (part10(b"", syntax=DEFLATED), "*/*"),
        (part10(b"", syntax=BIG), "*/*"),
    ],
    ids=["octets of compressed", "another format", "format of native", "no image", "deflated", "big endian"],
)
def test_nothing_is_transcoded(file: bytes, accept: str) -> None:
    ends: list[bool] = []
    study = study_from(ct_slice())
    read = lambda start, length: iter([file[start : None if length is None else start + length]])  # noqa: E731
    with pytest.raises(NotAcceptable):
        rad107_frames.encode(RetrievedObject(study, study.selected()[0], read, ends.append), asked("frames/1", accept))
    assert ends == [False]


def test_what_is_not_there_is_not_found() -> None:
    for path in ("frames/4", "bulkdata/00420011", "bulkdata/7FE00008"):
        with pytest.raises(NotFound):
            answered(native(), path)
    for path in ("frames/0", "frames/", "frames/1,", "frames/x", "frames/-1", "bulkdata/zz"):
        with pytest.raises(InvalidValue):
            rad107_frames.decode(asked(path))


def test_pixels_that_are_fewer_than_announced_are_refused() -> None:
    file = part10(slice_body(1, extra=SHAPE.items(), pixels=FRAMES[0]))
    with pytest.raises(Unreadable):
        answered(file, "frames/1")


def test_headers_refer_to_what_they_leave_out_and_it_can_be_had() -> None:
    document = b"%PDF-1.7" * 20_000
    file = part10(slice_body(1, extra=[*SHAPE.items(), (0x00420011, element(0x00420011, "OB", document))]))
    found = dicom_json.metadata(iter([file]), BASE + INSTANCE)
    assert found["00420011"] == {"vr": "OB", "BulkDataURI": f"{BASE}{INSTANCE}/bulkdata/00420011"}
    assert found["7FE00010"]["BulkDataURI"].endswith("/bulkdata/7FE00010")
    assert "BulkDataURI" not in json.dumps(dicom_json.metadata(iter([file])))
    assert [content for _, content in parts(answered(file, "bulkdata/00420011", OCTETS))] == [document]
    assert [content for _, content in parts(answered(native(), "bulkdata/7FE00010"))] == FRAMES
