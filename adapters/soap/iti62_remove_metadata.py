"""ITI-62 Remove Metadata: documents, sets, folders and their associations out of the registry; all of them, or none.

Source: IHE ITI Remove Metadata and Documents: 3.62
"""

from __future__ import annotations

from adapters.soap.ebrim import MOST_OBJECTS
from adapters.soap.errors import MetadataFault
from adapters.soap.faults import registry_error, registry_response
from adapters.soap.messages import payload
from adapters.soap.names import ITI_2010, LCM, RIM, children, named
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.changes import Changed, RemoveMetadata


def decode(request: WireRequest) -> RemoveMetadata:
    body = payload(request, LCM, "RemoveObjectsRequest").body
    listed = body.find(named(RIM, "ObjectRefList"))
    if body.find(named(RIM, "AdhocQuery")) is not None or body.get("deletionScope"):
        raise MetadataFault("what is removed is listed by ObjectRefs alone", "XDSRegistryError")
    ids = [] if listed is None else [each.get("id", "").strip().lower() for each in children(listed, RIM, "ObjectRef")]
    if not ids or not all(ids):
        raise MetadataFault("an ObjectRefList with ids is expected", "XDSRegistryError")
    if len(ids) > MOST_OBJECTS:
        raise MetadataFault(f"at most {MOST_OBJECTS} objects in one message", "XDSRegistryOutOfResources")
    return RemoveMetadata(tuple(dict.fromkeys(ids)))


def encode(changed: Changed, request: WireRequest) -> WireResponse:
    return registry_response(request)


TRANSACTION = Transaction(
    "ITI-62",
    "Remove Metadata",
    source="IHE ITI Remove Metadata and Documents: 3.62",
    route=("POST", "/"),
    action=ITI_2010 + "DeleteDocumentSet",
    command=RemoveMetadata,
    decode=decode,
    encode=encode,
    error=registry_error,
    scope=("DocumentReference", "d"),
    family="xds-registry",
)
