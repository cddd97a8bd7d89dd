"""The record to the hospital's own collector of audit messages (IHE ATNA), in its order, nothing left out.

Sealed rows are sent in batches; how far it has come is a row of the database, so that a node that was killed goes on
where it was. What may have been lost on the way comes again: a collector tells rows apart by their time and exchange.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from adapters.syslog import AuditNotDelivered, Collector, deliver, syslog_line
from hie_node import log
from hie_node.house import House

NAME = "atna"
BATCH = 500


def deliver_record(house: House) -> int:
    """Send what the collector has not got yet; returns how many rows. Off unless [atna] names a host."""
    chosen = house.settings.atna
    if not chosen.host:
        return 0
    tls = house.settings.tls
    authority = Path(chosen.authority) if chosen.authority else None
    collector = Collector(chosen.host, chosen.port, authority, tls / "node.crt", tls / "node.key")
    sent = 0
    while lines := tuple(_next_lines(house)):
        try:
            deliver(collector, lines)
        except AuditNotDelivered as failure:
            log.warning("audit messages wait", reason=failure.reason)
            break
        with house.storage.begin() as unit:
            unit.deliveries.reached(NAME, unit.deliveries.position(NAME) + len(lines))
        sent += len(lines)
    return sent


def _next_lines(house: House) -> Iterator[bytes]:
    host = house.settings.house.url.partition("://")[2].partition(":")[0] or "-"
    with house.storage.read() as unit:
        start, last = unit.deliveries.position(NAME), unit.disclosures.last_seal()
        end = min(start + BATCH, last.size if last else 0)
        for _, row in unit.disclosures.sealed_rows(start, end):
            yield syslog_line(row, home=house.home, host=host, process=os.getpid())
