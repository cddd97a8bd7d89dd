"""Work that is due, claimed for this process."""

from __future__ import annotations

from adapters.store.jobs import Job
from hie_node.house import House


def claimed(house: House, kind: str, *, lease: float, limit: int) -> list[Job]:
    """Up to `limit` jobs of this kind, for `lease` seconds. Looked for before they are claimed: a node with nothing to
    do writes nothing, and holds up nobody who does."""
    if not is_due(house, kind):
        return []
    with house.storage.begin() as unit:
        return unit.jobs.claim([kind], now=house.now(), lease_seconds=lease, limit=limit)


def is_due(house: House, kind: str) -> bool:
    with house.storage.read() as unit:
        return unit.jobs.is_due(kind, house.now())
