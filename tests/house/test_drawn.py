"""A quick picture of an image, of this hospital or another, drawn where a hostile file can do no harm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import KeyObjectSelectionDocumentStorage, RLELossless

from adapters.dicom.multipart import boundary_of, read_parts
from adapters.dicom.rendered import encode
from adapters.wire import WireRequest
from hie_node.acts import Act, Caller
from hie_node.flows.draw import draw_image
from hie_node.pictures import pencil
from registry.commands import DrawImage
from registry.errors import NotDrawable
from registry.studies import PictureWish
from tests.house.web.scans import SIDE, Scan, sample
from tests.lab import Answer, Hospital, Lab
from tests.papers import LAN, written_request

CT = Scan(LAN, count=3)
IMAGE = f"/dicomweb/studies/{CT.uid}/series/{CT.uid}.1/instances/{CT.image_uid(2)}"


@pytest.fixture
def hospitals(lab: Lab) -> tuple[Hospital, Hospital]:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for hospital in (bac_ninh, bach_mai):
        hospital.registers(LAN)
    bac_ninh.publishes_files(CT.files("bac-ninh"))
    return bac_ninh, bach_mai


def drawn(hospital: Hospital, path: str, accept: str = "image/png") -> Answer:
    return hospital.asked("GET", path, Accept=accept)


def test_an_image_is_drawn_in_the_window_that_it_names_or_that_is_wished_for(
    hospitals: tuple[Hospital, Hospital],
) -> None:
    bac_ninh, _ = hospitals
    answer = drawn(bac_ninh, f"{IMAGE}/rendered")
    picture = Image.open(BytesIO(answer.body))
    assert (answer.status, answer.headers["content-type"], picture.size) == (200, "image/png", (SIDE, SIDE))
    for column, row in ((0, 0), (16, 16), (31, 7)):
        assert picture.getpixel((column, row)) == CT.grey(column, row, 2)
    narrow = Image.open(BytesIO(drawn(bac_ninh, f"{IMAGE}/rendered?window=0,2,linear").body))
    assert {narrow.getpixel((0, 0)), narrow.getpixel((31, 31))} == {0, 255}
    large = Image.open(BytesIO(drawn(bac_ninh, f"{IMAGE}/rendered?viewport=200,100", "image/*").body))
    assert (large.format, large.size) == ("JPEG", (100, 100))


def test_a_small_picture_of_a_study_shows_its_middle(hospitals: tuple[Hospital, Hospital]) -> None:
    bac_ninh, _ = hospitals
    for path in (f"/dicomweb/studies/{CT.uid}", f"/dicomweb/studies/{CT.uid}/series/{CT.uid}.1", IMAGE):
        answer = drawn(bac_ninh, f"{path}/thumbnail")
        picture = Image.open(BytesIO(answer.body))
        assert picture.size == (128, 128)
        assert abs(picture.getpixel((66, 66)) - CT.grey(16, 16, 2)) <= 3


SEVERAL = 'multipart/related; type="image/png"'


def all_pictures(answer: Answer) -> list[Image.Image]:
    assert answer.status == 200, answer.body[:200]
    return [
        Image.open(BytesIO(b"".join(part.chunks)))
        for part in read_parts([answer.body], boundary_of(answer.headers["content-type"], "image/png"))
    ]


@pytest.mark.parametrize("path", [f"/dicomweb/studies/{CT.uid}", f"/dicomweb/studies/{CT.uid}/series/{CT.uid}.1"])
def test_all_images_of_a_study_or_series_come_as_pictures_in_their_order(
    hospitals: tuple[Hospital, Hospital], path: str
) -> None:
    bac_ninh, _ = hospitals
    bac_ninh.publishes_files({"key.dcm": key_object(CT)})
    found = all_pictures(drawn(bac_ninh, f"{path}/rendered", SEVERAL))
    assert [one.getpixel((16, 16)) for one in found] == [CT.grey(16, 16, n) for n in (1, 2, 3)]
    small = all_pictures(drawn(bac_ninh, f"{path}/rendered?viewport=8,8", SEVERAL))
    assert {one.size for one in small} == {(8, 8)}
    anything = drawn(bac_ninh, f"{path}/rendered", "*/*").headers["content-type"]
    assert anything.startswith('multipart/related; type="image/jpeg"')
    bare = Image.open(BytesIO(drawn(bac_ninh, f"{path}/rendered").body))
    assert bare.getpixel((16, 16)) == CT.grey(16, 16, 2), "who takes one picture only gets the middle"
    assert drawn(bac_ninh, f"{path}/rendered", "application/dicom").status == 406
    assert drawn(bac_ninh, f"{path}.9/rendered", SEVERAL).status == 404


def test_the_images_of_another_hospitals_series_are_drawn_here(hospitals: tuple[Hospital, Hospital]) -> None:
    _, bach_mai = hospitals
    path = f"/network/dicomweb/studies/{CT.uid}/series/{CT.uid}.1/rendered"
    assert drawn(bach_mai, path, SEVERAL).status == 404
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_studies(LAN)
    assert len(all_pictures(drawn(bach_mai, path, SEVERAL))) == CT.count
    assert drawn(bach_mai, f"/network{IMAGE}/rendered").status == 200
    received = bach_mai.rows(direction="received", transaction="RAD-107")
    assert [row.complete for row in received] == [True, True], "read to its end, and on record so"


def test_who_leaves_in_the_middle_stops_the_drawing_and_is_on_record_so(hospitals: tuple[Hospital, Hospital]) -> None:
    bac_ninh, _ = hospitals
    act = Act(bac_ninh.house, Caller(bac_ninh.requester(), "house"), "RAD-107")
    result = draw_image(act, DrawImage(CT.uid, PictureWish(), every=True))
    request = WireRequest("GET", f"/studies/{CT.uid}/rendered", "house", "https://localhost/dicomweb", bac_ninh.home)
    body = cast("Generator[bytes]", encode(result, request).body)
    assert b"image/jpeg" in next(body)
    body.close()
    last = bac_ninh.rows(direction="disclosed", transaction="RAD-107")[-1]
    assert (last.complete, bool(last.bytes_sent)) == (False, True)


def test_a_study_without_a_picture_says_so(lab: Lab) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    bac_ninh.registers(LAN)
    bac_ninh.publishes_files({"key.dcm": key_object(CT)})
    assert drawn(bac_ninh, f"/dicomweb/studies/{CT.uid}/rendered", SEVERAL).status == 406


def key_object(scan: Scan) -> bytes:
    """A list of key objects in the same study."""
    made = dcmread(BytesIO(scan.files("bac-ninh")["001.dcm"]))
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(made, keyword)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"{scan.uid}.9.1"
    made.Modality, made.SeriesNumber, made.SeriesInstanceUID = "KO", 9, f"{scan.uid}.9"
    written = BytesIO()
    made.save_as(written)
    return written.getvalue()


def test_another_hospitals_image_is_drawn_here_with_the_request_and_not_without(
    hospitals: tuple[Hospital, Hospital],
) -> None:
    bac_ninh, bach_mai = hospitals
    assert drawn(bach_mai, f"/network{IMAGE}/rendered").status == 404
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_studies(LAN)
    assert drawn(bach_mai, f"/network{IMAGE}/rendered").status == 200
    assert drawn(bach_mai, f"/network/dicomweb/studies/{CT.uid}/thumbnail").status == 200
    assert [row for row in bac_ninh.rows(direction="disclosed", transaction="RAD-107") if row.bytes_sent]
    bach_mai.withdraws(consent)
    bach_mai.works()
    assert drawn(bach_mai, f"/network{IMAGE}/rendered").status == 404


def test_peers_cannot_make_this_node_decode_anything(hospitals: tuple[Hospital, Hospital]) -> None:
    bac_ninh, bach_mai = hospitals
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_studies(LAN)
    assert bach_mai.gets(bac_ninh, f"{IMAGE}/rendered", accept="image/png").status == 404


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("?annotation=patient", "image/png", 400),
        ("?viewport=0,10", "image/png", 400),
        ("?viewport=9999,10", "image/png", 400),
        ("?viewport=10,10,0,0,5,5", "image/png", 400),
        ("?window=1,0,linear", "image/png", 400),
        ("?window=nan,10,linear", "image/png", 400),
        ("?window=1,10,sigmoid", "image/png", 400),
        ("?quality=101", "image/png", 400),
        ("", "video/mp4", 406),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_and_not_ignored(
    hospitals: tuple[Hospital, Hospital], query: str, accept: str, status: int
) -> None:
    assert drawn(hospitals[0], f"{IMAGE}/rendered{query}", accept).status == status


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "MR_truncated.dcm"])
def test_what_cannot_be_decoded_is_said_and_nothing_else_suffers(lab: Lab, name: str) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    bac_ninh.registers(LAN)
    broken = sample(name, LAN, "bac-ninh", "1.2.826.0.1.3680043.10.99.20")["001.dcm"]
    with pencil() as drawing:
        with pytest.raises(NotDrawable):
            drawing.drawn(broken, PictureWish())
        assert drawing.drawn(CT.files("bac-ninh")["001.dcm"], PictureWish())


def test_an_image_that_claims_to_be_enormous_ends_its_own_decoding_only() -> None:
    image = dcmread(BytesIO(CT.files("bac-ninh")["001.dcm"]))
    image.file_meta.TransferSyntaxUID = RLELossless
    image.Rows = image.Columns = 65535
    image.PixelData = encapsulate([b"\x02" + bytes(67)])
    image["PixelData"].is_undefined_length = True
    written = BytesIO()
    image.save_as(written, enforce_file_format=True)
    with pencil() as drawing, pytest.raises(NotDrawable):
        drawing.drawn(written.getvalue(), PictureWish())
    with pencil() as drawing:
        assert drawing.drawn(CT.files("bac-ninh")["002.dcm"], PictureWish())


_LOCKED = """
import os, socket
from hie_node import picture_child
picture_child._lock_away()
for forbidden in (lambda: open("/etc/passwd"), lambda: socket.socket(), os.fork, lambda: os.kill(1, 0),
                  lambda: os.unlink("/tmp/x"), lambda: os.execv("/bin/true", ["true"])):
    try:
        forbidden()
    except PermissionError:
        continue
    raise SystemExit(f"allowed: {forbidden}")
