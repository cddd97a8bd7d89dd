"""Texts that the words of the closed lists hold back, and what people found when they read them."""

from __future__ import annotations

from sqlalchemy import bindparam, or_, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import document, text_reading
from consent.held_texts import Finding, TextReading
from registry.coded import UNREVIEWED_TEXT
from registry.documents import DocumentEntry, DocumentStatus

_ONE = select(text_reading.c.body).where(
    text_reading.c.record_id == bindparam("record_id"), text_reading.c.content_hash == bindparam("content_hash")
)
_LATEST = (
    select(text_reading.c.body)
    .where(text_reading.c.finding != Finding.HELD.value)
    .order_by(text_reading.c.read.desc())
    .limit(bindparam("size"))
)
_WAITING = (
    select(document.c.body)
    .outerjoin(text_reading, text_reading.c.document_id == document.c.id)
    .where(
        document.c.sensitivity != "[]",
        document.c.sensitivity.contains(UNREVIEWED_TEXT.code),
        document.c.status == str(DocumentStatus.CURRENT),
        or_(text_reading.c.finding.is_(None), text_reading.c.finding == Finding.HELD.value),
    )
    .order_by(document.c.performed.desc(), document.c.id.desc())
    .limit(bindparam("size"))
)


class TextReadings(Part):
    """One for each text of a record; the last finding stands."""

    __slots__ = ()

    def save(self, reading: TextReading) -> None:
        values = {
            "record_id": reading.record_id,
            "content_hash": reading.content_hash,
            "document_id": reading.document_id,
            "finding": reading.finding.value,
            "read": moment(reading.read),
            "body": dump(reading),
        }
        upsert(self._connection, text_reading, values)

    def finding(self, record_id: str, content_hash: str) -> Finding | None:
        """None while nobody has read it."""
        found = self._noun(TextReading, _ONE, record_id=record_id, content_hash=content_hash)
        return found.finding if found else None

    def waiting(self, size: int) -> tuple[DocumentEntry, ...]:
        """Those that nobody has read, by when they were made, the newest first."""
        return self._nouns(DocumentEntry, _WAITING, size=size)

    def latest(self, size: int) -> tuple[TextReading, ...]:
        """What was found last, the newest first."""
        return self._nouns(TextReading, _LATEST, size=size)
