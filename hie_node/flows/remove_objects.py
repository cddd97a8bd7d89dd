"""Remove: metadata out of the index, then the bytes behind them; each request as a whole, and on record for good.

Nothing is left that leads to what is gone. The record of disclosures is not touched: who saw it stays known.

Source: IHE ITI Remove Metadata and Documents: 3.62.4.1.3, 3.86.4.1.3
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from adapters.store.changes import LeftContent
from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.associations import Tie, cut, tie_of
from hie_node.flows.change_metadata import refuse_others
from hie_node.flows.changes import change_document, keep_folder
from hie_node.flows.identify import by_record_id
from hie_node.flows.membership import release_study
from hie_node.flows.query_registry import Gathered, touching
from registry.changes import Changed, RemoveContents, RemoveMetadata
from registry.commands import QueryKind, QueryRegistry
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.errors import LeftAlone, NoSuchRepository, NotFound, StillReferenced, StillRegistered, UnresolvedReference
from registry.holdings import Thing
from registry.identifiers import repository_of
from registry.searches import DocumentSearch, StudySearch

_CHUNK = 500


def remove_metadata(act: Act, command: RemoveMetadata) -> Changed:
    """ITI-62. Raises UnresolvedReference, StillReferenced and LeftAlone; nothing is removed then."""
    refuse_others(act)
    act.action, act.direction = "D", "changed"
    with act.unit() as unit:
        seen = _Going(act, unit, command.ids)
        seen.check()
        # looked at once more while nobody publishes to these patients, or changes and removes what is theirs
        for record_id in sorted({one.record_id for one in seen.touched if one.record_id}):
            unit.patients.record_by_id(record_id)
        going = _Going(act, unit, command.ids)
        going.check()
        going.remove()
        _write_down(act, unit, going.touched)
        return Changed(tuple(one.id for one in going.touched))


@dataclass(slots=True)
class _Going:
    """What is to be removed, found by the ids of the request, and what hangs on it."""

    act: Act
    unit: UnitOfWork
    ids: tuple[str, ...]
    documents: list[DocumentEntry] = field(init=False)
    versions: list[DocumentEntry] = field(init=False)
    folder_versions: list[Folder] = field(init=False)
    sets: list[SubmissionSet] = field(init=False)
    folders: list[Folder] = field(init=False)
    ties: list[Tie] = field(default_factory=list)

    def __post_init__(self) -> None:
        gathered, wanted = self._gathered(), set(self.ids)
        pieces = [self.ids[at : at + _CHUNK] for at in range(0, len(self.ids), _CHUNK)]
        self.documents = [d for p in pieces for d in gathered.named_documents(p) if d.entry_uuid in wanted]
        self.versions = [d for p in pieces for d in self.unit.changes.named(p) if d.entry_uuid in wanted]
        self.sets = [s for p in pieces for s in gathered.named_sets(p) if s.entry_uuid in wanted]
        self.folder_versions = [f for p in pieces for f in self.unit.changes.named_folders(p) if f.entry_uuid in wanted]
        self.folders = [f for p in pieces for f in gathered.named_folders(p) if f.entry_uuid in wanted]

    def _gathered(self) -> Gathered:
        return Gathered(self.act, self.unit, QueryRegistry(QueryKind.GET_ASSOCIATIONS))

    @property
    def things(self) -> list[Thing]:
        return [*self.roots, *self.versions, *self.folder_versions]

    @property
    def touched(self) -> list[Thing]:
        """What goes, and what loses an association."""
        return [*self.things, *(tie.source for tie in self.ties)]

    @property
    def roots(self) -> list[Thing]:
        """Without earlier versions: a document of which only one of those goes stays."""
        return [*self.documents, *self.sets, *self.folders]

    @property
    def gone(self) -> set[str]:
        """By the registry's own ids."""
        return {one.id for one in self.roots}

    def check(self) -> None:
        """Everything named is here, and nothing that leads to it would stay."""
        around = self._gathered()
        around.documents, around.sets, around.folders = [*self.documents], [*self.sets], [*self.folders]
        touching(around, keep=False)
        links, wanted = {one.id: one for one in around.links}, set(self.ids)
        known = {one.entry_uuid for one in self.things} | links.keys()
        alone = [one for one in self.ids if one not in known]
        self.ties = [tie for one in alone if (tie := tie_of(self._gathered(), one))]
        known |= {tie.association.id for tie in self.ties}
        unknown = next((one for one in self.ids if one not in known), None)
        if unknown is not None:
            raise UnresolvedReference("ObjectRef", unknown)
        self._refuse_evidence()
        going = {one.entry_uuid for one in self.roots}
        for link in links.values():
            if link.id not in wanted:
                raise StillReferenced(link.source if link.source in going else link.target, link.id)

    def _refuse_evidence(self) -> None:
        """What a consent rests on stays as long as the consent is known here, in force or not."""
        named = {f"DocumentReference/{one.id}": one for one in self.documents}
        for consent in self.unit.consents.of_records(tuple({one.record_id for one in self.documents})):
            reference = consent.evidence.reference if consent.evidence else ""
            if reference in named:
                raise StillReferenced(named[reference].entry_uuid, f"urn:uuid:{consent.id}")

    def remove(self) -> None:
        """Out of the index; sets, folders and documents that stay forget what goes. Raises LeftAlone."""
        for tie in self.ties:
            cut(self.act, self.unit, tie)
        sets, folders = self._gathered().packages_of([*self.documents, *self.folders])
        self._leave_sets([one for one in sets if one.id not in self.gone])
        self._leave_folders([one for one in folders if one.id not in self.gone])
        self._refuse_orphans()
        for other in self._gathered().related_to(self.documents):
            self._forget_relations(other)
        for document in self.documents:
            release_study(self.unit, document)
            self.unit.changes.remove_document(document, now=self.act.now)
        for entry_uuid in [one.entry_uuid for one in self.versions] + [one.entry_uuid for one in self.folder_versions]:
            self.unit.changes.forget_version(entry_uuid)
        for one in self.sets:
            self.unit.changes.remove_submission(one.id)
        for folder in self.folders:
            self.unit.changes.remove_folder(folder.id)

    def _leave_sets(self, staying: Iterable[SubmissionSet]) -> None:
        for one in staying:
            members = tuple(member for member in one.members if member not in self.gone)
            if not members:
                raise LeftAlone(one.entry_uuid)
            referred = tuple(member for member in one.referred if member not in self.gone)
            self.unit.changes.save_submission(
                replace(one, members=members, referred=referred, version=one.version + 1, updated=self.act.now)
            )

    def _leave_folders(self, staying: Iterable[Folder]) -> None:
        for one in staying:
            members = tuple(member for member in one.members if member not in self.gone)
            keep_folder(
                self.act, self.unit, replace(one, members=members, version=one.version + 1, updated=self.act.now)
            )

    def _refuse_orphans(self) -> None:
        """What a set that goes had brought goes as well, or another set has it; likewise what a set has lost."""
        gathered, gone = self._gathered(), self.gone
        members = dict.fromkeys(member for one in self.sets for member in one.members if member not in gone)
        lost = (tie.target.id for tie in self.ties if tie.association.of_submission_set)
        members |= dict.fromkeys(one for one in lost if one not in gone)
        staying: list[Thing] = [*gathered.documents_by_id(members), *gathered.folders_by_id(members)]
        for one in staying:
            sets, _ = gathered.packages_of([one])
            if all(each.id in gone for each in sets):
                raise LeftAlone(one.entry_uuid)

    def _forget_relations(self, other: DocumentEntry) -> None:
        kept = tuple(relation for relation in other.relations if relation.target not in self.gone)
        if other.id not in self.gone and kept != other.relations:
            changed = replace(other, relations=kept, version=other.version + 1, updated=self.act.now)
            change_document(self.act, self.unit, changed)


