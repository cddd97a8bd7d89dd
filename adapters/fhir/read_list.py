"""Read one submission set or folder.

Source: HL7 FHIR R4, 3.1.0.1 (read), https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from adapters.fhir import outcome
from adapters.fhir.lists import list_of
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import ReadSubmission
from registry.documents import Folder, SubmissionSet


def decode(request: WireRequest) -> ReadSubmission:
    answer_format(request)
    return ReadSubmission(request.params["id"])


def encode(item: SubmissionSet | Folder, request: WireRequest) -> WireResponse:
    return respond(request, list_of(item))


TRANSACTION = Transaction(
    "List-read",
    "Read Document List",
    source="HL7 FHIR R4, 3.1.0.1",
    route=("GET", "/List/<id>"),
    command=ReadSubmission,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("List", "r"),
    doors=HOUSE,
)
