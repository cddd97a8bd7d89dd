"""Register, revise and merge patients: the source record is kept as received, the link is made only when it is safe."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.anew import judged_anew
from hie_node.flows.identify import CANDIDATES, LEAST_STRANGERS
from hie_node.flows.identity_changes import records_of_persons, tell_learners
from hie_node.house import new_id
from registry.commands import Fed, FeedPatient, LinkPatients, MergePatients
from registry.errors import (
    DeprecatedTarget,
    ForeignDomain,
    InvalidValue,
    NotFound,
    PatientMismatch,
    UnknownPatient,
    VersionConflict,
    WrongId,
)
from registry.identifiers import PatientIdentifier
from registry.identity_changes import IdentityChange
from registry.matching import Zone, compare
from registry.people import NOTHING_KNOWN, Demographics, Link, PatientInQuestion, SourceRecord
from registry.ports import Review
from registry.submissions import PatientMention

SOURCE_MERGE = "source-merge/1"
WHO_IS_WHO = "who is who"
"""Units that register, join or part people take turns: two who are registered at once have to see each other, and two
merges in opposite directions must not each hold what the other waits for."""


def feed(act: Act, command: FeedPatient) -> Fed:
    """ITI-104, ITI-8, ITI-30: this hospital's system says who its patient is, or that two numbers are one patient."""
    _only_our_own(act, command.identifier)
    act.action, act.direction = "U", "changed"
    return judged_anew(act, partial(_feed_once, act, command))


def _feed_once(act: Act, command: FeedPatient) -> Fed:
    with act.unit() as unit:
        if command.record.replaced_by is not None:
            unit.takes_turns(WHO_IS_WHO)
        known = unit.patients.record(command.identifier)
        _check_id(unit, known, command.claimed_id)
        _check_version(known, command.expected_version)
        if command.record.replaced_by is not None:
            fed = _merge(act, unit, known, command.identifier, survivor_id=command.record.replaced_by)
        else:
            fed = save_record(act, unit, _completed(command.record, known, command.unsaid), known)
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
    if expected is not None and expected != (known.version if known else 0):
        found = str(known.version) if known else "none"
        raise VersionConflict("Patient", expected=str(expected), found=found)


def save_record(act: Act, unit: UnitOfWork, record: SourceRecord, known: SourceRecord | None) -> Fed:
    """Store what the source says now, and see whom it belongs to. The same again changes nothing."""
    if known is None:
        unit.takes_turns(WHO_IS_WHO)
        fresh = replace(record, id=record.id or new_id(), version=1, updated=act.now)
        unit.patients.save(fresh)
        return Fed(fresh, created=True, changed=True, reviewed=_find_person(act, unit, fresh))
    if known.says_the_same(record):
        return Fed(known, created=False, changed=False)
    revised = replace(known.revised(record), updated=act.now)
    overwritten = compare(_described(known), revised).contradicted
    unit.patients.save(revised)
    if overwritten:
        # who was shown something under this number was shown it of the patient before
        tell_learners(act, unit, IdentityChange.SEPARATED, (revised.id,))
        _review(act, unit, "overlay", revised, None, ("the record now describes somebody else",))
    return Fed(revised, created=False, changed=True, reviewed=overwritten or _find_person(act, unit, revised))


def merge(act: Act, command: MergePatients) -> Fed:
    """A system merged two of its numbers, or gave a new one; the survivor is registered from the message if need be.

    A subsumed number that was never heard of is kept as subsumed, so that a late report under it finds its patient.
    """
    survivor_id = command.survivor.identifier
    for identifier in (survivor_id, command.subsumed):
        _only_our_own(act, identifier)
    act.action, act.direction = "U", "changed"
    return judged_anew(act, partial(_merge_once, act, command))


def _merge_once(act: Act, command: MergePatients) -> Fed:
    survivor_id = command.survivor.identifier
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        survivor, known = unit.patients.record(survivor_id), unit.patients.record(command.subsumed)
        said = _completed(command.survivor, survivor or known, command.unsaid)
        if survivor is None and not said.demographics.enough_to_register:
            raise UnknownPatient(str(survivor_id))
        if survivor is None:
            unit.patients.save(replace(said, id=new_id(), version=1, updated=act.now))
        if known is None:
            known = SourceRecord(new_id(), command.subsumed, NOTHING_KNOWN, updated=act.now)
            unit.patients.save(known)
        fed = _merge(act, unit, known, command.subsumed, survivor_id=survivor_id)
        if survivor is not None:
            save_record(act, unit, said, survivor)
        act.about(fed.record)
        return fed


