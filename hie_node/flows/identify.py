"""Who is meant: from what a question or a message says to one person of the index, or to nobody."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from registry.errors import NotUnique
from registry.matching import Agreement, Comparison, CorroboratedNumber, Zone, compare_with_person
from registry.people import NOTHING_KNOWN, PatientInQuestion, SourceRecord
from registry.ports import Matcher
from registry.searches import PatientSelector

CANDIDATES = 50
"""How many persons a description is compared with; blocking keys bring tens, a crowd is a question to refine."""
LEAST_STRANGERS = 100_000
"""A hospital's patients come out of so many people at least, however few of them its index holds yet."""
_STRICT = CorroboratedNumber()


@dataclass(frozen=True, slots=True)
class Identified:
    """One person of this hospital's index, with all that its sources say."""

    person_id: str
    records: tuple[SourceRecord, ...]

    @property
    def record_ids(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    @property
    def first(self) -> SourceRecord:
        """The record that stands for the person: active, the newest version of it."""
        return next((record for record in self.records if record.active), self.records[0])


def identify(act: Act, unit: UnitOfWork, patient: PatientSelector) -> Identified | None:
    """The person that a caller means, or None. Raises NotUnique where two persons fit.

    A system of this hospital may name its own patients by any identifier; a peer must describe the person, and the
    matcher decides whether exactly one is meant.
    """
    if patient.record_id is not None:
        return None if act.caller.is_peer else by_record_id(unit, patient.record_id, patient.described)
    if patient.described is None:
        return None
    if act.caller.is_peer:
        known = _told_before(act, unit, patient.described)
        return known or by_description(unit, patient.described, act.house.matcher)
    return by_identifier(unit, patient.described) or by_description(unit, patient.described, act.house.matcher)


def _told_before(act: Act, unit: UnitOfWork, described: PatientInQuestion) -> Identified | None:
    """A peer may name a patient by the number alone that this node told it for a full description, not long ago."""
    if len(described.identifiers) != 1 or described.demographics != NOTHING_KNOWN:
        return None
    told = unit.correlations.told(act.caller.requester.home, described.identifiers[0], now=act.now)
    return by_record_id(unit, told.record_id) if told else None


def _carries(person: Identified, described: PatientInQuestion) -> bool:
    known = {identifier.normal for record in person.records for identifier in record.identifiers}
    return not described.numbers or bool(described.numbers & known)


def contradicts(comparison: Comparison) -> bool:
    """Something that a question says is not so."""
    different = Agreement.DIFFERENT in (comparison.name, comparison.birth_date, comparison.gender)
    return different or comparison.conflicting_numbers


def by_record_id(unit: UnitOfWork, record_id: str, described: PatientInQuestion | None = None) -> Identified | None:
    """The person behind a logical id of this node, unless the question says besides that somebody else is meant."""
    found = unit.patients.person_with(record_id)
    if found is None:
        return None
    person = Identified(found.person_id, found.records)
    if described is None:
        return person
    comparison = compare_with_person(described, found)
    return None if contradicts(comparison) or not _carries(person, described) else person


def by_identifier(unit: UnitOfWork, wanted: PatientInQuestion) -> Identified | None:
    """The one person that carries one of these identifiers and whom nothing else in the description contradicts."""
    if not wanted.identifiers:
        return None
    fitting = []
    for candidate in unit.patients.candidates(PatientInQuestion(wanted.identifiers), limit=CANDIDATES):
        comparison = compare_with_person(wanted, candidate)
        if comparison.shared_numbers and not contradicts(comparison):
            fitting.append(candidate)
    if len(fitting) > 1:
        raise NotUnique("patient")
    return Identified(fitting[0].person_id, fitting[0].records) if fitting else None


def by_description(unit: UnitOfWork, wanted: PatientInQuestion, matcher: Matcher) -> Identified | None:
    """The one person whom both the strict rule and the matcher would link to this description.

    Doubt is nobody, two are an error.
    """
    if wanted.is_empty:
        return None
    candidates = unit.patients.candidates(wanted, limit=CANDIDATES)
    # a question from outside is answered under the strict rule: a shared number and all that is said besides
    verdict = _STRICT.judge(wanted, candidates)
    if verdict.zone is Zone.REVIEW:
        raise NotUnique("patient")
    if verdict.zone is Zone.LINK and wanted.demographics.name is not None:
        weighed = matcher.judge(wanted, candidates, size=max(LEAST_STRANGERS, unit.patients.size()))
        if (weighed.zone, weighed.person_id) != (Zone.LINK, verdict.person_id):
            raise NotUnique("patient")
    return _person(unit, verdict.person_id) if verdict.zone is Zone.LINK and verdict.person_id else None


def _person(unit: UnitOfWork, person_id: str) -> Identified | None:
    records = unit.patients.records_of(person_id)
    return Identified(person_id, records) if records else None
