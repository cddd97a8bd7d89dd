"""What the registry holds and how it hangs together: gathered, decided document by document, recorded, shown.

Submission sets and folders name documents. The own hospital sees them; another one only those with something in them
that it may see, and nothing of the rest.

Source: IHE ITI TF-2: 3.18.4.1.2.3.7
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from consent.reasons import Reason
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.flows.manifests import entry_for, studies_of
from hie_node.flows.on_demand import named_on_demand, on_demand_of
from hie_node.flows.permission import consents_for
from hie_node.flows.versions import (
    earlier_by_name,
    earlier_folders_by_name,
    earlier_folders_of_records,
    earlier_of_records,
)
from registry.commands import QueryKind, QueryRegistry
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.errors import NotUnique
from registry.holdings import Association, Holdings, Thing, membership, relations
from registry.searches import DocumentSearch, StudySearch, SubmissionSearch
from registry.studies import Study

Noun = TypeVar("Noun", DocumentEntry, SubmissionSet, Folder)
_FROM_A_PATIENT = (QueryKind.FIND_SUBMISSION_SETS, QueryKind.FIND_FOLDERS, QueryKind.GET_ALL)
_CHUNK = 500


def query_registry(act: Act, command: QueryRegistry) -> Holdings:
    """ITI-18 and ITI-38, all but the searches for documents of a patient."""
    with act.unit() as unit:
        gathered = Gathered(act, unit, command)
        _STARTS[command.kind](gathered)
        return gathered.shown()


@dataclass(slots=True)
class Gathered:
    """What a query brings together, before it is decided what of it is shown.

    ends  what associations lead to without being shown themselves
    """

    act: Act
    unit: UnitOfWork
    command: QueryRegistry
    documents: list[DocumentEntry] = field(default_factory=list)
    sets: list[SubmissionSet] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    studies: list[tuple[Study, DocumentEntry]] = field(default_factory=list)
    links: list[Association] = field(default_factory=list)
    ends: list[Thing] = field(default_factory=list)
    only_links: bool = False
    people: dict[str, tuple[Identified | None, tuple[Consent, ...]]] = field(default_factory=dict)

    # ---- looking up ----

    def named_documents(self, identifiers: Sequence[str]) -> list[DocumentEntry]:
        search = DocumentSearch(identifiers=tuple(identifiers), limit=_CHUNK, on_demand=True)
        return list(self.unit.documents.find(search))

    def named_sets(self, identifiers: Sequence[str]) -> list[SubmissionSet]:
        search = SubmissionSearch(identifiers=tuple(identifiers), limit=_CHUNK)
        return list(self.unit.documents.find_submissions(search))

    def named_folders(self, identifiers: Sequence[str]) -> list[Folder]:
        return list(self.unit.documents.find_folders(None, identifiers=identifiers))

    def documents_by_id(self, ids: Iterable[str]) -> list[DocumentEntry]:
        wanted = tuple(dict.fromkeys(ids))
        pieces = (wanted[at : at + _CHUNK] for at in range(0, len(wanted), _CHUNK))
        searches = (DocumentSearch(ids=piece, limit=_CHUNK, on_demand=True) for piece in pieces)
        return [document for search in searches for document in self.unit.documents.find(search)]

    def folders_by_id(self, ids: Iterable[str]) -> list[Folder]:
        return [folder for one in dict.fromkeys(ids) if (folder := self.unit.documents.folder(one))]

    def packages_of(self, things: Sequence[Thing]) -> tuple[list[SubmissionSet], list[Folder]]:
        """The sets and folders that have one of these as a member."""
        ids, records = {one.id for one in things}, tuple({one.record_id for one in things if one.record_id})
        search = SubmissionSearch(record_ids=records, limit=_CHUNK)
        sets = [one for one in self.unit.documents.find_submissions(search) if ids & set(one.members)]
        return sets, [one for one in self.unit.documents.find_folders(records) if ids & set(one.members)]

    def related_to(self, documents: Sequence[DocumentEntry]) -> list[DocumentEntry]:
        """Those that a relation connects with one of these, in either direction."""
        ids = {one.id for one in documents}
        targets = {relation.target for one in documents for relation in one.relations}
        points: Callable[[DocumentEntry], bool] = lambda e: any(r.target in ids for r in e.relations)  # noqa: E731
        records = tuple({one.record_id for one in documents})
        search = DocumentSearch(record_ids=records, where=(points,), limit=_CHUNK, papers=True, on_demand=True)
        sources = self.unit.documents.find(search)
        found = {one.id: one for one in (*self.documents_by_id(targets), *sources)}
        return [one for one in found.values() if one.id not in ids]

    # ---- deciding ----

    def shown(self) -> Holdings:
        """What of it the caller may see; associations only among things that it may know of."""
        documents = [one for one in _fitting(self.documents, self.command.documents) if self._may_see(one)]
        documents += _fitting(self._manifests(), self.command.documents)
        known = {one.entry_uuid for one in documents}
        sets = [one for one in _fitting(self.sets, self.command.submission_sets) if self._may_know(one)]
        folders = [one for one in _fitting(self.folders, self.command.folders) if self._may_know(one)]
        known |= {one.entry_uuid for one in sets} | {one.entry_uuid for one in folders}
        if self.act.caller.is_peer:
            known |= {one.entry_uuid for one in self.ends if self._may_learn_of(one)}
        links = tuple(one for one in dict.fromkeys(self.links) if self._both_known(one, known))
        self._record(documents, [*sets, *folders])
        if self.only_links:
            return Holdings(associations=links)
        limit = self.command.limit
        more = len(documents) + len(sets) + len(folders) > limit
        return Holdings(
            tuple(map(self._under_its_number, documents[:limit])),
            tuple(map(self._under_its_number, sets[:limit])),
            tuple(map(self._under_its_number, folders[:limit])),
            links,
            persons=self._how_many_people([*documents, *sets, *folders]),
            more=more,
        )

    def _manifests(self) -> Iterable[DocumentEntry]:
        """Of the studies that may be seen: a manifest is decided like its study."""
        for study, entry in self.studies:
            if self.act.weigh(study, self._consents(study.record_id)[1]).permit:
                yield entry

    def _how_many_people(self, things: Sequence[Thing]) -> int:
        found = (self._consents(record_id)[0] for record_id in {one.record_id for one in things} if record_id)
        return len({person.person_id for person in found if person})

    def _under_its_number(self, thing: Noun) -> Noun:
        """What was handed in under a number that was merged away is shown under the one that stands."""
        person = self._consents(thing.record_id)[0] if thing.record_id else None
        own = next((one for one in person.records if one.id == thing.record_id), None) if person else None
        if person is None or own is None or own.active:
            return thing
        return replace(thing, patient=person.first.identifier)

    def _may_see(self, document: DocumentEntry) -> bool:
        return self.act.weigh(document, self._consents(document.record_id)[1]).permit

    def _consents(self, record_id: str) -> tuple[Identified | None, tuple[Consent, ...]]:
        if record_id not in self.people:
            person = by_record_id(self.unit, record_id)
            self.people[record_id] = person, consents_for(self.act, self.unit, person) if person else ()
        return self.people[record_id]

    def _may_know(self, package: SubmissionSet | Folder) -> bool:
        """For another hospital: something in it may be seen."""
        if not self.act.caller.is_peer:
            return True
        return any(self._may_see(one) for one in self.documents_by_id(package.members))

    def _may_learn_of(self, end: Thing) -> bool:
        return self._may_see(end) if isinstance(end, DocumentEntry) else self._may_know(end)

    def _both_known(self, link: Association, known: set[str]) -> bool:
        """The own hospital learns of both ends; another one only where it may see them."""
        return not self.act.caller.is_peer or {link.source, link.target} <= known

    def _record(self, documents: Sequence[DocumentEntry], packages: Sequence[SubmissionSet | Folder]) -> None:
        """A row for each patient whose things are shown; the act's own is that of the first."""
        shown: list[Thing] = [*documents, *packages]
        records = dict.fromkeys(one.record_id for one in shown if one.record_id)
        for number, record_id in enumerate(records):
            person, consents = self._consents(record_id)
            act = self.act if number == 0 else self.act.fork()
            if person is not None:
                act.about(person.first)
            for one in shown:
                if one.record_id != record_id:
                    continue
                study = next((s for s, entry in self.studies if entry.id == one.id), None)
                if study is not None:
                    act.judge(study, consents)
                elif isinstance(one, DocumentEntry):
                    act.judge(one, consents)
                else:
                    act.items.append(one.id)
            if number:
                self.act.extra_rows.append(act.row())
        if not records:
            self.act.refused(Reason.NOT_HERE)


