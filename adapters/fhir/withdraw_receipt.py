"""A peer tells that its patient took a written request back; every holder that keeps the receipt forgets it.

The withdrawal is signed, so that only the hospital that recorded the request can withdraw it; the answer says whether
a receipt was kept here.

Source: this project, design section 7; the envelope is FHIR's Parameters
"""

from __future__ import annotations

import re

from adapters.fhir import outcome
from adapters.fhir.operations import only, parameters, unusable
from adapters.fhir.reading import read_resource
from adapters.fhir.writing import respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from consent.commands import WithdrawReceipt

MOST_BYTES = 64 * 1024
OPERATION = ("withdraw-receipt", "urn:hie-node:operation:withdraw-receipt")
_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def decode(request: WireRequest) -> WithdrawReceipt:
    return WithdrawReceipt(signed_parameter(request, "withdrawal"))


def signed_parameter(request: WireRequest, name: str) -> str:
    """The one parameter of this name, signed by who sent it. Raises BadRequest."""
    body, _ = read_resource(request, "Parameters", MOST_BYTES)
    jws = only(body, name, "valueString")
    if not isinstance(jws, str) or not _JWS.fullmatch(jws):
        raise unusable(name, f"expected once, a signed {name} (JWS compact form) as valueString")
    return jws


def encode(accepted: bool, request: WireRequest) -> WireResponse:
    return respond(request, parameters([{"name": "accepted", "valueBoolean": accepted}]))


TRANSACTION = Transaction(
    "withdraw-receipt",
    "Withdraw a receipt",
    source="design section 7",
    route=("POST", "/Consent/$withdraw-receipt"),
    command=WithdrawReceipt,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Consent", "u"),
    doors=frozenset({"peer"}),
)
TRANSACTIONS = (TRANSACTION,)
