"""The patient's written requests that this hospital recorded, signed to travel with its questions."""

from __future__ import annotations

from adapters.store.unit import UnitOfWork
from adapters.trust.receipts import write_receipt
from consent.receipts import receipt_of
from hie_node.acts import Act
from hie_node.flows.identify import Identified
from hie_node.flows.peer_call import Receipts
from registry.directory import Peer


def signed_requests(act: Act, unit: UnitOfWork, person: Identified) -> Receipts:
    """Each written request of this patient that lets this hospital see something elsewhere."""
    numbers = [identifier for record in person.records for identifier in record.identifiers]
    made = []
    for consent in unit.consents.of_records(person.record_ids):
        receipt = receipt_of(consent, numbers, signer=act.house.home, now=act.now)
        if receipt is not None:
            made.append((receipt, write_receipt(act.house.keys, receipt)))
    return tuple(made)


def addressed_to(peer: Peer, receipts: Receipts) -> Receipts:
    """Those that speak to this holder; a request to one hospital is nobody else's business."""
    home = peer.community.home
    return tuple((receipt, jws) for receipt, jws in receipts if not receipt.holders or home in receipt.holders)


def remember_sent(unit: UnitOfWork, peers: tuple[Peer, ...], receipts: Receipts) -> None:
    """To whom each request goes, so that a withdrawal can follow it. Written before it is sent."""
    for receipt, _ in receipts:
        holders = [p.community.home for p in peers if not receipt.holders or p.community.home in receipt.holders]
        unit.receipts.sent(receipt.id, holders)
