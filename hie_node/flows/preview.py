"""What would they see? The rule that will decide, asked beforehand: each document and study with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consent.consents import Consent
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Act, Caller
from hie_node.flows.identify import identify
from hie_node.flows.permission import consents_for
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One item as a hospital would meet it: shown or not, and why."""

    id: str
    what: str
    performed: datetime | None
    permit: bool
    reason: str
    consent_id: str | None


def preview(
    act: Act, patient: PatientSelector, *, asking: Peer, purpose: PurposeOfUse, role: Role, reason: str = ""
) -> tuple[Foreseen, ...]:
    """Everything of this patient that is current here, decided for that hospital. Nothing leaves by it."""
    requester = Requester("preview", role, asking.home, purpose=purpose, reason=reason)
    as_if = Act(act.house, Caller(requester, "peer"), act.transaction)
    with act.unit() as unit:
        person = identify(act, unit, patient)
        if person is None:
            raise NotFound("this patient")
        act.about(person.first)
        consents = consents_for(act, unit, person, keep=False)
        documents = unit.documents.find(
            DocumentSearch(record_ids=person.record_ids, statuses=(DocumentStatus.CURRENT,), limit=1000)
        )
        studies = unit.studies.find(StudySearch(record_ids=person.record_ids, limit=1000))
        items: list[DocumentEntry | Study] = [*documents, *studies]
        act.items = [item.id for item in items]
        return tuple(_foreseen(as_if, item, consents) for item in items)


def _foreseen(as_if: Act, item: DocumentEntry | Study, consents: tuple[Consent, ...]) -> Foreseen:
    decision = as_if.weigh(item, consents)
    if isinstance(item, Study):
        what, performed = item.description or "/".join(item.modalities), item.started
    else:
        what, performed = (
            item.attachment.title or (item.type.display if item.type else "") or "document",
            item.performed,
        )
    return Foreseen(item.id, what or "study", performed, decision.permit, decision.reason.value, decision.consent_id)