def _only_our_own(act: Act, identifier: PatientIdentifier) -> None:
    if identifier.system != act.house.settings.patient_id_system:
        raise ForeignDomain(identifier.system)


def _completed(record: SourceRecord, known: SourceRecord | None, unsaid: frozenset[str] | None) -> SourceRecord:
    """The record with what its message did not speak of. Raises DeprecatedTarget for one that was merged away."""
    if unsaid is None or known is None:
        return record
    if not known.active and known.identifier == record.identifier:
        raise DeprecatedTarget(str(known.identifier))
    return record.keeping(known, unsaid)


def _merge(
    act: Act,
    unit: UnitOfWork,
    known: SourceRecord | None,
    subsumed_id: PatientIdentifier,
    *,
    survivor_id: PatientIdentifier,
) -> Fed:
    """The subsumed record joins the survivor's person, with all that were merged into it, and can leave it again."""
    if survivor_id == subsumed_id:
        raise InvalidValue("Patient.link.other", expected="the surviving identifier, another one")
    survivor = unit.patients.record(survivor_id)
    if survivor is None:
        raise UnknownPatient(str(survivor_id))
    if not survivor.active:
        raise DeprecatedTarget(str(survivor_id))
    if known is None:
        raise UnknownPatient(str(subsumed_id))
    if standing(unit, known).identifier == survivor_id:
        return Fed(known, created=False, changed=False)
    if known.replaced_by is not None:
        raise DeprecatedTarget(str(known.identifier))  # it leads to its survivor until somebody takes that merge back
    followers = _merged_into(unit, known)
    subsumed = replace(known, active=False, replaced_by=survivor_id, version=known.version + 1, updated=act.now)
    unit.patients.save(subsumed)
    person = unit.patients.person_of(survivor.id)
    assert person is not None
    both = records_of_persons(unit, (person, unit.patients.person_of(subsumed.id)))
    for moved in (subsumed, *followers):
        _link(act, unit, moved, person, evidence=("merged by its own source",), rule=SOURCE_MERGE)
    tell_learners(act, unit, IdentityChange.MERGED, both)
    return Fed(subsumed, created=False, changed=True)


def _merged_into(unit: UnitOfWork, record: SourceRecord) -> list[SourceRecord]:
    """The records that this one has survived, directly or by way of others; each once."""
    person = unit.patients.person_of(record.id)
    by_survivor: dict[PatientIdentifier, list[SourceRecord]] = {}
    for other in unit.patients.records_of(person) if person else ():
        if other.replaced_by is not None:
            by_survivor.setdefault(other.replaced_by, []).append(other)
    found: list[SourceRecord] = []
    waiting = [record]
    while waiting:
        followers = by_survivor.pop(waiting.pop().identifier, [])
        found += followers
        waiting += followers
    return found


def link(act: Act, command: LinkPatients) -> Fed:
    """ITI-30: a system says that two of its records are one person without one replacing the other, or takes it back.

    Taking back also undoes a merge, and a link that a rule has made.
    """
    act.action, act.direction = "U", "changed"
    return judged_anew(act, partial(_link_once, act, command))


def _link_once(act: Act, command: LinkPatients) -> Fed:
    with act.unit() as unit:
        unit.takes_turns(WHO_IS_WHO)
        first, second = (_known(act, unit, identifier) for identifier in (command.first, command.second))
        act.about(second)
        ones, others = (unit.patients.person_of(record.id) for record in (first, second))
        assert ones is not None
        if (ones == others) == command.same:
            return Fed(second, created=False, changed=False)
        change = IdentityChange.MERGED if command.same else IdentityChange.SEPARATED
        tell_learners(act, unit, change, records_of_persons(unit, (ones, others)))
        if command.same:
            _link(act, unit, second, ones, evidence=("linked by its own source",), rule="source-link/1")
            return Fed(second, created=False, changed=True)
        standing = {each.record_id: each.id for each in unit.patients.links_of(ones) if each.undone is None}
        link_id = standing.get(second.id) or standing.get(first.id)
        if link_id is None:
            raise NotFound("link")
        return Fed(separate(act, unit, link_id), created=False, changed=True)


