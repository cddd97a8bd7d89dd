"""What systems sent is read again in a process that can be killed, as it was when it came: from the page, by a command.

Whatever made the live door refuse a message may still be in it. Where reading ends with its process a second time, the
item is refused again and says so; what of it was published before that place stays, as of every file that breaks off.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from adapters.hl7v2.errors import BeyondBounds
from adapters.hl7v2.mapping import read_mappings
from adapters.store.codec import dump, load
from consent.errors import ConsentError
from consent.requesters import Requester
from hie_node import feeds, log, mappings
from hie_node.acts import Caller
from hie_node.apart import Answer, Bounds, WorkerEnded, rear_for_caller
from hie_node.file_worker import TOO_MUCH
from hie_node.house import House
from registry.errors import Gone, NotFound, RegistryError, StorageUnavailable, Unreadable
from registry.feeds import REFUSED, FeedItem

AGAIN = Bounds(cpu_seconds=40.0, seconds=3600.0, memory=4 << 30)
"""Four times what the live door gives a message; both attempts fit in the time that the edge waits for a page."""

_TOO_MUCH = {
    feeds.INSURANCE: TOO_MUCH,
    feeds.HL7: f"AE 207 {BeyondBounds()}",
    **dict.fromkeys((feeds.CDA, feeds.FHIR, feeds.SOAP), str(BeyondBounds())),
}
_mappings = lru_cache(1)(read_mappings)


def open_reader(house: House, bounds: Bounds = AGAIN) -> None:
    """Before this process has threads, and with nothing open of the house."""
    house.apart.open(partial(_work, house), bounds)


def call_reader(house: House, at: Path, bounds: Bounds = AGAIN) -> None:
    """In a process that is served; `at` is the door of `rear_again`."""
    house.apart.call(at, bounds)


def rear_again(house: House, listening: socket.socket) -> None:
    """Meant as the `run` of a supervised child."""
    rear_for_caller(listening, partial(_work, house))


@contextmanager
def reader_of(house: House, bounds: Bounds = AGAIN) -> Iterator[None]:
    """For as long as a command needs it."""
    open_reader(house, bounds)
    try:
        yield
    finally:
        house.apart.close()


def replay(house: House, item: FeedItem, caller: Caller) -> FeedItem:
    """The item with what became of it (`feeds.replay`). Raises StorageUnavailable, Gone, NotFound or Unreadable."""
    try:
        _asked(house, {"do": "replay", "item": item.id, "requester": dump(caller.requester)})
    except WorkerEnded:
        log.warning("a kept message or file beyond its bounds; refused")
        return _refuse(house, item, _TOO_MUCH[item.feed.partition(" ")[0]])
    return feeds.read_item(house, item.id)


def replay_all(house: House, ids: Iterable[str], caller: Caller) -> list[FeedItem]:
    """Oldest first. One whose bytes are gone, or that cannot be read again here, says why and stops no other."""
    items = sorted((feeds.read_item(house, one) for one in ids), key=lambda item: item.received)
    became = []
    for item in items:
        try:
            became.append(replay(house, item, caller))
        except (Gone, NotFound, Unreadable) as error:
            became.append(replace(item, outcome=REFUSED, reasons=(str(error),)))
    return became


def compared(house: House, mapping: str, item: FeedItem) -> tuple[mappings.Lines, mappings.Lines]:
    """`mappings.compared`, with the other mapping as it is written. Raises WorkerEnded, Gone, NotFound."""
    told = _asked(house, {"do": "compare", "item": item.id}, mapping.encode())
    before, after = json.loads(told)
    return tuple(before), tuple(after)


def _asked(house: House, task: dict[str, Any], content: bytes = b"") -> bytes:
    told, answer = house.apart.ask(task, content)
    match told["error"]:
        case "":
            return answer
        case "gone":
            raise Gone(told["what"])
        case "not found":
            raise NotFound(told["what"])
        case "unreadable":
            raise Unreadable(told["what"], told["why"])
    raise StorageUnavailable(told["what"], told["why"])


def _refuse(house: House, item: FeedItem, reason: str) -> FeedItem:
    with house.storage.begin() as unit:
        return feeds.write(unit, replace(item, replayed=house.now()), None, feeds.Became(REFUSED, reasons=(reason,)))


def _work(house: House, task: dict[str, Any], content: bytes) -> Answer:
    """In the worker."""
    try:
        item = feeds.read_item(house, task["item"])
        if task["do"] == "compare":
            return {"error": ""}, json.dumps(mappings.compared(house, _mappings(content.decode()), item)).encode()
        _replay(house, item, Caller(load(Requester, task["requester"]), "house"))
    except Gone as error:
        return {"error": "gone", "what": error.what}, b""
    except NotFound as error:
        return {"error": "not found", "what": error.what}, b""
    except Unreadable as error:
        return {"error": "unreadable", "what": error.what, "why": error.reason}, b""
    except StorageUnavailable as error:
        return {"error": "away", "what": error.what, "why": error.reason}, b""
    return {"error": ""}, b""


def _replay(house: House, item: FeedItem, caller: Caller) -> None:
    """A fault of ours refuses this one, so that it does not stand in the way of the others."""
    try:
        feeds.replay(house, item, caller)
    except (RegistryError, ConsentError, MemoryError):
        raise
    except Exception as error:
        reference = secrets.token_hex(6)
        log.fault("reading again", error, reference)
        _refuse(house, item, f"could not be read, through no fault of its own; reference {reference} of the node's log")
