"""The registrar's decisions: the same person, not the same person, undo. Each is attributed and reversible."""

from __future__ import annotations

from dataclasses import dataclass

from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.register import separate
from hie_node.house import new_id
from registry.errors import NotFound
from registry.people import Link, SourceRecord
from registry.ports import Review

OF_THE_INDEX = frozenset({"look-alike", "overlay"})
"""The doubts that a registrar resolves; the others belong to the data protection officer."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One open review with both sides of it; `others` is empty where only one record is in doubt."""

    review: Review
    record: SourceRecord
    others: tuple[SourceRecord, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """One person with every record and every link, those that were undone included."""

    person: Identified
    links: tuple[Link, ...]


def open_doubts(act: Act) -> tuple[Review, ...]:
    """What waits for a registrar, the oldest first. It shows no patient: evidence holds no values."""
    with act.unit() as unit:
        return tuple(review for review in unit.patients.reviews() if review.kind in OF_THE_INDEX)


def read_doubt(act: Act, review_id: str) -> Doubt:
    """Both sides of one doubt. Two patients are seen, so both get a row."""
    with act.unit() as unit:
        review = next((r for r in unit.patients.reviews() if r.id == review_id and r.kind in OF_THE_INDEX), None)
        record = unit.patients.record_by_id(review.subject) if review else None
        if review is None or record is None:
            raise NotFound("review")
        others = unit.patients.records_of(review.other) if review.other else ()
        others = tuple(one for one in others if one.id != record.id)
        act.about(record)
        act.items = [record.id, *(one.id for one in others)]
        if others:
            other = act.fork()
            other.about(others[0])
            other.items = [one.id for one in others]
            act.extra_rows.append(other.row())
        return Doubt(review, record, others)


def read_person(act: Act, record_id: str) -> Known:
    """One person of the index."""
    with act.unit() as unit:
        person = by_record_id(unit, record_id)
        if person is None:
            raise NotFound("patient")
        act.about(person.first)
        act.items = list(person.record_ids)
        return Known(person, unit.patients.links_of(person.person_id))


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
        act.about(separate(act, unit, link_id))
