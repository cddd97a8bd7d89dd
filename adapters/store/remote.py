"""What peers listed, kept for as long as it may be opened from here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import remote_entry
from registry.identifiers import FacilityCode
from registry.ports import RemoteEntry

_BY_ID = select(remote_entry.c.body).where(remote_entry.c.id == bindparam("id"))
_OF_STUDY = (
    select(remote_entry.c.body)
    .where(remote_entry.c.study_instance_uid == bindparam("uid"))
    .order_by(remote_entry.c.seen.desc(), remote_entry.c.id)
)
_LAST_FROM = select(func.max(remote_entry.c.seen)).where(
    remote_entry.c.id >= bindparam("first"), remote_entry.c.id < bindparam("end")
)
_FORGET = delete(remote_entry).where(remote_entry.c.seen < bindparam("moment"))


class StoredRemoteEntries(Part):
    """Implements `registry.ports.RemoteEntries`."""

    __slots__ = ()

    def remember(self, entries: Iterable[RemoteEntry]) -> None:
        """Keep each, in the place of what was seen before under its id. In order of ids, so that two units that
        remember the same never wait for each other in a circle."""
        for entry in sorted(entries, key=lambda one: one.id):
            values = {"id": entry.id, "study_instance_uid": entry.study_instance_uid, "seen": moment(entry.seen)}
            upsert(self._connection, remote_entry, {**values, "body": dump(entry)})

    def entry(self, entry_id: str) -> RemoteEntry | None:
        return self._noun(RemoteEntry, _BY_ID, id=entry_id)

    def of_study(self, study_instance_uid: str) -> tuple[RemoteEntry, ...]:
        """Everybody who listed the study, the last seen first."""
        return self._nouns(RemoteEntry, _OF_STUDY, uid=study_instance_uid)

    def last_from(self, facility: FacilityCode) -> datetime | None:
        """When this hospital last listed something here that is still remembered."""
        found = self._connection.execute(_LAST_FROM, {"first": f"{facility}.", "end": f"{facility}/"}).scalar()
        return datetime.fromisoformat(found) if found else None

    def forget_before(self, moment_: datetime) -> int:
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
