"""Queries whose answer is fetched in parts: what was asked, sealed, and where the last part ended; for some minutes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, select

from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import open_query

_ONE = (open_query.c.asker == bindparam("asker"), open_query.c.query_id == bindparam("query_id"))
_FIND = select(open_query.c.sealed).where(*_ONE)
_END = delete(open_query).where(*_ONE)
_FORGET = delete(open_query).where(open_query.c.expires < bindparam("moment"))


class OpenQueries(Part):
    """One for each query id of each asker; nobody continues the query of another."""

    __slots__ = ()

    def keep(self, asker: str, query_id: str, sealed: str, *, expires: datetime) -> None:
        values = {"asker": asker, "query_id": query_id, "sealed": sealed, "expires": moment(expires)}
        upsert(self._connection, open_query, values)

    def find(self, asker: str, query_id: str) -> str | None:
        row = self._connection.execute(_FIND, {"asker": asker, "query_id": query_id}).first()
        return row.sealed if row else None

    def end(self, asker: str, query_id: str) -> bool:
        """Whether there was one."""
        return self._connection.execute(_END, {"asker": asker, "query_id": query_id}).rowcount > 0

    def forget_before(self, moment_: datetime) -> int:
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
