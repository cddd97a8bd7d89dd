"""Images in the log of feeds: one item for each study, sender and day, whichever way its objects came.

Slices are too many for a line each, and an association or a request says nothing to an operator: "did this study
arrive, and what of it was refused?" is what is asked. An object that nobody could read belongs to no study, nor does a
request that could not be read at all; those have an item of their own, one for each sender and day however many come.
The bytes are the study itself, so nothing is kept beside it to be read again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import NAMESPACE_OID, uuid5

from adapters.store.unit import UnitOfWork
from hie_node import feeds
from hie_node.acts import Caller
from hie_node.house import House
from registry.commands import Stored
from registry.errors import StorageUnavailable
from registry.feeds import REFUSED, FeedItem
from registry.local_time import VIET_NAM

UNREAD = "objects that could not be read"
_WAYS = {"C-STORE": "dicom", "RAD-108": "dicomweb"}


@dataclass(frozen=True, slots=True)
class Arrived:
    """What became of objects of one study that came together.

    size     bytes of all of them
    fresh    how many were not here before, those kept aside among them
    refused  why, for each that was
    noted    what was overlooked or waits for somebody, for each
    """

    objects: int
    size: int = 0
    fresh: int = 0
    refused: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


def feed_of(transaction: str, caller: Caller) -> str:
    """`dicom CT1` for an AE title, `dicomweb RIS` for a client, `dicom drop-folder` for files."""
    return f"{_WAYS.get(transaction, 'dicom')} {caller.requester.subject.removeprefix('dicom:')}"


def arrived(stored: Stored, *, size: int) -> Arrived:
    """From what storing them did."""
    return Arrived(
        len(stored.stored) + len(stored.failed) + len(stored.aside),
        size,
        len(stored.stored) - stored.unchanged + len(stored.aside),
        tuple(one.text for one in stored.failed),
        (*(f"kept aside for a registrar, {one.text}" for one in stored.aside), *stored.warnings),
    )


def note(house: House, unit: UnitOfWork, feed: str, study: str, came: Arrived) -> FeedItem:
    """Add it to the study's item of today, in the unit in which it takes effect."""
    now = house.now()
    day = now.astimezone(VIET_NAM).date()
    blank = replace(feeds.new_item(house, feed, study), id=str(uuid5(NAMESPACE_OID, f"{feed} {study} {day}")))
    before = unit.feeds.item(blank.id) or blank
    noted = Counter(before.deviations) + Counter(came.noted)
    made = replace(
        before,
        received=now,
        size=before.size + came.size,
        objects=before.objects + came.objects,
        refused=before.refused + len(came.refused),
        reasons=tuple(dict.fromkeys((*before.reasons, *came.refused)))[: feeds.MOST_LINES],
        deviations=dict(noted.most_common(feeds.MOST_LINES)),
    )
    made = replace(made, outcome=_outcome(before, made, came))
    unit.feeds.save(made)
    return made


def _outcome(before: FeedItem, after: FeedItem, came: Arrived) -> str:
    """That something was refused is what has to be seen; else whether anything was new."""
    if after.refused:
        return REFUSED
    return "stored" if came.fresh or before.outcome == "stored" else "unchanged"


def note_refused(house: House, feed: str, reasons: Iterable[str], *, study: str = UNREAD) -> None:
    """What was refused before anything of it was stored; its sender was told, so a database that is away is no loss."""
    told = tuple(reasons)
    if told:
        with contextlib.suppress(StorageUnavailable), house.storage.begin() as unit:
            note(house, unit, feed, study, Arrived(len(told), refused=told))
