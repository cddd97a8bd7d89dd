"""The registrar's decisions: the same person, not the same person, undo. Each is attributed and reversible."""

from __future__ import annotations

from hie_node.acts import Act
from hie_node.house import new_id
from registry.errors import NotFound
from registry.people import Link


def decide_review(act: Act, review_id: str, *, same: bool) -> str:
    """Close a doubt: link the record to the other person, or leave them apart."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        review = unit.patients.review(review_id)
        record = unit.patients.record_by_id(review.subject) if review else None
        if review is None or record is None:
            raise NotFound("review")
        author = act.caller.requester.subject
        act.about(record)
        act.items = [review.id]
        others = [one.id for one in unit.patients.records_of(review.other)] if review.other else []
        if same and review.other is not None:
            unit.patients.let_together(record.id, others)
            link = Link(new_id(), record.id, review.other, review.evidence, "decided-by-a-person", author, act.now)
            unit.patients.link(link)
        elif not same:
            unit.patients.keep_apart(record.id, others, now=act.now, author=author)
        decision = "same person" if same else "kept apart"
        unit.patients.close_review(review_id, now=act.now, author=author, decision=decision)
        return decision


def undo_link(act: Act, link_id: str) -> None:
    """The record becomes its own person again; its documents and studies go with it."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        act.items = [link_id]
        unit.patients.undo(link_id, now=act.now, author=act.caller.requester.subject)
