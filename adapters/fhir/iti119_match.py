"""Patient Demographics Match: a description goes in, the people that fit come out, each with how well it fits.

Source: IHE PDQm 3.2, 2:3.119, https://profiles.ihe.net/ITI/PDQm/ITI-119.html; HL7 FHIR R4, Patient-match
"""

from __future__ import annotations

from decimal import Decimal

from adapters.fhir import Resource, outcome
from adapters.fhir.elements import filled
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.operations import only, unusable
from adapters.fhir.patient import in_question, patient
from adapters.fhir.reading import read_resource
from adapters.fhir.writing import full_url, meta_now, respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import MatchPatient, PatientMatch

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
OPERATION = ("match", "https://profiles.ihe.net/ITI/PDQm/OperationDefinition/PDQmMatch")
MOST_BYTES = 256 * 1024
USUAL_COUNT = 10
LARGEST_COUNT = 100


def decode(request: WireRequest) -> MatchPatient:
    """From Parameters, or from a Patient alone."""
    body, _ = read_resource(request, "Parameters", MOST_BYTES, or_type="Patient")
    if body["resourceType"] == "Patient":
        body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": body}]}
    wanted = only(body, "resource", "resource")
    if wanted is None or wanted.get("resourceType") != "Patient":
        raise unusable("resource", "expected a Patient")
    question = in_question(wanted)
    if question.is_empty:
        text = "A match needs at least a name or an identifier with its system."
        raise BadRequest(Issue("error", "required", text, ("Patient",)))
    return MatchPatient(question, only_certain=_only_certain(body), count=_count(body))


def _only_certain(body: Resource) -> bool:
    return bool(only(body, "onlyCertainMatches", "valueBoolean"))


def _count(body: Resource) -> int:
    count = only(body, "count", "valueInteger", "valuePositiveInt", "valueUnsignedInt")
    if count is None:
        return USUAL_COUNT
    if count < 1:
        raise unusable("count", "expected a number from 1")
    return min(int(count), LARGEST_COUNT)


def encode(matches: tuple[PatientMatch, ...], request: WireRequest) -> WireResponse:
    entries = [_entry(match, request) for match in matches]
    bundle: Resource = {"resourceType": "Bundle", "meta": meta_now(), "type": "searchset", "total": len(entries)}
    link = [{"relation": "self", "url": f"{request.base}/Patient/$match"}]
    return respond(request, bundle | filled(link=link, entry=entries))


def _entry(match: PatientMatch, request: WireRequest) -> Resource:
    resource = patient(match.record, request.home)
    grade = {"url": MATCH_GRADE, "valueCode": match.grade}
    score = Decimal(str(round(min(max(match.score, 0.0), 1.0), 4)))
    return {
        "fullUrl": full_url(request, resource),
        "resource": resource,
        "search": {"extension": [grade], "mode": "match", "score": score},
    }


TRANSACTION = Transaction(
    "ITI-119",
    "Match a Patient",
    source="IHE PDQm 3.2, 2:3.119",
    route=("POST", "/Patient/$match"),
    command=MatchPatient,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Patient", "s"),
)
TRANSACTIONS = (TRANSACTION,)