def _fitting(found: Iterable[Noun], tests: Sequence[Callable[[Noun], bool]]) -> list[Noun]:
    unique = {(one.id, one.version): one for one in found}
    return [one for one in unique.values() if all(test(one) for test in tests)]


# ---- where each query starts, and what it brings along ----


def _of_a_patient(query: Gathered) -> None:
    try:
        person = identify(query.act, query.unit, query.command.patient)
    except NotUnique:
        person = None
    if person is None:
        return
    query.act.about(person.first)
    kind, records = query.command.kind, person.record_ids
    if kind in (QueryKind.FIND_SUBMISSION_SETS, QueryKind.GET_ALL):
        query.sets += query.unit.documents.find_submissions(SubmissionSearch(record_ids=records, limit=_CHUNK))
    if kind in (QueryKind.FIND_FOLDERS, QueryKind.GET_ALL):
        query.folders += query.unit.documents.find_folders(records)
        query.folders += earlier_folders_of_records(query.act, query.unit, records)
    if kind is QueryKind.GET_ALL:
        query.documents += query.unit.documents.find(DocumentSearch(record_ids=records, limit=_CHUNK, on_demand=True))
        query.documents += earlier_of_records(query.act, query.unit, records)
        query.documents += [one for one in (on_demand_of(query.act, person),) if one]
        studies = query.unit.studies.find(StudySearch(record_ids=records, limit=_CHUNK))
        query.studies += [(one, entry_for(query.act.house, query.unit, one)) for one in studies if one.instance_count]
        _link(query)


