"""Reconcile: what this hospital wrote down of its questions to another, against what that one wrote down of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from adapters.fhir.operations import parameters
from adapters.fhir.record_between_peers import read_entries
from adapters.peers.errors import PeerBroken
from adapters.store.unit import UnitOfWork
from consent.commands import ExchangesListed, ListExchanges
from consent.disclosures import Disclosure
from consent.reconciling import Difference, Entry, as_asker, as_holder, differences
from consent.requesters import Requester, Role
from hie_node.acts import Act
from hie_node.flows.manifests import entry_for
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.house import House
from registry.directory import Peer
from registry.searches import Cursor

MOST_ROWS = 5000
"""Of one answer: some hundred bytes each, within what a peer may answer."""
BATCH = 2000
OVER_SOAP = frozenset({"ITI-38", "ITI-39", "RAD-75"})
SLACK = timedelta(minutes=2)
"""Two clocks, and a question that crosses the edge of the period."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was compared, and what is not alike."""

    here: int
    there: int
    differences: tuple[Difference, ...]

    @property
    def serious(self) -> tuple[Difference, ...]:
        return tuple(one for one in self.differences if one.serious)


def list_exchanges(act: Act, command: ListExchanges) -> ExchangesListed:
    """What is on record here of the asking hospital's own questions: digests under ids that it made itself."""
    asker = act.caller.requester.home
    with act.about_nobody() as unit:
        rows = unit.disclosures.of_other(asker, since=command.since, until=command.until, limit=MOST_ROWS + 1)
        rows = tuple(_as_told(act.house, unit, row) for row in rows)
    more = rows[MOST_ROWS].recorded if len(rows) > MOST_ROWS else None
    if more is not None:  # rows of one moment stay together
        rows = tuple(row for row in rows if row.recorded < more)
    return ExchangesListed(tuple(as_holder(rows, asker).values()), more)


def _as_told(house: House, unit: UnitOfWork, row: Disclosure) -> Disclosure:
    """Over SOAP a thing goes by its entryUUID, and by that the other side wrote it down."""
    if row.transaction not in OVER_SOAP:
        return row
    return replace(row, items=tuple(_told_as(house, unit, item, row.recorded) for item in row.items))


def _told_as(house: House, unit: UnitOfWork, item: str, at: datetime) -> str:
    """The entryUUID of a document at that moment, of a study that of its manifest; of what is gone, as it is kept."""
    entry = unit.documents.entry(item)
    if entry is None:
        study = unit.studies.study(item)
        entry = entry_for(house, unit, study) if study is not None and study.instance_count else None
    elif entry.updated is not None and entry.updated > at:
        earlier = (one for one in unit.documents.versions(item) if one.updated is not None and one.updated <= at)
        entry = max(earlier, key=lambda one: one.version, default=entry)
    return item if entry is None else entry.entry_uuid.removeprefix("urn:uuid:")


def reconcile(house: House, peer: Peer, *, since: datetime, until: datetime) -> Reconciled:
    """Compare both sides over a period. What only the edge of the period explains is no difference."""
    there = _there(house, peer, since - SLACK, until + SLACK)
    here = as_asker(_rows(house, since - SLACK, until + SLACK), home=house.home, holder=str(peer.community.facility))
    within = [one for one in differences(here, there) if since <= one.recorded < until]
    return Reconciled(
        here=sum(since <= one.recorded < until for one in here.values()),
        there=sum(since <= one.recorded < until for one in there.values()),
        differences=tuple(within),
    )


def _there(house: House, peer: Peer, since: datetime, until: datetime) -> dict[str, Entry]:
    """All pages of the peer's answer."""
    found: dict[str, Entry] = {}
    start: datetime | None = since
    while start is not None and start < until:
        listed = _ask(house, peer, start, until)
        for entry in listed.entries:
            known = found.get(entry.exchange)
            both = known.items | entry.items if known else entry.items
            found[entry.exchange] = Entry(entry.exchange, entry.who, both, entry.recorded)
        if listed.more_from is not None and listed.more_from <= start:
            raise PeerBroken("endless", peer.home)
        start = listed.more_from
    return found


def _ask(house: House, peer: Peer, since: datetime, until: datetime) -> ExchangesListed:
    period = [{"name": n, "valueInstant": v.isoformat()} for n, v in (("since", since), ("until", until))]
    asker = Requester("reconcile", Role.SYSTEM, house.home)
    answer = call_peer(
        house, Asking(asker), peer, method="POST", path="/fhir/AuditEvent/$exchanges",
        body=orjson.dumps(parameters(period)),
    )  # fmt: skip
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}", peer.home)
    try:
        return read_entries(orjson.loads(answer.body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PeerBroken("not-understood", peer.home) from error


def _rows(house: House, since: datetime, until: datetime) -> Iterator[Disclosure]:
    """Our rows of the period, in batches, so that a year does not stand in memory at once."""
    after: Cursor | None = None
    with house.storage.read() as unit:
        while rows := unit.disclosures.search(since=since, until=until, after=after, limit=BATCH):
            yield from rows
            after = Cursor(rows[-1].recorded, rows[-1].id)


def peer_by_name(house: House, name: str) -> Peer | None:
    """A hospital as people name it: by facility code or community."""
    for peer in house.directory.current().peers:
        if name in (str(peer.community.facility), str(peer.home)) and peer.home != house.home:
            return peer
    return None
