"""ITI-57 Update Document Set: metadata revised, a status changed, things linked; all of it, or nothing.

Source: IHE ITI XDS Metadata Update: 3.57
"""

from __future__ import annotations

from adapters.soap.changes import read_changes
from adapters.soap.faults import registry_error, registry_response
from adapters.soap.messages import payload
from adapters.soap.names import ITI_2010, LCM, RIM, named
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.changes import Changed, ChangeMetadata


def decode(request: WireRequest) -> ChangeMetadata:
    message = payload(request, LCM, "SubmitObjectsRequest")
    return read_changes(message.body.find(named(RIM, "RegistryObjectList")))


def encode(changed: Changed, request: WireRequest) -> WireResponse:
    return registry_response(request)


TRANSACTION = Transaction(
    "ITI-57",
    "Update Document Set",
    source="IHE ITI XDS Metadata Update: 3.57",
    route=("POST", "/"),
    action=ITI_2010 + "UpdateDocumentSet",
    command=ChangeMetadata,
    decode=decode,
    encode=encode,
    error=registry_error,
    scope=("DocumentReference", "u"),
    family="xds-registry",
)
