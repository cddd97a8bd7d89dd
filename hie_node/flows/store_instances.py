"""Store imaging instances: each is read, belongs to one patient and one study, and is durable before it is indexed.

Good instances of a request are stored even where others fail; each failure is named (DICOM PS3.18: 10.5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from adapters.dicom.file_head import same_object
from adapters.dicom.header_values import issuer_system
from adapters.store.unit import UnitOfWork
from hie_node import image_feeds
from hie_node.acts import Act
from hie_node.apart import pulse
from hie_node.flows.anew import OVERTAKEN, OwnerChanged, was_in_the_way
from hie_node.flows.pairing import find_its_report
from hie_node.flows.quarantine import doubt_about, set_aside
from hie_node.flows.register import resolve_mention, standing
from hie_node.house import House, new_id
from hie_node.watching import tell_not_indexed
from registry.commands import InstanceFailure, KeepInstances, Kept, Stored, StoreInstances
from registry.errors import StorageUnavailable, SubmissionRejected
from registry.identifiers import PatientIdentifier
from registry.people import SourceRecord
from registry.studies import Instance, ReadInstance, Series, Study
from registry.submissions import Content, PatientMention

MISMATCH = 43264
CANNOT_UNDERSTAND = 49152
DUPLICATE_INSTANCE = 273
COERCION = 45056
"""Source: DICOM PS3.18 Table I.2.1-1, PS3.4: B.2.3: stored with a warning, here that the patient is in doubt."""

ATTEMPTS = 32
"""Each time somebody else was first, so that as many may store of one study in the same moment. Were it more, it would
be a fault that lasts."""

Part = tuple[ReadInstance, Content]


def store_instances(act: Act, command: StoreInstances) -> Stored:
    """STOW-RS and published DICOM files."""
    act.action, act.direction = "C", "published"
    groups: dict[tuple[str, PatientIdentifier], list[Part]] = defaultdict(list)
    failed: list[InstanceFailure] = list(command.refused)
    for read, content in command.submission.instances:
        uid = read.study.study_instance_uid
        if command.study_instance_uid not in (None, uid):
            failed.append(_failure(read, MISMATCH, "the study is not the announced one"))
        elif read.patient is None:
            failed.append(_failure(read, CANNOT_UNDERSTAND, "no patient id"))
        else:
            groups[uid, read.patient].append((read, content))
    results = [_store_study(act.fork(), parts) for parts in groups.values()]
    act.recorded = True
    image_feeds.note_refused(act.house, image_feeds.feed_of(act.transaction, act.caller), [one.text for one in failed])
    return Stored(
        studies=tuple(study for result in results for study in result.studies),
        stored=tuple(pair for result in results for pair in result.stored),
        failed=tuple(failed) + tuple(f for result in results for f in result.failed),
        aside=tuple(one for result in results for one in result.aside),
        unchanged=sum(result.unchanged for result in results),
        warnings=tuple(w for result in results for w in result.warnings),
    )


def _failure(read: ReadInstance, code: int, text: str) -> InstanceFailure:
    return InstanceFailure(read.instance.sop_class_uid, read.instance.sop_instance_uid, code, text)


def _store_study(act: Act, parts: Sequence[Part]) -> Stored:
    """All instances of one study and one patient in this request."""
    first = parts[0][0]
    uid, mention = first.study.study_instance_uid, mention_of(act.house, first)
    for _ in range(ATTEMPTS):
        try:
            with act.house.storage.read() as unit:
                doubt = doubt_about(unit, mention, uid)
                owner = owner_of(unit, mention, uid) or new_id()
            if doubt:
                aside = Stored((), aside=tuple(_failure(read, COERCION, doubt) for read, _ in parts))
                act.also = partial(_note, act, parts, aside)
                set_aside(act, parts, mention, doubt)
                return aside
            return _stored(act, parts, mention, owner)
        except OVERTAKEN:
            pass  # somebody else stored of it meanwhile
        except StorageUnavailable as failure:
            if not was_in_the_way(failure):
                raise
        except SubmissionRejected as refusal:
            failed = tuple(_failure(p[0], MISMATCH, str(refusal)) for p in parts)
            feed = image_feeds.feed_of(act.transaction, act.caller)
            image_feeds.note_refused(act.house, feed, [one.text for one in failed], study=uid)
            return Stored((), failed=failed)
        act.begin_anew()
    tell_not_indexed(act.house, f"{len(parts)} images of a study were overtaken {ATTEMPTS} times and sent back")
    raise StorageUnavailable("index of images", "others stored of the same study each time")


def _note(act: Act, parts: Sequence[Part], stored: Stored, unit: UnitOfWork) -> None:
    """In the log of feeds, together with its effect."""
    came = image_feeds.arrived(stored, size=sum(read.instance.size for read, _ in parts))
    feed, uid = image_feeds.feed_of(act.transaction, act.caller), parts[0][0].study.study_instance_uid
    image_feeds.note(act.house, unit, feed, uid, came)


def _stored(act: Act, parts: Sequence[Part], mention: PatientMention, owner: str) -> Stored:
    """The contents first, then the index. Raises OwnerChanged where the patient got another record meanwhile, or was
    erased."""
    # one object needs no threads to wait for the disk together
    with act.house.contents.batch(of=owner) if len(parts) > 1 else nullcontext():
        stored = [_put(act, owner, read, content) for read, content in parts]
    with act.unit() as unit:
        uid = parts[0][0].study.study_instance_uid
        if doubt_about(unit, mention, uid):
            raise OwnerChanged
        record = resolve_mention(act, unit, mention, new_record_id=owner)
        if (owner_of(unit, mention, uid) or record.id) != owner:
            raise OwnerChanged
        if not act.house.contents.holds(unit, owner, (one.content_hash for one in stored)):
            raise OwnerChanged
        done = index(act, unit, unit.patients.record_by_id(owner) or record, [read for read, _ in parts], stored)
        _note(act, parts, done, unit)
        return done


def _put(act: Act, owner: str, read: ReadInstance, content: Content) -> Instance:
    pulse()
    put = act.house.contents.put(owner, content.chunks(), sha1=False)
    return replace(read.instance, content_hash=put.content_hash, size=put.size)


def owner_of(unit: UnitOfWork, mention: PatientMention, study_instance_uid: str) -> str | None:
    """The record whose study it is, even where that was merged into another since; else the one that stands now."""
    owner = unit.studies.record_of(study_instance_uid)
    if owner is not None:
        return owner
    known = unit.patients.record(mention.identifier)
    return standing(unit, known).id if known is not None else None


def mention_of(house: House, read: ReadInstance) -> PatientMention:
    """The patient as the header names them, by this hospital's number where it means that."""
    assert read.patient is not None
    return PatientMention(as_numbered_here(house, read.patient), read.numbers, read.demographics)


