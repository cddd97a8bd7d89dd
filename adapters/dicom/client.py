"""A WADO-RS answer of a peer, read part by part while it arrives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adapters.dicom.errors import BrokenMultipart
from adapters.dicom.multipart import DICOM, PARTS_LIMIT, TOTAL_LIMIT, Part, boundary_of, media_type, read_parts
from registry.errors import TooLarge


def parts(
    content_type: str, chunks: Iterable[bytes], *, limit: int = PARTS_LIMIT, total: int = TOTAL_LIMIT
) -> Iterator[Part]:
    """The instances of an answer in order, in constant memory; each is to be read before the next is asked for.

    Raises UnsupportedMedia where the answer is something else, BrokenMultipart where it is cut or malformed, TooLarge
    past `total` bytes. A single instance (`application/dicom`) is one part.
    """
    if media_type(content_type).value == DICOM:
        yield Part({"content-type": content_type}, _bounded(chunks, total))
        return
    for part in read_parts(chunks, boundary_of(content_type), parts=limit, total=total):
        if part.media_type.value != DICOM:
            raise BrokenMultipart(f"a part is not {DICOM}")
        yield part


def _bounded(chunks: Iterable[bytes], total: int) -> Iterator[bytes]:
    left = total
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise TooLarge("answer of a peer", limit=total)
        yield chunk
