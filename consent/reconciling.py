"""Two hospitals compare what each wrote down of the same exchanges, and name every difference.

Neither learns what it does not know: people and items travel as digests under the exchange's own random id, so only
who has the same row can recognise them. Source: design section 7; IHE ATNA leaves both records apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from consent.disclosures import Disclosure
from registry.identifiers import HomeCommunityId

DISCOVERY, STUDIES, LISTED = "-discovery", "-studies", "-listed"
"""Behind the id of a question, in the holder's record: what was asked beside it, under a token of its own. Who the
patient is there, which studies there are, and what of them is listed before a copy is shown."""
IMAGES = "-images"
"""Behind the id of a manifest: the study that it lists, as a hospital that speaks only SOAP names it."""
PAGE = "-page"
"""And behind all of it: the pages after the first, numbered from 2."""
_BESIDE = re.compile(f"({DISCOVERY}|{STUDIES}|{LISTED})*({PAGE}[0-9]+)?$")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one side has of one exchange.

    who    digest of person, role and purpose
    items  digest of each item that was shown; empty for a refusal, or where nothing came back
    """

    exchange: str
    who: str
    items: frozenset[str]
    recorded: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """What the two records do not say alike. `serious` is False where a late or filtered answer explains it.

    kind  `not-recorded-there`, `not-recorded-here`, `another-person`, `more-here`, `more-there`
    """

    exchange: str
    kind: str
    recorded: datetime
    items: int
    serious: bool


def as_holder(rows: Iterable[Disclosure], asker: HomeCommunityId) -> dict[str, Entry]:
    """What the hospital that holds the records wrote down of that hospital's questions."""
    found: dict[str, Entry] = {}
    for row in rows:
        if row.other == asker and row.requester.home == asker and row.direction in ("disclosed", "refused"):
            _add(found, row, row.items)
    return found


def as_asker(rows: Iterable[Disclosure], *, home: HomeCommunityId, holder: str) -> dict[str, Entry]:
    """What the hospital `home` that asked wrote down; `holder` is the facility code by which it lists their items.

    What it asked for and did not get is no item that was shown.
    """
    found: dict[str, Entry] = {}
    prefix = f"{holder}."
    for row in rows:
        if row.requester.home == home and row.direction in ("asked", "received"):
            came = row.items if row.direction == "received" else ()
            names = (item.removeprefix(prefix).removesuffix(IMAGES) for item in came if item.startswith(prefix))
            _add(found, row, names)
    return found


def _add(found: dict[str, Entry], row: Disclosure, items: Iterable[str]) -> None:
    exchange = _BESIDE.sub("", row.exchange, count=1)
    digests = frozenset(_digest(exchange, item) for item in items)
    asker = row.requester
    known = found.get(exchange)
    if known is not None:
        found[exchange] = replace(known, items=known.items | digests)
        return
    who = _digest(exchange, asker.subject, asker.role.value, asker.purpose.value)
    found[exchange] = Entry(exchange, who, digests, row.recorded)


def _digest(*parts: str) -> str:
    """64 bits are enough to tell apart what one exchange named."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def differences(here: Mapping[str, Entry], there: Mapping[str, Entry]) -> tuple[Difference, ...]:
    """Here is the hospital that asked, there the one that holds; the oldest difference first."""
    found = []
    for exchange in here.keys() | there.keys():
        mine, theirs = here.get(exchange), there.get(exchange)
        if mine is None and theirs is not None:
            found.append(Difference(exchange, "not-recorded-here", theirs.recorded, len(theirs.items), True))
        elif mine is not None and theirs is None:
            if mine.items:  # a question that nobody answered left nothing there
                found.append(Difference(exchange, "not-recorded-there", mine.recorded, len(mine.items), True))
        elif mine is not None and theirs is not None:
            found += _between(mine, theirs)
    return tuple(sorted(found, key=lambda one: (one.recorded, one.exchange, one.kind)))


def _between(mine: Entry, theirs: Entry) -> Iterable[Difference]:
    if mine.who != theirs.who:
        yield Difference(mine.exchange, "another-person", mine.recorded, 0, True)
    if more := mine.items - theirs.items:
        yield Difference(mine.exchange, "more-here", mine.recorded, len(more), True)
    if more := theirs.items - mine.items:
        yield Difference(mine.exchange, "more-there", mine.recorded, len(more), False)
