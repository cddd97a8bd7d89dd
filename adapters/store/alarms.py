"""What somebody has to look at, until they said that they did; and how far a delivery of the record has come."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy import bindparam, delete, select, update

from adapters.store.rows import Part, insert_once, moment, upsert
from adapters.store.schema import alarm, breadth, delivery
from consent.limits import Alarm

_OPEN = select(alarm).where(alarm.c.cleared.is_(None)).order_by(alarm.c.raised.desc(), alarm.c.id)
_CLEAR = (
    update(alarm)
    .where(alarm.c.id == bindparam("key"), alarm.c.cleared.is_(None))
    .values(cleared=bindparam("now"))
    .execution_options(preserve_rowcount=True)
)
_FORGET_DAYS = delete(breadth).where(breadth.c.day < bindparam("first"))


class StoredAlarms(Part):
    """One row an alarm; the same alarm twice is one."""

    __slots__ = ()

    def raise_(self, alarm_: Alarm) -> bool:
        """False where it was raised already."""
        body = orjson.dumps({"kind": alarm_.kind, "about": alarm_.about, "found": alarm_.found}).decode()
        return insert_once(self._connection, alarm, {"id": alarm_.id, "raised": moment(alarm_.raised), "body": body})

    def open(self) -> tuple[Alarm, ...]:
        """Those that nobody has looked at, the newest first."""
        return tuple(
            Alarm(raised=datetime.fromisoformat(row.raised), **orjson.loads(row.body))
            for row in self._connection.execute(_OPEN)
        )

    def clear(self, alarm_id: str, now: datetime) -> bool:
        """Somebody looked at it; it stays as history."""
        return self._connection.execute(_CLEAR, {"key": alarm_id, "now": moment(now)}).rowcount == 1


class Breadths(Part):
    """How many different patients each person and each hospital opened, day by day."""

    __slots__ = ()

    def note(self, about: str, day: str, patients: int) -> None:
        upsert(self._connection, breadth, {"about": about, "day": day, "patients": patients})

    def before(self, about: str, day: str, *, since: str) -> tuple[int, ...]:
        """Of the earlier days on which there was something."""
        within = (breadth.c.about == about, breadth.c.day >= since, breadth.c.day < day)
        return tuple(self._connection.execute(select(breadth.c.patients).where(*within)).scalars())

    def beyond(self, day: str, *, hospital: int, person: int) -> frozenset[str]:
        """Who has reached the quota of this day; 0 is no quota."""
        found = self._connection.execute(select(breadth.c.about, breadth.c.patients).where(breadth.c.day == day))
        quota = {True: person, False: hospital}
        return frozenset(
            row.about for row in found if quota["#" in row.about] and row.patients >= quota["#" in row.about]
        )

    def forget_before(self, day: str) -> None:
        self._connection.execute(_FORGET_DAYS, {"first": day})


class Deliveries(Part):
    """Up to which position the record was delivered, by the name of whom it goes to."""

    __slots__ = ()

    def position(self, name: str) -> int:
        row = self._connection.execute(select(delivery.c.position).where(delivery.c.name == name)).first()
        return 0 if row is None else int(row.position)

    def reached(self, name: str, position: int) -> None:
        upsert(self._connection, delivery, {"name": name, "position": position})
