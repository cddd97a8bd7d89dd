"""What peers listed, kept for as long as it may be opened from here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, func, or_, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import correlation, remote_entry
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.ports import Correlation, RemoteEntry

_BY_ID = select(remote_entry.c.body).where(remote_entry.c.id == bindparam("id"))
_OF_STUDY = (
    select(remote_entry.c.body)
    .where(remote_entry.c.study_instance_uid == bindparam("uid"))
    .order_by(remote_entry.c.seen.desc(), remote_entry.c.id)
)
_LAST_FROM = select(func.max(remote_entry.c.seen)).where(
    remote_entry.c.id >= bindparam("first"), remote_entry.c.id < bindparam("end")
)
_OF_OBJECT = (
    select(remote_entry.c.body)
    .where(or_(remote_entry.c.unique_id == bindparam("name"), remote_entry.c.entry_uuid == bindparam("name")))
    .order_by(remote_entry.c.seen.desc(), remote_entry.c.id)
)
_CORRELATION = select(correlation.c.body).where(
    correlation.c.home == bindparam("home"),
    correlation.c.told == bindparam("told"),
    correlation.c.key == bindparam("key"),
    correlation.c.expires > bindparam("now"),
)
_LEARNT = select(correlation.c.body).where(correlation.c.home == bindparam("home"), correlation.c.told.is_(False))
_UNLEARN = delete(correlation).where(
    correlation.c.home == bindparam("at"), correlation.c.told.is_(False), correlation.c.key == bindparam("mark")
)
_EXPIRED = delete(correlation).where(correlation.c.expires < bindparam("moment"))
_FORGET = delete(remote_entry).where(remote_entry.c.seen < bindparam("moment"))


class StoredRemoteEntries(Part):
    """Implements `registry.ports.RemoteEntries`."""

    __slots__ = ()

    def remember(self, entries: Iterable[RemoteEntry]) -> None:
        """Keep each, in the place of what was seen before under its id. In order of ids, so that two units that
        remember the same never wait for each other in a circle."""
        for entry in sorted(entries, key=lambda one: one.id):
            values = {"id": entry.id, "study_instance_uid": entry.study_instance_uid, "seen": moment(entry.seen)}
            values |= {"unique_id": entry.unique_id, "entry_uuid": entry.entry_uuid}
            upsert(self._connection, remote_entry, {**values, "body": dump(entry)})

    def entry(self, entry_id: str) -> RemoteEntry | None:
        return self._noun(RemoteEntry, _BY_ID, id=entry_id)

    def of_study(self, study_instance_uid: str) -> tuple[RemoteEntry, ...]:
        """Everybody who listed the study, the last seen first."""
        return tuple(one for one in self.listing(study_instance_uid) if one.kind == "study")

    def listing(self, study_instance_uid: str) -> tuple[RemoteEntry, ...]:
        """Everybody who listed the study or a manifest of it, the last seen first."""
        return self._nouns(RemoteEntry, _OF_STUDY, uid=study_instance_uid)

    def last_from(self, facility: FacilityCode) -> datetime | None:
        """When this hospital last listed something here that is still remembered."""
        found = self._connection.execute(_LAST_FROM, {"first": f"{facility}.", "end": f"{facility}/"}).scalar()
        return datetime.fromisoformat(found) if found else None

    def of_document(self, name: str) -> tuple[RemoteEntry, ...]:
        """Everybody who listed a document under this uniqueId or entryUUID, the last seen first."""
        return tuple(one for one in self.of_object(name) if one.kind == "document")

    def of_object(self, name: str) -> tuple[RemoteEntry, ...]:
        """The same for a document, a submission set or a folder."""
        return self._nouns(RemoteEntry, _OF_OBJECT, name=name)

    def forget_before(self, moment_: datetime) -> int:
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount


class StoredCorrelations(Part):
    """Implements `registry.ports.Correlations`: what was told goes by the number, what was learnt by the question."""

    __slots__ = ()

    def keep(self, one: Correlation) -> None:
        """In the place of what was known under the same key."""
        key = _number(one.number) if one.told else one.fingerprint
        values = {"home": str(one.home), "told": one.told, "key": key, "expires": moment(one.expires)}
        upsert(self._connection, correlation, {**values, "body": dump(one)})

    def told(self, home: HomeCommunityId, number: PatientIdentifier, *, now: datetime) -> Correlation | None:
        """That this hospital told `home` this number of its own, not long ago."""
        return self._find(home, _number(number), told=True, now=now)

    def learnt(self, home: HomeCommunityId, fingerprint: str, *, now: datetime) -> Correlation | None:
        """The number that `home` told for this description, not long ago."""
        return self._find(home, fingerprint, told=False, now=now)

    def _find(self, home: HomeCommunityId, key: str, *, told: bool, now: datetime) -> Correlation | None:
        return self._noun(Correlation, _CORRELATION, home=str(home), told=told, key=key, now=moment(now))

    def forget_learnt(
        self, home: HomeCommunityId, numbers: Iterable[PatientIdentifier], record_ids: Iterable[str]
    ) -> int:
        """What `home` told of these patients; returns how many there were."""
        named, records = set(numbers), set(record_ids)
        learnt = [
            one
            for one in self._nouns(Correlation, _LEARNT, home=str(home))
            if one.number in named or one.record_id in records
        ]
        for one in learnt:
            self._connection.execute(_UNLEARN, {"at": str(home), "mark": one.fingerprint})
        return len(learnt)

    def forget_before(self, moment_: datetime) -> int:
        return self._connection.execute(_EXPIRED, {"moment": moment(moment_)}).rowcount


def _number(number: PatientIdentifier) -> str:
    return f"{number.system}|{number.value}"
