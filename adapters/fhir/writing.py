"""Resources and lists of them as answers: format, version, links, and one line for each community that was asked.

Source: HL7 FHIR R4, 3.1.0 (RESTful API) and 3.1.1 (search), https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from adapters.fhir import Resource
from adapters.fhir.community import community_outcome, page_outcomes
from adapters.fhir.elements import filled, read_moment
from adapters.fhir.issues import BadRequest, FhirError, Issue, NotAcceptable, operation_outcome
from adapters.fhir.json_format import to_json
from adapters.fhir.negotiation import MEDIA_TYPES, Format, response_format
from adapters.fhir.preconditions import is_known
from adapters.fhir.xml_format import to_xml
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.commands import Item, Page
from registry.searches import Cursor

# A link is followed by GET, and what is in a URL ends up in logs on the way.
_ABOUT_A_PERSON = (
    "filter-criteria patient subject identifier source author agent entity actor name family given birthdate gender"
)
_REACHED_AT = "telecom mothersMaidenName address address-city address-country address-postalcode address-state"
_PERSONAL = frozenset(f"{_ABOUT_A_PERSON} {_REACHED_AT}".split())
FIRST = 'W/"1"'
"""The ETag of a resource that never changed."""


def answer_format(request: WireRequest) -> Format:
    """JSON or XML, by `_format`, else by Accept. Raises NotAcceptable."""
    wanted = next((value for name, value in request.query if name == "_format"), None)
    return response_format(request.header("accept"), wanted)


def respond(
    request: WireRequest, resource: Resource, status: int = 200, *, headers: Iterable[tuple[str, str]] = ()
) -> WireResponse:
    """The resource as the requester wants it: format, nothing at all (`Prefer`), or "not modified" (304)."""
    version = _version_headers(resource)
    known = [*version, *headers, ("Cache-Control", "no-store"), ("Vary", "Accept")]
    if status == HTTPStatus.OK and request.method in ("GET", "HEAD") and _is_known(request, dict(version)):
        return WireResponse(304, tuple(known))
    shown: Resource | None = resource
    if status < 400 and request.method in ("POST", "PUT", "PATCH") and resource.get("resourceType") != "Bundle":
        shown = _as_preferred(request, resource)
    if shown is None:
        return WireResponse(status, tuple(known))
    return _written(request, shown, status, known)


def created(request: WireRequest, resource: Resource) -> WireResponse:
    """201 with the place of what was created."""
    return respond(request, resource, 201, headers=(("Location", version_url(request, resource)),))


def version_url(request: WireRequest, resource: Resource) -> str:
    version = resource.get("meta", {}).get("versionId", "1")
    return f"{full_url(request, resource)}/_history/{version}"


def full_url(request: WireRequest, resource: Resource) -> str:
    return f"{request.base}/{resource['resourceType']}/{resource['id']}"


def meta(version: int, updated: datetime | None, profile: str | None = None) -> Resource:
    """Which version, since when, and by which profile."""
    return filled(
        versionId=str(version),
        lastUpdated=meta_time(updated) if updated else None,
        profile=[profile] if profile else None,
    )


def searchset(
    request: WireRequest,
    page: Page[Item],
    encode_item: Callable[[Item], Resource],
    *,
    used: Pairs,
    warnings: Iterable[Issue] = (),
) -> WireResponse:
    """What a search found: newest first, with what was asked, where it goes on, and what became of each community.

    used  the parameters that were understood, as they came
    """
    resources = [encode_item(item) for item in page.items]
    entries: list[Resource] = [
        {"fullUrl": full_url(request, each), "resource": each, "search": {"mode": "match"}} for each in resources
    ]
    following = next_link(request, used, page.next) if page.next else None
    said = [*page_outcomes(page), *(community_outcome(each, encode_item) for each in page.outcomes)]
    said += [operation_outcome([issue]) for issue in (*warnings, *_unlinked(page, following))]
    entries += [{"resource": each, "search": {"mode": "outcome"}} for each in said]
    links = [{"relation": "self", "url": _self_link(request, used)}]
    if following:
        links.append({"relation": "next", "url": following})
    is_whole = page.next is None and not any(name == "_after" for name, _ in used)
    total = len(page.items) if page.total is None and is_whole else page.total
    bundle: Resource = {"resourceType": "Bundle", "meta": meta_now(), "type": "searchset"}
    bundle |= {} if total is None else {"total": total}
    try:
        return respond(request, bundle | filled(link=links, entry=entries))
    except NotAcceptable:
        # what XML cannot carry is a warning in its place, and takes no other entry with it
        return respond(request, bundle | filled(link=links, entry=[*map(_in_xml, entries)]))


def _in_xml(entry: Resource) -> Resource:
    try:
        to_xml(entry["resource"])
    except NotAcceptable:
        place = f"{entry['resource']['resourceType']}/{entry['resource'].get('id', '')}"
        said = operation_outcome(
            [Issue("warning", "incomplete", f"{place} can only be written as JSON; ask for that.")]
        )
        return {"resource": said, "search": {"mode": "outcome"}}
    return entry


def meta_now() -> Resource:
    """A result is of this moment and has no version."""
    return {"lastUpdated": meta_time(datetime.now(UTC))}


@lru_cache(maxsize=64)
def meta_time(moment: datetime) -> str:
    """An instant to the millisecond. What came in one message is of one moment."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _self_link(request: WireRequest, used: Pairs) -> str:
    """What was understood, as a link. What is personal stands in it only where it stood in the request's own URL."""
    hidden = request.method != "GET" or any(name == "_page" for name, _ in parse_qsl(request.target.partition("?")[2]))
    if not hidden or request.seal_page is None or not any(is_personal(name) for name, _ in used):
        return _link(request, used)
    return _link(request, (("_page", request.seal_page(used)),))


