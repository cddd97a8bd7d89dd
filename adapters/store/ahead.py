"""What was brought ahead of referred patients: copies of other hospitals' records, until their time is over.

Their contents lie in the content store under an owner of their own, the id of the `Ahead`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, select

from adapters.store.codec import dump, load
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import ahead, ahead_item
from registry.ahead import Ahead, HeldDocument, HeldInstance, HeldStudy
from registry.identifiers import HomeCommunityId

_DOCUMENT, _STUDY, _INSTANCE = "document", "study", "instance"
_BY_ID = select(ahead.c.body).where(ahead.c.id == bindparam("id"))
_OF_SLIP = select(ahead.c.body).where(ahead.c.sender == bindparam("sender"), ahead.c.number == bindparam("number"))
_FROM = select(ahead.c.body).where(ahead.c.sender == bindparam("sender")).order_by(ahead.c.id)
_ALL = select(ahead.c.body).order_by(ahead.c.id)
_EXPIRED = _ALL.where(ahead.c.expires <= bindparam("now"))
_live = and_(ahead.c.id == ahead_item.c.owner, ahead.c.expires > bindparam("now"))
_HELD = (
    select(ahead.c.body.label("whole"), ahead_item.c.body)
    .join(ahead, _live)
    .where(ahead_item.c.kind == bindparam("what"), ahead_item.c.key == bindparam("key"))
    .order_by(ahead.c.expires.desc(), ahead.c.id)
)
_ITEMS = select(ahead_item.c.body).where(
    ahead_item.c.owner == bindparam("owner"), ahead_item.c.kind == bindparam("what")
)
_INSTANCES = _ITEMS.where(ahead_item.c.study == bindparam("study"))
_INSTANCE_OF = _ITEMS.where(ahead_item.c.key == bindparam("key"))
_COUNTS = (
    select(ahead_item.c.kind, func.count().label("number"))
    .where(ahead_item.c.owner == bindparam("owner"))
    .group_by(ahead_item.c.kind)
)
_DROP = delete(ahead).where(ahead.c.id == bindparam("id"))
_DROP_ITEMS = delete(ahead_item).where(ahead_item.c.owner == bindparam("id"))
_LET_GO = delete(ahead_item).where(
    ahead_item.c.owner == bindparam("owner_"),
    ahead_item.c.kind == bindparam("kind_"),
    ahead_item.c.key == bindparam("key_"),
)
_LET_GO_STUDY = delete(ahead_item).where(
    ahead_item.c.owner == bindparam("owner_"), ahead_item.c.study == bindparam("study_")
)


class BroughtAhead(Part):
    """Copies by what they are copies of. Nothing past its time is found."""

    __slots__ = ()

    def save(self, one: Ahead) -> None:
        values = {"id": one.id, "sender": str(one.sender), "number": one.number, "expires": moment(one.expires)}
        upsert(self._connection, ahead, {**values, "body": dump(one)})

    def one(self, ahead_id: str) -> Ahead | None:
        return self._noun(Ahead, _BY_ID, id=ahead_id)

    def of_slip(self, sender: HomeCommunityId, number: str) -> Ahead | None:
        return self._noun(Ahead, _OF_SLIP, sender=str(sender), number=number)

    def of_sender(self, sender: HomeCommunityId) -> tuple[Ahead, ...]:
        return self._nouns(Ahead, _FROM, sender=str(sender))

    def all(self) -> tuple[Ahead, ...]:
        return self._nouns(Ahead, _ALL)

    def expired(self, now: datetime) -> tuple[Ahead, ...]:
        return self._nouns(Ahead, _EXPIRED, now=moment(now))

    def hold_document(self, one: HeldDocument) -> None:
        self._hold(one.owner, _DOCUMENT, one.entry.id, "", one)

    def hold_study(self, one: HeldStudy) -> None:
        uid = one.study.study_instance_uid
        self._hold(one.owner, _STUDY, uid, uid, one)

    def hold_instance(self, one: HeldInstance) -> None:
        self._hold(one.owner, _INSTANCE, one.instance.sop_instance_uid, one.study_instance_uid, one)

    def document(self, entry_id: str, *, now: datetime) -> tuple[Ahead, HeldDocument] | None:
        """The copy of what was listed under this id, that which is kept longest."""
        found = self._held(_DOCUMENT, entry_id, now)
        return (found[0][0], load(HeldDocument, found[0][1])) if found else None

    def studies(self, study_instance_uid: str, *, now: datetime) -> tuple[tuple[Ahead, HeldStudy], ...]:
        """All copies of a study, also of parts; that which is kept longest first."""
        found = self._held(_STUDY, study_instance_uid, now)
        return tuple((whole, load(HeldStudy, body)) for whole, body in found)

    def counts(self, owner: str) -> tuple[int, int]:
        """Documents and images of one slip that are here."""
        found = {row.kind: row.number for row in self._connection.execute(_COUNTS, {"owner": owner})}
        return found.get(_DOCUMENT, 0), found.get(_INSTANCE, 0)

    def documents_of(self, owner: str) -> tuple[HeldDocument, ...]:
        return self._nouns(HeldDocument, _ITEMS, owner=owner, what=_DOCUMENT)

    def studies_of(self, owner: str) -> tuple[HeldStudy, ...]:
        return self._nouns(HeldStudy, _ITEMS, owner=owner, what=_STUDY)

    def instances_of(
        self, owner: str, study_instance_uid: str, sop_instance_uid: str | None = None
    ) -> tuple[HeldInstance, ...]:
        """Of a study, or the one of this UID."""
        if sop_instance_uid is not None:
            return self._nouns(HeldInstance, _INSTANCE_OF, owner=owner, what=_INSTANCE, key=sop_instance_uid)
        return self._nouns(HeldInstance, _INSTANCES, owner=owner, what=_INSTANCE, study=study_instance_uid)

    def drop(self, ahead_ids: Iterable[str]) -> None:
        """Nothing of it is found any more once this unit has ended; the contents are erased by their owner."""
        for ahead_id in sorted(ahead_ids):
            self._connection.execute(_DROP_ITEMS, {"id": ahead_id})
            self._connection.execute(_DROP, {"id": ahead_id})

    def let_go(self, owner: str, entry_ids: Iterable[str]) -> None:
        """Documents that their holder shows no longer."""
        for entry_id in sorted(entry_ids):
            self._connection.execute(_LET_GO, {"owner_": owner, "kind_": _DOCUMENT, "key_": entry_id})

    def let_go_of_studies(self, owner: str, study_instance_uids: Iterable[str]) -> None:
        for uid in sorted(study_instance_uids):
            self._connection.execute(_LET_GO_STUDY, {"owner_": owner, "study_": uid})

    def _hold(self, owner: str, kind: str, key: str, study: str, noun: object) -> None:
        values = {"owner": owner, "kind": kind, "key": key, "study": study, "body": dump(noun)}
        upsert(self._connection, ahead_item, values)

    def _held(self, kind: str, key: str, now: datetime) -> list[tuple[Ahead, str]]:
        rows = self._connection.execute(_HELD, {"what": kind, "key": key, "now": moment(now)})
        return [(load(Ahead, row.whole), row.body) for row in rows]
