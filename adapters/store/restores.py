"""When this node came back from a backup, what its record had then, and whether it has caught up with the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import restore


@dataclass(frozen=True, slots=True)
class Restore:
    """One return from a backup.

    kept       sealed rows that the record had after it: heads beyond them are of rows that were lost
    caught_up  when the withdrawals that it had missed were in force again; None: it may not serve yet
    answer     signed by this node: who answers for the rows that were lost, and why they were
    """

    restored: datetime
    kept: int
    caught_up: datetime | None = None
    answer: str | None = None


class Restores(Part):
    """All of them; they stay on record."""

    __slots__ = ()

    def add(self, one: Restore) -> None:
        insert_once(self._connection, restore, {"restored": moment(one.restored), "kept": one.kept, "caught_up": None})

    def caught_up(self, one: Restore, now: datetime) -> None:
        which = restore.c.restored == moment(one.restored)
        self._connection.execute(update(restore).where(which).values(caught_up=moment(now)))

    def answered(self, one: Restore, answer: str) -> None:
        self._connection.execute(
            update(restore).where(restore.c.restored == moment(one.restored)).values(answer=answer)
        )

    def all(self) -> tuple[Restore, ...]:
        """Oldest first."""
        rows = self._connection.execute(select(restore).order_by(restore.c.restored))
        return tuple(
            Restore(
                datetime.fromisoformat(row.restored),
                row.kept,
                datetime.fromisoformat(row.caught_up) if row.caught_up else None,
                row.answer,
            )
            for row in rows
        )
