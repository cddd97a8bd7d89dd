"""The document registry: entries, submission sets, folders, visits and referrals."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, Table, Text, bindparam, cast, delete, or_, select, update

from adapters.store.codec import dump, dump_as, load, load_as
from adapters.store.rows import Listing, Part, Values, any_of, insert_once, moment, once, upsert
from adapters.store.schema import document, earlier_version, expected_patient, folder, referral, submission_set, visit
from registry.coded import STAYS_HERE, CodedValue
from registry.documents import DocumentEntry, DocumentStatus, Folder, SubmissionSet
from registry.errors import DuplicateUniqueId, NotFound, VersionConflict
from registry.identifiers import HomeCommunityId
from registry.searches import DocumentSearch, SubmissionSearch
from registry.submissions import ExpectedPatient, Referral, Visit

Labels = tuple[CodedValue, ...]
_CHUNK = 500

_body = select(document.c.body)
_BY_ID = _body.where(document.c.id == bindparam("id"))
_BY_UNIQUE_ID = _body.where(document.c.unique_id == bindparam("unique_id"))
_BY_SOURCE_KEY = _body.where(document.c.source_key == bindparam("source_key"))
_AMONG = select(document.c.id).where(any_of(document.c.id, "ids"), any_of(document.c.status, "statuses"))
_REPLACE = update(document).where(document.c.id == bindparam("key"))
_FREE_KEY = update(document).where(document.c.source_key == bindparam("key")).values(source_key=None)
_SUBMISSION = select(submission_set.c.body).where(submission_set.c.id == bindparam("id"))
_SUBMISSION_BY_UNIQUE_ID = select(submission_set.c.body).where(submission_set.c.unique_id == bindparam("unique_id"))
_FOLDER = select(folder.c.body).where(folder.c.id == bindparam("id"))
_VISIT = select(visit.c.body, visit.c.source).where(
    visit.c.record_id == bindparam("record_id"), visit.c.key == bindparam("key")
)
_VISITS = select(visit.c.body).where(visit.c.record_id == bindparam("record_id"))
_REFERRAL = select(referral.c.body).where(
    referral.c.record_id == bindparam("record_id"),
    referral.c.sender == bindparam("sender"),
    referral.c.number == bindparam("number"),
)
_ALL_REFERRALS = (
    select(referral.c.record_id, referral.c.body)
    .order_by(referral.c.signed.desc(), referral.c.number.desc())
    .limit(bindparam("size"))
)
_EXPECT_NO_MORE = delete(expected_patient).where(
    expected_patient.c.sender == bindparam("by"), expected_patient.c.number == bindparam("slip")
)
_EXPECTED = (
    select(expected_patient.c.body)
    .where(expected_patient.c.received >= bindparam("since"))
    .order_by(expected_patient.c.received.desc())
    .limit(bindparam("size"))
)
_REFERRALS = (
    select(referral.c.body)
    .where(referral.c.record_id == bindparam("record_id"))
    .order_by(referral.c.signed.desc(), referral.c.number)
)

_EARLIER = select(earlier_version.c.body).where(
    earlier_version.c.kind == bindparam("what"),
    earlier_version.c.id == bindparam("id"),
    earlier_version.c.version == bindparam("version"),
)
_ALL_EARLIER = (
    select(earlier_version.c.body)
    .where(earlier_version.c.kind == bindparam("what"), earlier_version.c.id == bindparam("id"))
    .order_by(earlier_version.c.version.desc())
)


def _as_it_is(table: Table) -> Select[Any]:
    """The row as one of the earlier versions."""
    return select(
        bindparam("kind", type_=Text),
        table.c.id,
        cast(bindparam("before", type_=Integer), Integer),
        table.c.entry_uuid,
        table.c.unique_id,
        table.c.record_id,
        table.c.body,
    ).where(table.c.id == bindparam("key"))


_EARLIER_COLUMNS = ("kind", "id", "version", "entry_uuid", "unique_id", "record_id", "body")


@cache
def _kept_once(table: Table, dialect: str) -> Any:
    return once(earlier_version, dialect).from_select(_EARLIER_COLUMNS, _as_it_is(table))


_documents = Listing(
    document,
    "performed",
    {
        "record_id": document.c.record_id == bindparam("record_id"),
        "ids": any_of(document.c.id, "ids"),
        "identifiers": or_(any_of(document.c.unique_id, "identifiers"), any_of(document.c.entry_uuid, "identifiers")),
        "statuses": any_of(document.c.status, "statuses"),
    },
)
_submissions = Listing(
    submission_set,
    "submitted",
    {
        "record_id": submission_set.c.record_id == bindparam("record_id"),
        "ids": any_of(submission_set.c.id, "ids"),
        "identifiers": or_(
            any_of(submission_set.c.unique_id, "identifiers"), any_of(submission_set.c.entry_uuid, "identifiers")
        ),
    },
)
_folders = Listing(
    folder,
    "updated",
    {
        "record_id": folder.c.record_id == bindparam("record_id"),
        "identifiers": or_(any_of(folder.c.unique_id, "identifiers"), any_of(folder.c.entry_uuid, "identifiers")),
    },
)


class StoredDocuments(Part):
    """Implements `registry.ports.Documents`."""

    __slots__ = ()

    def add(self, entry: DocumentEntry, *, source_key: str | None = None) -> None:
        """Raises DuplicateUniqueId where an entry with this unique id, entry UUID or id is here.

        The source key passes from the entry that had it to this one.
        """
        values = {"id": entry.id, "source_key": source_key, **_columns(entry)}
        if insert_once(self._connection, document, values):
            return
        if source_key is not None:
            self._connection.execute(_FREE_KEY, {"key": source_key})
        if source_key is None or not insert_once(self._connection, document, values):
            raise DuplicateUniqueId(entry.unique_id)

    def entry(self, entry_id: str) -> DocumentEntry | None:
        return self._noun(DocumentEntry, _BY_ID, id=entry_id)

    def by_unique_id(self, unique_id: str) -> DocumentEntry | None:
        return self._noun(DocumentEntry, _BY_UNIQUE_ID, unique_id=unique_id)

    def by_source_key(self, source_key: str) -> DocumentEntry | None:
        """The entry that came last under the sender's own key."""
        return self._noun(DocumentEntry, _BY_SOURCE_KEY, source_key=source_key)

    def replace(self, entry: DocumentEntry) -> None:
        """Put this, its next version, in the place of the entry with the same id, which is kept as it was."""
        self._keep(document, entry)
        if self._connection.execute(_REPLACE, {"key": entry.id, **_columns(entry)}).rowcount != 1:
            raise NotFound("document entry")

    def _keep(self, table: Table, thing: DocumentEntry | Folder) -> None:
        """Raises VersionConflict where somebody else changed it a moment ago."""
        keys = {"kind": table.name, "before": thing.version - 1, "key": thing.id}
        kept = self._connection.execute(_kept_once(table, self._connection.dialect.name), keys).rowcount
        if kept != 1 and self._row(select(table.c.id).where(table.c.id == bindparam("id")), id=thing.id) is not None:
            raise VersionConflict(table.name, expected=str(thing.version - 1), found="a later version")

    def version(self, entry_id: str, version: int) -> DocumentEntry | None:
        """The entry as it was in this version, or as it is."""
        entry = self.entry(entry_id)
        if entry is None or entry.version == version:
            return entry
        return self._noun(DocumentEntry, _EARLIER, what=document.name, id=entry_id, version=version)

    def versions(self, entry_id: str) -> tuple[DocumentEntry, ...]:
        """Every version that is kept, the newest first; none for an unknown id."""
        entry = self.entry(entry_id)
        return (
            () if entry is None else (entry, *self._nouns(DocumentEntry, _ALL_EARLIER, what=document.name, id=entry_id))
        )

    def find(self, search: DocumentSearch) -> Iterator[DocumentEntry]:
        """Newest first, lazily and without end at `search.limit`: how many are shown is decided by the flow."""
        bodies = _documents.newest_first(
            self._connection,
            _wanted(search),
            record_ids=search.record_ids,
            after=search.after,
            chunk=search.limit,
        )
        return filter(search.accepts, (load(DocumentEntry, body) for body in bodies))

    def made_later(self, ids: Sequence[str]) -> frozenset[str]:
        """Which of these are made when they are retrieved."""
        statuses = [_listed_as(each, on_demand=True) for each in DocumentStatus]
        pieces = (list(ids[at : at + _CHUNK]) for at in range(0, len(ids), _CHUNK))
        return frozenset(
            row.id for piece in pieces for row in self._connection.execute(_AMONG, {"ids": piece, "statuses": statuses})
        )

    def counts(self, search: DocumentSearch) -> Mapping[Labels, int]:
        """How many entries there are of each sensitivity, wherever a page ended."""
        if search.where:
            return Counter(entry.sensitivity for entry in self.find(replace(search, after=None, limit=500)))
        counted = _documents.counts(self._connection, _wanted(search), search.record_ids)
        found = {load_as(Labels, labels): count for labels, count in counted.items()}
        return found if search.lists_papers else {of: count for of, count in found.items() if STAYS_HERE not in of}

    def add_submission(self, submission: SubmissionSet) -> None:
        values = {
            "id": submission.id,
            "entry_uuid": submission.entry_uuid,
            "unique_id": submission.unique_id,
            "record_id": submission.record_id,
            "submitted": moment(submission.submitted),
            "body": dump(submission),
        }
        if not insert_once(self._connection, submission_set, values):
            raise DuplicateUniqueId(submission.unique_id)

    def submission(self, submission_id: str) -> SubmissionSet | None:
        return self._noun(SubmissionSet, _SUBMISSION, id=submission_id)

    def by_submission_unique_id(self, unique_id: str) -> SubmissionSet | None:
        return self._noun(SubmissionSet, _SUBMISSION_BY_UNIQUE_ID, unique_id=unique_id)

    def find_submissions(self, search: SubmissionSearch) -> Iterator[SubmissionSet]:
        """Newest first, lazily."""
        wanted = _given(ids=search.ids, identifiers=search.identifiers)
        bodies = _submissions.newest_first(self._connection, wanted, record_ids=search.record_ids, chunk=search.limit)
        found = (load(SubmissionSet, body) for body in bodies)
        return (one for one in found if all(condition(one) for condition in search.where))

    def save_folder(self, folder_: Folder) -> None:
        """Add the folder, or replace the one with its id. Raises DuplicateUniqueId for another folder's unique id."""
        values = {
            "id": folder_.id,
            "entry_uuid": folder_.entry_uuid,
            "unique_id": folder_.unique_id,
            "record_id": folder_.record_id,
            "updated": moment(folder_.updated),
            "body": dump(folder_),
        }
        if insert_once(self._connection, folder, values):
            return
        self._keep(folder, folder_)
        statement = update(folder).where(folder.c.id == bindparam("key"), folder.c.unique_id == folder_.unique_id)
        if self._connection.execute(statement, {"key": values.pop("id"), **values}).rowcount != 1:
            raise DuplicateUniqueId(folder_.unique_id)

    def folder(self, folder_id: str) -> Folder | None:
        return self._noun(Folder, _FOLDER, id=folder_id)

    def folder_versions(self, folder_id: str) -> tuple[Folder, ...]:
        """Every version that is kept, the newest first; none for an unknown id."""
        known = self.folder(folder_id)
        return () if known is None else (known, *self._nouns(Folder, _ALL_EARLIER, what=folder.name, id=folder_id))

    def find_folders(
        self, record_ids: Sequence[str] | None, *, identifiers: Sequence[str] | None = None
    ) -> Iterator[Folder]:
        """Newest first, lazily; `identifiers` are any of entryUUID, uniqueId."""
        bodies = _folders.newest_first(self._connection, _given(identifiers=identifiers), record_ids=record_ids)
        return (load(Folder, body) for body in bodies)

    def save_visit(self, record_id: str, visit_: Visit) -> None:
        """Add the visit, or replace the one with its key. Its source is kept packed: XML shrinks tenfold."""
        told = replace(visit_, source=b"", unsaid=frozenset())
        values = {"record_id": record_id, "key": visit_.key, "body": dump(told)}
        upsert(self._connection, visit, {**values, "source": zlib.compress(visit_.source, 1)})

    def visit(self, record_id: str, key: str) -> Visit | None:
        row = self._row(_VISIT, record_id=record_id, key=key)
        return None if row is None else replace(load(Visit, row.body), source=zlib.decompress(row.source))

    def visits_of(self, record_id: str) -> tuple[Visit, ...]:
        """Newest first, without their sources."""
        visits = self._nouns(Visit, _VISITS, record_id=record_id)
        return tuple(sorted(visits, key=lambda one: moment(one.admitted), reverse=True))

    def save_referral(self, record_id: str, referral_: Referral) -> None:
        """Add the referral, or replace the one with its sender and number."""
        keys = {"record_id": record_id, "sender": str(referral_.sender), "number": referral_.number}
        when = moment(referral_.signed or referral_.opened)
        upsert(self._connection, referral, {**keys, "signed": when, "body": dump(referral_)})

    def referral(self, record_id: str, sender: str, number: str) -> Referral | None:
        return self._noun(Referral, _REFERRAL, record_id=record_id, sender=sender, number=number)

    def all_referrals(self, limit: int) -> tuple[tuple[str, Referral], ...]:
        """Newest first, with the record of the patient."""
        rows = self._connection.execute(_ALL_REFERRALS, {"size": limit})
        return tuple((row.record_id, load(Referral, row.body)) for row in rows)

    def expect(self, patient: ExpectedPatient) -> None:
        """Add an announcement, or replace the one of the same slip."""
        keys = {"sender": str(patient.sender), "number": patient.referral.number}
        upsert(
            self._connection, expected_patient, {**keys, "received": moment(patient.received), "body": dump(patient)}
        )

    def expect_no_more(self, sender: HomeCommunityId, number: str) -> None:
        """The announcement of this slip is taken back."""
        self._connection.execute(_EXPECT_NO_MORE, {"by": str(sender), "slip": number})

    def expected(self, since: datetime, limit: int) -> tuple[ExpectedPatient, ...]:
        """Newest first."""
        return self._nouns(ExpectedPatient, _EXPECTED, since=moment(since), size=limit)

    def referrals_of(self, record_id: str) -> tuple[Referral, ...]:
        """Newest first."""
        return self._nouns(Referral, _REFERRALS, record_id=record_id)


def _columns(entry: DocumentEntry) -> Values:
    return {
        "entry_uuid": entry.entry_uuid,
        "unique_id": entry.unique_id,
        "record_id": entry.record_id,
        "status": _listed_as(entry.status, on_demand=entry.on_demand),
        "performed": moment(entry.performed),
        "sensitivity": dump_as(Labels, entry.sensitivity),
        "body": dump(entry),
    }


def _listed_as(status: DocumentStatus, *, on_demand: bool) -> str:
    """What is made when it is retrieved stands in a list of its own: who does not ask for such does not find it."""
    return f"on-demand {status}" if on_demand else str(status)


def _wanted(search: DocumentSearch) -> Values:
    kinds = (False, True) if search.on_demand else (False,)
    asked = tuple(DocumentStatus) if search.statuses is None else search.statuses
    statuses = [_listed_as(each, on_demand=kind) for each in asked for kind in kinds]
    return _given(ids=search.ids, identifiers=search.identifiers, statuses=statuses)


def _given(**values: Sequence[str] | None) -> Values:
    return {name: list(value) for name, value in values.items() if value is not None}
