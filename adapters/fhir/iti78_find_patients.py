"""Mobile Patient Demographics Query: who is this, in the words of this hospital; and one patient by id or version.

Source: IHE PDQm 3.2, 2:3.78, https://profiles.ihe.net/ITI/PDQm/ITI-78.html
"""

from __future__ import annotations

from adapters.fhir import Resource, outcome
from adapters.fhir.issues import Issue, operation_outcome
from adapters.fhir.patient import patient
from adapters.fhir.patient_search import PARAMETERS, domains, patient_search
from adapters.fhir.preconditions import version_number
from adapters.fhir.search_controls import read_search
from adapters.fhir.writing import answer_format, respond, searchset
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import FindPatients, Page, ReadPatient
from registry.errors import UnknownTargetSystem
from registry.people import SourceRecord

SEARCH_PARAMETERS = PARAMETERS
SOURCE = "IHE PDQm 3.2, 2:3.78"


def decode(request: WireRequest) -> FindPatients:
    return FindPatients(patient_search(read_search(request, SEARCH_PARAMETERS)))


def encode(page: Page[SourceRecord], request: WireRequest) -> WireResponse:
    asked = read_search(request, SEARCH_PARAMETERS)
    wanted = domains(asked)

    def shown(record: SourceRecord) -> Resource:
        return patient(record, request.home, domains=wanted)

    return searchset(request, asked.shown(page), shown, used=asked.used, warnings=asked.warnings)


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """As everywhere, but for a domain that nobody here knows: 404 with a warning (2:3.78.4.1.3, case 4)."""
    if not isinstance(exception, UnknownTargetSystem):
        return outcome.error(exception, request)
    told = operation_outcome([Issue("warning", "not-found", "targetSystem not found")])
    told["issue"][0]["diagnostics"] = "targetSystem not found"
    return respond(request, told, 404)


def decode_read(request: WireRequest) -> ReadPatient:
    answer_format(request)
    return ReadPatient(request.params["id"])


def decode_version(request: WireRequest) -> ReadPatient:
    answer_format(request)
    return ReadPatient(request.params["id"], version=version_number(request.params["version"]))


def encode_read(record: SourceRecord, request: WireRequest) -> WireResponse:
    return respond(request, patient(record, request.home))


TRANSACTION = Transaction(
    "ITI-78",
    "Find Patients",
    source=SOURCE,
    route=("GET", "/Patient"),
    command=FindPatients,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
    form=True,
)
READ = Transaction(
    "ITI-78",
    "Read a Patient",
    source=SOURCE,
    route=("GET", "/Patient/<id>"),
    command=ReadPatient,
    decode=decode_read,
    encode=encode_read,
    error=outcome.error,
    scope=("Patient", "r"),
)
READ_VERSION = Transaction(
    "ITI-78",
    "Read an earlier version of a Patient",
    source=SOURCE,
    route=("GET", "/Patient/<id>/_history/<version>"),
    command=ReadPatient,
    decode=decode_version,
    encode=encode_read,
    error=outcome.error,
    scope=("Patient", "r"),
)
TRANSACTIONS = (TRANSACTION, READ, READ_VERSION)
