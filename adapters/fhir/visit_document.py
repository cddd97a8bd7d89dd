"""One visit as a FHIR document: what a system reads where a doctor reads the texts beside it.

Source: HL7 FHIR R4, 3.3 Documents; LOINC 34133-9 (Summary of episode note)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.fhir import Resource
from adapters.fhir.clinical import Facts, Name, Named, document, section
from adapters.fhir.elements import coding, demographics, filled, identifier, instant, organization_reference
from adapters.fhir.json_format import to_json
from adapters.fhir.patient import IDENTIFIER_KINDS
from registry.clinical import Finding
from registry.coded import EPISODE_SUMMARY
from registry.identifiers import HomeCommunityId
from registry.submissions import PatientMention, Visit

CONTENT_TYPE = "application/fhir+json"


def visit_document(
    visit: Visit,
    patient: PatientMention,
    findings: Sequence[Finding],
    *,
    home: HomeCommunityId,
    name: Name,
    written: datetime,
) -> bytes:
    """The bundle as JSON. The same visit, told again, gives the same bytes."""
    subject = Named(f"urn:uuid:{name('fact', 'patient')}", _patient(patient))
    facts = Facts(subject.reference, name)
    conditions, medications = list(facts.conditions(visit.problems)), list(facts.medications(visit.medications))
    results, procedures = list(facts.observations(visit.results)), list(facts.procedures(visit.services))
    reports = list(facts.imaging_reports(findings))
    if results:
        reports.append(facts.laboratory_report(visit.results, results))
    encounter = facts.encounter(visit, conditions)
    sections = [
        section("Chẩn đoán", "11450-4", "Problem list - Reported", conditions),
        section("Thuốc", "10160-0", "History of Medication use Narrative", medications),
        section("Kết quả", "30954-2", "Relevant diagnostic tests/laboratory data note", [*results, *reports]),
        section("Dịch vụ kỹ thuật", "47519-4", "History of Procedures Document", procedures),
    ]
    composition = Named(
        f"urn:uuid:{name('fact', 'composition')}",
        filled(
            resourceType="Composition",
            status="final",
            type={"coding": [coding(EPISODE_SUMMARY)]},
            subject=subject.reference,
            encounter=encounter.reference,
            date=written.isoformat(),
            author=[organization_reference(home)],
            title="Tóm tắt lượt khám, chữa bệnh",
            custodian=organization_reference(home),
            section=[each for each in sections if "entry" in each],
        ),
    )
    members = [composition, subject, encounter, *conditions, *medications, *results, *reports, *procedures]
    return to_json(document(f"urn:uuid:{name('fact', 'bundle')}", instant(written) or "", members))


def _patient(mention: PatientMention) -> Resource:
    numbers = (mention.identifier, *mention.numbers)
    return filled(
        resourceType="Patient",
        identifier=[identifier(each, kind=IDENTIFIER_KINDS.get(each.system, "MR")) for each in numbers],
        **demographics(mention.demographics),
    )