try:
    bytes(3 << 30)
except MemoryError:
    os.write(1, b"locked")
"""


def test_the_process_that_decodes_can_open_nothing_start_nothing_and_not_grow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOCKED], cwd=Path(__file__).parents[2], capture_output=True, timeout=60, check=False
    )
    assert done.stdout == b"locked", done.stderr


def many_frames(scan: Scan, *, packed: bool = False) -> bytes:
    """The three slices as one object of three frames."""
    slices = [dcmread(BytesIO(content)) for _, content in sorted(scan.files("bac-ninh").items())]
    made = slices[0]
    made.PixelData = b"".join(one.PixelData for one in slices)
    made.NumberOfFrames = len(slices)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"{scan.uid}.8.{1 + packed}"
    made.SeriesNumber, made.SeriesInstanceUID = 8, f"{scan.uid}.8"
    if packed:
        made.compress(RLELossless, generate_instance_uid=False)
    written = BytesIO()
    made.save_as(written)
    return written.getvalue()


@pytest.mark.parametrize("packed", [False, True], ids=["as-it-is", "rle"])
def test_each_frame_of_an_object_is_drawn_by_its_number(hospitals: tuple[Hospital, Hospital], packed: bool) -> None:
    bac_ninh, bach_mai = hospitals
    bac_ninh.publishes_files({"cine.dcm": many_frames(CT, packed=packed)})
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_studies(LAN)
    cine = f"/dicomweb/studies/{CT.uid}/series/{CT.uid}.8/instances/{CT.uid}.8.{1 + packed}"
    for hospital, base in ((bac_ninh, cine), (bach_mai, f"/network{cine}")):
        for number in (1, 2, 3):
            answer = drawn(hospital, f"{base}/frames/{number}/rendered")
            assert answer.status == 200, answer.body
            assert Image.open(BytesIO(answer.body)).getpixel((16, 16)) == CT.grey(16, 16, number)
            small = Image.open(BytesIO(drawn(hospital, f"{base}/frames/{number}/thumbnail").body))
            assert abs(small.getpixel((66, 66)) - CT.grey(16, 16, number)) <= 3
        first = Image.open(BytesIO(drawn(hospital, f"{base}/rendered").body))
        assert first.getpixel((16, 16)) == CT.grey(16, 16, 1)
        several = all_pictures(drawn(hospital, f"{base}/frames/3,1/rendered", SEVERAL))
        assert [one.getpixel((16, 16)) for one in several] == [CT.grey(16, 16, n) for n in (3, 1)]
        assert drawn(hospital, f"{base}/frames/1,2/rendered").status == 406, "several pictures are no one picture"
        for absent in ("4", "1,4"):
            assert drawn(hospital, f"{base}/frames/{absent}/rendered", "*/*").status == 404
        for wrong in ("0", "x", "1,", "-1", "1,0", ",".join(["1"] * 1001)):
            assert drawn(hospital, f"{base}/frames/{wrong}/rendered", "*/*").status == 400
        assert drawn(hospital, f"{base}/frames/1,2/thumbnail").status == 400
