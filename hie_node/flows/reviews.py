"""The registrar's decisions: the same person, not the same person, undo. Each is attributed and reversible."""

from __future__ import annotations

from hie_node.acts import Act
from hie_node.flows.register import separate
from hie_node.house import new_id
from registry.errors import NotFound
from registry.people import Link


def decide_review(act: Act, review_id: str, *, same: bool) -> str:
    """Close a doubt: link the record to the other person, or leave them apart."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        review = next((r for r in unit.patients.reviews() if r.id == review_id), None)
        record = unit.patients.record_by_id(review.subject) if review else None
        if review is None or record is None:
            raise NotFound("review")
        author = act.caller.requester.subject
        act.about(record)
        act.items = [review.id]
        if same and review.other is not None:
            link = Link(new_id(), record.id, review.other, review.evidence, "decided-by-a-person", author, act.now)
            unit.patients.link(link)
        decision = "same person" if same else "kept apart"
        unit.patients.close_review(review_id, now=act.now, author=author, decision=decision)
        return decision


def undo_link(act: Act, link_id: str) -> None:
    """The record becomes its own person again; its documents and studies go with it."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        act.items = [link_id]
        act.about(separate(act, unit, link_id))