def _link(query: Gathered) -> None:
    """Everything that connects what was gathered, as far as the query's own conditions leave both ends in."""
    documents = _fitting(query.documents, query.command.documents)
    folders = _fitting(query.folders, query.command.folders)
    sets = _fitting(query.sets, query.command.submission_sets)
    query.links += membership(sets, [*documents, *folders])
    query.links += membership(folders, documents)
    query.links += relations(documents)


def _documents(query: Gathered) -> None:
    """With all versions, where they are named so."""
    names = query.command.identifiers
    versions = earlier_by_name(query.act, query.unit, names)
    query.documents += [*query.named_documents(names), *versions]
    query.documents += named_on_demand(query.act, query.unit, names)
    query.studies += studies_of(query.unit, names, query.act.house)
    if query.command.all_versions:
        query.documents += query.documents_by_id(one.id for one in versions)
        query.documents += earlier_by_name(query.act, query.unit, [one.unique_id for one in query.documents])


def _folders(query: Gathered) -> None:
    """With all versions, where they are named so; what is in a folder is asked of it as it is now."""
    names = query.command.identifiers
    query.folders += query.named_folders(names)
    if query.command.kind is not QueryKind.GET_FOLDERS:
        return
    versions = earlier_folders_by_name(query.act, query.unit, names)
    query.folders += versions
    if query.command.all_versions:
        query.folders += query.folders_by_id(one.id for one in versions)
        unique_ids = [one.unique_id for one in query.folders]
        query.folders += earlier_folders_by_name(query.act, query.unit, unique_ids)


