"""What a hospital's own systems sent, and what became of it: the operator's answer to "did it arrive?"."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One file or message.

    feed        kind and sender: `insurance`, `hl7v2 HIS|BV_BN`
    name        of the file, or the message's own number (MSH-10)
    outcome     `stored`, `replaced`, `unchanged` or `refused`
    digest      SHA-256 of its bytes, and their number
    owner       whose key keeps the bytes; empty where they are not kept here
    kept_as     the content hash where they are a file of their own, empty where they stand in the row
    reasons     why it, or a part of it, was refused
    deviations  what was strange and was overlooked, with how often
    same_as     name of an earlier one with the same bytes
    replayed    when it was read again last
    """

    id: str
    feed: str
    name: str
    received: datetime
    outcome: str
    digest: str
    size: int
    owner: str = ""
    kept_as: str = ""
    documents: int = 0
    reasons: tuple[str, ...] = ()
    deviations: dict[str, int] = field(default_factory=dict)
    same_as: str = ""
    replayed: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedSearch:
    """Newest first. `feed` is a name or the beginning of one."""

    feed: str = ""
    outcome: str = ""
    since: datetime | None = None
    limit: int = 50
