"""ITI-61 Register On-Demand Document Entry: what another repository of this hospital can make when it is asked for it.

The entry is found by who asks for such entries, and retrieved from that repository.

Source: IHE ITI TF-2: 3.61; IHE ITI TF-1: 10.2.7 (On-Demand Documents option)
"""

from __future__ import annotations

from adapters.soap.faults import registry_error, registry_response
from adapters.soap.messages import payload
from adapters.soap.names import LCM, RIM, named
from adapters.soap.submission import read_promised
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Provided, ProvideSubmission

ACTION = "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry"


def decode(request: WireRequest) -> ProvideSubmission:
    message = payload(request, LCM, "SubmitObjectsRequest")
    return ProvideSubmission(read_promised(message.body.find(named(RIM, "RegistryObjectList")), request.home))


def encode(provided: Provided, request: WireRequest) -> WireResponse:
    return registry_response(request)


TRANSACTION = Transaction(
    "ITI-61",
    "Register On-Demand Document Entry",
    source="IHE ITI TF-2: 3.61",
    route=("POST", "/"),
    action=ACTION,
    command=ProvideSubmission,
    decode=decode,
    encode=encode,
    error=registry_error,
    scope=("DocumentReference", "c"),
    family="xds-registry",
)
