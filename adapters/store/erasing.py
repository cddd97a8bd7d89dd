"""What goes when a patient is erased: every row about the patient but the record of disclosures and the consents.

What was disclosed stays on record, under the hospital's own number and nothing else; the consents stay as the proof
that it was lawful. Source: Law 91/2025/QH15 Art. 14 (erasure); the record is kept as the law wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import ColumnElement, Table, and_, delete, select, update

from adapters.store.codec import dump, dump_as
from adapters.store.rows import Part
from adapters.store.schema import (
    correlation,
    deferred_question,
    document,
    earlier_version,
    expected_patient,
    file_decision,
    folder,
    heard,
    identity_learnt,
    identity_notice,
    order_card,
    order_decision,
    pair_doubt,
    referral,
    remote_entry,
    removed_document,
    source_record_version,
    study,
    study_instance,
    submission_set,
    subscription,
    subscription_event,
    text_reading,
    visit,
)
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.ledger import Entry
from registry.ports import RemoteEntry
from registry.submissions import ExpectedPatient

_ABOUT = (
    document,
    removed_document,
    study,
    submission_set,
    folder,
    earlier_version,
    visit,
    referral,
    heard,
    identity_learnt,
    source_record_version,
    subscription,
    subscription_event,
    text_reading,
    deferred_question,
    pair_doubt,
    file_decision,
)


class Erasing(Part):
    """The one place where rows about a patient are deleted."""

    __slots__ = ()

    def erase(self, record_id: str) -> int:
        """Delete them; returns how many there were."""
        studies = select(study.c.id).where(study.c.record_id == record_id)
        self._connection.execute(delete(study_instance).where(study_instance.c.study_id.in_(studies)))
        return (
            sum(self._delete(table, table.c.record_id == record_id) for table in _ABOUT)
            + sum(self._delete(table, _names(table, record_id)) for table in (correlation, order_card, identity_notice))
            + self._count_without_whom(record_id)
        )

    def forget_questions(self, numbers: Iterable[PatientIdentifier], *, home: HomeCommunityId | None = None) -> int:
        """Delete what other hospitals, or one of them, listed in answer to questions about these numbers; returns how
        many entries.

        A way back to an entry holds the question as it was asked, with name and numbers, and belongs to no record.
        """
        asked = set(numbers)
        found = {
            entry.id
            for number in asked
            for entry in self._nouns(RemoteEntry, select(remote_entry.c.body).where(_names(remote_entry, number.value)))
            if asked & set(entry.question.identifiers) and home in (None, entry.home)
        }
        listed = sum(self._delete(remote_entry, remote_entry.c.id == entry_id) for entry_id in sorted(found))
        return listed + self._expected_no_more(asked)

    def _expected_no_more(self, numbers: set[PatientIdentifier]) -> int:
        """An announcement of another hospital says who is on the way here, before the patient has a record."""
        found = {
            (str(one.sender), one.referral.number)
            for number in numbers
            for one in self._nouns(
                ExpectedPatient, select(expected_patient.c.body).where(_names(expected_patient, number.value))
            )
            if numbers & set(one.patient.identifiers)
        }
        keys = expected_patient.c.sender, expected_patient.c.number
        return sum(self._delete(expected_patient, and_(keys[0] == a, keys[1] == b)) for a, b in sorted(found))

    def _count_without_whom(self, record_id: str) -> int:
        """The ledger keeps what was decided, and no longer about whom."""
        about = select(order_decision.c.body).where(_names(order_decision, record_id))
        decided = [entry for entry in self._nouns(Entry, about) if entry.record_id == record_id]
        for entry in decided:
            changed = {"body": dump(replace(entry, record_id=""))}
            self._connection.execute(update(order_decision).where(order_decision.c.card == entry.card).values(changed))
        return len(decided)

    def _delete(self, table: Table, condition: ColumnElement[bool]) -> int:
        return int(self._connection.execute(delete(table).where(condition)).rowcount)


def _names(table: Table, text: str) -> ColumnElement[bool]:
    """Rows whose noun holds this text as a value of its own. Reads the whole table; erasing is rare."""
    return table.c.body.contains(dump_as(str, text), autoescape=True)
