"""A text as paper: what a report in plain text looks like as PDF, for whoever prints it or takes nothing else.

Capitals that stand alone in a line are headings, as Vietnamese reports are written.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.pdf import MEDIA_TYPE, Block, Heading, Paragraph, write_pdf
from registry.documents import DocumentEntry

__all__ = ["LARGEST", "MEDIA_TYPE", "as_paper", "can_be_paper"]

LARGEST = 256 * 1024
"""Bytes of a text that is laid out; a longer one is given as it is."""

LONGEST_HEADING = 80


def can_be_paper(entry: DocumentEntry, size: int) -> bool:
    return entry.attachment.content_type.partition(";")[0].strip().lower() == "text/plain" and size <= LARGEST


def as_paper(entry: DocumentEntry, content: bytes) -> bytes | None:
    """The PDF; None where it is not known when the text was made, so that it could not be the same twice."""
    made = entry.date or entry.updated
    if made is None:
        return None
    _, _, charset = entry.attachment.content_type.partition("charset=")
    try:
        text = content.decode(charset.strip(' "') or "utf-8", "replace")
    except LookupError:
        text = content.decode("utf-8", "replace")
    title = entry.attachment.title or ""
    language = (entry.attachment.language or "vi").partition("-")[0]
    return write_pdf(_blocks(text), title=title, language=language, created=made, footer=entry.unique_id)


def _blocks(text: str) -> Iterator[Block]:
    for place, part in enumerate(text.strip().split("\n\n")):
        head, _, rest = part.partition("\n")
        is_heading = head.isupper() and len(head) <= LONGEST_HEADING
        if is_heading:
            yield Heading(head, 2 if place else 1)
        if body := (rest if is_heading else part).strip():
            yield Paragraph(body)
