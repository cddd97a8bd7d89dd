"""Conditional create: is there one already? Only what the caller may see counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.flows.permission import consents_for
from registry.documents import DocumentEntry
from registry.errors import ConditionFitsSeveral, NotUnique, PatientMismatch
from registry.people import SourceRecord
from registry.searches import DocumentSearch
from registry.submissions import SubmittedDocument


def already_there(
    act: Act, unit: UnitOfWork, documents: Sequence[SubmittedDocument], record: SourceRecord
) -> dict[int, DocumentEntry]:
    """Which of these documents, by their place, are not made since another fits their condition.

    Raises ConditionFitsSeveral, and PatientMismatch where the one that fits is of another patient.
    """
    found: dict[int, DocumentEntry] = {}
    if not any(document.unless for document in documents):
        return found
    own = by_record_id(unit, record.id)
    for place, document in enumerate(documents):
        fitting = _fitting(act, unit, document.unless, own) if document.unless else []
        if len(fitting) > 1:
            raise ConditionFitsSeveral("DocumentReference")
        if fitting and own is not None and fitting[0].record_id not in own.record_ids:
            raise PatientMismatch("If-None-Exist", expected="the patient of the document", found="another patient")
        if fitting:
            found[place] = fitting[0]
    return found


def note_as_shown(act: Act, record: SourceRecord, found: Iterable[DocumentEntry]) -> None:
    """Whoever would have made it is shown what was there: that is a reading, and on record as one."""
    shown = [entry.id for entry in found]
    if shown:
        one = act.fork()
        one.action, one.direction, one.items = "R", "disclosed", shown
        one.about(record)
        act.extra_rows.append(one.row())


def _fitting(act: Act, unit: UnitOfWork, search: DocumentSearch, own: Identified | None) -> list[DocumentEntry]:
    """Up to two documents that fit and that the caller may see."""
    if search.patient.is_given:
        try:
            person = identify(act, unit, search.patient)
        except NotUnique as error:
            raise ConditionFitsSeveral("Patient") from error
        if person is None:
            return []
        search = replace(search, record_ids=person.record_ids)
    fitting: list[DocumentEntry] = []
    for entry in unit.documents.find(replace(search, after=None, limit=50)):
        owner = own if own and entry.record_id in own.record_ids else by_record_id(unit, entry.record_id)
        if owner and act.weigh(entry, consents_for(act, unit, owner, keep=False)).permit:
            fitting.append(entry)
        if len(fitting) > 1:
            break
    return fitting
