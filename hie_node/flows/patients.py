"""Look up, match and cross-reference patients of this hospital's index."""

from __future__ import annotations

from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.identify import CANDIDATES, identify
from registry.commands import (
    CrossReference,
    CrossReferences,
    FindPatients,
    MatchPatient,
    Page,
    PatientMatch,
    ReadPatient,
)
from registry.errors import NotFound, UnknownAuthority, UnknownTargetSystem
from registry.identifiers import CITIZEN_ID, INSURANCE_NUMBER, NATIONAL_ID, PASSPORT_NUMBER
from registry.matching import Agreement, Comparison, Zone, compare_with_person
from registry.people import PatientInQuestion, SourceRecord
from registry.searches import Cursor, PatientSearch, PatientSelector

MOST_COUNTED = 2000
"""Patients that one search counts; whoever finds more asks too little."""

COUNTRY_WIDE = frozenset({NATIONAL_ID, CITIZEN_ID, INSURANCE_NUMBER, PASSPORT_NUMBER})
"""Numbers that no hospital assigns."""


def find_patients(act: Act, command: FindPatients) -> Page[SourceRecord]:
    """ITI-78: who is known here; each one shown gets a row in the record."""
    with act.unit() as unit:
        return find_in(act, unit, command.search)


def find_in(act: Act, unit: UnitOfWork, search: PatientSearch) -> Page[SourceRecord]:
    """One page of a search, in a unit of work that is open. Raises UnknownTargetSystem."""
    known = _known_systems(act, unit)
    for system in search.domains:
        if system not in known:
            raise UnknownTargetSystem(system)
    found = unit.patients.search(replace(search, limit=search.limit + 1))
    shown = found[: search.limit]
    for record in shown:
        one = act.fork()
        one.about(record)
        one.items = [record.id]
        act.extra_rows.append(one.row())
    more = len(found) > search.limit
    total = len(shown) if not more and search.after is None else _count(unit, search)
    return Page(shown, total=total, next=Cursor(None, shown[-1].id) if more else None)


def _known_systems(act: Act, unit: UnitOfWork) -> frozenset[str]:
    """Whose numbers can be asked for: those that some record carries, the national ones, this hospital's, those set."""
    settings = act.house.settings
    return unit.patients.systems() | COUNTRY_WIDE | {settings.patient_id_system, *settings.mllp.authorities.values()}


def _count(unit: UnitOfWork, search: PatientSearch) -> int | None:
    """How many there are in all, wherever a page ended; None where that is more than anybody leafs through."""
    found = len(unit.patients.search(replace(search, after=None, limit=MOST_COUNTED + 1)))
    return found if found <= MOST_COUNTED else None


def read_patient(act: Act, command: ReadPatient) -> SourceRecord:
    """One source record, or an earlier version of it."""
    with act.unit() as unit:
        if command.version is None:
            record = unit.patients.record_by_id(command.id)
        else:
            record = unit.patients.version(command.id, command.version)
        if record is None:
            raise NotFound("Patient")
        act.about(record)
        act.items = [record.id]
        return record


def match_patient(act: Act, command: MatchPatient) -> tuple[PatientMatch, ...]:
    """ITI-119: candidates with their grade, best first; "certain" is what would be linked without a person."""
    with act.unit() as unit:
        candidates = unit.patients.candidates(command.wanted, limit=CANDIDATES)
        matches = []
        for candidate in candidates:
            comparison = compare_with_person(command.wanted, candidate)
            grade, score = _grade(comparison)
            if grade != "certainly-not":
                record = next((r for r in candidate.records if r.active), candidate.records[0])
                matches.append(PatientMatch(record, score, grade, comparison.evidence))
        matches.sort(key=lambda match: (-match.score, match.record.id))
        if command.only_certain:
            certain = [match for match in matches if match.grade == "certain"]
            matches = certain if len(certain) == 1 else []
        shown = matches[: command.count]
        for match in shown:
            one = act.fork()
            one.about(match.record)
            one.items = [match.record.id]
            act.extra_rows.append(one.row())
        return tuple(shown)


def _grade(comparison: Comparison) -> tuple[str, float]:
    """FHIR match-grade and a score that orders candidates; not a probability."""
    points = {Agreement.SAME: 1.0, Agreement.LIKELY: 0.7, Agreement.UNKNOWN: 0.3, Agreement.DIFFERENT: 0.0}
    fields = (points[comparison.name] + points[comparison.birth_date] + points[comparison.gender] * 0.5) / 2.5
    if comparison.zone is Zone.LINK:
        return "certain", round(0.9 + fields / 10, 2)
    if comparison.contradicted:
        return "certainly-not", 0.0
    if comparison.zone is Zone.REVIEW:
        return "probable", round(0.6 + fields / 5, 2)
    if comparison.name is Agreement.DIFFERENT or comparison.birth_date is Agreement.DIFFERENT:
        return "certainly-not", 0.0
    return "possible", round(fields / 2, 2)


def cross_reference(act: Act, command: CrossReference) -> CrossReferences:
    """ITI-83: the other identifiers of the person who carries this one."""
    with act.unit() as unit:
        known = _known_systems(act, unit)
        if command.identifier.system not in known:
            raise UnknownAuthority(command.identifier.system)
        for system in command.targets:
            if system not in known:
                raise UnknownTargetSystem(system)
        person = identify(act, unit, PatientSelector(described=PatientInQuestion((command.identifier,))))
        if person is None:
            raise NotFound("sourceIdentifier Patient Identifier")
        act.about(person.first)
        act.items = list(person.record_ids)
        # a number that was merged into another one leads to its person and is nobody's any more
        gone = {record.identifier for record in person.records if record.replaced_by is not None}
        carried = dict.fromkeys(i for record in person.records for i in record.identifiers if i not in gone)
        others = [i for i in carried if i.normal != command.identifier.normal]
        wanted = tuple(i for i in others if not command.targets or i.system in command.targets)
        return CrossReferences(wanted, tuple(r.id for r in person.records if r.active))
