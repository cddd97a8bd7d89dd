"""A batch: several interactions in one message, each on its own, as if it had come alone.

Source: HL7 FHIR R4, 3.1.0.11 (batch/transaction), https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from adapters.fhir import Resource, outcome
from adapters.fhir.elements import filled, read_moment
from adapters.fhir.issues import BadRequest, FhirError, Issue, operation_outcome
from adapters.fhir.json_format import parse_json, to_json
from adapters.fhir.reading import checked, given_bundle
from adapters.fhir.writing import meta_time, respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.errors import TooLarge

MOST_BYTES = 10 * 1024 * 1024
MOST_ENTRIES = 100
MOST_ANSWERED = 20 * 1024 * 1024
"""Bytes of all answers together; entries that come after that are not carried out and say so."""

_KEPT_HEADERS = ("authorization", "prefer", "user-agent")
"""What an entry takes from the message around it; all else is its own."""
_CONDITIONS = {"ifMatch": "if-match", "ifNoneMatch": "if-none-match", "ifNoneExist": "if-none-exist"}
_TARGET = re.compile(r"/?([!-~]{1,4000})", re.ASCII)


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One interaction: method, what follows the base in its URL, headers and body; or why it is none."""

    method: str = ""
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class RunBatch:
    """Carry these out, one after the other. Answered with a WireResponse for each."""

    entries: tuple[BatchEntry, ...]


def decode(request: WireRequest) -> RunBatch:
    """Raises FhirError where the message is no batch; what is wrong with one entry is that entry's own."""
    bundle = given_bundle(request, MOST_BYTES)
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise BadRequest(Issue("error", "structure", "The entries of a Bundle are a list.", ("Bundle.entry",)))
    if len(entries) > MOST_ENTRIES:
        raise TooLarge("Bundle", limit=MOST_ENTRIES, unit="entries")
    checked({name: value for name, value in bundle.items() if name != "entry"})
    return RunBatch(tuple(_entry(each, request) for each in entries))


def _entry(element: Any, request: WireRequest) -> BatchEntry:
    try:
        return _read_entry(element, request)
    except FhirError as error:
        return BatchEntry(fault=error)


def _read_entry(element: Any, request: WireRequest) -> BatchEntry:
    if not isinstance(element, dict):
        raise BadRequest(Issue("error", "structure", "An entry is an object.", ("Bundle.entry",)))
    around = {name: value for name, value in element.items() if name != "resource"}
    checked({"resourceType": "Bundle", "type": "batch", "entry": [around]})
    asked, resource = around.get("request"), element.get("resource")
    if asked is None:
        raise BadRequest(Issue("error", "required", "Each entry of a batch needs its request.", ("Bundle.entry",)))
    method, url = asked.get("method"), asked.get("url")
    if not method or not url:
        # an element may be there by its extensions alone, and then says nothing
        at = ("Bundle.entry.request",)
        raise BadRequest(Issue("error", "required", "A request has a method and a URL.", at))
    path, _, query = _relative(url, request.base).partition("?")
    headers = {name: request.header(name) for name in _KEPT_HEADERS if request.header(name)}
    headers["accept"] = "application/fhir+json"
    headers |= {header: str(asked[name]) for name, header in _CONDITIONS.items() if name in asked}
    if since := read_moment(asked.get("ifModifiedSince")):
        headers["if-modified-since"] = format_datetime(since, usegmt=True)
    if not isinstance(resource, dict):
        return BatchEntry(method, path, query, headers)
    headers["content-type"] = "application/fhir+json"
    return BatchEntry(method, path, query, headers, to_json(resource))


def _relative(url: str, base: str) -> str:
    """The URL below the base of this node. Raises BadRequest for one that leads elsewhere."""
    found = _TARGET.fullmatch(url.removeprefix(f"{base}/"))
    if found is None or "://" in found[1].partition("?")[0]:
        told = "The URL of a request is relative to the base it was sent to."
        raise BadRequest(Issue("error", "invalid", told, ("Bundle.entry.request.url",)))
    return found[1]


def encode(answers: Sequence[WireResponse], request: WireRequest) -> WireResponse:
    """One line for each entry, in the order they came in."""
    lines = [_line(each) for each in answers]
    return respond(request, filled(resourceType="Bundle", type="batch-response", entry=lines))


def _line(answer: WireResponse) -> Resource:
    told = {name.lower(): value for name, value in answer.headers}
    body = _resource_in(answer, told)
    is_outcome = body is not None and body["resourceType"] == "OperationOutcome"
    since = told.get("last-modified")
    response = filled(
        status=f"{answer.status} {HTTPStatus(answer.status).phrase}",
        location=told.get("location"),
        etag=told.get("etag"),
        lastModified=meta_time(parsedate_to_datetime(since)) if since else None,
        outcome=body if is_outcome else None,
    )
    return filled(resource=None if is_outcome else body, response=response)


def _resource_in(answer: WireResponse, told: Mapping[str, str]) -> Resource | None:
    if not answer.body:
        return None
    if isinstance(answer.body, bytes) and told.get("content-type", "").startswith("application/fhir+json"):
        return parse_json(answer.body, max_bytes=len(answer.body))
    return operation_outcome([Issue("error", "not-supported", "The answer is no resource; ask for it by itself.")])


TRANSACTION = Transaction(
    "batch",
    "Several interactions in one message",
    source="HL7 FHIR R4, 3.1.0.11",
    route=("POST", "/"),
    command=RunBatch,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("", ""),
    discloses=False,
    bundle="batch",
)
