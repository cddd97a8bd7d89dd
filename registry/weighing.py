"""The matcher that weighs: is this the same person, a relative under the same roof, a twin, or a stranger?

Evidence adds up in tenths of a bit. The score of a person is how far "the same" is ahead of the strongest of the other
three, strangers counted by the size of the index: a common name and a birth date are enough among thousands, not among
millions. Equal phone, address and surname say "household" and next to nothing about the person; only the given name
with its tone, the birth date and own numbers separate relatives.

Some things no sum of evidence may outweigh (`forbids`): they make the strongest case a question for a person.
Source of the model: Fellegi and Sunter 1969, with the stranger split into stranger and household.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from registry.levels import (
    COMMUNE,
    FAMILY,
    FIELDS,
    GIVEN_BARE,
    INSURANCE,
    MIDDLE,
    OLD_CARD,
    PASSPORT,
    PERSONAL,
    PHONE,
    UNKNOWN,
    Levels,
    compare,
    compare_if_alike,
)
from registry.matching import Candidate, FieldEvidence, Verdict, Zone
from registry.people import PatientInQuestion
from registry.tables import COMMON, MISTYPED, TAKEN, sums_by, together_by
from registry.traits import NameTraits, Traits, traits_of_question, traits_of_record
from registry.vetoes import ONLY_A_YEAR, TWO_NUMBERS, beyond, contradiction, forbids
from registry.weights import HYPOTHESES, Model

_FIELD_NAMES = tuple(FIELDS)
_LEVEL_NAMES = tuple(FIELDS.values())
REUSED = "this local number already belongs to somebody else"
_LIKE_IT = 15
"""Tenths of a bit: how many more strangers have a name from abroad that is like this one than the very same."""
_NO_FIELDS: frozenset[int] = frozenset()
_NONE_OF_THEM = -(10**6)
_TOO_MANY_CARRIERS = 5
TOO_MANY_CARRIERS = {PERSONAL: 5, OLD_CARD: 5, PASSPORT: 5, INSURANCE: 5, PHONE: 15}
"""More persons than this under one number, by its field: it is nobody's."""
MOST_RECORDS = 24
_MOST_COMPARED = 6
_MOST_NEAR = 8
_NEAR = 45
"""So many tenths below a question of the second look a person is still noted: more facts may come."""


class Weighed(NamedTuple):
    """One person against one description. A tuple, since a registration makes several and keeps none.

    score     tenths of a bit by which "the same person" leads
    rival     what else it could be: "relative", "twin" or "stranger"
    veto      why no score may link them, or None
    told      the record of the person that the levels of name and place are about
    """

    person_id: str
    levels: Levels
    score: int
    rival: str
    veto: str | None
    told: Traits


