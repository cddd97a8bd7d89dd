"""Files that old devices write without what stands before a data set: no preamble, or no head at all.

What is missing is put before the file; its own bytes stay as they are. Only a beginning that leaves no doubt counts,
and the whole is walked to its last byte like any other file: nothing is taken for an image by its name.

Source: DICOM PS3.10: 7.1 (preamble, prefix, file meta information), PS3.5: 10.1 (default transfer syntax).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from adapters.dicom.dictionary import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.elements import Walker
from adapters.dicom.file_head import file_head
from adapters.dicom.header_values import uid
from adapters.dicom.sources import PIECE, WHAT, Source
from registry.errors import InvalidValue, Unreadable
from registry.identifiers import check_uid

PREFIX = b"DICM"
_PREAMBLE = 128
_META = {b"\x02\x00\x00\x00": b"UL", b"\x02\x00\x01\x00": b"OB", b"\x02\x00\x02\x00": b"UI", b"\x02\x00\x10\x00": b"UI"}
"""The elements with which a file's own header may begin, and how each is written."""
_DATA = {
    b"\x08\x00\x00\x00": b"UL", b"\x08\x00\x01\x00": b"UL", b"\x08\x00\x05\x00": b"CS", b"\x08\x00\x08\x00": b"CS",
    b"\x08\x00\x12\x00": b"DA", b"\x08\x00\x16\x00": b"UI",
}  # fmt: skip
"""The same for a data set: all that may stand before its SOP class."""
_LONGEST_FIRST = 128
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018


def begins_an_image(beginning: bytes) -> bool:
    """Whether a file begins as one without its head does. A name says nothing."""
    return beginning.startswith(PREFIX) or _is_meta(beginning) or _syntax_of(beginning) is not None


def missing_head(file: BinaryIO) -> bytes:
    """What has to stand before the file so that it is one; nothing for a whole file, and for what is no such file.

    Raises Unreadable for a data set that does not say which object it is.
    """
    beginning = file.read(_PREAMBLE + len(PREFIX))
    file.seek(0)
    if beginning[_PREAMBLE:] == PREFIX:
        return b""
    if beginning.startswith(PREFIX):
        return bytes(_PREAMBLE)
    if _is_meta(beginning):
        return bytes(_PREAMBLE) + PREFIX
    syntax = _syntax_of(beginning)
    return b"" if syntax is None else _head_of(file, syntax)


def _is_meta(beginning: bytes) -> bool:
    return beginning[4:6] == _META.get(beginning[:4], b"??")


def _syntax_of(beginning: bytes) -> str | None:
    """The transfer syntax of a data set that begins so; None for anything else."""
    written = _DATA.get(beginning[:4])
    if written is None or len(beginning) < 12:
        return None
    if beginning[4:6] == written:
        return EXPLICIT_LITTLE if int.from_bytes(beginning[6:8], "little") <= _LONGEST_FIRST else None
    return IMPLICIT_LITTLE if int.from_bytes(beginning[4:8], "little") <= _LONGEST_FIRST else None


def _head_of(file: BinaryIO, syntax: str) -> bytes:
    walker = Walker(
        Source(_pieces(file)), implicit=syntax == IMPLICIT_LITTLE, order="<", keep=_is_wanted, nested=_nothing
    )
    found = walker.until(lambda tag: tag > _SOP_INSTANCE)
    file.seek(0)
    try:
        names = [check_uid(uid(found.bytes(tag)), "UID") for tag in (_SOP_CLASS, _SOP_INSTANCE)]
    except InvalidValue as error:
        raise Unreadable(WHAT, "has no head, and does not say which object it is") from error
    return file_head(names[0], names[1], syntax)


def _is_wanted(tag: int, vr: str, length: int) -> bool:
    return tag in (_SOP_CLASS, _SOP_INSTANCE) and length <= _LONGEST_FIRST


def _nothing(tag: int, vr: str, length: int) -> bool:
    return False


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.read, PIECE), b"")
