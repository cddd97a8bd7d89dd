"""Receipts that came with questions, and to whom ours went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, select, update

from adapters.store.codec import dump, load
from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import consent, receipt, receipt_holder, receipt_withdrawal
from consent.consents import Consent
from consent.errors import InvalidReceipt
from consent.ports import KeptReceipt
from consent.receipts import ConsentReceipt
from registry.identifiers import HomeCommunityId

_KEPT = (
    select(receipt.c.body, receipt.c.jws, receipt.c.signer, receipt.c.issued, receipt_withdrawal.c.withdrawn)
    .outerjoin(
        receipt_withdrawal,
        and_(receipt_withdrawal.c.receipt_id == receipt.c.id, receipt_withdrawal.c.signer == receipt.c.signer),
    )
    .where(receipt.c.id == bindparam("id"))
)
_HOLDERS = (
    select(receipt_holder.c.home).where(receipt_holder.c.receipt_id == bindparam("id")).order_by(receipt_holder.c.home)
)
_ENDED = (
    select(consent.c.id, consent.c.body)
    .join(receipt_holder, receipt_holder.c.receipt_id == consent.c.id)
    .where(receipt_holder.c.home == bindparam("home"), consent.c.status != "active")
    .order_by(consent.c.given.desc(), consent.c.id)
    .limit(bindparam("size"))
)
_WITHDRAWN_BY = (
    select(receipt_withdrawal.c.receipt_id, receipt_withdrawal.c.withdrawn)
    .where(receipt_withdrawal.c.signer == bindparam("signer"))
    .order_by(receipt_withdrawal.c.withdrawn.desc())
    .limit(bindparam("size"))
)
_LOCKED = select(receipt.c.id).where(receipt.c.id == bindparam("id"))
_RENEW = update(receipt).where(receipt.c.id == bindparam("key"), receipt.c.issued < bindparam("newer"))
_WITHDRAWN_LATER = (
    update(receipt_withdrawal)
    .where(
        receipt_withdrawal.c.receipt_id == bindparam("key"),
        receipt_withdrawal.c.signer == bindparam("by"),
        receipt_withdrawal.c.withdrawn < bindparam("later"),
    )
    .values(withdrawn=bindparam("later"))
)


class StoredReceipts(Part):
    """Implements `consent.ports.Receipts`. A withdrawal is a row of its own, so it may come before its receipt."""

    __slots__ = ()

    def keep(self, receipt_: ConsentReceipt, jws: str, *, now: datetime) -> None:
        """Keep it; one that was issued later by the same signer takes its place, and only what was issued after a
        withdrawal is not touched by it.

        Raises InvalidReceipt where another hospital's receipt has this id.
        """
        values = {"issued": moment(receipt_.issued), "kept": moment(now), "jws": jws, "body": dump(receipt_)}
        keys = {"id": receipt_.id, "signer": str(receipt_.signer)}
        if insert_once(self._connection, receipt, {**keys, **values}):
            return
        row = self._connection.execute(_KEPT, {"id": receipt_.id}).one()
        if row.signer != keys["signer"]:
            raise InvalidReceipt("other-signer")
        self._connection.execute(_RENEW, {"key": receipt_.id, "newer": values["issued"], **values})

    def kept(self, receipt_id: str) -> KeptReceipt | None:
        """The receipt with its signed form, and when it was withdrawn, if it was.

        In a writing unit a withdrawal of it waits until this unit has ended: what is decided with it comes before.
        """
        if self._writing:
            self._connection.execute(_LOCKED.with_for_update(read=True), {"id": receipt_id})
        row = self._connection.execute(_KEPT, {"id": receipt_id}).first()
        if row is None:
            return None
        withdrawn = None if row.withdrawn is None else datetime.fromisoformat(row.withdrawn)
        return KeptReceipt(load(ConsentReceipt, row.body), row.jws, withdrawn)

    def withdraw(self, receipt_id: str, signer: HomeCommunityId, withdrawn: datetime) -> bool:
        """Whether a receipt that is kept here is withdrawn now. One that has not come yet will be dead on arrival;
        one that another hospital signed stays as it is."""
        self._row(_LOCKED, id=receipt_id)  # who decides with it now is let finish; who comes later finds it withdrawn
        row = self._connection.execute(_KEPT, {"id": receipt_id}).first()
        if row is not None and row.signer != str(signer):
            return False
        values = {"receipt_id": receipt_id, "signer": str(signer), "withdrawn": moment(withdrawn)}
        if not insert_once(self._connection, receipt_withdrawal, values):
            self._connection.execute(
                _WITHDRAWN_LATER, {"key": receipt_id, "by": str(signer), "later": values["withdrawn"]}
            )
        return row is not None

    def sent(self, receipt_id: str, holders: Sequence[HomeCommunityId]) -> None:
        """Remember who has it, so that a withdrawal finds them."""
        for home in sorted(set(holders)):
            insert_once(self._connection, receipt_holder, {"receipt_id": receipt_id, "home": str(home)})

    def holders_of(self, receipt_id: str) -> tuple[HomeCommunityId, ...]:
        return tuple(HomeCommunityId(home) for home in self._connection.execute(_HOLDERS, {"id": receipt_id}).scalars())

    def withdrawn_by(self, signer: HomeCommunityId, *, limit: int) -> tuple[tuple[str, datetime], ...]:
        """What this hospital told us that it took back: id, and when."""
        rows = self._connection.execute(_WITHDRAWN_BY, {"signer": str(signer), "size": limit})
        return tuple((row.receipt_id, datetime.fromisoformat(row.withdrawn)) for row in rows)

    def ended_at(self, holder: HomeCommunityId, *, limit: int) -> tuple[tuple[str, datetime], ...]:
        """Requests that this holder was sent and that were taken back since: id, and when."""
        rows = self._connection.execute(_ENDED, {"home": str(holder), "size": limit}).all()
        found = ((row.id, load(Consent, row.body)) for row in rows)
        return tuple((receipt_id, ended.updated or ended.given) for receipt_id, ended in found)
