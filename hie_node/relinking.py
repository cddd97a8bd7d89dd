"""What would change if every record of the index arrived again, under one model. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from registry.linking import Linker
from registry.matching import Zone
from registry.ports import Patients
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
    records: int
    joined: tuple[Change, ...]
    parted: tuple[Change, ...]
    asked: int


def differences(patients: Patients, model: Model) -> Differences:
    """Every record once more, in the order they came; whom a person kept apart or linked stays so."""
    linker = Linker(Weighing(model))
    persons, ids, placed = [], [], []
    for person_id, record in patients.everybody():
        persons.append(person_id)
        ids.append(record.id)
        placed.append(linker.add(traits_of_record(record)))
    by_hand = {
        link.record_id
        for person_id in set(persons)
        for link in patients.links_of(person_id)
        if link.undone is None and not link.rule.startswith("weighing/")
    }
    first_now, first_then = _firsts(persons), _firsts(linker.persons)
    joined, parted = [], []
    for place, one in enumerate(placed):
        if ids[place] in by_hand:
            continue
        then, now = first_then[linker.persons[place]], first_now[persons[place]]
        if persons[then] != persons[place] and ids[then] not in patients.apart_from(ids[place]):
            joined.append(Change(ids[place], ids[then], one.verdict.evidence))
        elif linker.persons[now] != linker.persons[place]:
            parted.append(Change(ids[place], ids[now], one.verdict.evidence))
    asked = sum(one.zone is Zone.REVIEW for one in placed)
    return Differences(len(ids), tuple(joined), tuple(parted), asked)


def _firsts(groups: Sequence[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for place, group in enumerate(groups):
        found.setdefault(group, place)
    return found
