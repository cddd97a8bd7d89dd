"""Register, revise and merge patients: the source record is kept as received, the link is made only when it is safe."""

from __future__ import annotations

import uuid
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.identify import CANDIDATES
from hie_node.house import new_id
from registry.commands import Fed, FeedPatient
from registry.errors import ForeignDomain, InvalidValue, PatientMismatch, UnknownPatient, VersionConflict, WrongId
from registry.matching import Zone, compare
from registry.people import Demographics, Link, PatientInQuestion, SourceRecord
from registry.ports import Review
from registry.submissions import PatientMention


def feed(act: Act, command: FeedPatient) -> Fed:
    """ITI-104: this hospital's system says who its patient is, or that two of its numbers are one patient."""
    own = act.house.settings.patient_id_system
    if command.identifier.system != own:
        raise ForeignDomain(command.identifier.system)
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        known = unit.patients.record(command.identifier)
        _check_id(unit, known, command.claimed_id)
        _check_version(known, command.expected_version)
        if command.record.replaced_by is not None:
            fed = _merge(act, unit, command, known)
        else:
            fed = save_record(act, unit, command.record, known)
        act.action = "C" if fed.created else "U"
        act.about(fed.record)
        return fed


def _check_id(unit: UnitOfWork, known: SourceRecord | None, claimed: str | None) -> None:
    """A message may repeat the id that we gave, not another record's; a new record gets its id from us."""
    if claimed is None or (known is not None and known.id == claimed):
        return
    if known is not None or unit.patients.record_by_id(claimed) is not None:
        raise WrongId("Patient.id", expected="the id of the record that carries this identifier, or none")


def _check_version(known: SourceRecord | None, expected: int | None) -> None:
    if expected is not None and (known is None or known.version != expected):
        found = str(known.version) if known else "none"
        raise VersionConflict("Patient", expected=str(expected), found=found)


def save_record(act: Act, unit: UnitOfWork, record: SourceRecord, known: SourceRecord | None) -> Fed:
    """Store what the source says now, and see whom it belongs to. The same again changes nothing."""
    if known is None:
        fresh = replace(record, id=record.id or new_id(), version=1, updated=act.now)
        unit.patients.save(fresh)
        return Fed(fresh, created=True, changed=True, reviewed=_find_person(act, unit, fresh))
    if known.says_the_same(record):
        return Fed(known, created=False, changed=False)
    revised = replace(known.revised(record), updated=act.now)
    overwritten = compare(_described(known), revised).contradicted
    unit.patients.save(revised)
    if overwritten:
        _review(act, unit, "overlay", revised, None, ("the record now describes somebody else",))
    return Fed(revised, created=False, changed=True, reviewed=overwritten or _find_person(act, unit, revised))


def _merge(act: Act, unit: UnitOfWork, command: FeedPatient, known: SourceRecord | None) -> Fed:
    """The source merged two of its numbers: the subsumed record joins the survivor's person, and can leave it again."""
    survivor_id = command.record.replaced_by
    if survivor_id is None or survivor_id == command.identifier:
        raise InvalidValue("Patient.link.other", expected="the surviving identifier, another one")
    survivor = unit.patients.record(survivor_id)
    if survivor is None or not survivor.active:
        raise UnknownPatient(str(survivor_id))
    if known is None:
        raise UnknownPatient(str(command.identifier))
    if known.replaced_by == survivor_id:
        return Fed(known, created=False, changed=False)
    subsumed = replace(known, active=False, replaced_by=survivor_id, version=known.version + 1, updated=act.now)
    unit.patients.save(subsumed)
    person = unit.patients.person_of(survivor.id)
    assert person is not None
    _link(act, unit, subsumed, person, evidence=("merged by its own source",), rule="source-merge/1")
    return Fed(subsumed, created=False, changed=True)


