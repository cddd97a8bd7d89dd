"""The tables of DICOM: which tag has which value representation and keyword, which charset is which codec.

The only file that knows the library they come from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from pydicom import config
from pydicom.charset import CODES_TO_ENCODINGS, handled_encodings, python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.uid import UID

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"


@lru_cache(maxsize=4096)
def value_representation(tag: int) -> str:
    """The VR of a tag where the file does not carry it; UN for what the standard does not list (private tags)."""
    if tag & 0xFFFF == 0:
        return "UL"
    try:
        return cast(str, dictionary_VR(tag))
    except KeyError:
        return "UN"


def tag_of(keyword: str) -> int | None:
    """The tag of a keyword: PatientID is 0x00100020."""
    tag = tag_for_keyword(keyword)
    return None if tag is None else int(tag)


def keyword_of(tag: int) -> str:
    return cast(str, keyword_for_tag(tag))


def codec(term: str) -> str | None:
    """The Python codec of a defined term of Specific Character Set; None for a term that the standard lacks."""
    return cast("str | None", python_encoding.get(term))


def codec_of_escape(text: bytes) -> tuple[str | None, int]:
    """The codec that an ISO 2022 escape sequence switches to, and how many bytes to drop before decoding with it."""
    length = 4 if text.startswith((b"\x1b$(", b"\x1b$)")) else 3
    name = cast("str | None", CODES_TO_ENCODINGS.get(text[:length]))
    return name, 0 if name in handled_encodings else length


def is_image(sop_class: str) -> bool:
    """Whether objects of this class consist of pixels (CT Image Storage; not a report or a presentation state)."""
    return "Image Storage" in UID(sop_class, validation_mode=config.IGNORE).name
