"""ITI-42 Register Document Set-b: what is known of documents that another repository of this hospital keeps.

Source: IHE ITI TF-2: 3.42; IHE ITI TF-3: 4.2
"""

from __future__ import annotations

from adapters.soap.faults import registry_error, registry_response
from adapters.soap.messages import payload
from adapters.soap.names import ITI_2007, LCM, RIM, named
from adapters.soap.submission import read_registered
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Provided, ProvideSubmission


def decode(request: WireRequest) -> ProvideSubmission:
    message = payload(request, LCM, "SubmitObjectsRequest")
    return ProvideSubmission(read_registered(message.body.find(named(RIM, "RegistryObjectList")), request.home))


def encode(provided: Provided, request: WireRequest) -> WireResponse:
    return registry_response(request)


TRANSACTION = Transaction(
    "ITI-42",
    "Register Document Set-b",
    source="IHE ITI TF-2: 3.42",
    route=("POST", "/"),
    action=ITI_2007 + "RegisterDocumentSet-b",
    command=ProvideSubmission,
    decode=decode,
    encode=encode,
    error=registry_error,
    scope=("DocumentReference", "c"),
    family="xds-registry",
)
