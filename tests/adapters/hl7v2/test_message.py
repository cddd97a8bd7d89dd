"""A message is read in time and memory that its bytes allow, and means what its sender wrote."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import pytest
from samples import FOLDER, message, sample

from adapters.hl7v2.errors import BadValue, Hl7Fault, Malformed
from adapters.hl7v2.files import iter_messages
from adapters.hl7v2.framing import Framer, Oversized, framed
from adapters.hl7v2.message import MAX_MESSAGE, Delimiters, Message, read_message
from registry.errors import TooLarge

HEAD = b"MSH|^~\\&|HIS|BV|||20261123||ADT^A04|1|P|2.5|||||VNM|UNICODE UTF-8\r"
NAME = "Đặng Thị Thuỳ Dương"


def pid(name: str, charset: str, told: str) -> bytes:
    head = HEAD.replace(b"UNICODE UTF-8", told.encode())
    return head + f"PID|||A1||{name}\r".encode(charset)


def name_of(data: bytes) -> tuple[str, list[str]]:
    read = read_message(data)
    return read.one("PID").text(5), read.deviations


def in_1258(text: str) -> bytes:
    from adapters.hl7v2.charsets import encode

    return encode(text, "cp1258")[0]


def test_parts_are_found_where_the_standard_puts_them() -> None:
    read = message("adt_a04")
    assert read.kind == ("ADT", "A04") and read.control_id == "M1" and read.header.field(2) == "^~\\&"
    found = read.one("PID").repetitions(3)
    assert [each.text(1) for each in found] == ["A1", "001990900001", "GD4272799900001"]
    assert (found[1].text(4, 2), found[1].text(5), found[1].location) == ("1.2.704.1", "NI", "PID^1^3^2")
    assert read.one("PID").text(99) == "" and not read.one("PID").repetitions(99)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_any_line_end_will_do(end: bytes) -> None:
    read = read_message(sample("adt_a04").replace(b"\r", end))
    assert [segment.name for segment in read.segments] == ["MSH", "EVN", "PID", "PV1"] and not read.deviations


def test_a_line_break_inside_a_text_stays_in_the_text() -> None:
    read = read_message(HEAD + b"OBX|1|FT|||line one\rline two\rNTE|1||x\r")
    assert read.one("OBX").text(5) == "line one\nline two" and read.one("NTE").text(3) == "x"
    assert read.deviations == ["a line break stands unescaped inside a field; kept as text"]
    read = read_message(HEAD + b"OBX|1|FT|||one\nPID|||B2\r")
    assert not list(read.all("PID"))  # LF ends nothing where CR ends segments


def test_other_delimiters_are_taken_from_the_header() -> None:
    read = read_message(b"MSH#*!@%#HIS#BV###20261123##ADT*A04#1#P#2.5\rPID###A1***%1.2%ISO!B2##Ng@S@a\r")
    assert [each.text(1) for each in read.one("PID").repetitions(3)] == ["A1", "B2"]
    assert read.one("PID").first(3).text(4, 2) == "1.2" and read.one("PID").text(5) == "Ng*a"


@pytest.mark.parametrize("head", [b"MSH|^^\\&|", b"MSH|^~A&|", b"MSH||", b"MSHx^~\\&x", b"MSH|^~\\&X5|", b"PID|1", b""])
def test_delimiters_that_cannot_separate_are_refused(head: bytes) -> None:
    with pytest.raises(Malformed):
        read_message(head + b"HIS\r")


def test_escapes_become_text_and_are_never_cut_again() -> None:
    raw = "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\.br\\g\\X0D\\PID|"
    read = read_message(HEAD + f"OBX|1|FT|||{raw}\r".encode())
    assert read.one("OBX").text(5) == "a|b^c&d~e\\f\ng\rPID"
    assert not list(read.all("PID"))
    signs = Delimiters()
    everything = "|^~\\&\r\n\x0b\x1c é"
    assert read.unescape(signs.written(everything)) == everything
    assert not set(signs.written(everything)) & set("\r\n\x0b\x1c|^~&")


@pytest.mark.parametrize("raw", ["C:\\temp", "\\", "\\\\", "a\\Q\\b", "\\X0\\", "\\XZZ\\"])
def test_a_backslash_that_is_no_escape_stays(raw: str) -> None:
    assert read_message(HEAD + f"OBX|1|ST|||{raw}\r".encode()).one("OBX").text(5) == raw


def test_utf8_is_read_as_told() -> None:
    assert name_of(pid(NAME, "utf-8", "UNICODE UTF-8")) == (NAME, [])
    assert name_of(pid(NAME, "utf-8", "")) == (NAME, [])


def test_windows_1258_is_read_and_composed() -> None:
    data = HEAD.replace(b"UNICODE UTF-8", b"windows-1258") + b"PID|||A1||" + in_1258(NAME) + b"\r"
    assert name_of(data) == (NAME, [])
    assert name_of(data.replace(b"windows-1258", b"")) == (NAME, ["MSH-18 is missing; read as windows-1258"])


@pytest.mark.parametrize("told", ["8859/1", "ASCII", "windows-1258"])
def test_bytes_that_are_utf8_are_read_so_whatever_is_told(told: str) -> None:
    found, deviations = name_of(pid(NAME, "utf-8", told))
    assert found == NAME and deviations[0].endswith("the bytes are UNICODE UTF-8")


def test_a_wrong_utf8_claim_does_not_lose_the_name() -> None:
    data = HEAD + b"PID|||A1||" + in_1258(NAME) + b"\r"
    assert name_of(data) == (NAME, ["MSH-18 says UNICODE UTF-8, the bytes are windows-1258"])
    assert name_of(pid("Müller", "latin-1", "8859/1")) == ("Müller", [])
    assert name_of(pid("An", "ascii", "KLINGON"))[1] == [
        "MSH-18 names a character set that is not known; the bytes decided"
    ]


def test_bytes_of_no_character_set_are_refused() -> None:
    with pytest.raises(Malformed):
        read_message(HEAD + b"PID|||A1||\xd2\xff\x9d\r")


@pytest.mark.parametrize("inside", [b"\rMSH|^~\\&|X\r", b"\x0bMSH|^~\\&|X", b"\0"])
def test_a_message_inside_a_message_is_refused(inside: bytes) -> None:
    with pytest.raises(Malformed):
        read_message(HEAD + b"PID|||A1||An" + inside)


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """How many calls happen: work, whatever the clock says."""
    calls = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)


def read_all(read: Message) -> None:
    """Every value once, as a curious reader would."""
    for segment in read.segments:
        for number in range(1, 40):
            for each in segment.repetitions(number):
                each.text(1)
                each.text(2, 2)


HOSTILE = {
    "separators": HEAD + b"PID" + b"|" * (5 << 20),
    "components": HEAD + b"PID|||" + b"^" * (5 << 20),
    "repetitions": HEAD + b"PID|||" + b"~" * (5 << 20),
    "subcomponents": HEAD + b"PID|||A^^^" + b"&" * (5 << 20),
    "short segments": HEAD + b"A\r" * 1_000_000,
    "empty lines": HEAD + b"\r" * (5 << 20),
    "no segments": HEAD + b"x\r" * 9_000,
    "escapes": HEAD + b"PID|||" + b"\\" * (5 << 20),
    "escapes with letters": HEAD + b"PID|||" + b"\\a" * (2 << 20),
    "one value": HEAD + b"PID|||" + b"x" * (5 << 20),
    "header": b"MSH" + b"|" * (5 << 20),
    "header without end": b"MSH|^~\\&|" + b"x" * (5 << 20),
    "deep hex": HEAD + b"PID|||\\X" + b"41" * (2 << 20) + b"\\",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_megabytes_cost_little_work_and_memory(name: str) -> None:
    data = HOSTILE[name]
    tracemalloc.start()
    try:
        with counted() as calls:
            with suppress(Hl7Fault):
                read_all(read_message(data))
            assert calls() < 400_000
        assert tracemalloc.get_traced_memory()[1] < 12 * len(data)
    finally:
        tracemalloc.stop()


def test_more_than_the_bounds_is_refused() -> None:
    with pytest.raises(TooLarge):
        read_message(HEAD + b"x" * MAX_MESSAGE)
    with pytest.raises(BadValue):
        read_message(HEAD + b"NTE|1\r" * 10_001)
    with pytest.raises(BadValue):
        read_message(HEAD + b"PID|||" + b"A~" * 1_001).one("PID").repetitions(3)


# ---- frames ----


def test_messages_are_found_wherever_the_bytes_are_cut() -> None:
    stream = b"noise" + framed(b"one") + b"\r\n" + framed(b"two\x0bstill two") + b"\x0bthree\x1c" + framed(b"four")
    whole = [b"one", b"two\x0bstill two", b"three", b"four"]
    assert Framer(100).feed(stream) == whole
    for cut in range(len(stream) + 1):
        framer = Framer(100)
        assert framer.feed(stream[:cut]) + framer.feed(stream[cut:]) == whole
    one_by_one = Framer(100)
    assert [each for place in range(len(stream)) for each in one_by_one.feed(stream[place : place + 1])] == whole
    assert (one_by_one.held, one_by_one.garbage, one_by_one.is_inside) == (0, 0, False)


def test_what_is_no_message_is_counted_and_what_is_too_large_ends() -> None:
    framer = Framer(10)
    assert framer.feed(b"x" * 50 + b"\r\n") == [] and framer.garbage == 50
    assert framer.feed(b"\x0b12345") == [] and (framer.held, framer.garbage) == (5, 0)
    assert framer.feed(b"678901") == [Oversized(b"12345678901")] and framer.held == 0


# ---- files ----


def test_a_file_may_hold_one_message_or_many() -> None:
    one, two = sample("adt_a04"), sample("oru_ct")
    assert len(list(iter_messages(one))) == 1
    batch = b"FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r" + one + two + b"BTS|2\rFTS|1\r"
    for data in (one + two, framed(one) + framed(two), batch, (one + two).replace(b"\r", b"\r\n")):
        found = [read_message(each) for each in iter_messages(data)]
        assert [each.control_id for each in found] == ["M1", "R1"] and not any(each.deviations for each in found)
        assert found[1].segments[-1].name == "OBX"
    assert list(iter_messages(b"nothing")) == []


def test_every_sample_is_read_without_deviation() -> None:
    for file in sorted(FOLDER.glob("*.hl7")):
        assert read_message(file.read_bytes()).deviations == [], file.name
