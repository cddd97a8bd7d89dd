"""An exchange: one family of messages of a standard, as a row. `catalogue.py` lists them, the house does the rest.

Who may send, duplicates, the record, durability and acknowledgement belong to the house and are never written again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.message import Message


@dataclass(frozen=True, slots=True)
class Read:
    """What a message asks for: commands in their order, and what a person should know about how it was understood."""

    commands: tuple[object, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What answers a query beside its acknowledgement: MSH-9 and the segments after MSA and ERR, written."""

    kind: tuple[str, str, str]
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One row.

    name     as its standard names it
    source   standard and section
    events   type and event of MSH-9
    decode   message to commands; raises Hl7Fault and the errors of the rooms
    reply    results of the commands to the answer of a query; None: the acknowledgement is all
    refuse   an error to the answer of a query, and where ERR-2 points
    """

    name: str
    title: str
    source: str
    events: frozenset[tuple[str, str]]
    decode: Callable[[Message, Receiver], Read]
    reply: Callable[[Sequence[Any], Message, Receiver], Reply] | None = None
    refuse: Callable[[Exception, Message], tuple[Reply, str]] | None = None


def events(kind: str, *names: str) -> frozenset[tuple[str, str]]:
    """`events("ADT", "A01", "A04")`."""
    return frozenset((kind, name) for name in names)
