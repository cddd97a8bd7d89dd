"""ITI-106 Generate Metadata: a document comes alone, and what can be known of it is read out of it.

A FHIR document says it in its Composition, a CDA in its header, a PDF or a text hardly: for those the Binary's
securityContext says whose they are. What is not known is left out, never guessed; a document that does not say whose it
is is refused.

Source: IHE MHD 4.2.3, 2:3.106
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from adapters.dropped.cda import read_cda
from adapters.fhir import Resource, outcome
from adapters.fhir.authors import read_author
from adapters.fhir.elements import Element, filled, reference
from adapters.fhir.issues import FhirError, Issue, Unprocessable
from adapters.fhir.json_format import parse_json, to_json
from adapters.fhir.operations import named, parameters, unusable
from adapters.fhir.reading import checked, read_resource
from adapters.fhir.subjects import Subject, one_patient, read_subject
from adapters.fhir.submitted import read_bytes, submitted_document
from adapters.fhir.writing import respond
from adapters.fhir.xml_format import parse_xml
from adapters.pdf_facts import pdf_facts
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.coded import MIME_TYPE_SUFFICIENT
from registry.commands import Provided, ProvideSubmission
from registry.people import NOTHING_KNOWN
from registry.submissions import Submission

OPERATION = ("generate-metadata", "https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata")
MAX_BYTES = 10 * 1024 * 1024
_ANY_FORMAT = {"system": MIME_TYPE_SUFFICIENT.system, "code": MIME_TYPE_SUFFICIENT.code}
_CDA = frozenset({"text/xml", "application/xml", "application/hl7-cda+xml", "application/cda+xml"})
_AT = "Parameters.parameter.where(name='document').resource"


def decode(request: WireRequest) -> ProvideSubmission:
    """Raises FhirError, SubmissionRejected, Unreadable and InvalidValue; whatever it raises, nothing is stored."""
    body, _ = read_resource(request, "Parameters", MAX_BYTES)
    given = named(body, "document")
    document = given[0].get("resource") if len(given) == 1 else None
    if document is None:
        raise unusable("document", "expected once, as a Binary or a Bundle")
    match document["resourceType"]:
        case "Bundle":
            return ProvideSubmission(_of_bundle(document, request))
        case "Binary":
            return ProvideSubmission(_of_binary(document, request))
        case _:
            raise unusable("document", "expected a Binary or a Bundle")


def encode(provided: Provided, request: WireRequest) -> WireResponse:
    """The reference to what was made; the same document again gives the same one."""
    made = reference(f"DocumentReference/{provided.documents[0].id}")
    return respond(request, parameters([{"name": "DocumentReference", "valueReference": made}]))


# ---- bytes ----


def _of_binary(binary: Resource, request: WireRequest) -> Submission:
    kind = binary.get("contentType", "").partition(";")[0].strip().lower()
    data = read_bytes(binary.get("data", ""), f"{_AT}.data")
    if kind in ("application/fhir+json", "application/fhir+xml"):
        parse = parse_json if kind.endswith("json") else parse_xml
        bundle = parse(data, max_bytes=MAX_BYTES)
        checked(bundle)
        return _of_bundle(bundle, request)
    if kind in _CDA:
        return _named_alike(
            read_cda(data, patient_id_system=request.patient_id_system, home=request.home), binary, request
        )
    if kind == "application/pdf" and data.startswith(b"%PDF-"):
        facts = pdf_facts(data)
        return _plain(binary, data, request, title=facts.title, creation=facts.created)
    if kind == "text/plain" and data.strip():
        return _plain(binary, data, request)
    raise _not_understood("Understood are FHIR documents, CDA, PDF and plain text, with bytes that are what they say.")


def _named_alike(submission: Submission, binary: Resource, request: WireRequest) -> Submission:
    """Where the Binary names a patient as well, it has to be the one in the document. Raises PatientMismatch."""
    told = _context(binary, request)
    if told is not None:
        within = Subject(identifier=submission.patient.identifier, demographics=submission.patient.demographics)
        one_patient([("recordTarget", within), (f"{_AT}.securityContext", told)])
    return submission


def _context(binary: Resource, request: WireRequest) -> Subject | None:
    """Whose bytes these are, as their securityContext has it."""
    element = binary.get("securityContext")
    return read_subject(element, {}, {}, base=request.base, at=f"{_AT}.securityContext") if element else None


def _plain(binary: Resource, data: bytes, request: WireRequest, **known: str | None) -> Submission:
    """A document that says nothing of its patient. Raises Unprocessable where nobody else says it."""
    subject = _context(binary, request)
    if subject is None:
        at = (f"{_AT}.securityContext",)
        told = "The document does not say whose it is; the Binary's securityContext has to name the Patient."
        raise Unprocessable(Issue("error", "required", told, at))
    attachment = {"contentType": binary["contentType"], "language": binary.get("language"), **known}
    digest = sha256(data).hexdigest()
    own = uuid5(NAMESPACE_URL, f"{request.home} {subject.record_id or subject.identifier} {digest}")
    return _submission({"masterIdentifier": _urn(own.urn)}, attachment, data, subject, request)


# ---- a FHIR document ----


def _of_bundle(bundle: Resource, request: WireRequest) -> Submission:
    entries = bundle.get("entry", ())
    composition = entries[0].get("resource", {}) if entries else {}
    if bundle.get("type") != "document" or composition.get("resourceType") != "Composition":
        raise _not_understood("A Bundle is understood as a FHIR document: type document, a Composition first.")
    identifier = bundle.get("identifier", {})
    if not identifier.get("system") or not identifier.get("value"):
        raise Unprocessable(
            Issue("error", "required", "A FHIR document has an identifier (bdl-9).", (f"{_AT}.identifier",))
        )
    by_url = _by_url(entries)
    about = composition.get("subject")
    if about is None:
        at = (f"{_AT}.entry[0].resource.subject",)
        raise Unprocessable(Issue("error", "required", "The Composition does not say whose the document is.", at))
    subject = read_subject(about, {}, by_url, base=request.base, at=f"{_AT}.entry[0].resource.subject")
    attachment = {
        "contentType": "application/fhir+json",
        "language": composition.get("language") or bundle.get("language"),
        "title": composition.get("title"),
        "creation": bundle.get("timestamp"),
    }
    described = _described(composition) | {
        "masterIdentifier": {"system": identifier["system"], "value": identifier["value"]}
    }
    submission = _submission(described, attachment, to_json(bundle), subject, request)
    authors = tuple(found for each in composition.get("author", ()) if (found := read_author(each, by_url)))
    signer = next(
        (read_author(each.get("party"), by_url) for each in composition.get("attester", ()) if _is_legal(each)), None
    )
    (document,) = submission.documents
    entry = replace(document.entry, authors=authors, authenticator=signer)
    return replace(submission, documents=(replace(document, entry=entry),))


def _by_url(entries: Any) -> Mapping[str, Resource]:
    """Resources of the document by what references call them: fullUrl, or type and id."""
    found: dict[str, Resource] = {}
    for entry in entries:
        resource = entry.get("resource", {})
        if resource.get("id"):
            found.setdefault(f"{resource.get('resourceType')}/{resource['id']}", resource)
        if entry.get("fullUrl"):
            found[entry["fullUrl"]] = resource
    return found


def _described(composition: Resource) -> Resource:
    """What a Composition says that a DocumentReference says as well. Source: FHIR R4, mapping of Composition to XDS."""
    event: Element = next(iter(composition.get("event", ())), {})
    label = composition.get("confidentiality")
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    relations = (
        {"code": each.get("code"), "target": {"identifier": each["targetIdentifier"]}}
        for each in composition.get("relatesTo", ())
        if "targetIdentifier" in each and "code" in each
    )
    return filled(
        type=composition.get("type"),
        category=composition.get("category", [composition["type"]] if "type" in composition else [])[:1],
        date=composition.get("date") if "T" in composition.get("date", "") else None,
        securityLabel=[{"coding": [{"system": system, "code": label}]}] if label else None,
        relatesTo=list(relations),
        context=filled(event=event.get("code"), period=event.get("period")),
    )


def _is_legal(attester: Element) -> bool:
    return bool(attester.get("mode") == "legal" and attester.get("party"))


# ---- both ----


def _submission(
    described: Resource, attachment: Mapping[str, Any], data: bytes, subject: Subject, request: WireRequest
) -> Submission:
    mention, record_id = one_patient([("subject", subject)])
    resource = filled(
        resourceType="DocumentReference",
        status="current",
        content=[{"attachment": filled(**attachment), "format": _ANY_FORMAT}],
        **described,
    )
    document = submitted_document(resource, data, patient=mention.identifier, record_id=record_id, home=request.home)
    source = mention.demographics if mention.demographics != NOTHING_KNOWN else None
    entry = replace(document.entry, source_patient=subject.identifier, source_demographics=source)
    return Submission(mention, (replace(document, entry=entry),))


def _urn(value: str) -> Element:
    return {"system": "urn:ietf:rfc:3986", "value": value}


def _not_understood(text: str) -> FhirError:
    return Unprocessable(Issue("error", "not-supported", text, (_AT,)))


TRANSACTION = Transaction(
    "ITI-106",
    "Generate Metadata",
    source="IHE MHD 4.2.3, 2:3.106",
    route=("POST", "/DocumentReference/$generate-metadata"),
    command=ProvideSubmission,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("DocumentReference", "c"),
    doors=HOUSE,
)
