"""The mapping of HL7 v2 senders as the node uses it now, and what another would have made of yesterday's messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adapters.hl7v2.ack import verdict
from adapters.hl7v2.catalogue import exchange_of
from adapters.hl7v2.errors import Hl7Fault
from adapters.hl7v2.mapping import NO_MAPPINGS, SenderMapping, read_mappings
from adapters.hl7v2.message import read_message
from consent.errors import ConsentError
from hie_node import feeds, log
from hie_node.apart import WorkerEnded
from hie_node.house import House
from hie_node.setting_tables import UnsafeSettings
from registry.commands import FeedPatient, LinkPatients, MergePatients, ProvideSubmission
from registry.documents import DocumentEntry
from registry.errors import Gone, InvalidValue, NotFound, RegistryError
from registry.feeds import FeedItem, FeedSearch
from registry.identifiers import mask

FILE = "hl7-mapping.toml"
Mappings = tuple[SenderMapping, ...]
Lines = tuple[str, ...]


class LiveMappings:
    """Read again when the file changes; one that cannot be read is complained of, and the last good one stays."""

    def __init__(self, home: Path) -> None:
        self._file, self._lock = home / FILE, threading.Lock()
        self._seen, self._found = self._stamp(), NO_MAPPINGS
        try:
            self._found = self._read()
        except InvalidValue as error:
            raise UnsafeSettings(f"{self._file}: {error}") from error

    def current(self) -> Mappings:
        stamp = self._stamp()
        with self._lock:
            if stamp != self._seen:
                self._seen = stamp
                try:
                    self._found = self._read()
                except InvalidValue as error:
                    log.fault("hl7 mapping", error, "")
            return self._found

    def _stamp(self) -> int:
        try:
            return self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _read(self) -> Mappings:
        try:
            return read_mappings(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return NO_MAPPINGS
        except UnicodeDecodeError:
            raise InvalidValue("mapping", expected="UTF-8") from None


@dataclass(frozen=True, slots=True)
class Difference:
    """One message that would be read differently: what it says now, and what it would say."""

    item: FeedItem
    before: Lines
    after: Lines


@dataclass(frozen=True, slots=True)
class Trial:
    """`looked_at` messages, those that differ, how many could not be opened any more, and how many cost too much."""

    looked_at: int
    differences: tuple[Difference, ...]
    gone: int = 0
    beyond: int = 0


Compare = Callable[[FeedItem], tuple[Lines, Lines]]


def trial(house: House, compare: Compare, *, feed: str, since: datetime, at_most: int = 100_000) -> Trial:
    """Nothing is changed and nothing is answered; no value of a patient is in what is shown."""
    with house.storage.read() as unit:
        items = list(unit.feeds.find(FeedSearch(feed or feeds.HL7, since=since, limit=at_most)))
    differences, gone, beyond = [], 0, 0
    for item in reversed(items):
        try:
            before, after = compare(item)
        except (Gone, NotFound):
            gone += 1
        except WorkerEnded:
            beyond += 1
        else:
            differences += [Difference(item, before, after)] if before != after else []
    return Trial(len(items) - gone - beyond, tuple(differences), gone, beyond)


def compared(house: House, mappings: Mappings, item: FeedItem) -> tuple[Lines, Lines]:
    """What a message says as the node reads it now, and by another mapping. Raises Gone or NotFound."""
    data = b"".join(feeds.original(house, item))
    return _told(house, data, house.mappings.current()), _told(house, data, mappings)


def _told(house: House, data: bytes, mappings: Mappings) -> Lines:
    """What a message asks for, in words without its patient."""
    from hie_node.hl7v2 import as_meant

    try:
        message, here = as_meant(house, read_message(data), mappings)
        read = exchange_of(message, is_lab=here.is_lab).decode(message, here)
    except (RegistryError, ConsentError, Hl7Fault) as error:
        judged = verdict(error)
        return (f"refused: {judged.number} {judged.location} {judged.text}".replace("  ", " "),)
    lines = [line for command in read.commands for line in _described(command)]
    return (*lines, *(f"note: {note}" for note in (*message.deviations, *read.notes)))


def _described(command: object) -> Iterator[str]:
    if isinstance(command, ProvideSubmission):
        submission = command.submission
        yield f"of patient {mask(submission.patient.identifier.value)}"
        yield from (_document(one.entry) for one in submission.documents)
        if submission.withdrawn and not submission.documents:
            yield "a report is taken back"
        if submission.visit:
            yield f"visit: {submission.visit.kind or 'kind unknown'}, {len(submission.visit.diagnoses)} diagnoses"
    elif isinstance(command, FeedPatient):
        yield f"patient {mask(command.identifier.value)}: {len(command.record.numbers)} further numbers"
    elif isinstance(command, MergePatients):
        yield f"merge of {mask(command.subsumed.value)} into {mask(command.survivor.identifier.value)}"
    elif isinstance(command, LinkPatients):
        yield f"{'link' if command.same else 'unlink'} of {mask(command.first.value)} and {mask(command.second.value)}"
    else:
        yield type(command).__name__


def _document(entry: DocumentEntry) -> str:
    facts = (
        entry.attachment.title,
        entry.attachment.content_type.partition(";")[0],
        f"type {entry.type.code}" if entry.type else "",
        f"examination {entry.examination}" if entry.examination else "",
        f"events {' '.join(event.code for event in entry.events)}" if entry.events else "",
        f"performed {entry.start:%Y-%m-%d %H:%M}" if entry.start else "time of performance unknown",
    )
    return f"document: {', '.join(filter(None, facts))}"
