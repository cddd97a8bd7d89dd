"""Where in a stored file a frame or a long value lies. Only heads are read: a frame of a long film costs its own bytes.

Sources: DICOM PS3.5: 8.2 (native pixels), A.4 (encapsulated pixels), PS3.3: C.7.6.3 (image pixel, extended offsets).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adapters.dicom.dictionary import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.elements import PIXELS, UNDEFINED, DataSet, Walker
from adapters.dicom.errors import NotAcceptable
from adapters.dicom.part10 import open_data_set
from adapters.dicom.sources import WHAT, Source
from registry.errors import NotFound, Unreadable

Read = Callable[[int, int | None], Iterator[bytes]]
"""The bytes of a stored file from an offset on, of a length or to the end."""

Span = tuple[int, int]
"""Offset and length in the file."""

OCTETS = "application/octet-stream"
_JPEG_FAMILY = {
    "50": "jpeg",
    "51": "jpeg",
    "57": "jpeg",
    "70": "jpeg",
    "80": "jls",
    "81": "jls",
    "90": "jp2",
    "91": "jp2",
}
_JPEG_FAMILY |= {"92": "jpx", "93": "jpx", "110": "jxl", "111": "jxl", "112": "jxl"}
_JPEG_FAMILY |= {"201": "jphc", "202": "jphc", "203": "jphc"}
_MEDIA = {f"1.2.840.10008.1.2.4.{number}": f"image/{kind}" for number, kind in _JPEG_FAMILY.items()}
_MEDIA |= {"1.2.840.10008.1.2.5": "image/dicom-rle"}
_WRAPPED = "1.2.840.10008.1.2.1.98"
"""Native pixels, each frame in a fragment of its own. Source: DICOM PS3.5: A.4.11."""
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES, _PHOTOMETRIC = (
    0x00280010, 0x00280011, 0x00280002, 0x00280100, 0x00280008, 0x00280004,
)  # fmt: skip
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_WANTED = frozenset({_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES, _PHOTOMETRIC, _EXTENDED_OFFSETS, _EXTENDED_LENGTHS})


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels of one file.

    media_type       of one frame: octets, or the image format that the transfer syntax encapsulates
    transfer_syntax  as a caller is told it; native pixels are little endian bytes, whatever the header was written in
    """

    media_type: str
    transfer_syntax: str
    count: int
    frame: Callable[[int], tuple[Span, ...]]


def media_type_of(transfer_syntax: str) -> str:
    return _MEDIA.get(transfer_syntax, OCTETS)


def locate_pixels(read: Read) -> Pixels:
    """Raises NotFound for an object without pixels, NotAcceptable where frames cannot be had without decoding."""
    head, source, walker = _opened(read)
    dataset = walker.until(PIXELS.__contains__)
    if source.at_end:
        raise NotFound("frames")
    start, length = _value_after(source, walker)
    count = max(1, _count(dataset))
    if length == UNDEFINED:
        if head == _WRAPPED:
            natural, size = _Encapsulated(read, start, dataset, count), _native_size(dataset)
            return Pixels(OCTETS, EXPLICIT_LITTLE, count, lambda number: _cut(natural.frame(number), size))
        media = _MEDIA.get(head)
        if media is None:
            raise NotAcceptable("these pixels are a film, or in a form of their own; retrieve the instance")
        spans = _Encapsulated(read, start, dataset, count)
        return Pixels(media, head, count, spans.frame)
    # an old writer may say nothing of bits; what is one frame is whole all the same
    size = length if count == 1 and _BITS not in dataset.elements else _native_size(dataset)
    if size * count > length:
        raise Unreadable(WHAT, "holds fewer pixels than it announces")
    return Pixels(OCTETS, EXPLICIT_LITTLE, count, lambda number: ((start + size * (number - 1), size),))


def locate_value(read: Read, tag: int) -> Span:
    """A plain value of the outermost level. Raises NotFound."""
    _, source, walker = _opened(read)
    walker.until(lambda found: found >= tag)
    if source.at_end or walker.next_tag() != tag:
        raise NotFound("bulk data")
    start, length = _value_after(source, walker)
    if length == UNDEFINED:
        raise NotFound("bulk data")
    return start, length


