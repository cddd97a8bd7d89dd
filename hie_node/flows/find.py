"""Find documents and studies of one person here: identify, decide on each, record, show newest first.

The decision filters before anything is counted or paged. A peer without the patient's request gets one and the same
answer, whether there is nothing or nothing may be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

from adapters.store.unit import UnitOfWork
from consent.consents import Consent, labels_of, look_at_items
from consent.decide import Item
from consent.reasons import Reason
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.flows.identity_changes import note_learner
from hie_node.flows.manifests import manifests_in
from hie_node.flows.on_demand import on_demand_in
from hie_node.flows.permission import carries_a_request, consents_for
from hie_node.flows.versions import earlier_of_records, refuse_removed
from registry.coded import CodedValue
from registry.commands import FindDocuments, FindStudies, FindSubmissions, Page, ReadDocument, ReadStudy, ReadSubmission
from registry.documents import DocumentEntry, DocumentStatus, Folder, SubmissionSet
from registry.errors import NotFound, NotUnique
from registry.searches import Cursor, DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study

Thing = TypeVar("Thing", DocumentEntry, Study)
Search = TypeVar("Search", DocumentSearch, StudySearch)


def find_documents(act: Act, command: FindDocuments) -> Page[DocumentEntry]:
    """ITI-67 over this node's own documents."""

    def find(unit: UnitOfWork, search: DocumentSearch) -> Iterator[DocumentEntry]:
        yield from unit.documents.find(search)
        if search.versions and search.record_ids and DocumentStatus.SUPERSEDED in (search.statuses or ()):
            yield from filter(search.accepts, earlier_of_records(act, unit, search.record_ids))

    def beside(unit: UnitOfWork, search: DocumentSearch, consents: Sequence[Consent]) -> list[DocumentEntry]:
        return [*manifests_in(act, unit, search, consents), *on_demand_in(act, unit, search, consents)]

    return _find(act, command.search, find, lambda unit, s: unit.documents.counts(s), beside)


def find_studies(act: Act, command: FindStudies) -> Page[Study]:
    """ImagingStudy search and QIDO-RS over this node's own studies."""
    return _find(act, command.search, lambda unit, s: unit.studies.find(s), lambda unit, s: unit.studies.counts(s))


def _find(
    act: Act,
    search: Search,
    find: Callable[[UnitOfWork, Search], Iterator[Thing]],
    counts: Callable[[UnitOfWork, Search], Mapping[tuple[CodedValue, ...], int]],
    beside: Callable[[UnitOfWork, Search, Sequence[Consent]], Sequence[Thing]] = lambda unit, search, consents: (),
) -> Page[Thing]:
    """`beside` finds, and decides, what is no row of the index and is shown with the rest."""
    with act.unit() as unit:
        if search.patient.is_given or act.caller.is_peer:
            try:
                person = identify(act, unit, search.patient)
            except NotUnique:
                return _not_unique(act, unit, search.patient)
            if person is None:
                return _nobody(act, unit, search.patient)
            act.about(person.first)
            search = replace(search, record_ids=person.record_ids)
            consents = consents_for(act, unit, person)
            if act.caller.is_peer and not act.may_show_something(consents):
                act.refused(Reason.NO_WRITTEN_REQUEST)
                return Page((), total=0, withheld=True)
            if act.caller.is_peer and search.patient.described is not None:
                note_learner(act, unit, person, search.patient.described.identifiers)
            page = _page(act, search, partial(find, unit), counts(unit, search), consents)
            more = tuple(beside(unit, search, consents))
            return replace(page, items=page.items + more, total=(page.total or 0) + len(more)) if more else page
        return _of_many(act, unit, search, find)


def _not_unique(act: Act, unit: UnitOfWork, patient: PatientSelector) -> Page[Thing]:
    """Two people fit: neither is shown, and only a question that carries a request learns even that."""
    act.refused(Reason.NOT_ONE_PERSON)
    if act.caller.is_peer and not carries_a_request(act, unit, patient.described):
        return Page((), total=0, withheld=True)
    return Page((), total=0, not_unique=True)


def _nobody(act: Act, unit: UnitOfWork, patient: PatientSelector) -> Page[Thing]:
    act.refused(Reason.NOT_HERE)
    withheld = act.caller.is_peer and not carries_a_request(act, unit, patient.described)
    return Page((), total=0, withheld=withheld)


def _page(
    act: Act,
    search: Search,
    find: Callable[[Search], Iterator[Thing]],
    counts: Mapping[tuple[CodedValue, ...], int],
    consents: Sequence[Consent],
) -> Page[Thing]:
    """One page, and how many there are of what may be seen."""
    limit = search.limit
    if look_at_items(consents) or any(rule.looks_at_items for rule in act.caller.residual):
        permitted = [item for item in find(search) if act.weigh(item, consents).permit]
        total = len(permitted)
        if search.after is not None:
            every = find(replace(search, after=None))
            total = sum(act.weigh(item, consents).permit for item in every)
    else:
        decisions = {labels: act.decide(Item(labels_of(labels)), consents) for labels in counts}
        total = sum(number for labels, number in counts.items() if decisions[labels].permit)
        for labels, number in counts.items():
            if not decisions[labels].permit:
                act.count(decisions[labels], number)
        permitted = list(islice((item for item in find(search) if act.weigh(item, consents).permit), limit + 1))
    shown = permitted[:limit] if not search.count_only else []
    for item in shown:
        act.judge(item, consents)
    more = len(permitted) > limit and bool(shown)
    return Page(tuple(shown), total=total, next=_cursor(shown[-1]) if more else None)


