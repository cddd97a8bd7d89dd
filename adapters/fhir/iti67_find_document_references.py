"""ITI-67 Find Document References: which documents there are of a patient, here or in the whole network.

Source: IHE MHD 4.2.3, 2:3.67
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from adapters.fhir import outcome
from adapters.fhir.document_reference import document_reference
from adapters.fhir.search_values import Parameter, TokenValue
from adapters.fhir.searching import Asked, date, moment, read_search, related, require_patient, string, token
from adapters.fhir.writing import searchset
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.coded import CONSENT_PAPER, NORMAL
from registry.commands import FindDocuments, Page
from registry.documents import DocumentEntry, DocumentStatus
from registry.people import HumanName
from registry.searches import DocumentSearch
from registry.vietnamese import words


def _people(entry: DocumentEntry) -> Iterator[HumanName]:
    """Authors by name, also without the title that stands before many a doctor's."""
    for author in entry.authors:
        if author.person:
            yield HumanName.of(author.person)
            yield HumanName.of(" ".join(author.person.split()[-len(words(author.person)) :]))


def _given(entry: DocumentEntry) -> list[str]:
    """Every word of the given part may be the one that somebody goes by."""
    parts = [(name.given or name.text).split() for name in _people(entry)]
    return [" ".join(part[start:]) for part in parts for start in range(len(part))]


def _links(entry: DocumentEntry) -> list[str]:
    kept: list[dict[str, Any]] = entry.extra.get("context", {}).get("related", [])
    return [each["reference"] for each in kept if each.get("reference")]


PARAMETERS = {
    "_lastUpdated": moment(lambda e: e.updated),
    "author.family": string(lambda e: [name.family for name in _people(e)]),
    "author.given": string(_given),
    "category": token(lambda e: e.categories),
    "creation": moment(lambda e: e.attachment.creation),
    "date": moment(lambda e: e.date),
    "event": token(lambda e: e.events),
    "facility": token(lambda e: [e.facility_type]),
    "format": token(lambda e: [e.format]),
    "period": date(lambda e: (e.start, e.stop) if e.start or e.stop else None),
    "related": related(lambda e: e.references, _links),
    "related.identifier": token(lambda e: e.references),
    "security-label": token(lambda e: e.sensitivity or (NORMAL,)),
    "setting": token(lambda e: [e.practice_setting]),
    "status": token(lambda e: [e.status.value]),
    "type": token(lambda e: [e.type]),
}
SEARCH_PARAMETERS = {
    "_id": "token",
    "_lastUpdated": "date",
    "author.family": "string",
    "author.given": "string",
    "category": "token",
    "creation": "date",
    "date": "date",
    "event": "token",
    "facility": "token",
    "format": "token",
    "identifier": "token",
    "patient": "reference",
    "patient.identifier": "token",
    "period": "date",
    "related": "reference",
    "related.identifier": "token",
    "security-label": "token",
    "setting": "token",
    "status": "token",
    "type": "token",
}
"""For the CapabilityStatement, in the types of the standard."""


def decode(request: WireRequest) -> FindDocuments:
    asked = read_search(request, PARAMETERS, special=("identifier", "status"))
    require_patient(asked, request)
    return FindDocuments(
        DocumentSearch(
            patient=asked.selector,
            ids=asked.ids,
            identifiers=asked.identifiers(),
            statuses=_statuses(asked),
            where=asked.where,
            limit=asked.limit,
            after=asked.after,
            count_only=asked.count_only,
            papers=any(name in ("type", "category") and CONSENT_PAPER.code in value for name, value in asked.used),
        )
    )


def encode(page: Page[DocumentEntry], request: WireRequest) -> WireResponse:
    names = {each.community.home: each.community.name for each in page.outcomes}

    def encode_item(entry: DocumentEntry) -> dict[str, Any]:
        return document_reference(entry, base=request.base, home=request.home, names=names)

    return searchset(request, page, encode_item, used=request.kept["used"], warnings=request.kept["unsupported"])


def _statuses(asked: Asked) -> tuple[DocumentStatus, ...] | None:
    """Statuses that are searched for; one that no document has finds nothing, as it should."""
    if "status" not in asked.special:
        return None
    return tuple(each for each in DocumentStatus if _all_name(asked.special["status"], each))


def _all_name(parameters: Iterable[Parameter], status: DocumentStatus) -> bool:
    return all(
        any(TokenValue.parse(value).code in (None, status.value) for value in parameter.values)
        for parameter in parameters
    )


TRANSACTION = Transaction(
    "ITI-67",
    "Find Document References",
    source="IHE MHD 4.2.3, 2:3.67",
    route=("GET", "/DocumentReference"),
    command=FindDocuments,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("DocumentReference", "s"),
    doors=EVERYWHERE,
    form=True,
)
