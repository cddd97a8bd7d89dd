"""ITI-66 Find Document Lists: what was published together, and folders.

Source: IHE MHD 4.2.3, 2:3.66
"""

from __future__ import annotations

from adapters.fhir import outcome
from adapters.fhir.lists import LIST_TYPES, list_of
from adapters.fhir.search_values import TokenValue
from adapters.fhir.searching import Asked, moment, read_search, require_patient, string, token
from adapters.fhir.writing import searchset
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.coded import CodedValue
from registry.commands import FindSubmissions, Page
from registry.documents import DocumentStatus, Folder, SubmissionSet
from registry.identifiers import URI_SYSTEM
from registry.people import HumanName
from registry.searches import SubmissionSearch

Item = SubmissionSet | Folder


def _authors(item: Item) -> list[HumanName]:
    authors = item.authors if isinstance(item, SubmissionSet) else ()
    return [HumanName.of(each.person) for each in authors if each.person]


def _given(item: Item) -> list[str]:
    parts = [(name.given or name.text).split() for name in _authors(item)]
    return [" ".join(part[start:]) for part in parts for start in range(len(part))]


def _designations(item: Item) -> tuple[CodedValue | None, ...]:
    return (item.content_type,) if isinstance(item, SubmissionSet) else item.codes


def _source(item: Item) -> list[CodedValue]:
    """As it was sent, proper identifier or not: one odd submission must not spoil the search for all others."""
    known = isinstance(item, SubmissionSet) and item.source_id
    return [CodedValue(item.source_id, URI_SYSTEM)] if known and isinstance(item, SubmissionSet) else []


PARAMETERS = {
    "_lastUpdated": moment(lambda i: i.updated),
    "date": moment(lambda i: i.submitted if isinstance(i, SubmissionSet) else i.updated),
    "designationType": token(_designations),
    "source.family": string(lambda i: [name.family for name in _authors(i)]),
    "source.given": string(_given),
    "sourceId": token(_source),
    "status": token(lambda i: ["current" if i.status is DocumentStatus.CURRENT else "retired"]),
}
SEARCH_PARAMETERS = {
    "_id": "token",
    "_lastUpdated": "date",
    "code": "token",
    "date": "date",
    "designationType": "token",
    "identifier": "token",
    "patient": "reference",
    "patient.identifier": "token",
    "source.family": "string",
    "source.given": "string",
    "sourceId": "token",
    "status": "token",
}
"""For the CapabilityStatement, in the types of the standard."""


def decode(request: WireRequest) -> FindSubmissions:
    asked = read_search(request, PARAMETERS, special=("identifier", "code"))
    require_patient(asked, request)
    search = SubmissionSearch(
        patient=asked.selector,
        ids=asked.ids,
        identifiers=asked.identifiers(),
        where=asked.where,
        limit=asked.limit,
        after=asked.after,
        count_only=asked.count_only,
    )
    return FindSubmissions(search, _wants(asked, "submissionset"), _wants(asked, "folder"))


def encode(page: Page[Item], request: WireRequest) -> WireResponse:
    return searchset(request, page, list_of, used=request.kept["used"], warnings=request.kept["unsupported"])


def _wants(asked: Asked, kind: str) -> bool:
    """Whether `code`, where it is given, permits this kind of list."""
    return all(
        any(TokenValue.parse(value).matches(LIST_TYPES, kind) for value in parameter.values)
        for parameter in asked.special.get("code", ())
    )


TRANSACTION = Transaction(
    "ITI-66",
    "Find Document Lists",
    source="IHE MHD 4.2.3, 2:3.66",
    route=("GET", "/List"),
    command=FindSubmissions,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("List", "s"),
    doors=HOUSE,
    form=True,
)
