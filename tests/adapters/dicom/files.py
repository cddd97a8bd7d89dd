"""Part-10 files built byte by byte, so that each of their faults is meant. All people are invented."""

from __future__ import annotations

import struct
from collections.abc import Iterable

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, JPEG_LS = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.80"
CT_IMAGE, GSPS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.11.1"
STUDY, SERIES = "1.2.826.0.1.99.1", "1.2.826.0.1.99.1.1"
OWN = "urn:oid:1.2.3.4.99"
LONG = {"OB", "OW", "SQ", "UN", "UT"}


def element(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """One element in Explicit VR Little Endian; `length` lies where it is given."""
    value += b"" if len(value) % 2 == 0 else (b"\0" if vr in ("UI", "OB") else b" ")
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (b"\0\0" + struct.pack("<L", size) if vr in LONG else struct.pack("<H", size)) + value


def item(content: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def sequence(tag: int, *items: bytes) -> bytes:
    return element(tag, "SQ", b"".join(item(content) for content in items))


def part10(
    body: bytes, *, syntax: str = EXPLICIT, preamble: bytes = b"", announced: str | None = None, magic: bytes = b"DICM"
) -> bytes:
    meta = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", CT_IMAGE.encode())
    if announced is not None:
        meta += element(0x00020003, "UI", announced.encode())
    meta += element(0x00020010, "UI", syntax.encode())
    return preamble.ljust(128, b"\0") + magic + element(0x00020000, "UL", struct.pack("<L", len(meta))) + meta + body


def slice_body(
    number: int = 1,
    *,
    study: str = STUDY,
    series: str = SERIES,
    patient: bytes = b"BN-0042",
    name: bytes = "Nguyễn^Văn An".encode(),
    charset: bytes | None = b"ISO_IR 192",
    extra: Iterable[tuple[int, bytes]] = (),
    pixels: bytes = b"\1\2" * 16,
    encapsulated: bool = False,
) -> bytes:
    """A CT slice of 4 x 4; `extra` are whole elements by tag, put where they belong (or instead of the same tag)."""
    sop = f"{series}.{number}".encode()
    parts = {
        0x00080016: element(0x00080016, "UI", CT_IMAGE.encode()),
        0x00080018: element(0x00080018, "UI", sop),
        0x00080020: element(0x00080020, "DA", b"20260310"),
        0x00080030: element(0x00080030, "TM", b"081530.5"),
        0x00080050: element(0x00080050, "SH", b"ACC1"),
        0x00080060: element(0x00080060, "CS", b"CT"),
        0x00081030: element(0x00081030, "LO", "CT sọ não".encode()),
        0x00100010: element(0x00100010, "PN", name),
        0x00100020: element(0x00100020, "LO", patient),
        0x00100030: element(0x00100030, "DA", b"19580321"),
        0x00100040: element(0x00100040, "CS", b"M"),
        0x00180050: element(0x00180050, "DS", b"1.25"),
        0x0020000D: element(0x0020000D, "UI", study.encode()),
        0x0020000E: element(0x0020000E, "UI", series.encode()),
        0x00200013: element(0x00200013, "IS", str(number).encode()),
        0x00280010: element(0x00280010, "US", struct.pack("<H", 4)),
        0x00280011: element(0x00280011, "US", struct.pack("<H", 4)),
        0x7FE00010: encapsulate(pixels) if encapsulated else element(0x7FE00010, "OW", pixels),
    }
    if charset is not None:
        parts[0x00080005] = element(0x00080005, "CS", charset)
    parts.update(dict(extra))
    return b"".join(parts[tag] for tag in sorted(parts))


def implicit_body(number: int = 1, **options: object) -> bytes:
    """The same slice in Implicit VR Little Endian."""
    explicit = slice_body(number, **options)  # type: ignore[arg-type]
    body, at = b"", 0
    while at < len(explicit):
        tag, vr = explicit[at : at + 4], explicit[at + 4 : at + 6].decode()
        long = vr in LONG
        size = struct.unpack("<L" if long else "<H", explicit[at + (8 if long else 6) : at + (12 if long else 8)])[0]
        at += 12 if long else 8
        body += tag + struct.pack("<L", size) + explicit[at : at + size]
        at += size
    return body


def encapsulate(pixels: bytes) -> bytes:
    head = struct.pack("<HH", 0x7FE0, 0x0010) + b"OB\0\0" + struct.pack("<L", 0xFFFFFFFF)
    return head + item(b"") + item(pixels) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def ct_slice(number: int = 1, **options: object) -> bytes:
    return part10(slice_body(number, **options))  # type: ignore[arg-type]


def study_of(count: int, **options: object) -> list[bytes]:
    return [ct_slice(number, **options) for number in range(1, count + 1)]
