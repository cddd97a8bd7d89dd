"""A peer tells that a patient of whom it had shown something is another one there, or is one with another.

The notice is signed and names the patient only by numbers that the receiver asked with or was given; the answer says
that it was taken in, not whether the patient is known.

Source: this project, design section 7; the envelope is FHIR's Parameters
"""

from __future__ import annotations

from adapters.fhir import outcome
from adapters.fhir.operations import parameters
from adapters.fhir.withdraw_receipt import signed_parameter
from adapters.fhir.writing import respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.identity_changes import LearnChange

OPERATION = ("identity-changed", "urn:hie-node:operation:identity-changed")


def decode(request: WireRequest) -> LearnChange:
    return LearnChange(signed_parameter(request, "notice"))


def encode(accepted: bool, request: WireRequest) -> WireResponse:
    return respond(request, parameters([{"name": "accepted", "valueBoolean": accepted}]))


TRANSACTION = Transaction(
    "identity-changed",
    "A patient is another one",
    source="design section 7",
    route=("POST", "/Patient/$identity-changed"),
    command=LearnChange,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Patient", "u"),
    doors=frozenset({"peer"}),
)
TRANSACTIONS = (TRANSACTION,)
