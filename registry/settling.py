"""The second look: when all registrations are in, persons that resembled each other are compared once more.

A registration is decided on what is known when it comes. Later ones bring the number, the mark or the telephone that
would have decided otherwise. So each pair of persons that came near each other is weighed again with all that both have
become: what is clear now is joined, a registration that fits two who cannot be one is taken out, and what is left is
asked, each pair of persons once, the clear doubts first. That makes the answer depend less on the order of arrival,
and the queue shorter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.blocking import number_keys_by_field
from registry.linking import Linker
from registry.traits import Traits
from registry.vetoes import TWINS, WITHOUT_MARKS
from registry.weighing import MOST_RECORDS, REUSED, TOO_MANY_CARRIERS, Weighed

_SURER = 11
"""Tenths of a bit beyond the threshold of a link: joining two persons joins all their records."""
_MOST_ROUNDS = 4
_DIRTY, _DIRTY_MORE = 1.5, 3
_FULL_OF_DOUBTS = 2.5
"""So many times the queue in clear doubts: a list of which all of them have to be asked."""
_LEAST_QUEUE = 20
"""Questions that any desk can answer, however short its list is."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question for a person: is this record the patient of that one? `score` in tenths of a bit, None for an overlay;
    `evidence` is one line a field."""

    record: int
    other: int
    score: int | None
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """joined  records that stand for a person that became another's, with the score
    parted  records that were taken out of their person
    doubts  what is left to ask, the surest first
    """

    joined: tuple[tuple[int, int], ...]
    parted: tuple[int, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class _Resemblance:
    """The record of one person that fits the other best.

    record     of the person that came later, `other` of the one that came first
    described  which of the two was weighed against the whole other person
    """

    record: int
    other: int
    described: int
    weighed: Weighed


def settle(linker: Linker) -> Settled:
    """Look at all pairs once more, with the names of the whole list counted. The linker's persons change; registrations
    are added before, not after."""
    linker.count_names()
    return _Look(linker).settle()


class _Look:
    def __init__(self, linker: Linker) -> None:
        self._linker, self._weighing, self._size = linker, linker.weighing, linker.size
        self._pairs = linker.near()
        self._joined: list[tuple[int, int]] = []

    def settle(self) -> Settled:
        parted = self._part()
        person = self._linker.person
        now = ((person(one), person(other)) for one, other in self._pairs)
        found = self._judged({(min(pair), max(pair)) for pair in now if pair[0] != pair[1]})
        for _ in range(_MOST_ROUNDS):
            if not (changed := self._join(found)):
                break
            found = self._renewed(found, changed)
        return Settled(tuple(self._joined), tuple(parted), self._asked(found))

    def _asked(self, found: Mapping[tuple[int, int], _Resemblance]) -> tuple[Doubt, ...]:
        """Clear doubts always, weaker ones as far as the desk has time for them."""
        shared, model = self._overlays(), self._weighing.model
        certain = {pair for pair, one in found.items() if one.weighed.score >= model.review or pair in shared}
        unmarked = {pair for pair in certain - shared.keys() if found[pair].weighed.veto == WITHOUT_MARKS}
        # where few doubts are clear, names without marks would fill the queue alone, and nearly all are one person
        allowed = room(0, registrations=len(self._linker), queue=model.queue)
        clear = certain if len(certain) > _FULL_OF_DOUBTS * allowed else certain - unmarked
        weak = [pair for pair, one in found.items() if pair not in clear and one.weighed.score >= model.again]
        weak.sort(key=lambda pair: (-self._worth(pair, found[pair]), pair))
        left = room(len({*clear, *shared}), registrations=len(self._linker), queue=model.queue)
        asked = [*clear, *weak[:left]]
        asked.sort(key=lambda pair: (-found[pair].weighed.score, pair))
        doubts = [self._doubt(found[pair], shared.pop(pair, None)) for pair in asked]
        return (*doubts, *(Doubt(record, other, None, (REUSED,)) for record, other in shared.values()))

    def _worth(self, pair: tuple[int, int], one: _Resemblance) -> float:
        """The score, and how many pairs of records the answer would join, both in tenths of a bit."""
        joined = math.prod(len(self._linker.members(person)) for person in pair)
        return one.weighed.score + 10 * math.log2(joined)

    def _doubt(self, one: _Resemblance, overlay: tuple[int, int] | None) -> Doubt:
        more = () if overlay is None else (REUSED,)
        reasons = self._weighing.reasons(self._linker.traits(one.described), one.weighed, *more, size=self._size)
        return Doubt(one.record, one.other, one.weighed.score, reasons)

    def _overlays(self) -> dict[tuple[int, int], tuple[int, int]]:
        """One local number of two persons is always shown, however little they resemble each other."""
        person = self._linker.person
        found: dict[tuple[int, int], tuple[int, int]] = {}
        for record, other in self._linker.overlays():
            one, two = person(record), person(other)
            if one != two:
                found.setdefault((min(one, two), max(one, two)), (record, other))
        return found

    def _records(self, person: int) -> Sequence[tuple[int, Traits]]:
        return [(member, self._linker.traits(member)) for member in self._linker.members(person)[-MOST_RECORDS:]]

    def _judged(self, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], _Resemblance]:
        found = {}
        for pair in pairs:
            if (best := self._resemblance(*pair)) is not None:
                found[pair] = best
        return found

    def _resemblance(self, one: int, other: int) -> _Resemblance | None:
        """Each record of either against all of the other; the best without a veto, else the best."""
        ones, others = self._records(one), self._records(other)
        best: _Resemblance | None = None
        for mine, theirs in ((others, ones), (ones, others)):
            known = [traits for _, traits in theirs]
            for record, traits in mine:
                weighed = self._weighing.resembles(traits, known, size=self._size, dummies=self._dummies(traits))
                if weighed is not None and (best is None or _rank(weighed) > _rank(best.weighed)):
                    named = (record, one) if mine is others else (other, record)
                    best = _Resemblance(*named, described=record, weighed=weighed)
        return best

    def _dummies(self, traits: Traits) -> frozenset[int]:
        """Fields whose number so many persons carry that it is nobody's."""
        return frozenset(
            field
            for field, key in number_keys_by_field(traits)
            if self._linker.carriers(key) > TOO_MANY_CARRIERS[field]
        )

    def _join(self, found: dict[tuple[int, int], _Resemblance]) -> set[int]:
        """The surest first; a person that has just grown waits for the next round. Gives who changed."""
        least = self._weighing.model.link + _SURER
        changed: set[int] = set()
        fitting = [(pair, one.weighed) for pair, one in found.items() if one.weighed.veto is None]
        rivals = _by_person(fitting, least=self._weighing.model.review)
        for pair, weighed in sorted(fitting, key=lambda item: (-item[1].score, item[0])):
            if weighed.score < least:
                break
            if changed.isdisjoint(pair) and self._may_be_one(*pair) and not self._fits_another(pair, weighed, rivals):
                changed.update(pair)
                self._linker.join(*pair)
                self._joined.append((pair[1], weighed.score))
        return changed

    def _fits_another(
        self, pair: tuple[int, int], weighed: Weighed, rivals: Mapping[int, Sequence[tuple[int, int]]]
    ) -> bool:
        """A third person fits one of the two nearly as well, and differs from the other one as a twin does."""
        least = weighed.score - self._weighing.model.margin
        return any(
            score > least and third != other and self._like_twins(third, other)
            for one, other in (pair, pair[::-1])
            for third, score in rivals.get(one, ())
        )

    def _may_be_one(self, one: int, other: int) -> bool:
        ones, others = ([traits for _, traits in self._records(person)] for person in (one, other))
        return self._weighing.may_be_one(ones, others)

    def _renewed(
        self, found: dict[tuple[int, int], _Resemblance], changed: set[int]
    ) -> dict[tuple[int, int], _Resemblance]:
        """Pairs by the persons of now; those of a person that changed are weighed anew."""
        kept, again, person = {}, set(), self._linker.person
        for pair, one in found.items():
            if changed.isdisjoint(pair):
                kept[pair] = one
            elif (low := min(map(person, pair))) != (high := max(map(person, pair))):
                again.add((low, high))
        return kept | self._judged(again)

    def _part(self) -> list[int]:
        """Records without marks that fit two persons who differ as twins do: nobody's, until somebody says whose."""
        parted: list[int] = []
        for pair in sorted(self._pairs):
            if self._like_twins(*pair):
                for home, away in (pair, pair[::-1]):
                    parted += self._taken_out(home, away)
        return parted

    def _like_twins(self, one: int, other: int) -> bool:
        others = self._records(other)
        contradiction = self._weighing.contradiction
        return any(contradiction(mine, theirs) in TWINS for _, mine in self._records(one) for _, theirs in others)

    def _taken_out(self, home: int, away: int) -> list[int]:
        model, members = self._weighing.model, self._records(home)
        there = [traits for _, traits in self._records(away)]
        found: list[int] = []
        for record, traits in members:
            if len(members) - len(found) < 2 or traits.name is None or traits.name.marked:
                continue
            dummies = self._dummies(traits)
            here = [other for n, other in members if n != record and n not in found]
            out, at_home = (
                self._weighing.resembles(traits, known, size=self._size, dummies=dummies) for known in (there, here)
            )
            if out is None or out.veto is not None or out.score < model.review:
                continue
            if at_home is None or at_home.veto is not None or at_home.score - out.score < model.margin:
                found.append(record)
        for record in found:
            self._linker.part(record)
            rest = {self._linker.person(member) for member, _ in members if member not in found}
            self._pairs |= {(min(record, p), max(record, p)) for p in {*rest, self._linker.person(away)}}
        return found


def room(clear: int, *, registrations: int, queue: int) -> int:
    """How many weak doubts may be asked: what the clear ones leave of the queue. On a list so dirty that those alone
    exceed it by half, more: most of the weak ones are one person there too, and without them recall is lost."""
    allowed = max(_LEAST_QUEUE, registrations * queue // 1000)
    return max(0, allowed - clear, round(_DIRTY_MORE * (clear - _DIRTY * allowed)))


def _by_person(fitting: Iterable[tuple[tuple[int, int], Weighed]], *, least: int) -> dict[int, list[tuple[int, int]]]:
    """Whom each person fits, and how well."""
    found: dict[int, list[tuple[int, int]]] = {}
    for (one, other), weighed in fitting:
        if weighed.score >= least:
            found.setdefault(one, []).append((other, weighed.score))
            found.setdefault(other, []).append((one, weighed.score))
    return found


def _rank(weighed: Weighed) -> tuple[bool, int]:
    return weighed.veto is None, weighed.score
