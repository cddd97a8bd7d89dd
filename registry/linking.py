"""The matcher over a list in memory: what a file of registrations becomes, one after the other, as a hospital would.

The same `Weighing` decides as in the index of a node; only the look-up is a table in memory instead of a database. What
is kept of a registration is bytes and numbers in arrays, some 600 bytes in all: no graph of objects that a collector
would have to walk through.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from registry.blocking import crowd, keys_of, keys_wanted
from registry.frequencies import Tally
from registry.key_index import KeyIndex
from registry.matching import Verdict, Zone
from registry.packing import PackedTraits
from registry.traits import Traits
from registry.weighing import MOST_RECORDS, Weighing

_CANDIDATES = 50
_KNOWN_FROM = 1_000
_COUNTED = 30_000
"""So many records, evenly spread, say how common a name or a commune is."""


def _evenly(records: int) -> int:
    """Every which of so many records is counted."""
    return 1 + records // _COUNTED


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

    def __init__(self, weighing: Weighing, *, least: int = 0) -> None:
        """`least`: how many strangers there are to be reckoned with, however short the list is yet."""
        self._model, self._least = weighing.model, least
        self._weighing = weighing
        self._tally, self._tallied, self._counted_at = Tally(), 0, _KNOWN_FROM
        self._traits = PackedTraits()
        self._person = array("i")
        # who has one record only is not in here
        self._members: dict[int, array[int]] = {}
        self._asked: set[tuple[int, int]] = set()
        self._near = array("i")
        self._overlays: list[tuple[int, int]] = []
        self._index = KeyIndex(crowd)

    def __len__(self) -> int:
        return len(self._traits)

    @property
    def size(self) -> int:
        """How many strangers there are to be reckoned with."""
        return max(self._least, len(self))

    @property
    def weighing(self) -> Weighing:
        """The model with the names and communes of this list."""
        return self._weighing

    @property
    def persons(self) -> tuple[int, ...]:
        """The person of every record, in the order of records."""
        return tuple(self._person)

    def person(self, record: int) -> int:
        return self._person[record]

    def members(self, person: int) -> array[int]:
        """The records of a person, in the order they came."""
        return self._members.get(person) or array("i", (person,))

    def traits(self, record: int) -> Traits:
        return self._traits[record]

    def add_all(self, registrations: Iterable[Traits]) -> list[Placed]:
        return [self.add(traits) for traits in registrations]

    def add(self, traits: Traits) -> Placed:
        """Decide, then keep."""
        own = keys_of(traits)
        wanted = keys_wanted(traits, own)
        found = self._look_up(own | wanted)
        verdict = self._judged(traits, self._ranked(found, besides=own - wanted))
        record = len(self._traits)
        self._count_on(record)
        linked = verdict.zone is Zone.LINK and verdict.person_id is not None
        person = int(verdict.person_id or 0) if linked else record
        self.keep(traits, person, own, found)
        if verdict.reused is not None:
            self._overlays.append((record, int(verdict.reused)))
        for other in verdict.near:
            self._near.extend((record, int(other)))
        if verdict.also:
            person = self._joined(person, verdict.also)
        doubt = verdict.person_id if verdict.zone is Zone.REVIEW else verdict.reused
        return Placed(record, person, verdict.zone, self._question(person, doubt), verdict)

    def count_names(self) -> None:
        """How common names and communes are here, of which a model knows only what they are in the country."""
        tally = Tally()
        for record in range(0, len(self), _evenly(len(self))):
            tally.add(self.traits(record))
        self._use(tally)

    def _count_on(self, records: int) -> None:
        """Two more records for the next count, at which so many are there as at the last one and once again: no
        registration has to wait until all are counted."""
        every = _evenly(self._counted_at)
        for record in range(self._tallied, min(records, self._tallied + 2 * every), every):
            self._tally.add(self.traits(record))
            self._tallied = record + every
        if records == self._counted_at:
            self._use(self._tally)
            self._tally, self._tallied, self._counted_at = Tally(), 0, 2 * self._counted_at

    def _use(self, tally: Tally) -> None:
        self._weighing = Weighing(replace(self._model, frequencies=tally.frequencies(self._model.frequencies)))

    def _question(self, person: int, doubt: str | None) -> int | None:
        """Whom to ask about; nobody is asked twice whether the same two are one."""
        if doubt is None:
            return None
        other = int(doubt)
        pair = (min(person, other), max(person, other))
        if pair in self._asked:
            return None
        self._asked.add(pair)
        return other

    def keep(
        self,
        traits: Traits,
        person: int,
        own: Collection[str] | None = None,
        found: Mapping[str, Collection[int]] = MappingProxyType({}),
    ) -> None:
        """The next record, of this person; its own number makes it a person of its own. `own`: its keys, and `found`:
        whom each of them leads to, where that is known already."""
        record = len(self._traits)
        self._traits.append(traits)
        self._person.append(person)
        if person != record:
            self._members.setdefault(person, array("i", (person,))).append(record)
        for key in keys_of(traits) if own is None else own:
            if person not in found.get(key, ()):
                self._index.add(key, person)

    def _joined(self, person: int, others: tuple[str, ...]) -> int:
        """Two persons whom the same registration fits become one, where each record of one fits the other."""
        for other in map(int, others):
            known = self._latest(person)
            if all(self._fits(theirs, known) for theirs in self._latest(other)):
                self.join(person, other)
        return person

    def join(self, person: int, other: int) -> None:
        """All records of the other one become the person's."""
        moved = self.members(other)
        self._members.pop(other, None)
        for member in moved:
            self._person[member] = person
        self._members[person] = array("i", sorted((*self.members(person), *moved)))

    def part(self, record: int) -> None:
        """The record becomes a person of its own; whoever it was the first record of goes by the next one."""
        person = self._person[record]
        rest = array("i", (member for member in self.members(person) if member != record))
        self._members.pop(person, None)
        for member in rest:
            self._person[member] = rest[0]
        if len(rest) > 1:
            self._members[rest[0]] = rest
        self._person[record] = record

    def near(self) -> set[tuple[int, int]]:
        """Persons that resembled each other when one of their records came and are not one yet, the lower first."""
        person, noted = self._person, self._near
        pairs = ((person[noted[n]], person[noted[n + 1]]) for n in range(0, len(noted), 2))
        return {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}

    def overlays(self) -> tuple[tuple[int, int], ...]:
        """Registrations whose local number was somebody else's, each with a record of who had it."""
        return tuple(self._overlays)

    def carriers(self, key: str) -> int:
        """How many persons are found under a key; as many as a crowd where it is one."""
        return len({self._person[known] for known in self._index.find(key)}) or crowd(key)

    def _fits(self, traits: Traits, known: list[Traits]) -> bool:
        return self._weighing.decide(traits, [("0", known)], size=self.size).zone is Zone.LINK

    def _latest(self, person: int) -> list[Traits]:
        traits, members = self._traits, self._members.get(person)
        return [traits[person]] if members is None else [traits[member] for member in members[-MOST_RECORDS:]]

    def judge(self, traits: Traits) -> Verdict:
        """What would become of this registration. Nothing is kept."""
        return self._judged(traits, self.candidates(traits), explain=True)

    def _judged(self, traits: Traits, candidates: Iterable[int], *, explain: bool = False) -> Verdict:
        persons = [(str(person), self._latest(person)) for person in candidates]
        return self._weighing.decide(traits, persons, size=max(self._least, len(self) + 1), explain=explain)

    def explain(self, record: int, other: int) -> tuple[str, ...]:
        """What speaks for and against the record belonging to the person of another one, itself left out."""
        theirs = [member for member in self.members(self.person(other)) if member != record]
        persons = [("0", [self.traits(member) for member in theirs[-MOST_RECORDS:]])]
        return self._weighing.explain(self.traits(record), persons, size=self.size)

    def candidates(self, traits: Traits) -> list[int]:
        """Persons that share a key, those that share more of them first; a crowd under one key says nothing."""
        return self._ranked(self._look_up(keys_wanted(traits)))

    def _look_up(self, keys: Collection[str]) -> dict[str, set[int]]:
        person_of, found = self._person, self._index.find_all(keys)
        return {key: {person_of[known] for known in under} for key, under in found.items()}

    def _ranked(self, found: Mapping[str, Collection[int]], besides: Collection[str] = ()) -> list[int]:
        """Whom the keys lead to, `besides` left out: who is found under more of them first."""
        shared: dict[int, int] = {}
        for key, persons in found.items():
            if key not in besides:
                weight = 8 if key.startswith("number|") else 1
                for person in persons:
                    shared[person] = shared.get(person, 0) + weight
        if len(shared) < 2:
            return list(shared)
        return sorted(shared, key=lambda person: (-shared[person], person))[:_CANDIDATES]
