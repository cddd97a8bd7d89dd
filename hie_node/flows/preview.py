"""What would they see? The rule that will decide, asked beforehand: each document and study with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.store.unit import UnitOfWork
from consent.commands import Foreseen, PreviewConsent
from consent.consents import BASIC_NORMAL, Actor, Consent, Evidence, Period, Provision
from consent.decide import Decision
from consent.errors import InvalidConsent
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Act, Caller
from hie_node.flows.consents import community_named
from hie_node.flows.identify import Identified, identify
from hie_node.flows.permission import consents_for
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study


def preview_consent(act: Act, command: PreviewConsent) -> tuple[Foreseen, ...]:
    """As `preview`, for a system of the hospital. Raises InvalidConsent for a hospital or patient that is not meant."""
    home = community_named(act.house.directory.current(), command.asking)
    asking = act.house.directory.current().peer(home) if home else None
    if asking is None or asking.home == act.house.home:
        raise InvalidConsent("hospital", "another hospital of the network, by homeCommunityId or facility code")
    return preview(
        act,
        command.patient,
        asking=asking,
        purpose=command.purpose,
        role=command.role,
        proposed=command.proposed,
    )


def preview(
    act: Act,
    patient: PatientSelector,
    *,
    asking: Peer,
    purpose: PurposeOfUse,
    role: Role,
    reason: str = "",
    proposed: Consent | None = None,
) -> tuple[Foreseen, ...]:
    """Everything of this patient that is current here, decided for that hospital. Nothing leaves by it."""
    as_if = _as_if(act, asking, role, purpose, reason)
    with act.unit() as unit:
        person, consents, items = _all_of(act, unit, patient)
        said = (*consents, *_as_recorded(act, person, proposed))
        return tuple(_foreseen(as_if, item, said) for item in items)


def _as_recorded(act: Act, person: Identified, proposed: Consent | None) -> tuple[Consent, ...]:
    """With the ids that it would get, and in force from now on."""
    if proposed is None:
        return ()
    named = replace(
        proposed,
        id="proposed",
        patient=person.first.identifier,
        record_id=person.first.id,
        given=min(proposed.given, act.now),
    )
    return (named.resolved(lambda name: community_named(act.house.directory.current(), name)),)


@dataclass(frozen=True, slots=True)
class Weighed:
    """One thing, decided twice for the same hospital: as it is now, and as it would be once a request is signed."""

    item: DocumentEntry | Study
    now: Decision
    signed: Decision


def before_signing(act: Act, patient: PatientSelector, *, asking: Peer) -> tuple[Weighed, ...]:
    """What a doctor there would see of this patient's things here, without and with a new written request. Nothing is
    stored, and nothing leaves."""
    as_if = _as_if(act, asking, Role.DOCTOR, PurposeOfUse.TREAT, "")
    with act.unit() as unit:
        person, consents, items = _all_of(act, unit, patient)
        signed = (*consents, _request(act, person, asking))
        return tuple(Weighed(item, as_if.weigh(item, consents), as_if.weigh(item, signed)) for item in items)


def _as_if(act: Act, asking: Peer, role: Role, purpose: PurposeOfUse, reason: str) -> Act:
    requester = Requester("preview", role, asking.home, purpose=purpose, reason=reason)
    return Act(act.house, Caller(requester, "peer"), act.transaction)


def _all_of(
    act: Act, unit: UnitOfWork, patient: PatientSelector
) -> tuple[Identified, tuple[Consent, ...], list[DocumentEntry | Study]]:
    """The person, what was said until now, and everything that is current here."""
    person = identify(act, unit, patient)
    if person is None:
        raise NotFound("this patient")
    act.about(person.first)
    documents = unit.documents.find(
        DocumentSearch(record_ids=person.record_ids, statuses=(DocumentStatus.CURRENT,), limit=1000)
    )
    studies = unit.studies.find(StudySearch(record_ids=person.record_ids, limit=1000))
    items: list[DocumentEntry | Study] = [*documents, *studies]
    act.items = [item.id for item in items]
    return person, consents_for(act, unit, person, keep=False), items


def _request(act: Act, person: Identified, asking: Peer) -> Consent:
    """The request as the desk would record it now, for that hospital to see what is kept here."""
    provision = Provision(
        "permit", actors=(Actor(home=asking.home),), purposes=frozenset({PurposeOfUse.TREAT}), period=Period(act.now)
    )
    return Consent(
        id="to be signed",
        patient=person.first.identifier,
        record_id=person.first.id,
        status="active",
        given=act.now,
        policy=BASIC_NORMAL,
        provision=provision,
        custodian=act.house.home,
        evidence=Evidence("paper", "to be signed"),
    )


def _foreseen(as_if: Act, item: DocumentEntry | Study, consents: tuple[Consent, ...]) -> Foreseen:
    decision = as_if.weigh(item, consents)
    if isinstance(item, Study):
        what, performed = item.description or "/".join(item.modalities), item.started
    else:
        what, performed = (
            item.attachment.title or (item.type.display if item.type else "") or "document",
            item.performed,
        )
    reason = decision.reason.value
    is_study = isinstance(item, Study)
    return Foreseen(item.id, what or "study", performed, decision.permit, reason, decision.consent_id, is_study)