def _opened(read: Read) -> tuple[str, Source, Walker]:
    transfer_syntax, source = open_data_set(read(0, None))
    if transfer_syntax in (DEFLATED, EXPLICIT_BIG):
        raise NotAcceptable("the whole instance, as it is stored; it would have to be written anew otherwise")
    implicit = transfer_syntax == IMPLICIT_LITTLE
    wanted = lambda tag, vr, length: tag in _WANTED  # noqa: E731
    return transfer_syntax, source, Walker(source, implicit=implicit, order="<", keep=wanted, nested=_nothing)


def _nothing(tag: int, vr: str, length: int) -> bool:
    return False


def _value_after(source: Source, walker: Walker) -> Span:
    length = walker.head()
    return source.position, length


def _count(dataset: DataSet) -> int:
    text = dataset.bytes(_FRAMES).decode("ascii", "replace").strip(" \0")
    return int(text) if text.isdigit() and len(text) < 7 else 1


def _native_size(dataset: DataSet) -> int:
    """Bytes of one frame; raises NotAcceptable where frames do not begin at whole bytes."""
    samples = dataset.number(_SAMPLES) or 1
    if dataset.bytes(_PHOTOMETRIC).strip(b" \0") == b"YBR_FULL_422":
        samples = 2
    bits = (dataset.number(_ROWS) or 0) * (dataset.number(_COLUMNS) or 0) * samples * (dataset.number(_BITS) or 8)
    if bits % 8 or not bits:
        raise NotAcceptable("frames do not begin at whole bytes; retrieve the instance")
    return bits // 8


def _cut(spans: tuple[Span, ...], size: int) -> tuple[Span, ...]:
    """Without the byte that makes a fragment even. Raises Unreadable where a frame is too short."""
    found: list[Span] = []
    for start, length in spans:
        found.append((start, min(length, size)))
        size -= found[-1][1]
    if size:
        raise Unreadable(WHAT, "holds fewer pixels than it announces")
    return tuple(found)


class _Encapsulated:
    """Fragments behind an offset table, or one fragment a frame."""

    def __init__(self, read: Read, start: int, dataset: DataSet, count: int) -> None:
        self._read, self._count = read, count
        _, size = self._item(start)
        self._first = start + 8 + size
        self._offsets, self._lengths = self._tables(dataset, start + 8, size)

    def frame(self, number: int) -> tuple[Span, ...]:
        if self._lengths:
            return ((self._first + self._offsets[number - 1] + 8, self._lengths[number - 1]),)
        if self._offsets:
            begin = self._first + self._offsets[number - 1]
            end = self._first + self._offsets[number] if number < len(self._offsets) else None
            return tuple(self._fragments(begin, end))
        found = list(self._fragments(self._first, None))
        if self._count == 1:
            return tuple(found)
        if len(found) != self._count:
            raise NotAcceptable("nobody wrote down where a frame begins; retrieve the instance")
        return (found[number - 1],)

    def _tables(self, dataset: DataSet, start: int, size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Extended ones of the header, else the basic one; what does not fit the number of frames is no table."""
        found, lengths = (
            struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])
            for raw in (dataset.bytes(_EXTENDED_OFFSETS), dataset.bytes(_EXTENDED_LENGTHS))
        )
        if len(found) == len(lengths) == self._count:
            return found, lengths
        if size != 4 * self._count:
            return (), ()
        return struct.unpack(f"<{self._count}L", b"".join(self._read(start, size))), ()

    def _fragments(self, begin: int, end: int | None) -> Iterator[Span]:
        at = begin
        while end is None or at < end:
            tag, size = self._item(at)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM or size == UNDEFINED:
                raise Unreadable(WHAT, "a fragment of encapsulated pixels is broken")
            yield at + 8, size
            at += 8 + size

    def _item(self, at: int) -> tuple[int, int]:
        raw = b"".join(self._read(at, 8))
        if len(raw) < 8:
            raise Unreadable(WHAT, "ends in the middle of its pixels")
        group, number, size = struct.unpack("<HHL", raw)
        return group << 16 | number, size
