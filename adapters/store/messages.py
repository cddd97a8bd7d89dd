"""Which messages of a feed had their effect: kept in the same unit as the effect, so that a resend finds it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, select

from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import received_message

_KNOWN = select(received_message.c.received).where(
    received_message.c.sender == bindparam("sender"),
    received_message.c.control_id == bindparam("control_id"),
    received_message.c.digest == bindparam("digest"),
)
_FORGET = delete(received_message).where(received_message.c.received < bindparam("moment"))


class ReceivedMessages(Part):
    """Messages by sender, control id and a digest of what they say; nothing personal is kept."""

    __slots__ = ()

    def had_effect(self, sender: str, control_id: str, digest: str) -> bool:
        values = {"sender": sender, "control_id": control_id, "digest": digest}
        return self._connection.execute(_KNOWN, values).first() is not None

    def keep(self, sender: str, control_id: str, digest: str, *, now: datetime) -> None:
        """From this unit on it had its effect."""
        values = {"sender": sender, "control_id": control_id, "digest": digest, "received": moment(now)}
        insert_once(self._connection, received_message, values)

    def forget_before(self, moment_: datetime) -> int:
        """Forget those that came before; returns how many."""
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
