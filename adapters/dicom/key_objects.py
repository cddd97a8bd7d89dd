"""Which images a key object or a presentation state points at, and which object a stored file is.

Source: DICOM PS3.3: A.35.4 (key object selection), C.17.2 (key object document), C.11.11 (presentation state relation).
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.dicom.elements import DataSet
from adapters.dicom.header_values import uid
from adapters.dicom.part10 import read_header

MANIFEST = "113030"
"""Title of a key object that lists a whole study (XDS-I), so that nothing in it stands out (PS3.16: CID 7010)."""

_TITLE, _CODE = 0x0040A043, 0x00080100
_EVIDENCE, _SERIES, _OBJECTS, _IMAGES = 0x0040A375, 0x00081115, 0x00081199, 0x00081140
_REFERENCED = 0x00081155
_SOP_INSTANCE, _STUDY_UID, _SERIES_UID = 0x00080018, 0x0020000D, 0x0020000E
_LISTS = (_EVIDENCE, _SERIES, _OBJECTS, _IMAGES)
_WANTED = frozenset({_TITLE, _CODE, *_LISTS, _REFERENCED})
_LONGEST = 64


def pointed_at(chunks: Iterator[bytes]) -> frozenset[str]:
    """SOP instance UIDs of the images that it points at; none for a manifest. Raises Unreadable."""
    found = read_header(chunks, _keep).dataset
    if any(one.bytes(_CODE).strip().decode("ascii", "replace") == MANIFEST for one in found.items(_TITLE)):
        return frozenset()
    return frozenset(_references(found))


def names_of(chunks: Iterator[bytes]) -> tuple[str, str, str]:
    """Study, series and SOP instance UID as the stored object itself says them. Raises Unreadable."""
    wanted = (_STUDY_UID, _SERIES_UID, _SOP_INSTANCE)
    found = read_header(chunks, lambda tag, vr, length: tag in wanted and length <= _LONGEST).dataset
    study, series, instance = (uid(found.bytes(tag)) for tag in wanted)
    return study, series, instance


def _keep(tag: int, vr: str, length: int) -> bool:
    return tag in _WANTED and (vr == "SQ" or length <= _LONGEST)


def _references(found: DataSet) -> Iterator[str]:
    if named := uid(found.bytes(_REFERENCED)):
        yield named
    for tag in _LISTS:
        for item in found.items(tag):
            yield from _references(item)
