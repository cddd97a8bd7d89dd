"""Keep what other hospitals listed, so that it is in front of the doctor at once when the next order is written."""

from __future__ import annotations

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id
from registry.answers import NetworkAnswer
from registry.documents import DocumentEntry, DocumentStatus
from registry.memory import Kind, remembered
from registry.people import PatientInQuestion
from registry.searches import DocumentSearch, StudySearch
from registry.studies import Study


def remember_answers(
    act: Act,
    unit: UnitOfWork,
    answer: NetworkAnswer[DocumentEntry] | NetworkAnswer[Study],
    search: DocumentSearch | StudySearch,
    patient: PatientInQuestion,
) -> None:
    """Only answers to a whole question about a patient of this hospital, and none that an emergency has opened."""
    if act.record_id is None or act.caller.requester.purpose.is_emergency or not _asks_for_all(search):
        return
    person = by_record_id(unit, act.record_id)
    if person is None or not all_theirs(patient, person):
        return
    kind: Kind = "documents" if isinstance(search, DocumentSearch) else "studies"
    memory = remembered(
        unit.orders.memory(act.record_id, kind),
        answer.outcomes[1:],
        answer.found,
        record_id=act.record_id,
        kind=kind,
        record_ids=frozenset(person.record_ids),
        asker=asker(act),
        now=act.now,
    )
    unit.orders.remember(memory)


def asker(act: Act) -> str:
    """For whom a holder has decided: the person, in this role, for this purpose."""
    requester = act.caller.requester
    return f"{requester.subject}|{requester.role}|{requester.purpose}"


def _asks_for_all(search: DocumentSearch | StudySearch) -> bool:
    if search.where or search.ids is not None or search.after is not None or search.count_only:
        return False
    if isinstance(search, StudySearch):
        return search.study_instance_uids is None
    return not search.manifests and search.identifiers is None and search.statuses in (None, (DocumentStatus.CURRENT,))


def all_theirs(patient: PatientInQuestion, person: Identified) -> bool:
    """Whoever asked with a number that is not this person's may have got somebody else's list."""
    numbers = {identifier.normal for record in person.records for identifier in record.identifiers}
    return all(identifier.normal in numbers for identifier in patient.identifiers)
