"""Small contents, sealed like a file, in a table: they become durable with the entry that names them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, delete, select

from adapters.store.rows import Part, upsert_all
from adapters.store.schema import small_content

_SEALED = select(small_content.c.sealed).where(
    small_content.c.owner == bindparam("owner"), small_content.c.content_hash == bindparam("content_hash")
)
_REMOVE = delete(small_content).where(
    small_content.c.owner == bindparam("owner"), small_content.c.content_hash == bindparam("content_hash")
)
_ERASE = delete(small_content).where(small_content.c.owner == bindparam("owner"))


class SmallContents(Part):
    """The table, inside a unit of work; it knows neither keys nor contents."""

    __slots__ = ()

    def put(self, owner: str, contents: Mapping[str, bytes]) -> None:
        """Add each by its hash, or put it in the place of what may be damaged or under a key that was destroyed."""
        rows = [{"owner": owner, "content_hash": digest, "sealed": sealed} for digest, sealed in contents.items()]
        upsert_all(self._connection, small_content, rows)

    def sealed(self, owner: str, content_hash: str) -> bytes | None:
        row = self._connection.execute(_SEALED, {"owner": owner, "content_hash": content_hash}).first()
        return None if row is None else bytes(row.sealed)

    def remove(self, owner: str, content_hash: str) -> None:
        self._connection.execute(_REMOVE, {"owner": owner, "content_hash": content_hash})

    def erase(self, owner: str) -> None:
        self._connection.execute(_ERASE, {"owner": owner})
