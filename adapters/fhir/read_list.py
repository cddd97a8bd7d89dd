"""Read one submission set or folder.

Source: HL7 FHIR R4, 3.1.0.1 (read), https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.fhir import outcome
from adapters.fhir.lists import list_of
from adapters.fhir.preconditions import version_number
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import ReadSubmission
from registry.documents import Folder, SubmissionSet


def decode(request: WireRequest) -> ReadSubmission:
    answer_format(request)
    return ReadSubmission(request.params["id"])


def decode_version(request: WireRequest) -> ReadSubmission:
    answer_format(request)
    return ReadSubmission(request.params["id"], version_number(request.params["version"]))


def encode(item: SubmissionSet | Folder, request: WireRequest) -> WireResponse:
    return respond(request, list_of(item))


def _row(title: str, path: str, decode: Callable[[WireRequest], ReadSubmission]) -> Transaction:
    return Transaction(
        "List-read",
        title,
        source="HL7 FHIR R4, 3.1.0.1",
        route=("GET", path),
        command=ReadSubmission,
        decode=decode,
        encode=encode,
        error=outcome.error,
        scope=("List", "r"),
        doors=HOUSE,
    )


TRANSACTION = _row("Read Document List", "/List/<id>", decode)
READ_VERSION = _row("Read this version of a Document List", "/List/<id>/_history/<version>", decode_version)
TRANSACTIONS = (TRANSACTION, READ_VERSION)
