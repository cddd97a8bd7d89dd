"""Consents of this hospital's patients, every version of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select, update

from adapters.store.codec import dump, load
from adapters.store.rows import Part, any_of, insert_once, moment
from adapters.store.schema import consent, consent_version
from consent.consents import Consent
from registry.errors import VersionConflict

_BY_ID = select(consent.c.body).where(consent.c.id == bindparam("id"))
_VERSION = select(consent_version.c.body).where(
    consent_version.c.consent_id == bindparam("id"), consent_version.c.version == bindparam("version")
)
_VERSIONS = (
    select(consent_version.c.body)
    .where(consent_version.c.consent_id == bindparam("id"))
    .order_by(consent_version.c.version.desc())
)
_newest = select(consent.c.body).order_by(consent.c.given.desc(), consent.c.id)
_OF_RECORDS = _newest.where(any_of(consent.c.record_id, "record_ids"))
_OF_RECORDS_STAYING = _OF_RECORDS.with_for_update(read=True)
_REVISE = update(consent).where(consent.c.id == bindparam("key"))


class StoredConsents(Part):
    """Implements `consent.ports.Consents`."""

    __slots__ = ()

    def save(self, consent_: Consent) -> None:
        """Add a consent, or its next version. Raises VersionConflict where another came first."""
        values = {
            "record_id": consent_.record_id,
            "status": consent_.status,
            "given": moment(consent_.given),
            "version": consent_.version,
            "body": dump(consent_),
        }
        row = self._row(_BY_ID, id=consent_.id)
        if row is None:
            if not insert_once(self._connection, consent, {"id": consent_.id, **values}):
                raise VersionConflict("consent", expected="none", found="recorded meanwhile")
            return
        known = load(Consent, row.body)
        if known == consent_:
            return
        if consent_.version != known.version + 1:
            raise VersionConflict("consent", expected=str(consent_.version - 1), found=str(known.version))
        history = {"consent_id": known.id, "version": known.version, "body": row.body}
        self._connection.execute(insert(consent_version), history)
        self._connection.execute(_REVISE, {"key": known.id, **values})

    def consent(self, consent_id: str) -> Consent | None:
        return self._noun(Consent, _BY_ID, id=consent_id)

    def version(self, consent_id: str, version: int) -> Consent | None:
        """The consent as it was in this version, or as it is."""
        current = self._noun(Consent, _BY_ID, id=consent_id)
        if current is None or current.version == version:
            return current
        row = self._connection.execute(_VERSION, {"id": consent_id, "version": version}).first()
        return None if row is None else load(Consent, row.body)

    def versions(self, consent_id: str) -> tuple[Consent, ...]:
        """Every version, the newest first; none for an unknown id."""
        current = self._noun(Consent, _BY_ID, id=consent_id)
        return () if current is None else (current, *self._nouns(Consent, _VERSIONS, id=consent_id))

    def of_records(self, record_ids: Sequence[str]) -> tuple[Consent, ...]:
        """Those of one person, whatever their status, the newest given first.

        In a writing unit they stay as they are until it ends, so that no decision comes after a change it did not see.
        """
        statement = _OF_RECORDS_STAYING if self._writing else _OF_RECORDS
        return self._nouns(Consent, statement, record_ids=list(record_ids))

    def search(
        self, *, record_ids: Sequence[str] | None, statuses: Sequence[str] | None, limit: int
    ) -> tuple[Consent, ...]:
        """The newest given first. None asks for any."""
        statement = _newest.limit(limit)
        if record_ids is not None:
            statement = statement.where(consent.c.record_id.in_(list(record_ids)))
        if statuses is not None:
            statement = statement.where(consent.c.status.in_(list(statuses)))
        return self._nouns(Consent, statement)
