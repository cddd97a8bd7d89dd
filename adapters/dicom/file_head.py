"""The head of a Part-10 file: put before a data set that came over the network, taken off before one goes out.

The data set itself stays as it is, byte for byte. The head says nothing of who sent it, so that the same object is
the same file whoever sends it again.

Source: DICOM PS3.10 section 7.1 (file meta information).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from adapters.dicom.elements import Walker
from adapters.dicom.network.pdu import IMPLEMENTATION, IMPLEMENTATION_NAME
from adapters.dicom.sources import Source

_PREAMBLE = 128


def file_head(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """What makes a file of a data set in this transfer syntax."""
    meta = struct.pack("<HH2sxxL2s", 2, 1, b"OB", 2, b"\0\1")
    for number, value in ((2, sop_class), (3, sop_instance), (16, transfer_syntax), (18, IMPLEMENTATION)):
        meta += _text(number, b"UI", value, b"\0")
    meta += _text(19, b"SH", IMPLEMENTATION_NAME, b" ")
    return bytes(_PREAMBLE) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta


def _text(number: int, vr: bytes, value: str, pad: bytes) -> bytes:
    text = value.encode("ascii")
    text += pad * (len(text) % 2)
    return struct.pack("<HH2sH", 2, number, vr, len(text)) + text


def data_set_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data set of a stored file, without its head. Raises Unreadable."""
    source = Source(iter(chunks))
    source.skip(_PREAMBLE + 4)
    Walker(source, implicit=False, order="<", keep=_nothing, nested=_nothing).until(lambda tag: tag >> 16 != 2)
    return source.rest()


def _nothing(tag: int, vr: str, length: int) -> bool:
    return False


def same_object(one: Iterable[bytes], other: Iterable[bytes]) -> bool:
    """Whether two files hold the same data set; their heads may have been written by different programs."""
    left, right = data_set_of(one), data_set_of(other)
    a = b = b""
    while True:
        a, b = a or next(left, b""), b or next(right, b"")
        if not a or not b:
            return not a and not b
        shared = min(len(a), len(b))
        if a[:shared] != b[:shared]:
            return False
        a, b = a[shared:], b[shared:]
