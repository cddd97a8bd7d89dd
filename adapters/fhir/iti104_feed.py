"""Patient Identity Feed: a system of this hospital says who its patients are, what changed, and which two are one.

A patient is addressed by the identifier that its system gave, never by our logical id. A number that is removed is
active no longer and stays, so that nothing disclosed loses its subject.

Source: IHE PIXm 3.1, 2:3.104, https://profiles.ihe.net/ITI/PIXm/ITI-104.html
"""

from __future__ import annotations

from adapters.fhir import Resource, outcome
from adapters.fhir.issues import BadRequest, Issue, Unprocessable
from adapters.fhir.patient import identifiers_of, patient, record_of, replaced_by
from adapters.fhir.preconditions import expected_version, refuse_implicit_rules
from adapters.fhir.reading import read_resource
from adapters.fhir.search_controls import full_name, one_value
from adapters.fhir.search_values import TokenValue, parse_query
from adapters.fhir.writing import answer_format, created, respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Fed, FeedPatient, RemovePatient
from registry.identifiers import PatientIdentifier

SOURCE = "IHE PIXm 3.1, 2:3.104"
MOST_BYTES = 1024 * 1024


def decode(request: WireRequest) -> FeedPatient:
    """`PUT /Patient?identifier=system|value`; the Patient in the body carries this identifier."""
    own = _addressed(request)
    body, _ = read_resource(request, "Patient", MOST_BYTES)
    refuse_implicit_rules(body)
    if own not in identifiers_of(body):
        text = "the Patient does not carry the identifier that the URL names; nothing was stored"
        raise BadRequest(Issue("error", "invalid", text, ("Patient.identifier",)))
    _refuse_half_a_merge(body, own)
    return FeedPatient(
        identifier=own,
        record=record_of(body, own, request.home),
        expected_version=expected_version(request),
        claimed_id=body.get("id"),
    )


def _addressed(request: WireRequest) -> PatientIdentifier:
    answer_format(request)
    conditions = [each for each in parse_query(request.query) if each.name not in ("_format", "_pretty")]
    if len(conditions) != 1 or full_name(conditions[0]) != "identifier":
        raise BadRequest("A patient is fed under exactly one identifier: PUT /Patient?identifier=system|value.")
    token = TokenValue.parse(one_value(conditions[0]))
    if not token.system or not token.code:
        raise BadRequest("identifier is needed with its system: system|value.")
    return PatientIdentifier(token.system, token.code)


def _refuse_half_a_merge(body: Resource, own: PatientIdentifier) -> None:
    """A replaced record is not active, and another one replaces it (2:3.104.4.3)."""
    survivor = replaced_by(body)
    if survivor is None:
        return
    if body.get("active", True):
        text = "a record that is replaced by another is not active; nothing was changed"
        raise Unprocessable(Issue("error", "business-rule", text, ("Patient.active",)))
    if survivor == own:
        text = "a record cannot replace itself; nothing was changed"
        raise Unprocessable(Issue("error", "business-rule", text, ("Patient.link.other.identifier",)))


def encode(fed: Fed, request: WireRequest) -> WireResponse:
    resource = patient(fed.record, request.home)
    return created(request, resource) if fed.created else respond(request, resource)


def decode_removal(request: WireRequest) -> RemovePatient:
    """`DELETE /Patient?identifier=system|value`: one patient or none, never what happens to fit."""
    return RemovePatient(_addressed(request))


def encode_removal(fed: Fed, request: WireRequest) -> WireResponse:
    return WireResponse(204, (("ETag", f'W/"{fed.record.version}"'), ("Cache-Control", "no-store")))


TRANSACTION = Transaction(
    "ITI-104",
    "Feed a Patient",
    source=SOURCE,
    route=("PUT", "/Patient"),
    command=FeedPatient,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Patient", "u"),
)
REMOVAL = Transaction(
    "ITI-104",
    "Remove a Patient",
    source=SOURCE,
    route=("DELETE", "/Patient"),
    command=RemovePatient,
    decode=decode_removal,
    encode=encode_removal,
    error=outcome.error,
    scope=("Patient", "d"),
)
TRANSACTIONS = (TRANSACTION, REMOVAL)