def _associations(query: Gathered) -> None:
    _documents(query)
    query.sets += query.named_sets(query.command.identifiers)
    _folders(query)
    query.only_links = True
    touching(query)


def _documents_and_associations(query: Gathered) -> None:
    _documents(query)
    touching(query, keep=False)


def touching(query: Gathered, *, keep: bool = True) -> None:
    """All associations that begin or end at what was named. `keep`: the other end counts as gathered too, so that
    another hospital may learn of the association when it may see both ends."""
    named: list[Thing] = [*query.documents, *query.sets, *query.folders]
    start = {one.entry_uuid for one in named}
    sets, folders = query.packages_of(named)
    around = query.related_to(query.documents)
    packages: list[SubmissionSet | Folder] = [*query.sets, *query.folders]
    members = query.documents_by_id(member for one in packages for member in one.members)
    folders += query.folders_by_id(member for one in query.sets for member in one.members)
    held = [*query.documents, *around, *members]
    found = [
        *membership([*sets, *query.sets], [*held, *query.folders, *folders]),
        *membership([*folders, *query.folders], held),
        *relations(held),
    ]
    query.links += [one for one in found if {one.source, one.target} & start]
    if keep:
        query.documents += [*around, *members]
        query.sets += sets
        query.folders += folders
    else:
        query.ends += [*around, *members, *sets, *folders]


def _submission_sets(query: Gathered) -> None:
    members: list[Thing] = [*query.named_documents(query.command.identifiers)]
    members += query.named_folders(query.command.identifiers)
    query.sets += query.packages_of(members)[0]
    query.links += membership(query.sets, members)
    query.ends += members


def _set_and_contents(query: Gathered) -> None:
    query.sets += query.named_sets(query.command.identifiers)
    ids = [member for one in query.sets for member in one.members]
    query.documents += query.documents_by_id(ids)
    query.folders += query.folders_by_id(ids)
    _link(query)


def _folder_and_contents(query: Gathered) -> None:
    _folders(query)
    query.documents += query.documents_by_id(member for one in query.folders for member in one.members)
    documents = _fitting(query.documents, query.command.documents)
    query.links += membership(query.folders, documents)


def _folders_for_document(query: Gathered) -> None:
    query.folders += query.packages_of(query.named_documents(query.command.identifiers))[1]


def _related(query: Gathered) -> None:
    """Documents that hang together with one, by some kinds of association; alone it is not related to anything."""
    wanted = query.command.documents
    named = _fitting(query.named_documents(query.command.identifiers), wanted)
    around = _fitting(query.related_to(named), wanted)
    found = [one for one in relations([*named, *around]) if one.kind in query.command.kinds]
    ends = {end for one in found for end in (one.source, one.target)}
    query.links += [one for one in found if {one.source, one.target} & {each.entry_uuid for each in named}]
    if query.links:
        query.documents += [one for one in (*named, *around) if one.entry_uuid in ends]


_STARTS: dict[QueryKind, Callable[[Gathered], None]] = {
    **dict.fromkeys(_FROM_A_PATIENT, _of_a_patient),
    QueryKind.GET_DOCUMENTS: _documents,
    QueryKind.GET_FOLDERS: _folders,
    QueryKind.GET_ASSOCIATIONS: _associations,
    QueryKind.GET_DOCUMENTS_AND_ASSOCIATIONS: _documents_and_associations,
    QueryKind.GET_SUBMISSION_SETS: _submission_sets,
    QueryKind.GET_SUBMISSION_SET_AND_CONTENTS: _set_and_contents,
    QueryKind.GET_FOLDER_AND_CONTENTS: _folder_and_contents,
    QueryKind.GET_FOLDERS_FOR_DOCUMENT: _folders_for_document,
    QueryKind.GET_RELATED_DOCUMENTS: _related,
}
