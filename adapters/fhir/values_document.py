"""The values of one laboratory report as a FHIR document, for who reads them as facts; the report itself is a text.

That a report has them is said by an extension of its DocumentReference, since FHIR has no element for it:

    urn:hie-node:values      valueBoolean true, at most once: `Binary/values-<id>` gives them, decided like the report

Source: HL7 FHIR R4, 3.3 Documents, 2.4 (extensibility); LOINC 11502-2 (Laboratory report)
"""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5

from adapters.fhir import Resource
from adapters.fhir.clinical import Facts, Named, document, section
from adapters.fhir.elements import Element, coding, filled, identifier, instant, organization_reference
from adapters.fhir.json_format import to_json
from registry.coded import LABORATORY_REPORT
from registry.documents import DocumentEntry
from registry.identifiers import HomeCommunityId

VALUES = "urn:hie-node:values"
RENDITION = "values-"
"""Stands before the id of a report where its values are asked for."""


def values_document(report: DocumentEntry, home: HomeCommunityId) -> bytes:
    """The bundle as JSON; the same report gives the same bytes."""

    def name(*parts: str | int) -> UUID:
        return uuid5(NAMESPACE_URL, " ".join(map(str, (report.entry_uuid, report.version, *parts))))

    numbered = filled(resourceType="Patient", identifier=[identifier(report.patient, kind="MR")])
    subject = Named(f"urn:uuid:{name('patient')}", numbered)
    facts = Facts(subject.reference, name)
    results = list(facts.observations(report.results))
    laboratory = facts.laboratory_report(report.results, results)
    written = report.date or report.start or report.updated
    composition = Named(
        f"urn:uuid:{name('composition')}",
        filled(
            resourceType="Composition",
            status="final",
            type={"coding": [coding(LABORATORY_REPORT)]},
            subject=subject.reference,
            date=written.isoformat() if written else None,
            author=[organization_reference(home)],
            title=report.attachment.title or "Kết quả xét nghiệm",
            custodian=organization_reference(home),
            section=[section("Kết quả", "30954-2", "Relevant diagnostic tests/laboratory data note", results)],
        ),
    )
    members = [composition, subject, *results, laboratory]
    return to_json(document(f"urn:uuid:{name('bundle')}", instant(written) or "", members))


def values_extension(entry: DocumentEntry) -> list[Element]:
    """What tells that a report has values, here or where it was listed."""
    return [{"url": VALUES, "valueBoolean": True}] if entry.tells_values else []


def has_values(resource: Resource) -> bool:
    return any(one.get("url") == VALUES and one.get("valueBoolean") is True for one in resource.get("extension", ()))
