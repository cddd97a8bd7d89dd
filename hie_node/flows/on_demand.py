"""Documents that are made when they are retrieved: the summary of a patient, for the own hospital as over FHIR.

Source: IHE ITI TF-1: 10.2.7 (On-Demand Documents option), IHE ITI TF-2: 3.43.4.2.2
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

from adapters.fhir.ips_summary import summary_document
from adapters.fhir.json_format import to_json
from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.streaming import Transfer
from hie_node.flows.summary import summarise
from registry.commands import Retrieved, SummarisePatient
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound
from registry.on_demand import record_of, summary_entry
from registry.searches import DocumentSearch


def on_demand_in(
    act: Act, unit: UnitOfWork, search: DocumentSearch, consents: Sequence[Consent]
) -> list[DocumentEntry]:
    """What a search for documents of one person finds among what can be made of them."""
    if not search.on_demand or DocumentStatus.CURRENT not in (search.statuses or (DocumentStatus.CURRENT,)):
        return []
    person = next((found for one in search.record_ids or () if (found := by_record_id(unit, one))), None)
    entry = on_demand_of(act, person)
    if entry is None or not search.accepts(entry) or not act.judge(entry, consents).permit:
        return []
    return [entry]


def on_demand_of(act: Act, person: Identified | None) -> DocumentEntry | None:
    """That a summary of this person can be had, by the own hospital."""
    return summary_entry(person.first) if person is not None and not act.caller.is_peer else None


def named_on_demand(act: Act, unit: UnitOfWork, identifiers: Sequence[str]) -> list[DocumentEntry]:
    """The same by its ids."""
    records = [record for one in identifiers if (record := record_of(one))]
    people = [person for record in records if (person := by_record_id(unit, record))]
    found = [entry for person in people if (entry := on_demand_of(act, person))]
    return [entry for entry in found if {entry.entry_uuid, entry.unique_id} & set(identifiers)]


def make_summary(act: Act, record_id: str) -> Retrieved:
    """The summary as it is now, under an id of its own: tomorrow's is another document. Raises NotFound."""
    if act.caller.is_peer:
        raise NotFound("document")
    told = summarise(act, SummarisePatient(record_id=record_id))
    entry = summary_entry(told.record)
    if entry is None:
        raise NotFound("document")
    content = to_json(summary_document(told, act.house.home))
    return Retrieved(entry, _flow(act, content), len(content), made_as=f"urn:oid:2.25.{uuid4().int}")


def _flow(act: Act, content: bytes) -> Iterator[bytes]:
    with Transfer(act, lambda: True) as transfer:
        yield from transfer.pass_on(iter((content,)))
        transfer.finish()