def _known(act: Act, unit: UnitOfWork, identifier: PatientIdentifier) -> SourceRecord:
    _only_our_own(act, identifier)
    record = unit.patients.record(identifier)
    if record is None:
        raise UnknownPatient(str(identifier))
    return record


def separate(act: Act, unit: UnitOfWork, link_id: str) -> SourceRecord:
    """Undo a link: the record is its own person again, with its documents, and in use again if a merge had ended it."""
    undone = unit.patients.undo(link_id, now=act.now, author=act.caller.requester.subject)
    record = unit.patients.record_by_id(undone.record_id)
    assert record is not None
    if undone.rule != SOURCE_MERGE or record.active:
        return record
    revived = replace(record, active=True, replaced_by=None, version=record.version + 1, updated=act.now)
    unit.patients.save(revived)
    return revived


def _find_person(act: Act, unit: UnitOfWork, record: SourceRecord) -> bool:
    """Link the record to a person, or open a review; True where a person has to look at it."""
    mine = unit.patients.person_of(record.id)
    described, apart = _described(record), unit.patients.apart_from(record.id)
    others = [
        candidate
        for candidate in unit.patients.candidates(described, limit=CANDIDATES)
        if candidate.person_id != mine and not any(known.id in apart for known in candidate.records)
    ]
    size = max(LEAST_STRANGERS, unit.patients.size())
    verdict = act.house.matcher.judge(described, others, size=size)
    if verdict.zone is Zone.LINK and verdict.person_id and _joins_safely(act, unit, mine, verdict.person_id, record):
        if unit.identities.learnt_of((record.id,)):
            both = records_of_persons(unit, (verdict.person_id, mine))
            tell_learners(act, unit, IdentityChange.MERGED, both)
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


def look_alike(act: Act, unit: UnitOfWork, record: SourceRecord, other: str | None, evidence: tuple[str, ...]) -> str:
    """A registrar has to say whether the record is that person; gives the id of the doubt."""
    return _review(act, unit, "look-alike", record, other, evidence)


def _review(
    act: Act, unit: UnitOfWork, kind: str, record: SourceRecord, other: str | None, evidence: tuple[str, ...]
) -> str:
    """Open a doubt once: its id is made of what it is about, so the same pair is not asked twice, decided or not."""
    doubt = str(uuid.uuid5(uuid.UUID(record.id), f"{kind} {other}"))
    unit.patients.open_review(Review(doubt, kind, record.id, other, evidence, act.now))
    return doubt


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
    known = standing(unit, known)
    if contradicts_index(known, mention):
        raise PatientMismatch("patient", expected="the person registered under this number", found="somebody else")
    learnt = _with_what_is_new(known, mention)
    return known if learnt == known else save_record(act, unit, learnt, known).record


def contradicts_index(known: SourceRecord, mention: PatientMention) -> bool:
    """A message speaks of somebody else than the record that its number leads to."""
    named = () if mention.record_id is not None else (mention.identifier,)
    comparison = compare(PatientInQuestion((*named, *mention.numbers), mention.demographics), known)
    return comparison.contradicted or comparison.conflicting_numbers


def mentioned(unit: UnitOfWork, mention: PatientMention) -> SourceRecord | None:
    """The record that a message names, by the hospital's number or by the registry's own id."""
    if mention.record_id is not None:
        return unit.patients.record_by_id(mention.record_id)
    return unit.patients.record(mention.identifier)


def standing(unit: UnitOfWork, record: SourceRecord) -> SourceRecord:
    """The record that stands for this one after all merges; itself where it was never merged."""
    seen = {record.identifier}
    while not record.active and record.replaced_by and record.replaced_by not in seen:
        seen.add(record.replaced_by)
        survivor = unit.patients.record(record.replaced_by)
        if survivor is None:
            return record
        record = survivor
    return record


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
