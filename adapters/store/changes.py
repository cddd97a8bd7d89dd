"""What was: metadata of documents before a change of them, and which documents are here no longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, exists, or_, select, update

from adapters.store.codec import dump
from adapters.store.rows import Part, any_of, moment, upsert
from adapters.store.schema import document, earlier_version, folder, removed_document, submission_set
from registry.documents import DocumentEntry, Folder, SubmissionSet


def _earlier(table: Table, condition: ColumnElement[bool]) -> Select[Any]:
    """Versions under an entryUUID that no present version has, the newest first."""
    present = exists().where(table.c.entry_uuid == earlier_version.c.entry_uuid)
    kind = earlier_version.c.kind == table.name
    return select(earlier_version.c.body).where(kind, condition, ~present).order_by(earlier_version.c.version.desc())


_BY_NAME = or_(any_of(earlier_version.c.unique_id, "names"), any_of(earlier_version.c.entry_uuid, "names"))
_BY_RECORD = any_of(earlier_version.c.record_id, "records")
_NAMED, _NAMED_FOLDERS = (_earlier(table, _BY_NAME) for table in (document, folder))
_OF_RECORDS, _FOLDERS_OF_RECORDS = (_earlier(table, _BY_RECORD) for table in (document, folder))
_FORGET = delete(earlier_version).where(earlier_version.c.entry_uuid == bindparam("entry_uuid"))
_FORGET_ALL = delete(earlier_version).where(
    earlier_version.c.kind == bindparam("kind"), earlier_version.c.id == bindparam("thing")
)
_DOCUMENTS, _SETS, _FOLDERS = (
    select(table.c.body).where(table.c.entry_uuid >= bindparam("first"), table.c.entry_uuid < bindparam("end"))
    for table in (document, submission_set, folder)
)
_REMOVED = select(removed_document.c.id).where(removed_document.c.id == bindparam("id"))
_LEFT = select(removed_document).where(
    removed_document.c.unique_id == bindparam("unique_id"), removed_document.c.content_hash != ""
)
_EMPTIED = (
    update(removed_document)
    .where(
        removed_document.c.record_id == bindparam("owner"), removed_document.c.content_hash == bindparam("bytes_named")
    )
    .values(content_hash="")
)


Thing = TypeVar("Thing", DocumentEntry, Folder)


def _one_each(versions: Iterable[Thing]) -> tuple[Thing, ...]:
    """The newest under each entryUUID: what changed without getting another one is one version to XDS."""
    newest: dict[str, Thing] = {}
    for one in versions:
        newest.setdefault(one.entry_uuid, one)
    return tuple(newest.values())


@dataclass(frozen=True, slots=True)
class LeftContent:
    """Bytes of a removed document that are still here, by whose they are and by their name in the store."""

    owner: str
    content_hash: str


class DocumentChanges(Part):
    """Inside a unit of work; which change may be made is for a flow."""

    __slots__ = ()

    def named(self, identifiers: Sequence[str]) -> tuple[DocumentEntry, ...]:
        """Earlier versions by any of entryUUID, uniqueId; newest first."""
        return _one_each(self._nouns(DocumentEntry, _NAMED, names=list(identifiers)))

    def of_records(self, record_ids: Sequence[str]) -> tuple[DocumentEntry, ...]:
        """Earlier versions of all documents of these records; newest first."""
        return _one_each(self._nouns(DocumentEntry, _OF_RECORDS, records=list(record_ids)))

    def named_folders(self, identifiers: Sequence[str]) -> tuple[Folder, ...]:
        """Earlier versions of folders by any of entryUUID, uniqueId; newest first."""
        return _one_each(self._nouns(Folder, _NAMED_FOLDERS, names=list(identifiers)))

    def folders_of_records(self, record_ids: Sequence[str]) -> tuple[Folder, ...]:
        """Earlier versions of all folders of these records; newest first."""
        return _one_each(self._nouns(Folder, _FOLDERS_OF_RECORDS, records=list(record_ids)))

    def forget_version(self, entry_uuid: str) -> None:
        self._connection.execute(_FORGET, {"entry_uuid": entry_uuid})

    def remove_document(self, entry: DocumentEntry, *, now: datetime) -> None:
        """Out of the index with all its versions; that it was here stays known."""
        self._connection.execute(_FORGET_ALL, {"kind": document.name, "thing": entry.id})
        self._connection.execute(delete(document).where(document.c.id == entry.id))
        values = {
            "id": entry.id,
            "unique_id": entry.unique_id,
            "record_id": entry.record_id,
            "removed": moment(now),
            "content_hash": "" if entry.repository else entry.attachment.content_hash,
        }
        upsert(self._connection, removed_document, values)

    def remove_submission(self, submission_id: str) -> None:
        self._connection.execute(delete(submission_set).where(submission_set.c.id == submission_id))

    def save_submission(self, submission: SubmissionSet) -> None:
        """Put this in the place of the submission set with the same id."""
        row = submission_set.c.id == submission.id
        self._connection.execute(update(submission_set).where(row).values(body=dump(submission)))

    def remove_folder(self, folder_id: str) -> None:
        """With all its versions."""
        self._connection.execute(_FORGET_ALL, {"kind": folder.name, "thing": folder_id})
        self._connection.execute(delete(folder).where(folder.c.id == folder_id))

    def starting(self, beginning: str) -> tuple[DocumentEntry | SubmissionSet | Folder, ...]:
        """Everything whose entryUUID begins so; `beginning` ends with a hyphen."""
        between = {"first": beginning, "end": beginning[:-1] + "."}
        return (
            *self._nouns(DocumentEntry, _DOCUMENTS, **between),
            *self._nouns(SubmissionSet, _SETS, **between),
            *self._nouns(Folder, _FOLDERS, **between),
        )

    def is_removed(self, document_id: str) -> bool:
        return self._row(_REMOVED, id=document_id) is not None

    def contents_left(self, unique_id: str) -> tuple[LeftContent, ...]:
        """Bytes of removed documents of this unique id that nobody has removed yet."""
        rows = self._connection.execute(_LEFT, {"unique_id": unique_id})
        return tuple(LeftContent(row.record_id, row.content_hash) for row in rows)

    def emptied(self, left: LeftContent) -> None:
        """These bytes are gone, under whichever unique id they were handed in."""
        self._connection.execute(_EMPTIED, {"owner": left.owner, "bytes_named": left.content_hash})
