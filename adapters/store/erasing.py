"""What goes when a patient is erased: every row about the patient but the record of disclosures and the consents.

What was disclosed stays on record, under the hospital's own number and nothing else; the consents stay as the proof
that it was lawful. Source: Law 91/2025/QH15 Art. 14 (erasure); the record is kept as the law wants it.
"""

from __future__ import annotations

from sqlalchemy import delete, select

from adapters.store.rows import Part
from adapters.store.schema import (
    document,
    folder,
    heard,
    referral,
    source_record_version,
    study,
    study_instance,
    submission_set,
    visit,
)

_ABOUT = (document, study, submission_set, folder, visit, referral, heard, source_record_version)


class Erasing(Part):
    """The one place where rows about a patient are deleted."""

    __slots__ = ()

    def erase(self, record_id: str) -> int:
        """Delete them; returns how many there were."""
        studies = select(study.c.id).where(study.c.record_id == record_id)
        self._connection.execute(delete(study_instance).where(study_instance.c.study_id.in_(studies)))
        return sum(
            int(self._connection.execute(delete(table).where(table.c.record_id == record_id)).rowcount)
            for table in _ABOUT
        )
