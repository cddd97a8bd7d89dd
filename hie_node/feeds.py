"""What came from the hospital's own systems: kept as it came, with what became of it, and read again when asked.

The bytes are sealed under a key of their day. Retention destroys that key, and with it every copy in every backup.
Source: design section 11 (erasing a key erases the record); TT 13/2025 (records of an electronic system are kept).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act, Caller
from hie_node.house import House, new_id
from registry.code_maps import CodeGap, Gaps
from registry.errors import NotFound, Unreadable
from registry.feeds import REFUSED, FeedItem, FeedSearch

IN_A_ROW = 64 << 10
"""Bytes up to which an original stands in its row; a longer one is a file of the content store."""

MOST_REPLAYED = 10_000
MOST_LINES = 50
MOST_NAME, MOST_TEXT = 200, 1000
INSURANCE, HL7, CDA, FHIR, SOAP = "insurance", "hl7v2", "cda", "fhir", "soap"


@dataclass(frozen=True, slots=True)
class Kept:
    """The original, durable once the unit that writes its item is."""

    owner: str
    digest: str
    size: int
    sealed: bytes | None = None
    content_hash: str = ""


def keep(house: House, data: bytes) -> Kept:
    """A message."""
    if len(data) > IN_A_ROW:
        return keep_file(house, [data])
    owner = _owner(house.now())
    return Kept(owner, sha256(data).hexdigest(), len(data), sealed=house.contents.seal(owner, data))


def keep_file(house: House, chunks: Iterable[bytes]) -> Kept:
    """A file of any length; durable when this returns."""
    owner = _owner(house.now())
    stored = house.contents.put(owner, chunks, sha1=False)
    return Kept(owner, stored.content_hash, stored.size, content_hash=stored.content_hash)


def _owner(now: datetime) -> str:
    return f"feed:{now.astimezone(UTC):%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Became:
    """What became of an item."""

    outcome: str
    documents: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[CodeGap, ...] = ()


def write(unit: UnitOfWork, item: FeedItem, kept: Kept | None, became: Became) -> FeedItem:
    """The item with what became of it, in this unit; nothing of a patient is in its texts but where they come from."""
    earlier = unit.feeds.first_with(item.digest, other_than=item.id) if item.digest else None
    made = replace(
        item,
        outcome=became.outcome,
        documents=became.documents,
        reasons=lines(became.reasons),
        deviations={_line(note): number for note, number in Counter(became.notes).most_common(MOST_LINES)},
        same_as=earlier.name if earlier else "",
        gaps=became.gaps or (item.gaps if became.outcome == "unchanged" else ()),
    )
    unit.feeds.save(made, sealed=kept.sealed if kept else None)
    return made


def new_item(house: House, feed: str, name: str, kept: Kept | None = None) -> FeedItem:
    """An item of which nothing became yet. A name is one line, whoever chose it."""
    shown = _printed(name)[:MOST_NAME]
    item = FeedItem(new_id(), feed, shown, house.now(), "", "", 0)
    if kept is None:
        return item
    return replace(item, digest=kept.digest, size=kept.size, owner=kept.owner, kept_as=kept.content_hash)


def lines(reasons: Iterable[str]) -> tuple[str, ...]:
    """As many, and as long, as an item tells."""
    return tuple(_line(reason) for reason in islice(reasons, MOST_LINES))


def _line(text: str) -> str:
    return _printed(text)[:MOST_TEXT]


def _printed(text: str) -> str:
    """In one line, and of letters that every database takes."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)


def original(house: House, item: FeedItem) -> Iterator[bytes]:
    """The bytes as they came. Raises Gone after the retention, NotFound where they were never kept here."""
    if item.kept_as:
        return house.contents.open(item.owner, item.kept_as)
    with house.storage.read() as unit:
        sealed = unit.feeds.sealed(item.id)
    if sealed is None:
        raise NotFound("original")
    return iter([house.contents.unseal(item.owner, sealed)])


def open_original(house: House, item: FeedItem, caller: Caller) -> Iterator[bytes]:
    """The bytes, for a person: what they say is not ours to know, so the record names the item instead of a patient."""
    act = Act(house, caller, "feed-original")
    act.items.append(f"feed/{item.id}")
    with act.unit():
        pass
    return original(house, item)


