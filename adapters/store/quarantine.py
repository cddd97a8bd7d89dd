"""Images whose patient is in doubt; their contents lie in the content store under an owner of their own."""

from __future__ import annotations

from sqlalchemy import bindparam, select, true

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import quarantine
from registry.identifiers import PatientIdentifier
from registry.studies import Quarantined

_ONE = select(quarantine.c.body).where(quarantine.c.id == bindparam("id"))
_WAITING = (
    select(quarantine.c.body).where(quarantine.c.waits == true()).order_by(quarantine.c.received, quarantine.c.id)
)
_WAITING_OF_STUDY = _WAITING.where(quarantine.c.study_instance_uid == bindparam("uid"))


class StoredQuarantine(Part):
    """Implements `registry.ports.Quarantine`."""

    __slots__ = ()

    def save(self, aside: Quarantined) -> None:
        values = {
            "id": aside.id,
            "study_instance_uid": aside.study_instance_uid,
            "received": moment(aside.received),
            "waits": aside.closed is None,
            "body": dump(aside),
        }
        upsert(self._connection, quarantine, values)

    def one(self, quarantine_id: str) -> Quarantined | None:
        return self._noun(Quarantined, _ONE, id=quarantine_id)

    def waiting(self) -> tuple[Quarantined, ...]:
        """The oldest first."""
        return self._nouns(Quarantined, _WAITING)

    def waiting_of(self, study_instance_uid: str, patient: PatientIdentifier) -> Quarantined | None:
        found = self._nouns(Quarantined, _WAITING_OF_STUDY, uid=study_instance_uid)
        return next((one for one in found if one.patient == patient), None)
