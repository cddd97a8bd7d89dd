"""Is this the same person? Three zones: link, review, new. In doubt a person decides.

A number alone never links: the birth date must agree, and the name where it is given; nothing may contradict.
Two different personal numbers forbid a link whatever else agrees. Each answer carries its evidence, field by field.
This rule is the floor; a weighing matcher takes its place behind the same port (`ports.Matcher`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from registry.identifiers import (
    CITIZEN_ID,
    INSURANCE_NUMBER,
    NATIONAL_ID,
    PASSPORT_NUMBER,
    PatientIdentifier,
    read_personal_number,
)
from registry.people import Demographics, HumanName, PatientInQuestion, SourceRecord
from registry.vietnamese import has_marks, is_newborn_placeholder, letters_agree

RULE = "corroborated-number/1"
PERSONAL_NUMBERS = frozenset({NATIONAL_ID, INSURANCE_NUMBER, CITIZEN_ID, PASSPORT_NUMBER})


class Agreement(StrEnum):
    """How far one field of two records agrees."""

    SAME = "same"
    LIKELY = "likely"
    UNKNOWN = "unknown"
    DIFFERENT = "different"


class Zone(StrEnum):
    """What to do with a pair."""

    LINK = "link"
    REVIEW = "review"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The evidence for and against two descriptions being one person."""

    name: Agreement
    birth_date: Agreement
    gender: Agreement
    shared_numbers: tuple[PatientIdentifier, ...] = ()
    conflicting_numbers: bool = False
    implausible_number: bool = False
    newborn: bool = False

    @property
    def evidence(self) -> tuple[str, ...]:
        """One line a field, without values: for the link, the registrar and the regulator."""
        lines = [f"name {self.name}", f"birth date {self.birth_date}", f"gender {self.gender}"]
        lines += [f"{number.system.rsplit('/', 1)[-1]} same" for number in self.shared_numbers]
        lines += ["personal numbers different"] if self.conflicting_numbers else []
        lines += ["number does not fit sex or year of birth"] if self.implausible_number else []
        lines += ["a newborn under its mother's name"] if self.newborn else []
        return tuple(lines)

    @property
    def contradicted(self) -> bool:
        """Two of name, birth date and sex say that these are different people."""
        return [self.name, self.birth_date, self.gender].count(Agreement.DIFFERENT) >= 2

    @property
    def zone(self) -> Zone:
        """Link only what a shared number and the birth date support together, and the name where it is given.

        A number that does not fit its owner's sex or year (a parent's, often) links only when all the rest is the same.
        """
        if self.conflicting_numbers:
            return Zone.REVIEW if self._looks_the_same else Zone.NEW
        if not self.shared_numbers:
            return Zone.REVIEW if self._looks_the_same else Zone.NEW
        if self.newborn or (self.implausible_number and not self._all_the_same):
            return Zone.REVIEW
        return Zone.LINK if self._supported else Zone.REVIEW

    @property
    def _supported(self) -> bool:
        if Agreement.DIFFERENT in (self.name, self.birth_date, self.gender) or self.birth_date is Agreement.UNKNOWN:
            return False
        if self.name is Agreement.UNKNOWN:
            return self.birth_date is Agreement.SAME
        return Agreement.SAME in (self.name, self.birth_date)

    @property
    def _all_the_same(self) -> bool:
        return self.name is self.birth_date is self.gender is Agreement.SAME

    @property
    def _looks_the_same(self) -> bool:
        return (
            self.name is Agreement.SAME and self.birth_date is Agreement.SAME and self.gender is not Agreement.DIFFERENT
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of the index with all that its sources say."""

    person_id: str
    records: tuple[SourceRecord, ...]


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """What one field says: how far it agrees, and by how many tenths of a bit that speaks for the same person."""

    field: str
    level: str
    tenths: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The zone, the person it speaks of, and why: `evidence` to be read, `fields` and `score` (tenths of a bit) where
    the rule weighs, `also` the other persons whom it would link as well, `near` those worth a second look when more is
    known, `reused` the person who had its local number before."""

    zone: Zone
    person_id: str | None
    evidence: tuple[str, ...]
    rule: str = RULE
    fields: tuple[FieldEvidence, ...] = ()
    score: int | None = None
    also: tuple[str, ...] = ()
    reused: str | None = None
    near: tuple[str, ...] = ()


class CorroboratedNumber:
    """The matcher that ships: shared numbers with corroboration, nothing weighed."""

    rule = RULE

    def judge(self, wanted: PatientInQuestion, candidates: Sequence[Candidate], *, size: int = 0) -> Verdict:
        """Against persons, not records: the best zone wins, and two persons in the link zone make a review."""
        judged = [(compare_with_person(wanted, candidate), candidate.person_id) for candidate in candidates]
        linking = [(c, p) for c, p in judged if c.zone is Zone.LINK]
        if len({person for _, person in linking}) > 1:
            return Verdict(Zone.REVIEW, None, ("several persons fit", *linking[0][0].evidence))
        if linking and any(_carries_its_personal_number(c) for c, p in judged if p != linking[0][1]):
            return Verdict(Zone.REVIEW, None, ("somebody else carries this number", *linking[0][0].evidence))
        for zone in (Zone.LINK, Zone.REVIEW):
            for comparison, person_id in judged:
                if comparison.zone is zone:
                    return Verdict(zone, person_id, comparison.evidence)
        return Verdict(Zone.NEW, None, ("no candidate",) if not judged else ("no candidate fits",))


def _carries_its_personal_number(comparison: Comparison) -> bool:
    return any(number.system == NATIONAL_ID for number in comparison.shared_numbers)


def compare_with_person(wanted: PatientInQuestion, person: Candidate) -> Comparison:
    """Best agreement over the person's records, worst over its numbers: one contradicting number is enough."""
    records = [record for record in person.records if record.active] or list(person.records)
    each = [compare(wanted, record) for record in records]
    best = max(each, key=lambda c: (_RANK[c.birth_date] + _RANK[c.name] + _RANK[c.gender], len(c.shared_numbers)))
    # a number that its source merged into another still names the person
    shared = tuple(sorted(wanted.numbers & {n.normal for record in person.records for n in record.identifiers}))
    return Comparison(
        best.name,
        best.birth_date,
        best.gender,
        shared_numbers=shared,
        conflicting_numbers=any(c.conflicting_numbers for c in each),
        implausible_number=any(c.implausible_number for c in each),
        newborn=any(c.newborn for c in each),
    )


_RANK = {Agreement.SAME: 3, Agreement.LIKELY: 2, Agreement.UNKNOWN: 1, Agreement.DIFFERENT: 0}


def compare(wanted: PatientInQuestion, record: SourceRecord) -> Comparison:
    """Field by field, what a question says against what one source said."""
    mine, theirs = wanted.demographics, record.demographics
    numbers = {identifier.normal for identifier in record.identifiers}
    shared = tuple(sorted(wanted.numbers & numbers))
    return Comparison(
        name_agreement(mine.name, theirs.name),
        birth_date_agreement(mine, theirs),
        _genders(mine, theirs),
        shared_numbers=shared,
        conflicting_numbers=numbers_conflict(wanted.numbers, numbers),
        implausible_number=any(_implausible(number, d) for number in shared for d in (mine, theirs)),
        newborn=_is_newborn(mine) or _is_newborn(theirs),
    )


def name_agreement(one: HumanName | None, other: HumanName | None) -> Agreement:
    """Same with its tones; likely where only marks, a middle name or the order differ; different otherwise.

    Where both writers use marks and a tone differs, the given name is another name: Lan is not Lân.
    """
    if one is None or other is None:
        return Agreement.UNKNOWN
    if one.toned == other.toned:
        return Agreement.SAME
    mine, theirs = one.folded.split(), other.folded.split()
    both_marked = has_marks(one.text) and has_marks(other.text)
    if _words_agree(mine, theirs):
        return Agreement.DIFFERENT if both_marked and _given_differs(one, other) else Agreement.LIKELY
    if sorted(mine) == sorted(theirs) or "".join(mine) == "".join(theirs):
        return Agreement.LIKELY
    if _middle_missing(mine, theirs) and not (both_marked and _given_differs(one, other)):
        return Agreement.LIKELY
    return Agreement.DIFFERENT


def _words_agree(mine: list[str], theirs: list[str]) -> bool:
    return len(mine) == len(theirs) and all(letters_agree(a, b) for a, b in zip(mine, theirs, strict=True))


def _given_differs(one: HumanName, other: HumanName) -> bool:
    return one.toned.split()[-1:] != other.toned.split()[-1:]


def _middle_missing(mine: list[str], theirs: list[str]) -> bool:
    short, long = sorted((mine, theirs), key=len)
    if len(short) < 2 or len(short) == len(long):
        return False
    rest = iter(long[1:-1])
    return short[0] == long[0] and short[-1] == long[-1] and all(word in rest for word in short[1:-1])


def birth_date_agreement(one: Demographics, other: Demographics) -> Agreement:
    """Same for the same full day; likely where one is less precise, or day and month are exchanged."""
    if one.birth_date is None or other.birth_date is None:
        return Agreement.UNKNOWN
    if one.birth_date == other.birth_date and one.birth_date.is_full:
        return Agreement.SAME
    if one.birth_date.compatible(other.birth_date) or one.birth_date.swapped() == other.birth_date:
        return Agreement.LIKELY
    return Agreement.DIFFERENT


def _genders(one: Demographics, other: Demographics) -> Agreement:
    known = {"male", "female"}
    if one.gender not in known or other.gender not in known:
        return Agreement.UNKNOWN
    return Agreement.SAME if one.gender == other.gender else Agreement.DIFFERENT


def numbers_conflict(mine: Iterable[PatientIdentifier], theirs: Iterable[PatientIdentifier]) -> bool:
    """Two different well-formed personal numbers of 12 digits; old cards and insurance numbers do change."""
    one = {n.value for n in mine if n.system == NATIONAL_ID and read_personal_number(n.value)}
    other = {n.value for n in theirs if n.system == NATIONAL_ID and read_personal_number(n.value)}
    return bool(one and other and not one & other)


def _implausible(number: PatientIdentifier, owner: Demographics) -> bool:
    """A personal number that names another sex or year than the record itself: a parent's, or the patient's before."""
    read = read_personal_number(number.value) if number.system == NATIONAL_ID else None
    if read is None:
        return False
    wrong_sex = owner.gender in ("male", "female") and owner.gender != read.gender
    wrong_year = owner.birth_date is not None and owner.birth_date.year != read.birth_year
    return wrong_sex or wrong_year


def _is_newborn(demographics: Demographics) -> bool:
    return demographics.name is not None and is_newborn_placeholder(demographics.name.text)
