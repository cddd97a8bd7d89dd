"""What is read again is weighed against what was accepted since: a late replay never undoes a later word."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.store.unit import UnitOfWork
from hie_node.house import House
from registry.commands import FeedPatient, MergePatients, ProvideSubmission, RemovePatient
from registry.documents import DocumentStatus
from registry.feeds import REFUSED, FeedItem

STALE = "replayed: a later message of this patient was accepted since; nothing was changed by this one"


def still_news(house: House, commands: Sequence[object], replayed: FeedItem | None) -> list[object]:
    """Of a message that is read again, what no later message has overtaken."""
    if replayed is None:
        return list(commands)
    with house.storage.read() as unit:
        return [each for each in commands if not _is_overtaken(unit, each, replayed)]


def _is_overtaken(unit: UnitOfWork, command: object, replayed: FeedItem) -> bool:
    if isinstance(command, ProvideSubmission):
        submission = command.submission
        hashes = {one.source_key: one.entry.attachment.hash for one in submission.documents if one.source_key}
        return any(
            (entry := unit.documents.by_source_key(key)) is not None
            and entry.updated is not None
            and entry.updated > replayed.received
            and (entry.attachment.hash != hashes.get(key) or entry.status is not DocumentStatus.CURRENT)
            for key in (*hashes, *submission.withdrawn)
        )
    if not isinstance(command, FeedPatient | MergePatients | RemovePatient):
        return replayed.outcome != REFUSED
    if isinstance(command, MergePatients) and replayed.outcome != REFUSED:
        return True
    # of two numbers that become one, the sender has spoken of the one that ends as if it did not
    known = unit.patients.record(command.subsumed if isinstance(command, MergePatients) else command.identifier)
    return known is not None and known.updated is not None and known.updated > replayed.received