def _write_down(act: Act, unit: UnitOfWork, things: Sequence[Thing]) -> None:
    """A row for each patient whose things were removed; the act's own is that of the first."""
    records = dict.fromkeys(one.record_id for one in things if one.record_id)
    for number, record_id in enumerate(records):
        person = by_record_id(unit, record_id)
        one = act if number == 0 else act.fork()
        if person is not None:
            one.about(person.first)
        one.items += dict.fromkeys(thing.id for thing in things if thing.record_id == record_id)
        if number:
            act.extra_rows.append(one.row())


def remove_contents(act: Act, command: RemoveContents) -> Changed:
    """ITI-86. Raises NoSuchRepository, NotFound and StillRegistered; nothing is removed then.

    On record first, so that bytes are never gone without it; broken off in between, the same request goes on.
    """
    refuse_others(act)
    act.action, act.direction = "D", "changed"
    for asked in command.wanted:
        if asked.home not in (None, act.house.home) or asked.repository != repository_of(act.house.home):
            raise NoSuchRepository(asked.repository)
    with act.unit() as unit:
        left = [(asked.unique_id, one) for asked in command.wanted for one in _left(unit, asked.unique_id)]
        owners = dict.fromkeys(one.owner for _, one in left)
        person = by_record_id(unit, next(iter(owners)))
        if person is not None:
            act.about(person.first)
        act.items = [unique_id for unique_id, _ in left]
    with act.house.storage.begin() as unit:
        for _, one in left:
            _empty(act, unit, one)
    return Changed(tuple(act.items))


def _left(unit: UnitOfWork, unique_id: str) -> tuple[LeftContent, ...]:
    if unit.documents.by_unique_id(unique_id) is not None:
        raise StillRegistered(unique_id)
    left = unit.changes.contents_left(unique_id)
    if not left:
        raise NotFound("document")
    return left


def _empty(act: Act, unit: UnitOfWork, left: LeftContent) -> None:
    """The bytes go unless something else of the same patient is made of them. Publishing to them waits meanwhile."""
    unit.patients.record_by_id(left.owner)
    if not _is_used(unit, left):
        act.house.contents.remove(unit, left.owner, left.content_hash)
    unit.changes.emptied(left)


def _is_used(unit: UnitOfWork, left: LeftContent) -> bool:
    documents = unit.documents.find(DocumentSearch(record_ids=(left.owner,), limit=_CHUNK, papers=True))
    studies = unit.studies.find(StudySearch(record_ids=(left.owner,), limit=_CHUNK))
    return any(one.attachment.content_hash == left.content_hash for one in documents) or any(
        instance.content_hash == left.content_hash for study in studies for instance in study.selected()
    )
