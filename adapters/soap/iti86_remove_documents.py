"""ITI-86 Remove Documents: the bytes of documents whose metadata were removed; all of them, or none.

Source: IHE ITI Remove Metadata and Documents: 3.86
"""

from __future__ import annotations

from adapters.soap.faults import registry_error, registry_response
from adapters.soap.iti43_retrieve import read_wanted
from adapters.soap.messages import payload
from adapters.soap.names import RMD
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.changes import Changed, RemoveContents


def decode(request: WireRequest) -> RemoveContents:
    return RemoveContents(read_wanted(payload(request, RMD, "RemoveDocumentsRequest").body, request))


def encode(changed: Changed, request: WireRequest) -> WireResponse:
    return registry_response(request)


TRANSACTION = Transaction(
    "ITI-86",
    "Remove Documents",
    source="IHE ITI Remove Metadata and Documents: 3.86",
    route=("POST", "/"),
    action="urn:ihe:iti:2017:RemoveDocuments",
    command=RemoveContents,
    decode=decode,
    encode=encode,
    error=registry_error,
    scope=("DocumentReference", "d"),
    family="xds-repository",
)
