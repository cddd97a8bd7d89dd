"""A hospital announces a patient whom it refers: who, why, and which of its documents the other one may open.

Only with the patient's written request behind it; the sender decides that before a byte leaves. The slip itself is a
document like any other. The patient is contained, since no Patient of either hospital is meant.

Source: HL7 FHIR R4, ServiceRequest; TT 01/2025/TT-BYT, form PL VI
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.fhir import Resource, outcome
from adapters.fhir.elements import (
    concepts,
    demographics,
    filled,
    identifier,
    instant,
    organization_reference,
    read_concepts,
    read_demographics,
    read_identifiers,
    read_moment,
    referenced_id,
)
from adapters.fhir.issues import Issue, Unprocessable
from adapters.fhir.operations import parameters
from adapters.fhir.reading import read_resource
from adapters.fhir.writing import respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import ExpectPatient
from registry.errors import InvalidValue
from registry.identifiers import URI_SYSTEM, FacilityCode, HomeCommunityId
from registry.people import PatientInQuestion
from registry.submissions import ExpectedPatient, Referral, ReferredDocument

MAX_BYTES = 256 * 1024
OPERATION = ("announce", "urn:hie-node:operation:announce-referral")
MOST_DOCUMENTS = 100
MOST_CONSENTS = 20
FACILITY = "urn:hie-node:facility"
"""The ministry's code of a facility (QĐ 384/QĐ-BYT), which has no public URI."""


def announcement(expected: ExpectedPatient, receiver: HomeCommunityId) -> Resource:
    """The resource that travels to the receiving hospital."""
    referral = expected.referral
    who = filled(
        resourceType="Patient",
        id="patient",
        identifier=[identifier(each) for each in expected.patient.identifiers],
        **demographics(expected.patient.demographics),
    )
    return filled(
        resourceType="ServiceRequest",
        contained=[who],
        identifier=[{"system": f"{FACILITY}:{referral.sender}:referral", "value": referral.number}],
        status="active",
        intent="order",
        category=[{"coding": [{"system": "http://snomed.info/sct", "code": "3457005", "display": "Patient referral"}]}],
        subject={"reference": "#patient"},
        authoredOn=instant(referral.signed or referral.opened),
        requester=organization_reference(expected.sender, str(referral.sender)),
        performer=[organization_reference(receiver, str(referral.receiver))],
        reasonCode=concepts(referral.diagnoses),
        note=[{"text": referral.reason}] if referral.reason else None,
        supportingInfo=[
            {"reference": f"DocumentReference/{one.id}", "display": one.title or "-"} for one in expected.documents
        ]
        + [{"reference": f"Consent/{one}"} for one in expected.consents],
    )


def decode(request: WireRequest) -> ExpectPatient:
    resource, _ = read_resource(request, "ServiceRequest", MAX_BYTES)
    try:
        return ExpectPatient(_expected(resource))
    except InvalidValue as error:
        raise _unusable(error.element, error.expected) from None


def _expected(resource: Resource) -> ExpectedPatient:
    requester, performers = resource.get("requester", {}), resource.get("performer", [{}])
    home = requester.get("identifier", {})
    if home.get("system") != URI_SYSTEM:
        raise _unusable("requester", "the sending hospital, by its homeCommunityId")
    number = next((each.get("value", "") for each in resource.get("identifier", ())), "")
    if not number:
        raise _unusable("identifier", "the number of the slip")
    referral = Referral(
        number=number,
        sender=FacilityCode(requester.get("display", "")),
        receiver=FacilityCode(performers[0].get("display", "")),
        signed=read_moment(resource.get("authoredOn")),
        diagnoses=read_concepts(resource.get("reasonCode")),
        reason=next((each.get("text") for each in resource.get("note", ())), None),
    )
    return ExpectedPatient(
        HomeCommunityId(home.get("value", "")),
        referral,
        _patient(resource),
        documents=_documents(resource),
        consents=_consents(resource),
    )


def _patient(resource: Resource) -> PatientInQuestion:
    wanted = resource.get("subject", {}).get("reference", "").removeprefix("#")
    found = next((each for each in resource.get("contained", ()) if wanted and each.get("id") == wanted), None)
    if found is None or found.get("resourceType") != "Patient":
        raise _unusable("subject", "a contained Patient")
    return PatientInQuestion(read_identifiers(found.get("identifier")), read_demographics(found))


def _consents(resource: Mapping[str, Any]) -> tuple[str, ...]:
    named = (referenced_id(each, "Consent") for each in resource.get("supportingInfo", ()))
    return tuple(one for one in named if one)[:MOST_CONSENTS]


def _documents(resource: Mapping[str, Any]) -> tuple[ReferredDocument, ...]:
    listed = resource.get("supportingInfo", ())[:MOST_DOCUMENTS]
    named = ((referenced_id(each, "DocumentReference"), each.get("display", "")) for each in listed)
    return tuple(ReferredDocument(name, title) for name, title in named if name)


def _unusable(element: str, expected: str) -> Unprocessable:
    text = f"expected {expected}; nothing was stored"
    return Unprocessable(Issue("error", "value", text, (f"ServiceRequest.{element}",)))


def encode(expected: ExpectedPatient, request: WireRequest) -> WireResponse:
    return respond(request, parameters([{"name": "expected", "valueBoolean": True}]))


TRANSACTION = Transaction(
    "referral",
    "Announce a referral",
    source="design section 8; HL7 FHIR R4, ServiceRequest",
    route=("POST", "/ServiceRequest/$announce"),
    command=ExpectPatient,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("ServiceRequest", "c"),
    doors=frozenset({"peer"}),
)
TRANSACTIONS = (TRANSACTION,)