def next_link(request: WireRequest, used: Pairs, after: Cursor) -> str | None:
    """Where the list goes on. What is personal never moves from a body into a URL: a token stands for it."""
    continued = (*(pair for pair in used if pair[0] != "_after"), ("_after", after_token(after)))
    if not any(is_personal(name) for name, _ in continued):
        return _link(request, continued)
    # also after a GET: it may have come by such a token itself
    if request.seal_page is not None:
        return _link(request, (("_page", request.seal_page(continued)),))
    return _link(request, continued) if request.method == "GET" else None


def is_personal(name: str) -> bool:
    """Whether a search parameter says something about a person: all that describes or numbers the patient."""
    return name.partition(".")[0].partition(":")[0] in _PERSONAL


def after_token(after: Cursor) -> str:
    """A cursor as it travels in a link: opaque to the requester, without anything personal."""
    performed = after.performed.isoformat() if after.performed else None
    return urlsafe_b64encode(json.dumps([performed, after.id]).encode()).decode().rstrip("=")


def read_after(token: str) -> Cursor:
    """The cursor in a link of ours. Raises BadRequest."""
    try:
        performed, last = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        moment = read_moment(performed) if performed is not None else None
    except (ValueError, TypeError, FhirError, RecursionError):
        raise BadRequest("The parameter _after is not from a link of this node.") from None
    if not isinstance(last, str) or len(last) > 128:
        raise BadRequest("The parameter _after is not from a link of this node.")
    return Cursor(moment, last)


def prefers(request: WireRequest, name: str) -> str | None:
    """What the header Prefer says about `return` or `handling`."""
    for each in request.header("prefer").replace(";", ",").split(","):
        key, _, value = each.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None


def is_strict(request: WireRequest) -> bool:
    return prefers(request, "handling") == "strict"


def _written(request: WireRequest, resource: Resource, status: int, headers: list[tuple[str, str]]) -> WireResponse:
    form = answer_format(request)
    body = to_xml(resource) if form == "xml" else to_json(resource)
    sized = ("Content-Length", str(len(body)))
    body = b"" if request.method == "HEAD" else body
    return WireResponse(status, (("Content-Type", MEDIA_TYPES[form]), sized, *headers), body)


def _as_preferred(request: WireRequest, resource: Resource) -> Resource | None:
    match prefers(request, "return"):
        case "minimal":
            return None
        case "OperationOutcome":
            return operation_outcome([])
        case _:
            return resource


def _version_headers(resource: Resource) -> list[tuple[str, str]]:
    about: dict[str, Any] = resource.get("meta", {})
    if "versionId" not in about:
        return []
    headers = [("ETag", f'W/"{about["versionId"]}"')]
    since = read_moment(about.get("lastUpdated"))
    return [*headers, ("Last-Modified", format_datetime(since, usegmt=True))] if since else headers


def _is_known(request: WireRequest, version: dict[str, str]) -> bool:
    """Whether the requester has this version: by its ETag, else by its time (RFC 9110, 13.1.3)."""
    if request.header("if-none-match"):
        return bool(version) and is_known(request, version["ETag"])
    try:
        since = parsedate_to_datetime(request.header("if-modified-since"))
        changed = parsedate_to_datetime(version["Last-Modified"])
        # within one second there may have been two versions, of which the requester has the first
        return changed < since or (changed == since and version["ETag"] == FIRST)
    except (KeyError, TypeError, ValueError):
        return False


def _link(request: WireRequest, pairs: Pairs) -> str:
    kind = request.path.removeprefix("/").removesuffix("/_search").rpartition("/")[2]
    return f"{request.base}/{kind}" + (f"?{urlencode(pairs)}" if pairs else "")


def _unlinked(page: Page[Item], following: str | None) -> list[Issue]:
    if page.next is None or following is not None:
        return []
    return [Issue("warning", "incomplete", "There is more; narrow the search, or ask with a larger _count.")]