def read_item(house: House, item_id: str) -> FeedItem:
    with house.storage.read() as unit:
        item = unit.feeds.item(item_id)
    if item is None:
        raise NotFound("item of a feed")
    return item


def replay(house: House, item: FeedItem, caller: Caller) -> FeedItem:
    """Read it again as the node reads today: after a mapping or the program was mended. Safe to repeat.

    Meant for a process that can be killed (`hie_node/reading_again.py`).
    """
    read: Callable[[House, FeedItem, Caller], Became] | None = _READERS.get(item.feed.partition(" ")[0])
    if read is None or not item.owner:
        raise Unreadable("item of a feed", f"{item.feed}: {_where_it_is(item)}")
    became = read(house, item, caller)
    with house.storage.begin() as unit:
        return write(unit, replace(item, replayed=house.now()), None, became)


def _where_it_is(item: FeedItem) -> str:
    if item.objects:
        return "send the study again"
    if item.outcome != REFUSED:
        return "it was accepted, and nothing is kept beside what it brought"
    if " " in item.feed:
        return "it was not kept; its sender has to send it again"
    return "its files lie in drop/refused; put them into drop again"


def refused(house: House, feed: str, *, since: datetime) -> list[str]:
    """Ids of what was refused and can be read again here: not a file that was refused before it was kept."""
    with house.storage.read() as unit:
        found = list(unit.feeds.find(FeedSearch(feed, REFUSED, since, MOST_REPLAYED)))
    return [item.id for item in found if item.owner and item.feed.partition(" ")[0] in _READERS]


# imported where they are used: the readers write into this log themselves
def _insurance_again(house: House, item: FeedItem, caller: Caller) -> Became:
    from hie_node import insurance

    return insurance.publish_file(house, original(house, item), caller).became


def _message_again(house: House, item: FeedItem, _: Caller) -> Became:
    from hie_node import hl7v2

    return hl7v2.became(hl7v2.handle(house, b"".join(original(house, item)), replayed=item))


def _clinical_document_again(house: House, item: FeedItem, caller: Caller) -> Became:
    from hie_node import publishing

    return publishing.clinical_document(house, b"".join(original(house, item)), caller)


def _submission_again(house: House, item: FeedItem, caller: Caller) -> Became:
    from hie_node import submission_feeds

    return submission_feeds.again(house, item, caller)


_READERS = {
    INSURANCE: _insurance_again,
    HL7: _message_again,
    CDA: _clinical_document_again,
    FHIR: _submission_again,
    SOAP: _submission_again,
}


@dataclass(frozen=True, slots=True)
class Sender:
    """One feed over some time: how many of each outcome, and what its system does differently from its standard."""

    feed: str
    outcomes: dict[str, int]
    deviations: dict[str, int]


def senders(house: House, *, since: datetime, at_most: int = 100_000) -> list[Sender]:
    with house.storage.read() as unit:
        counted = unit.feeds.counts(since)
        strange: dict[str, Counter[str]] = {feed: Counter() for feed in counted}
        for item in unit.feeds.find(FeedSearch(since=since, limit=at_most)):
            strange[item.feed].update(item.deviations)
    return [Sender(feed, outcomes, dict(strange[feed].most_common(MOST_LINES))) for feed, outcomes in counted.items()]


def gaps(house: House, *, since: datetime, at_most: int = 100_000) -> dict[str, tuple[CodeGap, ...]]:
    """What no map holds of what each feed sent, the most frequent first."""
    counted: dict[str, Gaps] = {}
    with house.storage.read() as unit:
        for item in unit.feeds.find(FeedSearch(since=since, limit=at_most)):
            if item.gaps:
                counted.setdefault(item.feed, Gaps()).merge(item.gaps)
    return {feed: found.found() for feed, found in sorted(counted.items())}


def forget(house: House) -> None:
    """Destroy the keys of days past their time, then their rows: whole days, so that none is half readable."""
    day = house.now().astimezone(UTC) - timedelta(days=house.settings.limits.keep_feeds)
    until = day.replace(hour=0, minute=0, second=0, microsecond=0)
    with house.storage.read() as unit:
        owners = unit.feeds.owners_before(until)
    for owner in owners:
        house.contents.erase(owner)
    with house.storage.begin() as unit:
        unit.feeds.forget_before(until)
