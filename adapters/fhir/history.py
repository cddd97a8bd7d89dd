"""History of one resource: every version that is kept, the newest first, each with the act that made it.

Source: HL7 FHIR R4, 3.1.0.9 (history), https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from adapters.fhir import Resource, outcome
from adapters.fhir.consent import consent
from adapters.fhir.document_reference import document_reference
from adapters.fhir.elements import filled, read_moment
from adapters.fhir.issues import BadRequest
from adapters.fhir.lists import list_of
from adapters.fhir.patient import patient
from adapters.fhir.preconditions import version_number
from adapters.fhir.search_controls import page_size
from adapters.fhir.writing import answer_format, full_url, meta_now, respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import History, ReadHistory

_WRITERS: dict[str, Callable[[Any, WireRequest], Resource]] = {
    "Consent": lambda noun, request: consent(noun, request.base),
    "DocumentReference": lambda noun, request: document_reference(noun, base=request.base, home=request.home),
    "List": lambda noun, request: list_of(noun),
    "Patient": lambda noun, request: patient(noun, request.home),
}


def decode(request: WireRequest, kind: str) -> ReadHistory:
    """Raises BadRequest for what is no moment and no number."""
    answer_format(request)
    given = dict(request.query)
    since = given.get("_since")
    moment = read_moment(since)
    if since is not None and moment is None:
        raise BadRequest("_since is an instant.")
    before = version_number(given["_before"]) if "_before" in given else None
    return ReadHistory(kind, request.params["id"], since=moment, limit=page_size(given.get("_count")), before=before)


def encode(history: History, request: WireRequest, kind: str) -> WireResponse:
    entries = [_entry(version, _WRITERS[kind](version, request), request) for version in history.versions]
    here = f"{request.base}/{kind}/{request.params['id']}/_history"
    asked = [(name, value) for name, value in request.query if name in ("_since", "_count", "_before")]
    links = [{"relation": "self", "url": here + (f"?{urlencode(asked)}" if asked else "")}]
    if history.more and history.versions:
        kept = [pair for pair in asked if pair[0] != "_before"]
        following = urlencode([*kept, ("_before", history.versions[-1].version)])
        links.append({"relation": "next", "url": f"{here}?{following}"})
    bundle = {"resourceType": "Bundle", "meta": meta_now(), "type": "history", "total": history.total}
    return respond(request, bundle | filled(link=links, entry=entries))


def _entry(version: Any, resource: Resource, request: WireRequest) -> Resource:
    kind, about = resource["resourceType"], resource["meta"]
    deleted = bool(getattr(version, "deleted", False))
    method, status = ("DELETE", "204 No Content") if deleted else ("PUT", "200 OK")
    url = f"{kind}/{resource['id']}"
    if version.version == 1:
        method, status, url = "POST", "201 Created", kind
    return filled(
        fullUrl=full_url(request, resource),
        resource=None if deleted else resource,
        request={"method": method, "url": url},
        response=filled(status=status, etag=f'W/"{about["versionId"]}"', lastModified=about.get("lastUpdated")),
    )


def _row(name: str, kind: str) -> Transaction:
    def read(request: WireRequest) -> ReadHistory:
        return decode(request, kind)

    def write(history: History, request: WireRequest) -> WireResponse:
        return encode(history, request, kind)

    return Transaction(
        name,
        f"History of a {kind}",
        source="HL7 FHIR R4, 3.1.0.9",
        route=("GET", f"/{kind}/<id>/_history"),
        command=ReadHistory,
        decode=read,
        encode=write,
        error=outcome.error,
        scope=(kind, "r"),
    )


TRANSACTIONS = (
    _row("DocumentReference-read", "DocumentReference"),
    _row("List-read", "List"),
    _row("ITI-78", "Patient"),
    _row("ITI-108", "Consent"),
)