def _of_many(
    act: Act, unit: UnitOfWork, search: Search, find: Callable[[UnitOfWork, Search], Iterator[Thing]]
) -> Page[Thing]:
    """Without a patient: each item is decided under its own patient's consents, and each patient gets a row."""
    known: dict[str, tuple[Identified | None, tuple[Consent, ...]]] = {}
    shown: list[Thing] = []
    more = False
    for item in find(unit, search):
        if item.record_id not in known:
            known[item.record_id] = _consents_of_record(act, unit, item.record_id)
        if not act.weigh(item, known[item.record_id][1]).permit:
            continue
        if len(shown) == search.limit:
            more = True
            break
        shown.append(item)
    _a_row_for_each_patient(act, shown, known)
    total = None if more or search.after else len(shown)
    return Page(tuple(shown), total=total, next=_cursor(shown[-1]) if more else None)


def _consents_of_record(act: Act, unit: UnitOfWork, record_id: str) -> tuple[Identified | None, tuple[Consent, ...]]:
    person = by_record_id(unit, record_id)
    return person, consents_for(act, unit, person) if person else ()


def _a_row_for_each_patient(
    act: Act, shown: Sequence[DocumentEntry | Study], known: Mapping[str, tuple[Identified | None, tuple[Consent, ...]]]
) -> None:
    for record_id, (person, consents) in known.items():
        mine = [item for item in shown if item.record_id == record_id]
        if not mine or person is None:
            continue
        one = act.fork()
        one.about(person.first)
        for item in mine:
            one.judge(item, consents)
        act.extra_rows.append(one.row())


def _cursor(item: DocumentEntry | Study) -> Cursor:
    return Cursor(item.performed if isinstance(item, DocumentEntry) else item.started, item.id)


def read_document(act: Act, command: ReadDocument) -> DocumentEntry:
    """The metadata of one document; one that may not be seen is one that is not there."""
    with act.unit() as unit:
        entry = unit.documents.entry(command.id)
        if entry is None:
            refuse_removed(act, unit, command.id, "DocumentReference")
        entry = permitted_one(act, unit, entry, "DocumentReference")
        if command.version in (None, entry.version):
            return entry
        # what was closed since then is closed now: the document of today was decided on first
        earlier = unit.documents.version(command.id, command.version)
        act.items.clear()
        return permitted_one(act, unit, earlier, "DocumentReference")


def read_study(act: Act, command: ReadStudy) -> Study:
    """One study of the index."""
    with act.unit() as unit:
        return permitted_one(act, unit, unit.studies.study(command.id), "ImagingStudy")


def permitted_one(act: Act, unit: UnitOfWork, item: Thing | None, what: str, *, keep: bool = True) -> Thing:
    """The item when the caller may see it; raises NotFound where it is absent, and where it is refused.

    An on-demand entry is absent: it is listed over SOAP, and had from its own repository.
    `keep=False` only looks: requests that came with the question are not stored again.
    """
    if item is None or (isinstance(item, DocumentEntry) and item.on_demand):
        act.refused(Reason.NOT_HERE)
        raise NotFound(what)
    person = by_record_id(unit, item.record_id)
    if person is None:
        raise NotFound(what)
    act.about(person.first)
    if not act.judge(item, consents_for(act, unit, person, keep=keep)).permit:
        raise NotFound(what)
    return item


def find_submissions(act: Act, command: FindSubmissions) -> Page[SubmissionSet | Folder]:
    """ITI-66: what was published together, and folders. They name documents, so they are for the own hospital."""
    search = command.search
    with act.unit() as unit:
        if search.patient.is_given:
            person = identify(act, unit, search.patient)
            if person is None:
                act.refused(Reason.NOT_HERE)
                return Page((), total=0)
            act.about(person.first)
            search = replace(search, record_ids=person.record_ids)
        found: list[SubmissionSet | Folder] = []
        if command.submission_sets:
            found += unit.documents.find_submissions(search)
        if command.folders:
            found += [f for f in unit.documents.find_folders(search.record_ids) if _folder_fits(f, command)]
        found.sort(key=_place, reverse=True)
        rest = [one for one in found if search.after is None or _place(one) < (search.after.performed, search.after.id)]
        shown = [] if search.count_only else [without_promises(unit, one) for one in rest[: search.limit]]
        act.items += [item.id for item in shown]
        more = bool(shown) and len(rest) > len(shown)
        return Page(tuple(shown), total=len(found), next=Cursor(*_place(shown[-1])) if more else None)


def without_promises(unit: UnitOfWork, package: SubmissionSet | Folder) -> SubmissionSet | Folder:
    """Without what is made when it is retrieved: over FHIR that is no document, and a link to it would lead nowhere."""
    promised = unit.documents.made_later(package.members)
    return replace(package, members=tuple(one for one in package.members if one not in promised))


def _place(item: SubmissionSet | Folder) -> tuple[datetime, str]:
    """Newest first; the id breaks ties."""
    return (item.submitted if isinstance(item, SubmissionSet) else item.updated), item.id


def _folder_fits(folder: Folder, command: FindSubmissions) -> bool:
    wanted = command.search
    return (
        (wanted.ids is None or folder.id in wanted.ids)
        and (wanted.identifiers is None or bool({folder.unique_id, folder.entry_uuid} & set(wanted.identifiers)))
        and all(condition(folder) for condition in wanted.where)
    )


def read_submission(act: Act, command: ReadSubmission) -> SubmissionSet | Folder:
    """One submission set or folder."""
    with act.unit() as unit:
        set_ = unit.documents.submission(command.id)
        versions: tuple[SubmissionSet | Folder, ...] = (set_,) if set_ else unit.documents.folder_versions(command.id)
        found = next((one for one in versions if command.version in (None, one.version)), None)
        if found is None:
            raise NotFound("List")
        act.items.append(found.id)
        return without_promises(unit, found)
