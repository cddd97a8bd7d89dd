"""The patient's written requests that this hospital recorded, signed to travel with its questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from adapters.trust.peer_tokens import MOST_RECEIPTS
from adapters.trust.receipts import write_receipt
from consent.consents import Consent
from consent.decide import AccessRequest, Item, decide, denies, may_show_something
from consent.errors import InvalidReceipt
from consent.reasons import Reason
from consent.receipts import ConsentReceipt, receipt_of
from hie_node import log
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.peer_call import Receipts
from registry.directory import Peer
from registry.identifiers import HomeCommunityId, PatientIdentifier

ANYTHING = Item()
"""What has no property of its own: rules for all that there is speak of it."""
MOST_BYTES = 11 << 10
"""Of all requests in one question: a node takes 16 KB of header, and the token needs some of it."""


def signed_requests(act: Act, unit: UnitOfWork, person: Identified) -> Receipts:
    """Each written request of this patient that lets this hospital see something elsewhere.

    What the patient forbade later goes with none of them: of a refusal recorded here the holders know nothing.
    """
    numbers = frozenset(identifier for record in person.records for identifier in record.identifiers)
    made = []
    consents = unit.consents.of_records(person.record_ids)
    for consent in consents:
        receipt = _receipt(act, consent, consents, numbers)
        if receipt is not None:
            try:
                made.append((receipt, write_receipt(act.house.keys, receipt)))
            except InvalidReceipt as failure:
                log.warning("a written request cannot travel", consent=consent.id, reason=failure.reason)
    return tuple(made)


def _receipt(
    act: Act, consent: Consent, consents: Sequence[Consent], numbers: frozenset[PatientIdentifier]
) -> ConsentReceipt | None:
    """The request as it may travel now: to the holders of whose data the patient forbade nothing since."""
    receipt = receipt_of(consent, numbers, signer=act.house.home, now=act.house.now())
    refusals = [one for one in consents if denies(one, one.provision)]
    if receipt is None or not refusals:
        return receipt
    named = receipt.holders or {peer.home for peer in act.house.directory.current().peers}
    left = frozenset(home for home in named if not refuses(act, home, [consent, *refusals]))
    return receipt if left == named else replace(receipt, holders=left) if left else None


def refuses(act: Act, holder: HomeCommunityId, consents: Sequence[Consent], item: Item = ANYTHING) -> bool:
    """Whether the patient forbids this caller what that hospital holds, or this item; an emergency does not ask.

    Little is known of the item here: where a request may still open a part, the holder and its list decide.
    """
    if act.caller.requester.purpose.is_emergency:
        return False
    now, policy = act.house.now(), act.house.policy
    ask = AccessRequest(act.caller.requester, holder)
    if decide(replace(ask, item=item), consents, policy, now=now).reason is not Reason.PATIENT_REFUSED:
        return False
    return decide(ask, consents, policy, now=now).permit or not may_show_something(ask, consents, policy, now=now)


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


def requests_to(act: Act, unit: UnitOfWork, peer: Peer, person: Identified | None) -> Receipts:
    """Those of this patient that open something at this holder; none for whom nobody knows here."""
    return addressed_to(peer, signed_requests(act, unit, person)) if person else ()


def remember_sent(unit: UnitOfWork, peers: tuple[Peer, ...], receipts: Receipts) -> None:
    """To whom each request goes, so that a withdrawal can follow it. Written before it is sent."""
    for receipt, _ in receipts:
        holders = [p.community.home for p in peers if not receipt.holders or p.community.home in receipt.holders]
        unit.receipts.sent(receipt.id, holders)


def still_asked_for(act: Act, receipts: Receipts) -> bool:
    """The patient has not forbidden it meanwhile, and one of the requests that opened it still says what it said;
    what none had opened is the holder's to judge."""
    with act.house.storage.read() as unit:
        person = by_record_id(unit, act.record_id) if act.record_id else None
        consents = unit.consents.of_records(person.record_ids) if person else ()
    if act.other is not None and refuses(act, act.other, consents):
        return False
    known = {receipt.id: receipt for receipt, _ in receipts}
    return not known or any(_still_says(act, known[one.id], one, consents) for one in consents if one.id in known)


def _still_says(act: Act, sent: ConsentReceipt, consent: Consent, consents: Sequence[Consent]) -> bool:
    now = _receipt(act, consent, consents, sent.patient)
    if now is None or act.caller.requester.purpose not in now.purposes:
        return False
    to_holder = not now.holders or act.other in now.holders
    return to_holder and (now.policy, now.actors, now.limits) == (sent.policy, sent.actors, sent.limits)
