"""What a hospital's own systems sent, and what became of it: the operator's answer to "did it arrive?"."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from registry.code_maps import CodeGap

REFUSED = "refused"
OUTCOMES = ("stored", "replaced", "unchanged", REFUSED)


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One file or message; or the objects of one study that one sender brought on one day.

    feed        kind and sender: `insurance`, `hl7v2 HIS|BV_BN`
    name        of the file, the message's own number (MSH-10), or the study's UID
    outcome     `stored`, `replaced`, `unchanged` or `refused`
    digest      SHA-256 of its bytes, and their number
    owner       whose key keeps the bytes; empty where they are not kept here
    kept_as     the content hash where they are a file of their own, empty where they stand in the row
    reasons     why it, or a part of it, was refused
    deviations  what was strange and was overlooked, with how often
    same_as     name of an earlier one with the same bytes
    replayed    when it was read again last
    gaps        codes and units in it that no map holds
    objects     DICOM objects that came, and how many of these were `refused`
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
    gaps: tuple[CodeGap, ...] = ()
    objects: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class FeedSearch:
    """Newest first. `feed` is a name or the beginning of one."""

    feed: str = ""
    outcome: str = ""
    since: datetime | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class FileDecision:
    """What a registrar said of a file that could not be placed: it is this patient's, or nobody's here.

    id         of the file as it lay there: its name, its size and when it came
    documents  what was published of it; empty where it was rejected
    place      where its bytes lie now, inside the drop folder
    """

    id: str
    name: str
    decided: datetime
    author: str
    record_id: str | None = None
    documents: tuple[str, ...] = ()
    place: str = ""
    undone: datetime | None = None
    undone_by: str = ""

    @property
    def rejected(self) -> bool:
        return self.record_id is None
