"""Emergencies as this hospital saw them: declared here, or by a hospital that asked; each waits for its review."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import emergency
from consent.emergency import EmergencyAccess

_BY_ID = select(emergency.c.body).where(emergency.c.id == bindparam("id"))
_RUNNING = select(emergency.c.body).where(
    emergency.c.record_id == bindparam("record_id"), emergency.c.ends > bindparam("now")
)
_RUNNING_OF_STRANGERS = select(emergency.c.body).where(
    emergency.c.record_id.is_(None), emergency.c.ends > bindparam("now")
)
_OPEN = select(emergency.c.body).where(emergency.c.reviewed.is_(None)).order_by(emergency.c.due, emergency.c.id)
_SINCE = select(emergency.c.body).where(emergency.c.due >= bindparam("since")).order_by(emergency.c.due.desc())


class StoredEmergencies(Part):
    """The review queue, and what it was used for."""

    __slots__ = ()

    def save(self, access: EmergencyAccess) -> None:
        """Add it, or what became of it."""
        reviewed = moment(access.review.at) if access.review else None
        values = {
            "id": access.id,
            "record_id": access.record_id,
            "ends": moment(access.ends),
            "due": moment(access.due),
            "reviewed": reviewed,
            "body": dump(access),
        }
        upsert(self._connection, emergency, values)

    def access(self, access_id: str) -> EmergencyAccess | None:
        return self._noun(EmergencyAccess, _BY_ID, id=access_id)

    def running(self, record_id: str | None, now: datetime) -> tuple[EmergencyAccess, ...]:
        """Those of this patient that have not ended; None: of patients who are not registered here."""
        if record_id is None:
            return self._nouns(EmergencyAccess, _RUNNING_OF_STRANGERS, now=moment(now))
        return self._nouns(EmergencyAccess, _RUNNING, record_id=record_id, now=moment(now))

    def waiting(self) -> tuple[EmergencyAccess, ...]:
        """Nobody has reviewed them; the one that is due first comes first."""
        return self._nouns(EmergencyAccess, _OPEN)

    def since(self, moment_: datetime) -> tuple[EmergencyAccess, ...]:
        """All that were due from then on, reviewed or not, the newest first."""
        return self._nouns(EmergencyAccess, _SINCE, since=moment(moment_))
