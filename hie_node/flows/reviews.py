"""The registrar's decisions: the same person, not the same person, undo. Each is attributed and reversible."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.identity_changes import CHANGED_ELSEWHERE, records_of_persons, tell_learners
from hie_node.flows.register import WHO_IS_WHO, look_alike, separate
from hie_node.house import new_id
from registry.doubts import most_pressing_first
from registry.errors import NotFound, NotUnique
from registry.identifiers import PatientIdentifier
from registry.identity_changes import IdentityChange
from registry.people import Link, SourceRecord
from registry.ports import Review

OF_THE_INDEX = frozenset({"look-alike", "overlay", CHANGED_ELSEWHERE})
"""The doubts that a registrar resolves; the others belong to the data protection officer."""


SAME_PERSON, KEPT_APART = "same person", "kept apart"
BY_A_PERSON = "decided-by-a-person"
BY_A_REGISTRAR = "raised by a registrar"
BY_A_RULE = ("weighing/", "corroborated-number/")


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
    """What waits for a registrar, the most dangerous first. It shows no patient: evidence holds no values."""
    with act.unit() as unit:
        return tuple(most_pressing_first(one for one in unit.patients.reviews() if one.kind in OF_THE_INDEX))


def decided_last(act: Act, most: int) -> tuple[Review, ...]:
    """What registrars decided about two records, the newest first."""
    with act.unit() as unit:
        found = [one for one in unit.patients.reviews(only_open=False) if one.kind in OF_THE_INDEX]
    decided = [one for one in found if one.closed is not None and one.decision in (SAME_PERSON, KEPT_APART)]
    return tuple(sorted(decided, key=lambda one: one.closed or one.opened, reverse=True)[:most])


def raise_doubt(act: Act, record_id: str, other: PatientIdentifier) -> Review:
    """A registrar thinks that two records may be one person: the doubt, open or decided before. Raises NotFound where
    there is no such record, NotUnique where the two are one person already."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        record, named = unit.patients.record_by_id(record_id), unit.patients.record(other)
        if record is None or named is None:
            raise NotFound("patient")
        act.about(record)
        act.items = [record.id, named.id]
        person = unit.patients.person_of(named.id)
        if person is None or person == unit.patients.person_of(record.id):
            raise NotUnique("patient")
        doubt = unit.patients.review(look_alike(act, unit, record, person, (BY_A_REGISTRAR,)))
        assert doubt is not None
        return doubt


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
    """Close a doubt: link the record to the other person, with all that it was linked to before, or keep them apart."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        review = unit.patients.review(review_id)
        record = unit.patients.record_by_id(review.subject) if review else None
        if review is None or record is None:
            raise NotFound("review")
        author = act.caller.requester.subject
        act.about(record)
        act.items = [review.id]
        others = [one.id for one in unit.patients.records_of(review.other)] if review.other else []
        if same and review.other is not None:
            _link_all(act, unit, record, review)
        elif not same:
            unit.patients.keep_apart(record.id, others, now=act.now, author=author)
            if others:
                tell_learners(act, unit, IdentityChange.KEPT_APART, (record.id, *others))
        decision = SAME_PERSON if same else KEPT_APART
        apart = () if same else others
        unit.patients.close_review(review_id, now=act.now, author=author, decision=decision, apart=apart)
        return decision


def _link_all(act: Act, unit: UnitOfWork, record: SourceRecord, review: Review) -> None:
    """Every record of the one person goes to the other, so that no link from before is torn."""
    assert review.other is not None
    mine, author = unit.patients.person_of(record.id), act.caller.requester.subject
    if mine == review.other or mine is None:
        return
    others = [one.id for one in unit.patients.records_of(review.other)]
    tell_learners(act, unit, IdentityChange.MERGED, records_of_persons(unit, (mine, review.other)))
    for moved in unit.patients.records_of(mine):
        overruled = unit.patients.let_together(moved.id, others)
        link = Link(new_id(), moved.id, review.other, review.evidence, BY_A_PERSON, author, act.now, decision=review.id)
        unit.patients.link(replace(link, overruled=overruled))


def undo_link(act: Act, link_id: str) -> None:
    """The record is again where it was before, and so are those that the same decision moved with it; documents and
    studies go with their records. The doubt that was decided waits again; a link that a rule had made is not made
    again, until somebody takes that back."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        act.items = [link_id]
        undone = unit.patients.link_by_id(link_id)
        if undone is None:
            raise NotFound("link")
        if undone.undone is None:
            tell_learners(act, unit, IdentityChange.SEPARATED, records_of_persons(unit, (undone.person_id,)))
        together = unit.patients.decided_together(undone.decision, undone.person_id) if undone.decision else (undone,)
        record = separate(act, unit, link_id)
        act.about(record)
        for other in together:
            if other.id != link_id:
                separate(act, unit, other.id)
        if undone.undone is not None:
            return
        if undone.rule == BY_A_PERSON and undone.decision:
            unit.patients.reopen_review(undone.decision)
        elif undone.rule.startswith(BY_A_RULE):
            _apart(act, unit, record, undone)


def _apart(act: Act, unit: UnitOfWork, record: SourceRecord, undone: Link) -> None:
    """As if a registrar had been asked before, and had said no."""
    author = act.caller.requester.subject
    doubt = look_alike(act, unit, record, undone.person_id, undone.evidence)
    others = [one.id for one in unit.patients.records_of(undone.person_id)]
    unit.patients.keep_apart(record.id, others, now=act.now, author=author)
    review = unit.patients.review(doubt)
    if review is not None and review.closed is None:
        unit.patients.close_review(doubt, now=act.now, author=author, decision=KEPT_APART, apart=others)


def undo_decision(act: Act, review_id: str) -> str:
    """Take back what somebody decided about a doubt, whichever way; it waits again. Gives the decision."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        review = unit.patients.review(review_id)
        record = unit.patients.record_by_id(review.subject) if review else None
        if review is None or record is None or review.decision not in (SAME_PERSON, KEPT_APART):
            raise NotFound("decided review")
        act.about(record)
        act.items = [review.id]
        if review.decision == KEPT_APART:
            unit.patients.let_together(record.id, _only_by(unit, review))
        links = unit.patients.decided_together(review.id, review.other) if review.other else ()
        if links:
            tell_learners(act, unit, IdentityChange.SEPARATED, records_of_persons(unit, (review.other,)))
        for link in links:
            separate(act, unit, link.id)
        unit.patients.reopen_review(review.id)
        return review.decision


def _only_by(unit: UnitOfWork, review: Review) -> list[str]:
    """The records that nothing but this decision keeps apart from its subject: others may have decided the same."""
    apart = review.apart
    if apart is None:
        # decided before decisions said so themselves
        apart = tuple(one.id for one in unit.patients.records_of(review.other)) if review.other else ()
    also = {
        frozenset((other.subject, one))
        for other in unit.patients.reviews(only_open=False)
        if other.decision == KEPT_APART and other.id != review.id
        for one in other.apart or ()
    }
    return [one for one in apart if frozenset((review.subject, one)) not in also]
