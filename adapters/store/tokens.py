"""Which one-use tokens were used: shared by all workers, durable with the unit that used them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete

from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import spent_token
from consent.errors import TokenReplayed

_FORGET = delete(spent_token).where(spent_token.c.expires < bindparam("moment"))


class StoredTokens(Part):
    """Implements `consent.ports.SpentTokens`."""

    __slots__ = ()

    def spend(self, issuer: str, token_id: str, *, expires: datetime) -> None:
        """Raise TokenReplayed when it was spent before. The unit stays usable, so that the refusal can be recorded."""
        values = {"issuer": issuer, "token_id": token_id, "expires": moment(expires)}
        if not insert_once(self._connection, spent_token, values):
            raise TokenReplayed

    def forget_before(self, moment_: datetime) -> int:
        """Forget those that expired before; returns how many."""
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
