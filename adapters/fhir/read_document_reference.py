"""Read the metadata of one document.

Source: HL7 FHIR R4, 3.1.0.1 (read), https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from adapters.fhir import outcome
from adapters.fhir.document_reference import document_reference
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import HOUSE_AND_PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import ReadDocument
from registry.documents import DocumentEntry


def decode(request: WireRequest) -> ReadDocument:
    answer_format(request)
    return ReadDocument(request.params["id"])


def encode(entry: DocumentEntry, request: WireRequest) -> WireResponse:
    return respond(request, document_reference(entry, base=request.base, home=request.home))


TRANSACTION = Transaction(
    "DocumentReference-read",
    "Read Document Reference",
    source="HL7 FHIR R4, 3.1.0.1",
    route=("GET", "/DocumentReference/<id>"),
    command=ReadDocument,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("DocumentReference", "r"),
    doors=HOUSE_AND_PEER,
)
