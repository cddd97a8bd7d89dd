"""What other hospitals learnt of patients here, and the notices of changes that went and came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update

from adapters.store.codec import dump
from adapters.store.rows import Part, any_of, insert_once, moment, upsert
from adapters.store.schema import identity_learnt, identity_notice
from registry.identity_changes import IdentityNotice, Learnt

_LEARNT_OF = (
    select(identity_learnt.c.body)
    .where(any_of(identity_learnt.c.record_id, "records"))
    .order_by(identity_learnt.c.home, identity_learnt.c.record_id)
)
_LEARNT = select(identity_learnt.c.body).where(
    identity_learnt.c.home == bindparam("home"), identity_learnt.c.record_id == bindparam("record_id")
)
_NOTICE = select(identity_notice.c.body).where(identity_notice.c.id == bindparam("id"))
_NOTICES = select(identity_notice.c.body).order_by(identity_notice.c.made.desc(), identity_notice.c.id)
_CHANGE = update(identity_notice).where(identity_notice.c.id == bindparam("key"))
_FORGET = delete(identity_learnt).where(identity_learnt.c.seen < bindparam("moment"))


class StoredIdentities(Part):
    """Implements `registry.identity_changes.Identities`."""

    __slots__ = ()

    def learn(self, learnt: Iterable[Learnt]) -> None:
        """Each with the numbers that were known to the same hospital before. In order, so that two units that learn the
        same never wait for each other in a circle."""
        wanted = sorted(learnt, key=lambda one: (one.home, one.record_id))
        before = {(one.home, one.record_id): one for one in self.learnt_of(one.record_id for one in wanted)}
        for one in wanted:
            known = before.get((one.home, one.record_id))
            if known is not None and {*one.numbers} <= {*known.numbers} and known.seen.date() == one.seen.date():
                continue
            keys = {"home": str(one.home), "record_id": one.record_id}
            first = {"seen": moment(one.seen), "body": dump(replace(one, numbers=tuple(sorted(set(one.numbers)))))}
            if insert_once(self._connection, identity_learnt, {**keys, **first}):
                continue
            known = self._noun(Learnt, _LEARNT, **keys)  # as it is now: another unit may have added to it
            noun = replace(one, numbers=tuple(sorted({*one.numbers, *(known.numbers if known else ())})))
            upsert(self._connection, identity_learnt, {**keys, "seen": moment(one.seen), "body": dump(noun)})

    def learnt_of(self, record_ids: Iterable[str]) -> tuple[Learnt, ...]:
        return self._nouns(Learnt, _LEARNT_OF, records=sorted(set(record_ids)))

    def keep(self, notice: IdentityNotice) -> bool:
        """False where it is here already."""
        values = {"id": notice.id, "made": moment(notice.made), "body": dump(notice)}
        return insert_once(self._connection, identity_notice, values)

    def notice(self, notice_id: str) -> IdentityNotice | None:
        return self._noun(IdentityNotice, _NOTICE, id=notice_id)

    def answered(self, notice_id: str, *, now: datetime, acknowledged: bool) -> None:
        """The other hospital said something; a patient may have been erased meanwhile, and the notice with it."""
        known = self.notice(notice_id)
        if known is not None:
            noun = replace(known, heard=known.heard or now, acknowledged=now if acknowledged else known.acknowledged)
            self._connection.execute(_CHANGE, {"key": notice_id, "body": dump(noun)})

    def notices(self, *, limit: int) -> tuple[IdentityNotice, ...]:
        """The newest first."""
        return self._nouns(IdentityNotice, _NOTICES.limit(limit))

    def forget_before(self, moment_: datetime) -> int:
        """What was learnt and never asked again; notices stay, as all that was decided about identity."""
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
