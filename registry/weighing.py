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
from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry.levels import (
    BORN,
    BORN_DIFFERENT,
    BORN_YEAR,
    BORN_YEAR_ONLY,
    COMMUNE,
    FAMILY,
    FAMILY_DIFFERENT,
    FIELDS,
    GIVEN,
    GIVEN_BARE,
    GIVEN_DIFFERENT,
    GIVEN_INITIAL,
    GIVEN_LETTER,
    GIVEN_TONE,
    GUARDIAN,
    INSURANCE,
    LOCAL,
    MIDDLE,
    MIDDLE_NONE,
    OLD_CARD,
    PASSPORT,
    PERSONAL,
    PERSONAL_CONFLICT,
    PERSONAL_FOREIGN,
    PHONE,
    SAME,
    SEX,
    SEX_DIFFERENT,
    UNKNOWN,
    Levels,
    compare,
)
from registry.matching import Candidate, FieldEvidence, Verdict, Zone
from registry.people import PatientInQuestion
from registry.traits import NameTraits, Traits, traits_of_question, traits_of_record
from registry.weights import HYPOTHESES, Model

_FIELD_NAMES = tuple(FIELDS)
_LEVEL_NAMES = tuple(FIELDS.values())
_OWN_NUMBERS = (PERSONAL, OLD_CARD, PASSPORT, INSURANCE, LOCAL)
_TAKEN = frozenset({(PERSONAL, PERSONAL_FOREIGN), (PHONE, SAME), *((number, SAME) for number in _OWN_NUMBERS)})
"""What a stranger shares only by having used this patient's own."""
_TOO_MANY_CARRIERS = 5
_MOST_RECORDS = 24


@dataclass(frozen=True, slots=True)
class Weighed:
    """One person against one description.

    score     tenths of a bit by which "the same person" leads
    rival     what else it could be: "relative", "twin" or "stranger"
    veto      why no score may link them, or None
    """

    person_id: str
    levels: Levels
    score: int
    rival: str
    veto: str | None
    fields: tuple[FieldEvidence, ...]


