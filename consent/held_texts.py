"""Free text that hints at what the law closes: held back until a person has read it and said what it is.

Source: Law 71/2020/QH14 Art. 30; `consent.closed_lists` says which words hold a text back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consent.errors import ReleaseRefused
from consent.requesters import Requester, Role
from registry.coded import HIV, UNREVIEWED_TEXT, CodedValue

READERS = frozenset({Role.DOCTOR, Role.DATA_PROTECTION_OFFICER})
"""Who reads what was held back, and answers for it: a desk is not among those who may know a status."""


class Finding(StrEnum):
    """What the reader found: it may leave, or it must not. `held` takes an earlier finding back."""

    OPEN = "open"
    CLOSED = "closed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class TextReading:
    """One text, by its content: another text, a correction too, is held back again.

    content_hash  SHA-256 of the document, hex
    """

    record_id: str
    content_hash: str
    document_id: str
    finding: Finding
    reader: str
    read: datetime


def check_reader(requester: Requester) -> None:
    """Raise ReleaseRefused for whoever may not say it."""
    if requester.role not in READERS:
        raise ReleaseRefused


def as_read(labels: tuple[CodedValue, ...], finding: Finding | None) -> tuple[CodedValue, ...]:
    """The labels of a document once its text was read: a person releases only what words held back.

    What a person closed stays held back, and what structured data close stays closed, whatever was found.
    """
    if finding is None:
        return labels
    others = tuple(label for label in labels if label != UNREVIEWED_TEXT)
    return others if finding is Finding.OPEN or HIV in labels else (*others, UNREVIEWED_TEXT)
