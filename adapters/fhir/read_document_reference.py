"""Read the metadata of one document.

Source: HL7 FHIR R4, 3.1.0.1 (read), https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.fhir import outcome
from adapters.fhir.document_reference import document_reference
from adapters.fhir.preconditions import version_number
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import EVERYWHERE, HOUSE_AND_PEER, Door, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import ReadDocument
from registry.documents import DocumentEntry


def decode(request: WireRequest) -> ReadDocument:
    answer_format(request)
    return ReadDocument(request.params["id"])


def decode_version(request: WireRequest) -> ReadDocument:
    answer_format(request)
    return ReadDocument(request.params["id"], version_number(request.params["version"]))


def encode(entry: DocumentEntry, request: WireRequest) -> WireResponse:
    return respond(request, document_reference(entry, base=request.base, home=request.home))


def _row(title: str, path: str, decode: Callable[[WireRequest], ReadDocument], doors: frozenset[Door]) -> Transaction:
    return Transaction(
        "DocumentReference-read",
        title,
        source="HL7 FHIR R4, 3.1.0.1",
        route=("GET", path),
        command=ReadDocument,
        decode=decode,
        encode=encode,
        error=outcome.error,
        scope=("DocumentReference", "r"),
        doors=doors,
    )


TRANSACTION = _row("Read Document Reference", "/DocumentReference/<id>", decode, EVERYWHERE)
READ_VERSION = _row(
    "Read this version of a Document Reference",
    "/DocumentReference/<id>/_history/<version>",
    decode_version,
    HOUSE_AND_PEER,
)
TRANSACTIONS = (TRANSACTION, READ_VERSION)