def _find_person(act: Act, unit: UnitOfWork, record: SourceRecord) -> bool:
    """Link the record to a person, or open a review; True where a person has to look at it."""
    mine = unit.patients.person_of(record.id)
    described, apart = _described(record), unit.patients.apart_from(record.id)
    others = [
        candidate
        for candidate in unit.patients.candidates(described, limit=CANDIDATES)
        if candidate.person_id != mine and not any(known.id in apart for known in candidate.records)
    ]
    verdict = act.house.matcher.judge(described, others, size=unit.patients.size())
    if verdict.zone is Zone.LINK and verdict.person_id and _joins_safely(act, unit, mine, verdict.person_id, record):
        _link(act, unit, record, verdict.person_id, evidence=verdict.evidence, rule=verdict.rule)
        # who fits two persons shows that they may be one; that is for somebody to decide
        for other in verdict.also:
            _review(act, unit, "look-alike", record, other, ("another person fits as well", *verdict.evidence))
        return bool(verdict.also)
    if verdict.zone is Zone.NEW:
        return False
    _review(act, unit, "look-alike", record, verdict.person_id, verdict.evidence)
    return True


def _joins_safely(act: Act, unit: UnitOfWork, mine: str | None, other: str, record: SourceRecord) -> bool:
    """A record that already shares its person with others is not torn away from them by itself."""
    return mine is None or len(unit.patients.records_of(mine)) == 1


def _link(
    act: Act, unit: UnitOfWork, record: SourceRecord, person_id: str, *, evidence: tuple[str, ...], rule: str
) -> None:
    author = act.caller.requester.subject if rule.startswith("source") else f"rule {rule}"
    unit.patients.link(Link(new_id(), record.id, person_id, evidence, rule, author, act.now))


def _review(
    act: Act, unit: UnitOfWork, kind: str, record: SourceRecord, other: str | None, evidence: tuple[str, ...]
) -> None:
    """Open a doubt once: its id is made of what it is about, so the same pair is not asked twice, decided or not."""
    doubt = str(uuid.uuid5(uuid.UUID(record.id), f"{kind} {other}"))
    unit.patients.open_review(Review(doubt, kind, record.id, other, evidence, act.now))


def _described(record: SourceRecord) -> PatientInQuestion:
    return PatientInQuestion(record.identifiers, record.demographics)


def resolve_mention(act: Act, unit: UnitOfWork, mention: PatientMention, *, new_record_id: str) -> SourceRecord:
    """The patient that a message names: known, or registered from it when it says who that is.

    Raises UnknownPatient without demographics, PatientMismatch where the message contradicts the index.
    """
    known = mentioned(unit, mention)
    if known is None:
        if mention.record_id is not None or not mention.demographics.enough_to_register:
            raise UnknownPatient(str(mention.identifier))
        record = SourceRecord(new_record_id, mention.identifier, mention.demographics, mention.numbers)
        return save_record(act, unit, record, None).record
    if not known.active and known.replaced_by:
        survivor = unit.patients.record(known.replaced_by)
        known = survivor or known
    named = () if mention.record_id is not None else (mention.identifier,)
    described = PatientInQuestion((*named, *mention.numbers), mention.demographics)
    comparison = compare(described, known)
    if comparison.contradicted or comparison.conflicting_numbers:
        raise PatientMismatch("patient", expected="the person registered under this number", found="somebody else")
    learnt = _with_what_is_new(known, mention)
    return known if learnt == known else save_record(act, unit, learnt, known).record


def mentioned(unit: UnitOfWork, mention: PatientMention) -> SourceRecord | None:
    """The record that a message names, by the hospital's number or by the registry's own id."""
    if mention.record_id is not None:
        return unit.patients.record_by_id(mention.record_id)
    return unit.patients.record(mention.identifier)


def _with_what_is_new(known: SourceRecord, mention: PatientMention) -> SourceRecord:
    """What the message adds; nothing that is known is overwritten by a message about something else."""
    mine, theirs = known.demographics, mention.demographics
    carried = {number.normal for number in known.identifiers}
    numbers = known.numbers + tuple(n for n in mention.numbers if n.normal not in carried)
    demographics = Demographics(
        name=mine.name or theirs.name,
        birth_date=mine.birth_date or theirs.birth_date,
        gender=mine.gender if mine.gender != "unknown" else theirs.gender,
        phones=mine.phones or theirs.phones,
        address=mine.address or theirs.address,
        mothers_name=mine.mothers_name or theirs.mothers_name,
        deceased=mine.deceased or theirs.deceased,
    )
    return replace(known, numbers=numbers, demographics=demographics)
