"""Publish: resolve the patient, judge the submission, write the content, index it, record it, commit, acknowledge.

Content is durable before the index says that it exists. The same message again is acknowledged again and changes
nothing. Publishing contacts nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from adapters.store.contents import SmallContent, small
from adapters.store.unit import UnitOfWork
from consent.held_texts import as_read
from hie_node.acts import Act
from hie_node.flows.anew import OwnerChanged, judged_anew
from hie_node.flows.changes import add_document, add_submission, change_document, keep_folder, supersede_document
from hie_node.flows.conditions import already_there, note_as_shown
from hie_node.flows.membership import add_to_folders, hand_over, is_of, member_id, release_study
from hie_node.flows.pairing import find_its_study
from hie_node.flows.referrals import keep_referral
from hie_node.flows.register import mentioned, resolve_mention, standing
from hie_node.house import new_id
from registry.coded import HIV, UNREVIEWED_TEXT, CodedValue
from registry.commands import Provided, ProvideSubmission
from registry.documents import DocumentEntry, DocumentStatus, Folder, Relation, RelationKind, SubmissionSet
from registry.errors import (
    DeprecatedTarget,
    DuplicateUniqueId,
    InvalidValue,
    NonIdenticalHash,
    NonIdenticalSize,
    PatientMismatch,
    UnresolvedReference,
)
from registry.people import SourceRecord
from registry.ports import StoredContent
from registry.searches import DocumentSearch
from registry.submissions import WHOLE_VISIT, Submission, SubmittedDocument, Visit

DATED_AHEAD = "a time of it lies after the day it came; kept as given, and not used to tell how new the document is"


@dataclass(frozen=True, slots=True)
class Judged:
    """One document of a submission after it was looked at: the entry to index, and whether it is news."""

    entry: DocumentEntry
    source_key: str | None
    outcome: str
    warning: str = ""


def publish(act: Act, command: ProvideSubmission) -> Provided:
    """Every way to publish documents ends here. Raises SubmissionRejected with nothing stored."""
    act.action, act.direction = "C", "published"
    return judged_anew(act, partial(_publish_once, act, command.submission))


def _publish_once(act: Act, submission: Submission) -> Provided:
    contents = [small(d.content.chunks()) if d.content is not None else None for d in submission.documents]
    if all(contents):
        return _publish_small(act, submission, [content for content in contents if content])
    submission, owner, known = _owner(act, submission)
    stored = _store_contents(act, submission, owner) if known or _names_somebody(submission) else []
    with act.unit() as unit:
        record = resolve_mention(act, unit, submission.patient, new_record_id=owner)
        if record.id != owner or not _are_there(act, unit, owner, stored):
            raise OwnerChanged
        return _index(act, unit, submission, record, stored)


def _publish_small(act: Act, submission: Submission, contents: Sequence[SmallContent]) -> Provided:
    """Patient, contents, index and record become durable by one commit."""
    for content, document in zip(contents, submission.documents, strict=True):
        _checked(content.stored, document)
    with act.unit() as unit:
        record = resolve_mention(act, unit, submission.patient, new_record_id=new_id())
        taken = _without_what_it_would_lose(unit, submission, record.id)
        still = {id(document) for document in taken.documents}
        both = [one for one in zip(contents, submission.documents, strict=True) if id(one[1]) in still]
        met = already_there(act, unit, taken.documents, record)
        news = [content for place, (content, _) in enumerate(both) if place not in met]
        act.house.contents.keep(unit, record.id, news)
        return _index(act, unit, taken, record, [content.stored for content, _ in both])


def _owner(act: Act, submission: Submission) -> tuple[Submission, str, bool]:
    """The record that the content will belong to, and whether it is known; if not, the id that it will get."""
    with act.house.storage.read() as unit:
        known = mentioned(unit, submission.patient)
        if known is None:
            return submission, new_id(), False
        owner = standing(unit, known).id
        return _without_what_it_would_lose(unit, submission, owner), owner, True


def _without_what_it_would_lose(unit: UnitOfWork, submission: Submission, owner: str) -> Submission:
    """A visit sent again with fewer parts does not replace what was composed of all of them."""
    visit = submission.visit
    earlier = unit.documents.visit(owner, visit.key) if visit else None
    if visit is None or earlier is None or not visit.is_less_than(earlier):
        return submission
    composed = {key for key, part in earlier.published.items() if part == WHOLE_VISIT}
    kept = tuple(one for one in submission.documents if one.source_key not in composed)
    said = "the visit was sent with more tables before; its summary stays as it was"
    return replace(submission, documents=kept, visit=replace(visit, deviations=(*visit.deviations, said)))


def _names_somebody(submission: Submission) -> bool:
    """Whether it says enough to register its patient; without that nothing of a stranger is stored."""
    return submission.patient.demographics.enough_to_register


def _store_contents(act: Act, submission: Submission, owner: str) -> list[StoredContent]:
    """Write each document durably, and hold it against what its sender announced."""
    contents = act.house.contents
    with contents.batch() if len(submission.documents) > 1 else nullcontext():
        return [
            _kept_elsewhere(d) if d.content is None else _checked(contents.put(owner, d.content.chunks()), d)
            for d in submission.documents
        ]


def _are_there(act: Act, unit: UnitOfWork, owner: str, contents: Iterable[StoredContent]) -> bool:
    """Bytes may have been removed since they were put (ITI-86), or the patient erased; the unit holds that off now."""
    hashes = [one.content_hash for one in contents if one.content_hash]
    return not hashes or act.house.contents.holds(unit, owner, hashes)


def _kept_elsewhere(document: SubmittedDocument) -> StoredContent:
    """What the sender says of bytes that another repository keeps."""
    attachment = document.entry.attachment
    return StoredContent("", attachment.hash, attachment.size)


def _checked(stored: StoredContent, document: SubmittedDocument) -> StoredContent:
    unique_id = document.entry.unique_id
    if document.announced_size is not None and document.announced_size != stored.size:
        raise NonIdenticalSize(unique_id, registered=str(document.announced_size), received=str(stored.size))
    if document.announced_hash is not None and document.announced_hash != stored.sha1:
        raise NonIdenticalHash(unique_id, registered=document.announced_hash, received=stored.sha1)
    return stored


def file_document(
    act: Act, unit: UnitOfWork, document: SubmittedDocument, record: SourceRecord, stored: StoredContent, *, owner: str
) -> DocumentEntry:
    """A document that comes of another act, in its unit; the bytes lie there already, under the key of `owner`.

    Raises OwnerChanged where the patient's record is another one by now, or the bytes were removed.
    """
    if record.id != owner or not _are_there(act, unit, owner, (stored,)):
        raise OwnerChanged
    judged = _judge(act, unit, document, record, stored)
    return (judged if judged.outcome == "unchanged" else _entered(act, unit, judged, record)).entry


def _index(
    act: Act, unit: UnitOfWork, submission: Submission, record: SourceRecord, stored: Sequence[StoredContent]
) -> Provided:
    act.about(record)
    met = already_there(act, unit, submission.documents, record)
    note_as_shown(act, record, met.values())
    judged = [
        Judged(met[place], None, "unchanged") if place in met else _judge(act, unit, document, record, content)
        for place, (document, content) in enumerate(zip(submission.documents, stored, strict=True))
    ]
    _refuse_twins(judged)
    # one after the other: a relation may point to a document of the same message
    judged = [one if one.outcome == "unchanged" else _entered(act, unit, one, record) for one in judged]
    news = [one for one in judged if one.outcome != "unchanged"]
    for entry_id in submission.supersede:
        _supersede(act, unit, entry_id, by=record)
    for source_key in submission.withdrawn:
        _withdraw(act, unit, source_key, by=record)
    add_to_folders(act, unit, _joining(unit, submission, judged), record)
    if submission.visit:
        _keep_visit(act, unit, submission.visit, record)
    submission_set = _submission_set(act, unit, submission, record, judged, bool(news))
    folders = tuple(_folder(act, unit, folder, record, submission, judged) for folder in submission.folders)
    if submission.referral:
        keep_referral(act, unit, record, submission.referral)
    act.items += [one.entry.id for one in news]
    warnings = tuple(one.warning for one in judged if one.warning)
    warnings += tuple(DATED_AHEAD for one in news if one.entry.is_dated_ahead)
    if submission.visit:
        warnings += submission.visit.deviations
    found = frozenset(entry.id for entry in met.values())
    entries = tuple(one.entry for one in judged)
    act.provided = Provided(_outcome(judged), entries, submission_set, folders, warnings, found)
    return act.provided


def _keep_visit(act: Act, unit: UnitOfWork, visit: Visit, record: SourceRecord) -> None:
    """The visit as it stands now; a document that is no longer in its part of the message is taken back."""
    earlier = unit.documents.visit(record.id, visit.key)
    if earlier is not None:
        for source_key in visit.taken_back(earlier):
            _withdraw(act, unit, source_key, by=record)
        visit = visit.following(earlier)
    unit.documents.save_visit(record.id, visit)


def _entered(act: Act, unit: UnitOfWork, one: Judged, record: SourceRecord) -> Judged:
    """Into the index, and what it replaces out of use."""
    if one.entry.relations:
        resolved = tuple(_resolved(unit, each) for each in one.entry.relations)
        one = replace(one, entry=replace(one.entry, relations=resolved))
    add_document(act, unit, one.entry, source_key=one.source_key)
    _supersede_what_it_replaces(act, unit, one.entry, record)
    return one


def _outcome(judged: Sequence[Judged]) -> str:
    outcomes = {one.outcome for one in judged}
    if outcomes <= {"unchanged"}:
        return "unchanged" if judged else "stored"
    return "replaced" if "replaced" in outcomes else "stored"


def _judge(
    act: Act, unit: UnitOfWork, document: SubmittedDocument, record: SourceRecord, content: StoredContent
) -> Judged:
    """Is it news, the same again, a correction, or a contradiction?"""
    _refuse_other_record(unit, document.entry.record_id, record)
    found = act.house.closed_lists.sensitivity(document.codes, texts=document.texts)
    labels = _closed_by(document.entry.sensitivity, found)
    if UNREVIEWED_TEXT in labels:
        labels = as_read(labels, unit.text_readings.finding(record.id, content.content_hash))
    entry = replace(
        document.entry,
        patient=record.identifier,
        record_id=record.id,
        attachment=replace(
            document.entry.attachment, size=content.size, hash=content.sha1, content_hash=content.content_hash
        ),
        sensitivity=labels,
        updated=act.now,
    )
    same_id = unit.documents.by_unique_id(entry.unique_id)
    earlier = unit.documents.by_source_key(document.source_key) if document.source_key else None
    if same_id is not None and not is_of(unit, same_id, record):
        raise PatientMismatch("document", expected="the patient it was published for", found="another patient")
    again = earlier is not None and _was_withdrawn(unit, earlier)
    if same_id is not None and not again and (earlier is None or earlier.id == same_id.id):
        if (same_id.attachment.content_hash, same_id.attachment.hash) == (content.content_hash, content.sha1):
            return _unchanged(act, unit, same_id, entry)
        if earlier is None and same_id.attachment.hash == content.sha1:
            raise NonIdenticalSize(entry.unique_id, registered="kept elsewhere", received="kept here")
        if earlier is None:
            raise NonIdenticalHash(entry.unique_id, registered=same_id.attachment.hash, received=content.sha1)
    if earlier is not None:
        if earlier.attachment.content_hash == content.content_hash and not again:
            return _unchanged(act, unit, earlier, entry)
        if same_id is not None:
            # back to an earlier text, or issued again after it was withdrawn: that version keeps its id
            fresh = new_id()
            entry = replace(entry, id=fresh, entry_uuid=f"urn:uuid:{fresh}", unique_id=f"urn:uuid:{fresh}")
        if not again:
            entry = replace(entry, relations=(*entry.relations, Relation(RelationKind.REPLACES, earlier.id)))
    entry, warning = find_its_study(act, unit, entry, document)
    return Judged(entry, document.source_key, "replaced" if earlier and not again else "stored", warning)


def _was_withdrawn(unit: UnitOfWork, entry: DocumentEntry) -> bool:
    """Current no longer, and nothing has replaced it."""
    if entry.status is DocumentStatus.CURRENT:
        return False
    replacing = Relation(RelationKind.REPLACES, entry.id)
    points = (lambda e: replacing in e.relations,)
    search = DocumentSearch(record_ids=(entry.record_id,), limit=1, where=points, papers=True)
    return next((e for e in unit.documents.find(search) if replacing in e.relations), None) is None


def _closed_by(first: tuple[CodedValue, ...], second: tuple[CodedValue, ...]) -> tuple[CodedValue, ...]:
    """Both sets of labels; what is closed for certain needs nobody to read it."""
    labels = tuple(dict.fromkeys((*first, *second)))
    return tuple(label for label in labels if label != UNREVIEWED_TEXT) if HIV in labels else labels


def _unchanged(act: Act, unit: UnitOfWork, known: DocumentEntry, again: DocumentEntry) -> Judged:
    """The same document again; what is known of its patient since then can close it, never open it.

    Its values are those that it is read with today: maps of codes may have learnt.
    """
    closed, results = _closed_by(known.sensitivity, again.sensitivity), again.results or known.results
    if closed != known.sensitivity or results != known.results:
        known = replace(known, sensitivity=closed, results=results, version=known.version + 1, updated=act.now)
        change_document(act, unit, known)
    return Judged(known, None, "unchanged")


def _refuse_other_record(unit: UnitOfWork, claimed: str, record: SourceRecord) -> None:
    """A message may name its patient by number and by our own id: both must lead to the same record."""
    if claimed in ("", record.id):
        return
    other = unit.patients.record_by_id(claimed)
    if other is None or other.replaced_by != record.identifier:
        raise PatientMismatch("DocumentReference.subject", expected="one patient", found="another one by reference")


def _refuse_twins(judged: Sequence[Judged]) -> None:
    seen: set[str] = set()
    for one in judged:
        if one.outcome != "unchanged" and one.entry.unique_id in seen:
            raise DuplicateUniqueId(one.entry.unique_id)
        seen.add(one.entry.unique_id)


def _resolved(unit: UnitOfWork, relation: Relation) -> Relation:
    """The relation by our own id, where its target was named by entryUUID or uniqueId."""
    if unit.documents.entry(relation.target) is not None:
        return relation
    named = DocumentSearch(identifiers=(relation.target,), limit=1, on_demand=True)
    found = next(iter(unit.documents.find(named)), None)
    return relation if found is None else replace(relation, target=found.id)


def _supersede_what_it_replaces(act: Act, unit: UnitOfWork, entry: DocumentEntry, record: SourceRecord) -> None:
    for relation in entry.relations:
        target = unit.documents.entry(relation.target)
        if target is None:
            raise UnresolvedReference("DocumentReference.relatesTo", relation.target)
        if not is_of(unit, target, record):
            raise PatientMismatch("relatesTo", expected="the same patient", found="another patient")
        if target.id == entry.id:  # it would be superseded by itself, and seen by nobody
            raise InvalidValue("DocumentReference.relatesTo", expected="another document than itself")
        if target.status is not DocumentStatus.CURRENT:
            raise DeprecatedTarget(relation.target)
        if relation.kind is RelationKind.REPLACES:
            supersede_document(act, unit, target)
            hand_over(act, unit, target, entry, record)


def _joining(unit: UnitOfWork, submission: Submission, judged: Sequence[Judged]) -> list[tuple[str, str]]:
    """Folder and document by their registry ids, the documents of this message included."""
    known_ids = {d.entry.id: j.entry.id for d, j in zip(submission.documents, judged, strict=True)}
    return [(folder, known_ids.get(document, document)) for folder, document in submission.additions]


def _handed_in_before(known: Folder, folder: Folder, members: tuple[str, ...]) -> bool:
    """The same folder in the same message once more."""
    return known.title == folder.title and known.codes == folder.codes and set(members) == set(known.members)


def _supersede(act: Act, unit: UnitOfWork, entry_id: str, *, by: SourceRecord) -> None:
    target = unit.documents.entry(entry_id)
    if target is None or target.record_id != by.id:
        raise UnresolvedReference("Bundle.entry.request.url", entry_id)
    if target.status is DocumentStatus.CURRENT:
        supersede_document(act, unit, target)


def _withdraw(act: Act, unit: UnitOfWork, source_key: str, *, by: SourceRecord) -> None:
    """The sender takes a document back: it is current no longer, and its study waits for another report."""
    target = unit.documents.by_source_key(source_key)
    if target is None:
        return
    if not is_of(unit, target, by):
        raise PatientMismatch("report", expected="the patient it was published for", found="another patient")
    if target.status is DocumentStatus.CURRENT:
        supersede_document(act, unit, target)
        act.items.append(target.id)
    release_study(unit, target)


def _submission_set(
    act: Act, unit: UnitOfWork, submission: Submission, record: SourceRecord, judged: Sequence[Judged], news: bool
) -> SubmissionSet | None:
    """What was handed in together; a message without a set of its own that brought nothing new makes none."""
    given = submission.submission_set
    known_ids = {d.entry.id: j.entry.id for d, j in zip(submission.documents, judged, strict=True)}
    listed = tuple(member_id(unit, known_ids.get(m, m), record) for m in given.members) if given else ()
    members = listed or tuple(one.entry.id for one in judged)
    if given is not None:
        known = unit.documents.by_submission_unique_id(given.unique_id)
        if known is not None:
            if set(known.members) != set(members):
                raise DuplicateUniqueId(given.unique_id)
            return known
        if submission.set_is_made and not news:
            return None
    elif not news and not submission.folders:
        return None
    made = replace(
        given or _derived_set(act),
        patient=record.identifier,
        record_id=record.id,
        members=members,
        referred=tuple(member_id(unit, one, record) for one in given.referred) if given else (),
        updated=act.now,
    )
    add_submission(act, unit, made)
    return made


def _derived_set(act: Act) -> SubmissionSet:
    own_id = new_id()
    return SubmissionSet(
        id=own_id,
        entry_uuid=f"urn:uuid:{own_id}",
        unique_id=f"urn:uuid:{new_id()}",
        source_id=str(act.house.home),
        patient=None,
        record_id=None,
        submitted=act.now,
    )


def _folder(
    act: Act,
    unit: UnitOfWork,
    folder: Folder,
    record: SourceRecord,
    submission: Submission,
    judged: Sequence[Judged],
) -> Folder:
    known_ids = {d.entry.id: j.entry.id for d, j in zip(submission.documents, judged, strict=True)}
    known = unit.documents.folder(folder.id)
    if known is not None and known.record_id != record.id:
        raise PatientMismatch("folder", expected="the same patient", found="another patient")
    added = (member_id(unit, known_ids.get(m, m), record) for m in folder.members)
    members = tuple(dict.fromkeys((*(known.members if known else ()), *added)))
    if known is not None and submission.new_folders and not _handed_in_before(known, folder, members):
        raise DuplicateUniqueId(folder.unique_id)
    made = replace(folder, patient=record.identifier, record_id=record.id, members=members, updated=act.now)
    if known is not None and replace(made, updated=known.updated, version=known.version) == known:
        return known
    made = replace(made, version=known.version + 1 if known else 1)
    keep_folder(act, unit, made)
    return made
