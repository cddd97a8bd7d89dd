"""Bodies of many parts, whole, cut and hostile, however the network slices them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from adapters.dicom.client import parts
from adapters.dicom.errors import BrokenMultipart, MissingEndBoundary, TooManyParts, UnsupportedMedia, WrongBoundary
from adapters.dicom.multipart import Writer, boundary_of, read_parts, spooled
from registry.errors import StorageUnavailable, TooLarge

OPEN_FILES = Path("/proc/self/fd")
TYPE = 'multipart/related; type="application/dicom"; boundary=edge'


def sliced(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def contents(body: bytes, *, size: int = 7, boundary: str = "edge", **limits: int) -> list[bytes]:
    return [b"".join(part.chunks) for part in read_parts(sliced(body, size), boundary, **limits)]


def body_of(*values: bytes, headers: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    return b"".join(b"--edge\r\n" + headers + b"\r\n" + value + b"\r\n" for value in values) + b"--edge--\r\n"


TRICKY = [
    b"plain",
    b"",
    b"\r\n",
    b"--edge",
    b"\r\n--edg",
    b"\r\n--edgeX and more",
    b"\r\n--edge-",
    b"\r\n\r\n--",
    b"a\r\n--edgeedge\r\nb",
    bytes(range(256)) * 3,
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_parts_come_out_as_they_went_in_however_the_network_slices_them(size):
    assert contents(body_of(*TRICKY), size=size) == TRICKY


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_preamble_epilogue_and_padding_are_passed_over(size):
    body = b"ignore me\r\n--edge \t\r\n\r\none\r\n--edge--\r\nepilogue \r\n--edge\r\n"
    assert contents(body, size=size) == [b"one"]


def test_a_body_that_was_cut_anywhere_is_never_taken_for_whole():
    body = body_of(b"first", b"second")
    for at in range(len(body) - 4):
        with pytest.raises(BrokenMultipart):
            contents(body[:at])
    with pytest.raises(MissingEndBoundary):
        contents(body[: len(body) // 2])


def test_a_body_with_another_boundary_than_announced_is_refused():
    for body in (body_of(b"x").replace(b"edge", b"other"), b"", bytes(100_000)):
        with pytest.raises(WrongBoundary):
            contents(body, size=4096)


def test_a_body_without_parts_is_refused():
    with pytest.raises(BrokenMultipart):
        contents(b"--edge--\r\n")


def test_limits_are_kept_before_memory_is_spent():
    with pytest.raises(TooManyParts):
        contents(body_of(*[b"x"] * 6), parts=5)
    with pytest.raises(TooLarge):
        contents(body_of(b"x" * 1000), total=500)
    with pytest.raises(BrokenMultipart, match="headers"):
        contents(body_of(b"x", headers=b"A: " + b"b" * 9000 + b"\r\n"), size=1000)


@pytest.mark.parametrize(
    "headers",
    [b"no colon\r\n", b": no name\r\n", b"A: 1\r\nA: 2\r\n", b"A: 1\r\n folded\r\n", b"A b: 1\r\n", b"\0: 1\r\n"],
)
def test_malformed_headers_of_a_part_are_refused(headers):
    with pytest.raises(BrokenMultipart):
        contents(body_of(b"x", headers=headers))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/dicom",
        "multipart/form-data; boundary=edge",
        'multipart/related; type="text/html"; boundary=edge',
        "\0",
    ],
)
def test_another_kind_of_body_is_unsupported(content_type):
    with pytest.raises(UnsupportedMedia):
        boundary_of(content_type)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a\\b", '"a b "', "é"])
def test_a_boundary_that_the_rules_forbid_is_refused(boundary):
    with pytest.raises(BrokenMultipart):
        boundary_of(f"multipart/related; boundary={boundary}")


def test_quoted_and_bare_parameters_are_read():
    assert boundary_of('Multipart/Related; TYPE="application/dicom"; boundary="a b=c"') == "a b=c"
    assert boundary_of("multipart/related;boundary=edge") == "edge"


def test_what_is_written_is_as_long_as_announced_and_reads_back():
    writer = Writer()
    outgoing = [((("Content-Type", "application/dicom"),), [value]) for value in TRICKY]
    body = b"".join(writer.body(outgoing))
    assert len(body) == writer.length((headers, sum(map(len, chunks))) for headers, chunks in outgoing)
    assert [b"".join(part.chunks) for part in parts(writer.content_type, sliced(body, 11))] == TRICKY


def test_parts_that_nobody_reads_are_passed_over():
    assert len(list(read_parts(sliced(body_of(*TRICKY), 9), "edge"))) == len(TRICKY)


def test_a_peers_answer_with_a_foreign_part_is_broken():
    with pytest.raises(BrokenMultipart):
        list(parts(TYPE, [body_of(b"x", headers=b"Content-Type: text/html\r\n")]))
    with pytest.raises(UnsupportedMedia):
        list(parts("text/html", [b"<html>"]))


def test_a_single_instance_is_one_part_and_keeps_the_limit():
    (only,) = parts("application/dicom; transfer-syntax=1.2", [b"ab", b"c"])
    assert b"".join(only.chunks) == b"abc"
    with pytest.raises(TooLarge):
        [b"".join(part.chunks) for part in parts("application/dicom", [b"ab", b"c"], total=2)]


def test_spooled_parts_outlive_the_request_and_leave_no_file_behind(tmp_path):
    kept = [content for _, content in spooled(read_parts([body_of(*TRICKY)], "edge"), str(tmp_path))]
    assert list(tmp_path.iterdir()) == []
    gc.collect()
    assert [b"".join(content.chunks()) for content in kept] == TRICKY
    assert [b"".join(content.chunks()) for content in kept] == TRICKY
    before = len(list(OPEN_FILES.iterdir()))
    del kept
    gc.collect()
    assert len(list(OPEN_FILES.iterdir())) == before - 1


def test_a_spool_that_cannot_be_written_is_said_before_anything_is_acknowledged(tmp_path):
    with pytest.raises(StorageUnavailable):
        list(spooled(read_parts([body_of(b"x")], "edge"), str(tmp_path / "missing")))


def test_150_mb_flow_through_writer_and_reader_in_constant_memory():
    writer, size, pieces = Writer(), 150 << 20, 1 << 18
    piece = bytes(pieces)

    def stored() -> Iterator[bytes]:
        return islice(iter(lambda: piece, None), size // pieces)

    tracemalloc.start()
    try:
        incoming = parts(writer.content_type, writer.body([((("Content-Type", "application/dicom"),), stored())]))
        received = sum(len(chunk) for part in incoming for chunk in part.chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == size
    assert peak < 8 << 20
