"""ITI-105 Simplified Publish: one document in one resource, its bytes inside.

Source: IHE MHD 4.2.3, 2:3.105
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from adapters.fhir import outcome
from adapters.fhir.authors import contained_by_id
from adapters.fhir.conditional import document_condition
from adapters.fhir.document_reference import document_reference
from adapters.fhir.document_rules import simplified_faults
from adapters.fhir.elements import read_demographics, read_identifiers
from adapters.fhir.reading import read_resource, refusal
from adapters.fhir.subjects import Subject, one_patient, read_subject
from adapters.fhir.submitted import read_bytes, submitted_document
from adapters.fhir.writing import respond, version_url
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Provided, ProvideSubmission
from registry.documents import DocumentEntry, SubmissionSet
from registry.identifiers import HomeCommunityId
from registry.submissions import Submission

MAX_BYTES = 10 * 1024 * 1024


def decode(request: WireRequest) -> ProvideSubmission:
    """Raises FhirError and SubmissionRejected; whatever it raises, nothing is stored."""
    resource, _ = read_resource(request, "DocumentReference", MAX_BYTES)
    faults = simplified_faults(resource, "DocumentReference")
    if faults:
        raise refusal(faults)
    contained = contained_by_id(resource)
    at = "DocumentReference.subject"
    subjects = [(at, read_subject(resource["subject"], contained, {}, base=request.base, at=at))]
    source = resource.get("context", {}).get("sourcePatientInfo", {})
    whole = contained.get(source.get("reference", "").removeprefix("#"), {})
    subjects.append(
        (at, Subject(numbers=read_identifiers(whole.get("identifier")), demographics=read_demographics(whole)))
    )
    mention, record_id = one_patient(subjects)
    unless = document_condition(request, request.header("if-none-exist"))
    data = resource["content"][0]["attachment"]["data"]
    document = submitted_document(
        resource,
        read_bytes(data, "DocumentReference.content[0].attachment.data"),
        patient=mention.identifier,
        record_id=record_id,
        home=request.home,
    )
    document = replace(document, unless=unless)
    made = _derived_set(document.entry, request.home)
    return ProvideSubmission(Submission(mention, (document,), made, set_is_made=True))


def encode(provided: Provided, request: WireRequest) -> WireResponse:
    """201 with the place of the new document; 200 for one that was here already."""
    resource = document_reference(provided.documents[0], base=request.base, home=request.home)
    status = 200 if provided.outcome == "unchanged" else 201
    return respond(request, resource, status, headers=(("Location", version_url(request, resource)),))


def _derived_set(entry: DocumentEntry, home: HomeCommunityId) -> SubmissionSet:
    """The act of publishing, told from the document; the same document again is the same act."""
    own_id = uuid5(NAMESPACE_URL, f"submission of {entry.unique_id}")
    return SubmissionSet(
        id=str(own_id),
        entry_uuid=own_id.urn,
        unique_id=own_id.urn,
        source_id=home.value,
        patient=entry.patient,
        record_id=None,
        submitted=entry.date or datetime.now(UTC),
        authors=entry.authors[:1],
        title=entry.attachment.title,
        members=(entry.id,),
    )


TRANSACTION = Transaction(
    "ITI-105",
    "Simplified Publish",
    source="IHE MHD 4.2.3, 2:3.105",
    route=("POST", "/DocumentReference"),
    command=ProvideSubmission,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("DocumentReference", "c"),
    doors=HOUSE,
)
