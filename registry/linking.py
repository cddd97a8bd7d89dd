"""The matcher over a list in memory: what a file of registrations becomes, one after the other, as a hospital would.

The same `Weighing` decides as in the index of a node; only the look-up is a table in memory instead of a database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.blocking import CROWD, CROWDED_PHONE, keys_of, keys_wanted
from registry.matching import Verdict, Zone
from registry.traits import Traits
from registry.weighing import Weighing

_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Placed:
    """One registration after the decision.

    person    the number of the person it belongs to now, by the first record that made it
    asked     the person about whom somebody has to decide, or None
    """

    record: int
    person: int
    zone: Zone
    asked: int | None
    verdict: Verdict


class Linker:
    """Registrations in the order they came, grouped to persons."""

    def __init__(self, weighing: Weighing) -> None:
        self._weighing = weighing
        self._traits: list[Traits] = []
        self._person: list[int] = []
        self._members: dict[int, list[int]] = {}
        self._found: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._traits)

    @property
    def persons(self) -> tuple[int, ...]:
        """The person of every record, in the order of records."""
        return tuple(self._person)

    def traits(self, record: int) -> Traits:
        return self._traits[record]

    def add_all(self, registrations: Iterable[Traits]) -> list[Placed]:
        return [self.add(traits) for traits in registrations]

    def add(self, traits: Traits) -> Placed:
        """Decide, then keep."""
        verdict = self.judge(traits)
        record = len(self._traits)
        named = int(verdict.person_id) if verdict.person_id is not None else None
        person = named if verdict.zone is Zone.LINK and named is not None else record
        self._traits.append(traits)
        self._person.append(person)
        self._members.setdefault(person, []).append(record)
        for key in keys_of(traits):
            self._found.setdefault(key, []).append(record)
        if verdict.zone is Zone.LINK:
            person = self._joined(person, verdict.also)
        return Placed(record, person, verdict.zone, named if verdict.zone is Zone.REVIEW else None, verdict)

    def _joined(self, person: int, others: tuple[str, ...]) -> int:
        """Two persons whom the same registration fits become one, where each record of one fits the other."""
        for other in map(int, others):
            known = [self._traits[member] for member in self._members[person]]
            if all(self._fits(self._traits[member], known) for member in self._members[other]):
                moved = self._members.pop(other)
                for member in moved:
                    self._person[member] = person
                self._members[person] = sorted(self._members[person] + moved)
        return person

    def _fits(self, traits: Traits, known: list[Traits]) -> bool:
        return self._weighing.decide(traits, [("0", known)], size=len(self._traits)).zone is Zone.LINK

    def judge(self, traits: Traits) -> Verdict:
        persons = [
            (str(person), [self._traits[member] for member in self._members[person]])
            for person in self.candidates(traits)
        ]
        return self._weighing.decide(traits, persons, size=len(self._traits) + 1)

    def candidates(self, traits: Traits) -> list[int]:
        """Persons that share a key, those that share more of them first; a crowd under one key says nothing."""
        shared: dict[int, int] = {}
        for key in keys_wanted(traits):
            under = self._found.get(key, ())
            if len(under) > (CROWDED_PHONE if key.startswith("phone|") else CROWD):
                continue
            weight = 8 if key.startswith("number|") else 1
            for person in {self._person[record] for record in under}:
                shared[person] = shared.get(person, 0) + weight
        return sorted(shared, key=lambda person: (-shared[person], person))[:_CANDIDATES]
