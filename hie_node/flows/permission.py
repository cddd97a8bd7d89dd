"""What a patient has said that bears on a request: consents kept here, and the requests that a question carried."""

from __future__ import annotations

from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from consent.errors import InvalidReceipt
from consent.receipts import ConsentReceipt
from hie_node.acts import Act
from hie_node.flows.identify import Identified
from registry.people import PatientInQuestion


def consents_for(act: Act, unit: UnitOfWork, person: Identified, *, keep: bool = True) -> tuple[Consent, ...]:
    """All consents of this person that this node knows at this moment, those that came with the question included.

    `keep` stores a request that came with the question; a second look while content flows does not.
    """
    return unit.consents.of_records(person.record_ids) + _brought_along(act, unit, person, keep)


def carries_a_request(act: Act, unit: UnitOfWork, question: PatientInQuestion | None) -> bool:
    """Whether the question brings the patient's own request for it: only then may its answer tell none from nothing."""
    if act.may_show_something(()):
        return True
    return any(
        question is not None and receipt.speaks_of(question) and _is_honoured(act, unit, receipt)
        for receipt, _ in act.caller.receipts
    )


def _is_honoured(act: Act, unit: UnitOfWork, receipt: ConsentReceipt) -> bool:
    try:
        _check(act, receipt)
    except InvalidReceipt:
        return False
    kept = unit.receipts.kept(receipt.id)
    return kept is None or not kept.ends(receipt)


def _check(act: Act, receipt: ConsentReceipt) -> None:
    """Raises InvalidReceipt: what it says itself, and whether this hospital takes the word of who recorded it."""
    receipt.check(act.caller.requester, act.house.home, now=act.now)
    peer = act.house.directory.current().peer(receipt.signer)
    if peer is None or not act.house.policy.honours(str(peer.home), str(peer.community.facility)):
        raise InvalidReceipt("not-honoured")


def _brought_along(act: Act, unit: UnitOfWork, person: Identified, keep: bool) -> tuple[Consent, ...]:
    """A receipt is kept and honoured when it speaks of this person, this question and now, and was not withdrawn."""
    found = PatientInQuestion(tuple(identifier for record in person.records for identifier in record.identifiers))
    honoured = []
    for receipt, jws in act.caller.receipts:
        try:
            _check(act, receipt)
            if not receipt.speaks_of(found):
                raise InvalidReceipt("other-patient")
            if keep:
                unit.receipts.keep(receipt, jws, now=act.now)
            kept = unit.receipts.kept(receipt.id)
            if kept is None or kept.ends(kept.receipt):
                raise InvalidReceipt("withdrawn")
        except InvalidReceipt as refusal:
            act.reasons[f"receipt-{refusal.reason}"] += 1
            continue
        honoured.append(kept.receipt.as_consent(person.first.identifier, person.first.id, act.house.home))
    return tuple(honoured)
