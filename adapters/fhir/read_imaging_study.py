"""Read what the index knows of one imaging study.

Source: HL7 FHIR R4, 3.1.0.1 (read), https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from adapters.fhir import outcome
from adapters.fhir.imaging_study import imaging_study
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import ReadStudy
from registry.studies import Study


def decode(request: WireRequest) -> ReadStudy:
    answer_format(request)
    return ReadStudy(request.params["id"])


def encode(study: Study, request: WireRequest) -> WireResponse:
    return respond(request, imaging_study(study, base=request.base, home=request.home))


TRANSACTION = Transaction(
    "ImagingStudy-read",
    "Read Imaging Study",
    source="HL7 FHIR R4, 3.1.0.1",
    route=("GET", "/ImagingStudy/<id>"),
    command=ReadStudy,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("ImagingStudy", "r"),
    doors=EVERYWHERE,
)
