"""A patient in short, made when it is asked: each visit and each report passes the same decision as a document does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

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
from registry.manifests import is_manifest
from registry.people import PatientInQuestion
from registry.searches import DocumentSearch, PatientSelector
from registry.submissions import Visit
from registry.summary import compose

MOST_REPORTS = 500


def summarise(act: Act, command: SummarisePatient) -> Summarised:
    """IPS `$summary`, of this hospital's own records."""
    with act.unit() as unit:
        person = whose(act, unit, command)
        act.about(person.first)
        consents = consents_for(act, unit, person)
        visits, closed_visits = visits_shown(act, unit, person, consents)
        documents, closed_documents = _documents(act, unit, person, consents)
        act.items = [f"visit {one.key}" for one in visits] + [one.id for one in documents]
        summary = compose(visits, documents, withheld=closed_visits + closed_documents, now=act.now)
        return Summarised(person.first, summary, act.house.settings.name, act.now)


def whose(act: Act, unit: UnitOfWork, command: SummarisePatient) -> Identified:
    if command.identifier is not None:
        person = identify(act, unit, PatientSelector(described=PatientInQuestion((command.identifier,))))
    else:
        person = by_record_id(unit, command.record_id)
    if person is None:
        raise NotFound("Patient")
    return person


def visits_shown(
    act: Act, unit: UnitOfWork, person: Identified, consents: Sequence[Consent]
) -> tuple[list[Visit], int]:
    """Visits here that may be seen, and how many may not."""
    found = [visit for record_id in person.record_ids for visit in unit.documents.visits_of(record_id)]
    shown = []
    for visit in found:
        item = Item(labels_of(visit.sensitivity), visit.key, visit.key, visit.admitted)
        decision = act.decide(item, consents)
        act.count(decision, 1)
        if decision.permit and not visit.sensitivity:
            shown.append(visit)
    return shown, len(found) - len(shown)


def _has_values(entry: DocumentEntry) -> bool:
    return bool(entry.results)


def _is_told(entry: DocumentEntry) -> bool:
    """An imaging report, or a report with values; a manifest lists images and says nothing."""
    return (IMAGING_REPORT in entry.categories and not is_manifest(entry)) or _has_values(entry)


def reports_with_values(
    act: Act, unit: UnitOfWork, person: Identified, consents: Sequence[Consent]
) -> tuple[list[DocumentEntry], int]:
    """Laboratory reports here that may be seen, and how many may not."""
    return _documents(act, unit, person, consents, wanted=_has_values)


def _documents(
    act: Act,
    unit: UnitOfWork,
    person: Identified,
    consents: Sequence[Consent],
    *,
    wanted: Callable[[DocumentEntry], bool] = _is_told,
) -> tuple[list[DocumentEntry], int]:
    """Those of the newest that may be seen, and how many may not."""
    search = DocumentSearch(record_ids=person.record_ids, statuses=(DocumentStatus.CURRENT,), limit=MOST_REPORTS)
    found = list(islice(filter(wanted, unit.documents.find(search)), MOST_REPORTS))
    shown = [one for one in found if act.judge(one, consents).permit and not one.sensitivity]
    return shown, len(found) - len(shown)