class Weighing:
    """Decides by the tables of one model. Implements `registry.ports.Matcher`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.rule = f"weighing/{model.version}"
        self._nobody = Verdict(Zone.NEW, None, ("a patient without a name",), self.rule)
        self._no_candidate = Verdict(Zone.NEW, None, ("no candidate",), self.rule)
        self._compared = compare if model.strangers else compare_if_alike
        self._sums, self._together = sums_by(model.rows), together_by(model.rows)

    def judge(self, wanted: PatientInQuestion, candidates: Sequence[Candidate], *, size: int = 0) -> Verdict:
        """Against persons, not records. `size` is how many records the index holds; at least those shown are taken."""
        persons = [(c.person_id, [traits_of_record(record) for record in c.records]) for c in candidates]
        size = max(size, sum(len(records) for _, records in persons))
        return self.decide(traits_of_question(wanted), persons, size=size)

    def decide(
        self, mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]], *, size: int, explain: bool = True
    ) -> Verdict:
        """The zone of the best person. Two that fit alike and cannot be one make a review, and so does a local number
        that is somebody else's. A link that nobody will read needs no evidence: `explain` false."""
        if mine.nobody or not persons:
            return self._nobody if mine.nobody else self._no_candidate
        ranked = self.weigh(mine, persons, size=size)
        verdict = self._decided(mine, ranked, persons, size=size, explain=explain)
        least, linked = self.model.again - _NEAR, verdict.person_id if verdict.zone is Zone.LINK else None
        near = tuple(one.person_id for one in ranked[:_MOST_NEAR] if one.score >= least and one.person_id != linked)
        return replace(verdict, near=near) if near else verdict

    def _decided(
        self,
        mine: Traits,
        ranked: Sequence[Weighed],
        persons: Sequence[tuple[str, Sequence[Traits]]],
        *,
        size: int,
        explain: bool,
    ) -> Verdict:
        holder = _holder_of_local_number(mine, persons) if mine.local else None
        if not ranked:
            return self._reused(holder) if holder else Verdict(Zone.NEW, None, ("no candidate fits",), self.rule)
        best = ranked[0]
        zone = self.zone(best)
        if zone is Zone.LINK:
            return self._linked(mine, ranked, dict(persons), size=size, holder=holder, explain=explain)
        if zone is Zone.NEW and holder is not None:
            return self._reused(holder)
        return self._verdict(mine, zone, best, size=size)

    def _linked(
        self,
        mine: Traits,
        ranked: Sequence[Weighed],
        persons: Mapping[str, Sequence[Traits]],
        *,
        size: int,
        holder: str | None,
        explain: bool,
    ) -> Verdict:
        best, also = ranked[0], []
        for other in ranked[1:]:
            if other.veto is not None or other.score < self.model.review:
                continue
            near = best.score - other.score < self.model.margin
            if near and not self.may_be_one(persons[best.person_id], persons[other.person_id]):
                return self._verdict(mine, Zone.REVIEW, best, "another person fits as well", size=size)
            if self.zone(other) is Zone.LINK:
                also.append(other.person_id)
        reused = holder if holder != best.person_id and holder not in also else None
        if not explain:
            return Verdict(Zone.LINK, best.person_id, (), self.rule, score=best.score, also=tuple(also), reused=reused)
        return replace(self._verdict(mine, Zone.LINK, best, size=size), also=tuple(also), reused=reused)

    def _reused(self, holder: str) -> Verdict:
        """An overlay: one hospital's number for two people. Nobody is linked, and somebody has to look."""
        return Verdict(Zone.REVIEW, holder, (REUSED,), self.rule, reused=holder)

    def may_be_one(self, ones: Sequence[Traits], others: Sequence[Traits]) -> bool:
        """Whether nothing forbids that two persons are the same one."""
        for one in ones[-_MOST_COMPARED:]:
            for other in others[-_MOST_COMPARED:]:
                levels = self._compared(one, other)
                if levels is None or self._contradiction(levels) is not None:
                    return False
        return True

    def contradiction(self, one: Traits, other: Traits) -> str | None:
        """What the two differ in, and one person only by mistake; None where nothing does, or nothing is alike."""
        levels = self._compared(one, other)
        return None if levels is None else self._contradiction(levels)

    def _contradiction(self, levels: Levels) -> str | None:
        found = contradiction(levels)
        return None if self.model.strangers and found != TWO_NUMBERS else found

    def weigh(self, mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]], *, size: int) -> list[Weighed]:
        """Every candidate that is worth it with its score, the best first; the order of arrival breaks no tie."""
        shared_by_all = _dummies(mine, persons)
        strangers = _bits_of(size)
        weighed = []
        for person_id, records in persons:
            known = [record for record in records if not record.nobody]
            one = self._person(mine, person_id, known[-MOST_RECORDS:], shared_by_all, strangers) if known else None
            if one is not None:
                weighed.append(one)
        if len(weighed) > 1:
            weighed.sort(key=lambda w: (w.veto is not None, -w.score, w.person_id))
        return weighed

    def resembles(
        self, mine: Traits, records: Sequence[Traits], *, size: int, dummies: frozenset[int] = _NO_FIELDS
    ) -> Weighed | None:
        """This description against the records of one person, without the fields in `dummies`; None where the names are
        two and no number is shared, or one of them is nobody."""
        known = [record for record in records[-MOST_RECORDS:] if not record.nobody]
        return self._person(mine, "", known, dummies, _bits_of(size)) if known and not mine.nobody else None

    def lead(self, mine: Traits, theirs: Traits, levels: Levels, *, size: int) -> int:
        """Tenths of a bit by which "the same person" leads, for a pair that is compared already."""
        return self._score(mine, theirs, levels, _bits_of(size))[0]

    def zone(self, weighed: Weighed) -> Zone:
        model = self.model
        if weighed.veto is None and weighed.score >= model.link:
            return Zone.LINK
        return Zone.REVIEW if weighed.score >= model.review else Zone.NEW

    def _person(
        self, mine: Traits, person_id: str, records: Sequence[Traits], dummies: frozenset[int], strangers: int
    ) -> Weighed | None:
        compared, alike = self._compared, dict[Levels, Traits]()
        for record in records:
            if (found := compared(mine, record)) is not None:
                alike.setdefault(found, record)
        if not alike:
            return None
        levels, place = next(iter(alike.items()))
        if len(alike) > 1:
            levels, told = self._together(tuple(alike))
            place = tuple(alike.values())[told]
        if dummies:
            levels = tuple(UNKNOWN if field in dummies else level for field, level in enumerate(levels))
        score, rival = self._score(mine, place, levels, strangers)
        veto = self._veto(mine, records, levels)
        if veto == ONLY_A_YEAR and score >= self.model.link + beyond(levels, strangers):
            veto = None
        return Weighed(person_id, levels, score, HYPOTHESES[rival + 1], veto, place)

    def _veto(self, mine: Traits, records: Sequence[Traits], levels: Levels) -> str | None:
        if self.model.strangers:
            return self._contradiction(levels)
        return forbids(mine, records, levels, twins_from=self.model.twins_from)

    def _score(self, mine: Traits, theirs: Traits, levels: Levels, strangers: int) -> tuple[int, int]:
        """The lead, and the place of the strongest rival."""
        model = self.model
        same, relative, twin, stranger, by_value = self._sums(levels)
        if model.strangers:
            relative = twin = _NONE_OF_THEM
        else:
            relative, twin = relative + model.relatives, twin + model.twins
        stranger += strangers
        for field in by_value:
            level = levels[field]
            chance = self._chance(mine, theirs, field, level, strangers)
            stranger += model.rows[field][level][3] if chance is None else chance
        strongest = max(relative, twin, stranger)
        return same - strongest, 2 if strongest == stranger else 0 if strongest == relative else 1

    def explain(self, mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]], *, size: int) -> tuple[str, ...]:
        """The best of these persons, whatever the zone: every field with its bits, and what forbids a link."""
        ranked = self.weigh(mine, persons, size=size)
        if not ranked:
            return ("two names, and no number in common",)
        return self.reasons(mine, ranked[0], size=size)

    def reasons(self, mine: Traits, best: Weighed, *more: str, size: int) -> tuple[str, ...]:
        """How far ahead, what forbids a link, and every field with its bits."""
        fields = self.evidence(mine, best, size=size)
        lines = [f"{bits(best.score)} against a {best.rival}", *more, *([best.veto] if best.veto else [])]
        return (*lines, *(f"{one.field} {one.level} {bits(one.tenths)}" for one in fields))

    def evidence(self, mine: Traits, best: Weighed, *, size: int) -> tuple[FieldEvidence, ...]:
        """What each known field says for the same person, against the rival that came nearest; of one that says nothing
        by this model there is no word."""
        rival, strangers, found = HYPOTHESES.index(best.rival), _bits_of(size), []
        for field, level in enumerate(best.levels):
            row = self.model.rows[field][level]
            if any(row):
                chance = self._chance(mine, best.told, field, level, strangers) if rival == 3 else None
                tenths = row[0] - (row[rival] if chance is None else chance)
                found.append(FieldEvidence(_FIELD_NAMES[field], _LEVEL_NAMES[field][level], tenths))
        return tuple(found)

    def _chance(self, mine: Traits, theirs: Traits, field: int, level: int, strangers: int) -> int | None:
        """How often strangers agree on this very value; None where the table knows."""
        frequencies = self.model.frequencies
        if (field, level) in COMMON:
            if field <= MIDDLE and mine.name is not None and theirs.name is not None:
                # where words stand in another order, the more common reading counts
                return max(self._common(mine.name, field, level), self._common(theirs.name, field, level))
            if field == COMMUNE:
                return -frequencies.commune.get(mine.place.commune, frequencies.rare["commune"])
        if (field, level) in MISTYPED and mine.name is not None and mine.name.guest:
            return _LIKE_IT - frequencies.rare[MISTYPED[field, level]]
        if (field, level) in TAKEN:
            return self.model.rows[field][level][3] - strangers
        return None

    def _common(self, name: NameTraits, field: int, level: int) -> int:
        """log2 of how many strangers have this part of a name, in tenths."""
        frequencies = self.model.frequencies
        if field == FAMILY:
            return -frequencies.family.get(name.family, frequencies.rare["family"])
        if field == MIDDLE:
            return -frequencies.middle.get(name.middle, frequencies.rare["middle"])
        if level == GIVEN_BARE:
            return -frequencies.given_bare.get(name.given, frequencies.rare["given"])
        return -frequencies.given.get(name.given_toned, frequencies.rare["given"])

    def _verdict(self, mine: Traits, zone: Zone, best: Weighed, *more: str, size: int) -> Verdict:
        if zone is Zone.NEW:
            return Verdict(zone, None, (f"{bits(best.score)} against a {best.rival}",), self.rule, score=best.score)
        lines, fields = self.reasons(mine, best, *more, size=size), self.evidence(mine, best, size=size)
        return Verdict(zone, best.person_id, lines, self.rule, fields, best.score)