class Weighing:
    """Decides by the tables of one model. Implements `registry.ports.Matcher`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.rule = f"weighing/{model.version}"
        self._gain = tuple(tuple(row[0] - row[3] for row in rows) for rows in model.rows)

    def judge(self, wanted: PatientInQuestion, candidates: Sequence[Candidate], *, size: int = 0) -> Verdict:
        """Against persons, not records. `size` is how many records the index holds; at least those shown are taken."""
        persons = [(c.person_id, [traits_of_record(record) for record in c.records]) for c in candidates]
        size = max(size, sum(len(records) for _, records in persons))
        return self.decide(traits_of_question(wanted), persons, size=size)

    def decide(self, mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]], *, size: int) -> Verdict:
        """The zone of the best person; two that fit alike make a review."""
        if mine.nobody or not persons:
            return Verdict(
                Zone.NEW, None, ("no candidate" if persons == [] else "a patient without a name",), self.rule
            )
        ranked = self.weigh(mine, persons, size=size)
        if not ranked:
            return Verdict(Zone.NEW, None, ("no candidate fits",), self.rule)
        best = ranked[0]
        zone = self.zone(best)
        if zone is Zone.LINK and len(ranked) > 1 and best.score - ranked[1].score < self.model.margin:
            second = ranked[1]
            if self.zone(second) is Zone.LINK or (second.score >= self.model.review and second.veto is None):
                return self._verdict(Zone.REVIEW, best, "another person fits as well")
        also = tuple(other.person_id for other in ranked[1:] if self.zone(other) is Zone.LINK)
        return (
            replace(self._verdict(zone, best), also=also) if zone is Zone.LINK and also else self._verdict(zone, best)
        )

    def weigh(self, mine: Traits, persons: Sequence[tuple[str, Sequence[Traits]]], *, size: int) -> list[Weighed]:
        """Every candidate with its score, the best first; the order of arrival breaks no tie."""
        shared_by_all = _dummies(mine, persons)
        strangers = round(10 * math.log2(max(size, 2)))
        weighed = []
        for person_id, records in persons:
            known = [record for record in records if not record.nobody]
            if known:
                weighed.append(self._person(mine, person_id, known[-_MOST_RECORDS:], shared_by_all, strangers))
        weighed.sort(key=lambda w: (w.veto is not None, -w.score, w.person_id))
        return weighed

    def lead(self, mine: Traits, theirs: Traits, levels: Levels, *, size: int) -> int:
        """Tenths of a bit by which "the same person" leads, for a pair that is compared already."""
        return self._score(mine, theirs, levels, round(10 * math.log2(max(size, 2))))[0]

    def zone(self, weighed: Weighed) -> Zone:
        model = self.model
        if weighed.veto is None:
            if weighed.score >= model.link:
                return Zone.LINK
            return Zone.REVIEW if weighed.score >= model.review else Zone.NEW
        return Zone.REVIEW if weighed.score >= model.review else Zone.NEW

    def _person(
        self, mine: Traits, person_id: str, records: Sequence[Traits], dummies: frozenset[int], strangers: int
    ) -> Weighed:
        compared = [compare(mine, record) for record in records]
        levels, told = self._together(compared)
        if dummies:
            levels = tuple(UNKNOWN if field in dummies else level for field, level in enumerate(levels))
        place = records[told]
        score, rival, fields = self._score(mine, place, levels, strangers)
        return Weighed(person_id, levels, score, rival, forbids(mine, records, levels), fields)

    def _together(self, compared: Sequence[Levels]) -> tuple[Levels, int]:
        """What the records of a person say together: the name that fits best, the best of each other field."""
        if len(compared) == 1:
            return compared[0], 0
        gain = self._gain
        named = max(range(len(compared)), key=lambda n: sum(gain[f][compared[n][f]] for f in (GIVEN, FAMILY, MIDDLE)))
        best = list(compared[named])
        for field in range(BORN, len(best)):
            of_field = gain[field]
            best[field] = max((levels[field] for levels in compared), key=of_field.__getitem__)
        if any(levels[PERSONAL] == PERSONAL_CONFLICT for levels in compared) and best[PERSONAL] != SAME:
            best[PERSONAL] = PERSONAL_CONFLICT
        return tuple(best), named

    def _score(
        self, mine: Traits, theirs: Traits, levels: Levels, strangers: int
    ) -> tuple[int, str, tuple[FieldEvidence, ...]]:
        rows, model = self.model.rows, self.model
        relative, twin, stranger = model.relatives, model.twins, strangers
        same, each = 0, []
        for field, level in enumerate(levels):
            if not level:
                continue
            row = rows[field][level]
            chance = self._chance(mine, theirs, field, level, strangers)
            unlike = row[3] if chance is None else chance
            same += row[0]
            relative += row[1]
            twin += row[2]
            stranger += unlike
            each.append((field, level, (row[0] - row[1], row[0] - row[2], row[0] - unlike)))
        strongest = max(relative, twin, stranger)
        rival = 2 if strongest == stranger else 0 if strongest == relative else 1
        fields = tuple(FieldEvidence(_FIELD_NAMES[f], _LEVEL_NAMES[f][n], leads[rival]) for f, n, leads in each)
        return same - strongest, HYPOTHESES[rival + 1], fields

    def _chance(self, mine: Traits, theirs: Traits, field: int, level: int, strangers: int) -> int | None:
        """How often strangers agree on this very value; None where the table knows."""
        frequencies = self.model.frequencies
        if level == SAME or (field, level) in ((GIVEN, GIVEN_BARE), (MIDDLE, MIDDLE_NONE)):
            if field <= MIDDLE and mine.name is not None and theirs.name is not None:
                # where words stand in another order, the more common reading counts
                return max(self._common(mine.name, field, level), self._common(theirs.name, field, level))
            if field == COMMUNE:
                return -frequencies.commune.get(mine.place.commune, frequencies.rare["commune"])
        if (field, level) in _TAKEN:
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

    def _verdict(self, zone: Zone, best: Weighed, *more: str) -> Verdict:
        lines = [f"{bits(best.score)} against a {best.rival}", *more]
        if best.veto is not None:
            lines.append(best.veto)
        lines += [f"{one.field} {one.level} {bits(one.tenths)}" for one in best.fields]
        person = best.person_id if zone is not Zone.NEW else None
        return Verdict(zone, person, tuple(lines), self.rule, best.fields, best.score)


def bits(tenths: int) -> str:
    """ "+7.4 bits": each bit doubles the odds."""
    return f"{tenths / 10:+.1f} bits"


def forbids(mine: Traits, records: Sequence[Traits], levels: Levels) -> str | None:
    """What may never be linked without a person, whatever the score."""
    if levels[PERSONAL] == PERSONAL_CONFLICT:
        return "personal numbers are different"
    if mine.newborn or any(record.newborn for record in records):
        return "a newborn under its mother's name"
    given, born = levels[GIVEN], levels[BORN]
    numbered = any(levels[number] == SAME for number in _OWN_NUMBERS)
    if given in (GIVEN_TONE, GIVEN_LETTER, GIVEN_INITIAL) and not (numbered and given != GIVEN_TONE):
        return "twins differ like this"
    name_differs = given in (GIVEN_DIFFERENT, GIVEN_TONE, UNKNOWN) or levels[FAMILY] == FAMILY_DIFFERENT
    if name_differs:
        return "the name does not support it"
    if born in (BORN_DIFFERENT, BORN_YEAR_ONLY) and levels[PERSONAL] != SAME:
        return "the birth date contradicts it"
    if born == UNKNOWN and not numbered:
        return "no birth date and no number"
    if born == BORN_YEAR and not numbered and not any(levels[field] == SAME for field in (PHONE, COMMUNE, GUARDIAN)):
        return "only a name and a year"
    if levels[SEX] == SEX_DIFFERENT and levels[PERSONAL] != SAME:
        return "the sex contradicts it"
    return None


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
        if carriers > _TOO_MANY_CARRIERS * (3 if field == PHONE else 1):
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
