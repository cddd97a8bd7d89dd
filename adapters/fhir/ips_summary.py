"""`Patient/$summary`: what this hospital knows of a patient, as an International Patient Summary, made when asked.

Allergies are in none of the systems that feed a node; the section says so, since its absence would read as "none".

Source: IPS 2.0, operation summary and Composition-uv-ips; HL7 FHIR R4, 3.3 Documents
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from adapters.fhir import Resource, outcome
from adapters.fhir.clinical import Facts, Name, Named, document, narrative, organization, section
from adapters.fhir.elements import filled, instant
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.patient import patient
from adapters.fhir.search_controls import full_name, one_value
from adapters.fhir.search_values import TokenValue, parse_query
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.clinical import Finding
from registry.commands import SummarisePatient
from registry.documents import DocumentEntry
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import SourceRecord
from registry.summary import Summary

OPERATION = ("summary", "http://hl7.org/fhir/uv/ips/OperationDefinition/summary")
_NAMES = UUID("a1d3f0de-5c0e-5b63-8c1b-3f2d6f0a9b11")
_IGNORED = ("_format", "_pretty", "profile", "graph")


@dataclass(frozen=True, slots=True)
class Summarised:
    """A summary with whose it is, who says it and when."""

    record: SourceRecord
    summary: Summary
    hospital: str
    now: datetime


def decode(request: WireRequest) -> SummarisePatient:
    """By the node's own id in the path."""
    answer_format(request)
    _refuse_others(request, set())
    return SummarisePatient(record_id=request.params["id"])


def decode_by_identifier(request: WireRequest) -> SummarisePatient:
    """`GET /Patient/$summary?identifier=system|value`."""
    answer_format(request)
    _refuse_others(request, {"identifier"})
    named = [each for each in parse_query(request.query) if full_name(each) == "identifier"]
    token = TokenValue.parse(one_value(named[0])) if len(named) == 1 else None
    if token is None or not token.system or not token.code:
        raise BadRequest(Issue("error", "required", "identifier is needed once, as system|value."))
    return SummarisePatient(identifier=PatientIdentifier(token.system, token.code))


def _refuse_others(request: WireRequest, known: set[str]) -> None:
    for each in parse_query(request.query):
        if full_name(each) not in known and each.name not in _IGNORED:
            raise BadRequest(Issue("error", "not-supported", f"{full_name(each)} is no parameter of $summary."))


def encode(told: Summarised, request: WireRequest) -> WireResponse:
    return respond(request, summary_document(told, request.home))


def summary_document(told: Summarised, home: HomeCommunityId) -> Resource:
    """The bundle. Its resources are named after this moment: tomorrow's summary is another document."""
    when = told.now.isoformat()

    def name(*parts: str | int) -> UUID:
        return uuid5(_NAMES, "|".join((str(home), told.record.id, when, *map(str, parts))))

    whose = patient(told.record, home)
    subject = Named(f"urn:uuid:{name('patient')}", {key: whose[key] for key in whose if key not in ("meta", "id")})
    hospital = organization(home, told.hospital, name)
    facts, summary = Facts(subject.reference, name), told.summary
    conditions, medications = list(facts.conditions(summary.problems)), list(facts.medications(summary.medications))
    results, procedures = list(facts.observations(summary.results)), list(facts.procedures(summary.services))
    reports = list(facts.imaging_reports(map(_finding, summary.reports)))
    nothing = "Không có thông tin tại cơ sở này"
    sections = [
        section("Vấn đề sức khỏe", "11450-4", "Problem list - Reported", conditions, empty=nothing),
        section("Dị ứng", "48765-2", "Allergies and adverse reactions Document", (), empty=nothing),
        section("Thuốc", "10160-0", "History of Medication use Narrative", medications, empty=nothing),
        section(
            "Kết quả", "30954-2", "Relevant diagnostic tests/laboratory data note", [*results, *reports], empty=nothing
        ),
        section("Dịch vụ kỹ thuật", "47519-4", "History of Procedures Document", procedures, empty=nothing),
    ]
    composition = _composition(told, subject, hospital, name, sections)
    members = [composition, subject, hospital, *conditions, *medications, *results, *reports, *procedures]
    return document(f"urn:uuid:{name('bundle')}", instant(told.now) or "", members)


def _composition(told: Summarised, subject: Named, hospital: Named, name: Name, sections: list[Resource]) -> Named:
    lines = [f"Nguồn: {told.summary.visits} lượt khám tại {told.hospital}"]
    if told.summary.withheld:
        lines.append(f"{told.summary.withheld} mục không được hiển thị")
    display = "Patient summary Document"
    resource = filled(
        resourceType="Composition",
        text=narrative(lines),
        status="final",
        type={"coding": [{"system": "http://loinc.org", "code": "60591-5", "display": display}]},
        subject=subject.reference,
        date=told.now.isoformat(),
        author=[hospital.reference],
        title="Tóm tắt sức khỏe người bệnh",
        custodian=hospital.reference,
        section=sections,
    )
    return Named(f"urn:uuid:{name('composition')}", resource)


def _finding(entry: DocumentEntry) -> Finding:
    codes = (entry.type,) if entry.type else ()
    return Finding(entry.attachment.title or "Kết quả chẩn đoán hình ảnh", "", codes, entry.start, entry.date)


def _row(title: str, path: str, decode: Callable[[WireRequest], SummarisePatient]) -> Transaction:
    return Transaction(
        "IPS-summary",
        title,
        source="IPS 2.0, operation summary",
        route=("GET", path),
        command=SummarisePatient,
        decode=decode,
        encode=encode,
        error=outcome.error,
        scope=("Patient", "r"),
    )


TRANSACTIONS = (
    _row("Summarise a Patient", "/Patient/<id>/$summary", decode),
    _row("Summarise a Patient by identifier", "/Patient/$summary", decode_by_identifier),
)