@lru_cache(maxsize=1024)
def _bits_of(size: int) -> int:
    """How many strangers there are, in tenths of a bit."""
    return round(10 * math.log2(max(size, 2)))


def _holder_of_local_number(mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]]) -> str | None:
    """The person who already has this local number; None where so many have it that it is no number."""
    others = mine.local.isdisjoint
    holders = [person for person, records in persons if not all(one.nobody or others(one.local) for one in records)]
    return holders[0] if 0 < len(holders) <= _TOO_MANY_CARRIERS else None


def bits(tenths: int) -> str:
    """ "+7.4 bits": each bit doubles the odds."""
    return f"{tenths / 10:+.1f} bits"


def _dummies(mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]]) -> frozenset[int]:
    """Fields in which this description shares its number with too many different people to mean anything."""
    if len(persons) <= _TOO_MANY_CARRIERS:
        return frozenset()
    crowded = set()
    for field, numbers in (
        (PERSONAL, _personal), (OLD_CARD, _old), (PASSPORT, _passports), (INSURANCE, _insurance), (PHONE, _phones),
    ):  # fmt: skip
        own = numbers(mine)
        carriers = sum(any(own & numbers(record) for record in records) for _, records in persons) if own else 0
        if carriers > TOO_MANY_CARRIERS[field]:
            crowded.add(field)
    return frozenset(crowded)


def _personal(traits: Traits) -> frozenset[str]:
    return traits.personal


def _old(traits: Traits) -> frozenset[str]:
    return traits.old_cards


def _passports(traits: Traits) -> frozenset[str]:
    return traits.passports


def _insurance(traits: Traits) -> frozenset[str]:
    return traits.insurance


def _phones(traits: Traits) -> frozenset[str]:
    return traits.phones
