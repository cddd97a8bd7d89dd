"""What would change if every record of the index arrived again, under one model; and making it so.

What a person decided is never touched: who was kept apart, linked or separated by hand stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from adapters.store.unit import Storage, UnitOfWork
from hie_node.acts import Act
from hie_node.flows.identify import LEAST_STRANGERS
from hie_node.flows.identity_changes import records_of_persons, tell_learners
from hie_node.flows.register import WHO_IS_WHO, look_alike, separate
from hie_node.flows.reviews import BY_A_RULE
from hie_node.house import new_id
from registry.blocking import KEYS_VERSION
from registry.identity_changes import IdentityChange
from registry.linking import Linker
from registry.people import Link
from registry.ports import Patients
from registry.settling import Doubt, settle
from registry.traits import traits_of_record
from registry.weighing import Weighing
from registry.weights import Model

Key = TypeVar("Key", str, int)


@dataclass(frozen=True, slots=True)
class Change:
    """Two records that would be joined, or parted, and why."""

    record_id: str
    other_id: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """joined   records that would come to the person of another record
    parted   records that would leave theirs
    asked    pairs that a registrar would be asked about
    """

    rule: str
    records: int
    joined: tuple[Change, ...]
    parted: tuple[Change, ...]
    asked: tuple[Change, ...]


def differences(patients: Patients, model: Model) -> Differences:
    """Every record once more, in the order they came, and a second look when all are in."""
    least = max(LEAST_STRANGERS, patients.size())
    linker, persons, ids = Linker(Weighing(model), least=least), [], []
    for person_id, record in patients.everybody():
        persons.append(person_id)
        ids.append(record.id)
        linker.add(traits_of_record(record))
    settled = settle(linker)
    joined, parted = _moved(patients, linker, persons, ids)
    asked = tuple(_asked(patients, one, persons, ids) for one in settled.doubts)
    return Differences(f"weighing/{model.version}", len(ids), joined, parted, tuple(c for c in asked if c is not None))


def _moved(
    patients: Patients, linker: Linker, persons: Sequence[str], ids: Sequence[str]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    by_hand = _decided_by_people(patients, persons)
    first_now, first_then = _firsts(persons), _firsts(linker.persons)
    joined, parted = [], []
    for place, record_id in enumerate(ids):
        if record_id in by_hand:
            continue
        then, now = first_then[linker.person(place)], first_now[persons[place]]
        if persons[then] != persons[place] and ids[then] not in patients.apart_from(record_id):
            joined.append(Change(record_id, ids[then], linker.explain(place, then)))
        elif linker.person(now) != linker.person(place):
            parted.append(Change(record_id, ids[now], linker.explain(place, now)))
    return tuple(joined), tuple(parted)


def _decided_by_people(patients: Patients, persons: Sequence[str]) -> frozenset[str]:
    return frozenset(
        link.record_id
        for person_id in set(persons)
        for link in patients.links_of(person_id)
        if (link.undone is None and not link.rule.startswith(BY_A_RULE)) or _undone_by_a_person(link)
    )


def _undone_by_a_person(link: Link) -> bool:
    return link.undone_by is not None and not link.undone_by.startswith("rule ")


def _asked(patients: Patients, doubt: Doubt, persons: Sequence[str], ids: Sequence[str]) -> Change | None:
    record_id, other_id = ids[doubt.record], ids[doubt.other]
    if persons[doubt.record] == persons[doubt.other] or other_id in patients.apart_from(record_id):
        return None
    return Change(record_id, other_id, doubt.evidence)


def apply(act: Act, found: Differences) -> int:
    """Make it so, in one transaction; gives how many records moved. Each change can be undone.

    Joining takes all records of a person along; parting undoes links that a rule had made. What would be asked waits
    for the registrar.
    """
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        moved = sum(_part(act, unit, change) for change in found.parted)
        moved += sum(_join(act, unit, change, found.rule) for change in found.joined)
        for change in found.asked:
            _ask(act, unit, change)
        return moved


def _part(act: Act, unit: UnitOfWork, change: Change) -> int:
    person = unit.patients.person_of(change.record_id)
    for link in unit.patients.links_of(person) if person else ():
        if link.record_id == change.record_id and link.undone is None and link.rule.startswith(BY_A_RULE):
            tell_learners(act, unit, IdentityChange.SEPARATED, records_of_persons(unit, (person,)))
            separate(act, unit, link.id)
            _ask(act, unit, change)
            return 1
    return 0


def _join(act: Act, unit: UnitOfWork, change: Change, rule: str) -> int:
    mine, theirs = unit.patients.person_of(change.record_id), unit.patients.person_of(change.other_id)
    if mine is None or theirs is None or mine == theirs:
        return 0
    records, others = unit.patients.records_of(mine), {one.id for one in unit.patients.records_of(theirs)}
    if any(others & unit.patients.apart_from(record.id) for record in records):
        return 0
    tell_learners(act, unit, IdentityChange.MERGED, records_of_persons(unit, (mine, theirs)))
    author, together = act.caller.requester.subject, new_id()
    for record in records:
        link = Link(new_id(), record.id, theirs, change.evidence, rule, author, act.now, decision=together)
        unit.patients.link(link)
    return len(records)


def _ask(act: Act, unit: UnitOfWork, change: Change) -> None:
    record, person = unit.patients.record_by_id(change.record_id), unit.patients.person_of(change.other_id)
    if record is not None and unit.patients.person_of(record.id) != person:
        look_alike(act, unit, record, person, change.evidence)


def reindexed(storage: Storage) -> int:
    """Fill the index anew where it is that of an older program; gives how many records it has, 0 where it was right."""
    with storage.begin() as unit:
        return 0 if unit.patients.keys_version() == KEYS_VERSION else unit.patients.reindex()


def _firsts(groups: Sequence[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for place, group in enumerate(groups):
        found.setdefault(group, place)
    return found
