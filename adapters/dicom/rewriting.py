"""An uncompressed data set written anew in Implicit VR Little Endian, for a receiver that takes nothing else.

The only change that is ever made to an object on its way: values stay byte for byte, their representations are left
out as this transfer syntax has it. Sequences get an undefined length, so that nothing has to be held back.

Source: DICOM PS3.5: 7.1.3 (implicit VR), 7.5 (sequences), 10.1 (default transfer syntax).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from adapters.dicom.elements import DEPTH_LIMIT, LONG_FORM, UNDEFINED
from adapters.dicom.sources import PIECE, WHAT, Source
from registry.errors import Unreadable

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def implicit(data_set: Iterable[bytes]) -> Iterator[bytes]:
    """Explicit VR Little Endian in, Implicit VR Little Endian out. Raises Unreadable."""
    source = Source(iter(data_set))
    while not source.at_end:
        yield from _element(source, 0)


def _element(source: Source, depth: int) -> Iterator[bytes]:
    tag, vr, length = _head(source)
    if vr == b"SQ":
        yield struct.pack("<HHL", tag >> 16, tag & 0xFFFF, UNDEFINED)
        yield from _sequence(source, length, depth + 1)
        return
    if length == UNDEFINED:
        raise Unreadable(WHAT, "an element that cannot be written anew")
    yield struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
    yield from _value(source, length)


def _head(source: Source) -> tuple[int, bytes, int]:
    group, number, vr, short = struct.unpack("<HH2sH", source.read(8))
    long = vr.decode("latin-1") in LONG_FORM
    return group << 16 | number, vr, struct.unpack("<L", source.read(4))[0] if long else short


def _value(source: Source, length: int) -> Iterator[bytes]:
    while length:
        piece = source.read(min(length, PIECE))
        length -= len(piece)
        yield piece


def _sequence(source: Source, length: int, depth: int) -> Iterator[bytes]:
    if depth > DEPTH_LIMIT:
        raise Unreadable(WHAT, f"sequences nested deeper than {DEPTH_LIMIT}")
    end = None if length == UNDEFINED else source.position + length
    while end is None or source.position < end:
        tag, size = _delimiter(source)
        if tag == _SEQUENCE_END and end is None:
            break
        if tag != _ITEM:
            raise Unreadable(WHAT, "a sequence holds something that is no item")
        yield _delimiting(_ITEM, UNDEFINED)
        yield from _item(source, size, depth)
        yield _delimiting(_ITEM_END, 0)
    yield _delimiting(_SEQUENCE_END, 0)


def _item(source: Source, length: int, depth: int) -> Iterator[bytes]:
    end = None if length == UNDEFINED else source.position + length
    while end is None or source.position < end:
        if end is None and source.peek(4) == struct.pack("<HH", _ITEM_END >> 16, _ITEM_END & 0xFFFF):
            source.skip(8)
            return
        yield from _element(source, depth)


def _delimiter(source: Source) -> tuple[int, int]:
    group, number, size = struct.unpack("<HHL", source.read(8))
    return group << 16 | number, size


def _delimiting(tag: int, length: int) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
