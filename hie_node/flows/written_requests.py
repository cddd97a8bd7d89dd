"""The patient's written requests that this hospital recorded, signed to travel with its questions."""

from __future__ import annotations

from adapters.store.unit import UnitOfWork
from adapters.trust.peer_tokens import MOST_RECEIPTS
from adapters.trust.receipts import write_receipt
from consent.errors import InvalidReceipt
from consent.receipts import receipt_of
from hie_node import log
from hie_node.acts import Act
from hie_node.flows.identify import Identified
from hie_node.flows.peer_call import Receipts
from registry.directory import Peer

MOST_BYTES = 11 << 10
"""Of all requests in one question: a node takes 16 KB of header, and the token needs some of it."""


def signed_requests(act: Act, unit: UnitOfWork, person: Identified) -> Receipts:
    """Each written request of this patient that lets this hospital see something elsewhere."""
    numbers = [identifier for record in person.records for identifier in record.identifiers]
    made = []
    for consent in unit.consents.of_records(person.record_ids):
        receipt = receipt_of(consent, numbers, signer=act.house.home, now=act.now)
        if receipt is not None:
            try:
                made.append((receipt, write_receipt(act.house.keys, receipt)))
            except InvalidReceipt as failure:
                log.warning("a written request cannot travel", consent=consent.id, reason=failure.reason)
    return tuple(made)


def addressed_to(peer: Peer, receipts: Receipts) -> Receipts:
    """Those that speak to this holder; a request to one hospital is nobody else's business.

    As many as a question can carry: those that name the holder first, the newest first.
    """
    home = peer.community.home
    speaking = [one for one in receipts if not one[0].holders or home in one[0].holders]
    speaking.sort(key=lambda one: (home in one[0].holders, one[0].given), reverse=True)
    chosen, left = [], MOST_BYTES
    for receipt, jws in speaking[:MOST_RECEIPTS]:
        if len(jws) < left:
            chosen.append((receipt, jws))
            left -= len(jws) + 1
    return tuple(chosen)


def remember_sent(unit: UnitOfWork, peers: tuple[Peer, ...], receipts: Receipts) -> None:
    """To whom each request goes, so that a withdrawal can follow it. Written before it is sent."""
    for receipt, _ in receipts:
        holders = [p.community.home for p in peers if not receipt.holders or p.community.home in receipt.holders]
        unit.receipts.sent(receipt.id, holders)
