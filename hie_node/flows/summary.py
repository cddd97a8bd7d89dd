"""A patient in short, made when it is asked: each visit and each report passes the same decision as a document does."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.fhir.ips_summary import Summarised
from adapters.store.unit import UnitOfWork
from consent.consents import Consent, labels_of
from consent.decide import Item
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id, identify
from hie_node.flows.permission import consents_for
from registry.coded import IMAGING_REPORT
from registry.commands import SummarisePatient
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound
from registry.people import PatientInQuestion
from registry.searches import DocumentSearch, PatientSelector
from registry.submissions import Visit
from registry.summary import compose

MOST_REPORTS = 500


def summarise(act: Act, command: SummarisePatient) -> Summarised:
    """IPS `$summary`, of this hospital's own records."""
    with act.unit() as unit:
        person = _whose(act, unit, command)
        act.about(person.first)
        consents = consents_for(act, unit, person)
        visits, closed_visits = _visits(act, unit, person, consents)
        reports, closed_reports = _reports(act, unit, person, consents)
        act.items = [f"visit {one.key}" for one in visits] + [one.id for one in reports]
        summary = compose(visits, reports, withheld=closed_visits + closed_reports, now=act.now)
        return Summarised(person.first, summary, act.house.settings.name, act.now)


def _whose(act: Act, unit: UnitOfWork, command: SummarisePatient) -> Identified:
    if command.identifier is not None:
        person = identify(act, unit, PatientSelector(described=PatientInQuestion((command.identifier,))))
    else:
        person = by_record_id(unit, command.record_id)
    if person is None:
        raise NotFound("Patient")
    return person


def _visits(act: Act, unit: UnitOfWork, person: Identified, consents: Sequence[Consent]) -> tuple[list[Visit], int]:
    found = [visit for record_id in person.record_ids for visit in unit.documents.visits_of(record_id)]
    shown = []
    for visit in found:
        item = Item(labels_of(visit.sensitivity), visit.key, visit.key, visit.admitted)
        decision = act.decide(item, consents)
        act.count(decision, 1)
        if decision.permit and not visit.sensitivity:
            shown.append(visit)
    return shown, len(found) - len(shown)


def _reports(
    act: Act, unit: UnitOfWork, person: Identified, consents: Sequence[Consent]
) -> tuple[list[DocumentEntry], int]:
    search = DocumentSearch(record_ids=person.record_ids, statuses=(DocumentStatus.CURRENT,), limit=MOST_REPORTS)
    imaging = [one for one in unit.documents.find(search) if IMAGING_REPORT in one.categories][:MOST_REPORTS]
    shown = [one for one in imaging if act.judge(one, consents).permit and not one.sensitivity]
    return shown, len(imaging) - len(shown)