def as_numbered_here(house: House, patient: PatientIdentifier) -> PatientIdentifier:
    """A modality that writes this hospital's code or name as issuer means the hospital's own patient number."""
    settings = house.settings
    own = {issuer_system(text) for text in (str(settings.facility_code), settings.name, *settings.issuers)}
    return PatientIdentifier(settings.patient_id_system, patient.value) if patient.system in own else patient


def index(
    act: Act, unit: UnitOfWork, record: SourceRecord, reads: Sequence[ReadInstance], stored: Sequence[Instance]
) -> Stored:
    """Make them known as the patient's; what is known of the study already is the same patient's."""
    act.about(record)
    uid = reads[0].study.study_instance_uid
    known = unit.studies.by_uid(uid)
    study = known or replace(reads[0].study, id=new_id(), patient=record.identifier, record_id=record.id, version=0)
    present = {i.sop_instance_uid: i for s in study.series for i in s.instances}
    known_uids = frozenset(present)
    elsewhere = unit.studies.holding([one.sop_instance_uid for one in stored if one.sop_instance_uid not in present])
    added: list[tuple[Series, Instance]] = []
    failed, accepted, unchanged = [], [], 0
    for read, instance in zip(reads, stored, strict=True):
        before = present.get(instance.sop_instance_uid)
        if instance.sop_instance_uid in elsewhere:
            failed.append(_failure(read, DUPLICATE_INSTANCE, "this instance is already stored in another study"))
        elif before is None or (not before.content_hash and instance.content_hash):
            accepted.append((uid, instance))
            added.append((read.series, instance))
            present[instance.sop_instance_uid] = instance
        elif _is_same(act, record, before, instance):
            accepted.append((uid, before))
            unchanged += 1
        else:
            failed.append(_failure(read, DUPLICATE_INSTANCE, "this instance is already stored with other bytes"))
    warnings: tuple[str, ...] = ()
    if added:
        study = replace(_with_instances(study, added), version=study.version + 1, updated=act.now)
        study, warnings = find_its_report(act, unit, study)
        unit.studies.save(study)
        fresh = [one.sop_instance_uid for _, one in added if one.sop_instance_uid not in known_uids]
        unit.studies.holds(study.id, fresh)
        act.items.append(study.id)
    return Stored((study,), tuple(accepted), tuple(failed), unchanged=unchanged, warnings=warnings)


def _is_same(act: Act, record: SourceRecord, before: Instance, again: Instance) -> bool:
    """The same object, though the head of its file may be another program's; or it is only known to be in the PACS."""
    if not again.content_hash or before.content_hash == again.content_hash:
        return True
    files = (act.house.contents.open(record.id, one.content_hash) for one in (before, again))
    return before.transfer_syntax == again.transfer_syntax and same_object(*files)


def keep_instances(act: Act, command: KeepInstances) -> Kept:
    """Storage commitment: an object is kept when it is indexed and its bytes lie in the store."""
    act.action = "E"
    uids = [uid for _, uid in command.objects]
    with act.unit() as unit:
        holding = unit.studies.holding(uids)
        studies = [unit.studies.study(study_id) for study_id in sorted(set(holding.values()))]
        found = {
            one.sop_instance_uid: (study.record_id, one)
            for study in studies
            if study is not None
            for one in study.selected()
        }
        act.items += sorted(set(holding.values()))
    here = {uid for uid, (owner, one) in found.items() if act.house.contents.exists(owner, one.content_hash)}
    kept = [each for each in command.objects if each[1] in here and found[each[1]][1].sop_class_uid == each[0]]
    missing = [each for each in command.objects if each[1] not in here]
    conflicting = [each for each in command.objects if each[1] in here and each not in kept]
    return Kept(tuple(kept), tuple(missing), tuple(conflicting))


def _with_instances(study: Study, added: Sequence[tuple[Series, Instance]]) -> Study:
    """The study with these instances in their series, in the order of their numbers."""
    series = {s.series_instance_uid: s for s in study.series}
    fresh: dict[str, list[Instance]] = defaultdict(list)
    for of, instance in added:
        series.setdefault(of.series_instance_uid, replace(of, instances=()))
        fresh[of.series_instance_uid].append(instance)
    for uid, instances in fresh.items():
        again = {one.sop_instance_uid for one in instances}
        kept = (one for one in series[uid].instances if one.sop_instance_uid not in again)
        ordered = sorted((*kept, *instances), key=lambda i: (i.number or 0, i.sop_instance_uid))
        series[uid] = replace(series[uid], instances=tuple(ordered))
    by_number = sorted(series.values(), key=lambda s: (s.number or 0, s.series_instance_uid))
    return replace(study, series=tuple(by_number))
