"""Texts that the words of the closed lists hold back: who reads them, and what becomes of them then."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.store.unit import UnitOfWork
from consent.held_texts import Finding, TextReading, as_read, check_reader
from hie_node.acts import Act
from hie_node.flows.changes import change_document
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.permission import consents_for
from registry.coded import UNREVIEWED_TEXT
from registry.documents import DocumentEntry
from registry.errors import NotFound
from registry.people import SourceRecord

LAST = 20
MOST = 200
"""That one look at the queue shows, the newest first: what is wanted next is what was made last."""


@dataclass(frozen=True, slots=True)
class HeldText:
    """One document in the queue, and whose it is."""

    entry: DocumentEntry
    patient: SourceRecord


@dataclass(frozen=True, slots=True)
class Queue:
    """`more` are there than are shown; `read` are those that were decided last."""

    held: tuple[HeldText, ...]
    more: bool
    read: tuple[tuple[TextReading, DocumentEntry], ...]


def waiting(act: Act) -> Queue:
    """Raises ReleaseRefused. Looking at the queue is on record with each patient in it."""
    check_reader(act.caller.requester)
    with act.unit() as unit:
        entries = unit.text_readings.waiting(MOST + 1)
        held = tuple(found for entry in entries[:MOST] if (found := _shown(act, unit, entry)) is not None)
        read = [(one, unit.documents.entry(one.document_id)) for one in unit.text_readings.latest(LAST)]
        return Queue(held, len(entries) > MOST, tuple((one, entry) for one, entry in read if entry is not None))


def _shown(act: Act, unit: UnitOfWork, entry: DocumentEntry) -> HeldText | None:
    """With a row of its own on record for its patient."""
    person = by_record_id(unit, entry.record_id)
    if person is None:
        return None
    one = act.fork()
    one.about(person.first)
    if not one.judge(entry, consents_for(one, unit, person, keep=False)).permit:
        return None
    act.extra_rows.append(one.row())
    return HeldText(entry, person.first)


def held_text(act: Act, document_id: str) -> HeldText:
    """One that waits. Raises NotFound for any other document: this is no way around other doors."""
    check_reader(act.caller.requester)
    with act.unit() as unit:
        entry, person = _document(unit, document_id)
        if UNREVIEWED_TEXT not in entry.sensitivity:
            raise NotFound("document")
        act.about(person.first)
        if not act.judge(entry, consents_for(act, unit, person, keep=False)).permit:
            raise NotFound("document")
        return HeldText(entry, person.first)


def _document(unit: UnitOfWork, document_id: str) -> tuple[DocumentEntry, Identified]:
    """A document with the person whom it is about. Raises NotFound."""
    entry = unit.documents.entry(document_id)
    person = by_record_id(unit, entry.record_id) if entry else None
    if entry is None or person is None:
        raise NotFound("document")
    return entry, person


def decide_text(act: Act, document_id: str, finding: Finding) -> DocumentEntry:
    """Release it, close it, or hold it back again; the same text sent again keeps what was found.

    Raises ReleaseRefused, and NotFound for a document that no words hold back and nobody has read.
    """
    act.action, act.direction = "U", "changed"
    check_reader(act.caller.requester)
    with act.unit() as unit:
        entry, person = _document(unit, document_id)
        content_hash = entry.attachment.content_hash
        before = unit.text_readings.finding(entry.record_id, content_hash)
        if before is None and UNREVIEWED_TEXT not in entry.sensitivity:
            raise NotFound("document")
        act.about(person.first)
        act.items = [entry.id]
        reader = act.caller.requester.subject
        unit.text_readings.save(TextReading(entry.record_id, content_hash, entry.id, finding, reader, act.now))
        labels = as_read(entry.sensitivity, finding)
        if labels != entry.sensitivity:
            entry = replace(entry, sensitivity=labels, version=entry.version + 1, updated=act.now)
            change_document(act, unit, entry)
        return entry
