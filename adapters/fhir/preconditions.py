"""Which version a change is meant for.

Source: HL7 FHIR R4, 3.1.0.5 (managing resource contention), https://hl7.org/fhir/R4/http.html#concurrency
"""

from __future__ import annotations

import re

from adapters.fhir import Resource
from adapters.fhir.issues import BadRequest, Issue, NotFound, Unprocessable
from adapters.wire import WireRequest

_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
_OPAQUE = re.compile(r'"[^"]*"')
NOT_THERE = 0
"""The version of what does not exist yet."""


def expected_version(request: WireRequest) -> int | None:
    """The version in `If-Match`, NOT_THERE for `If-None-Match: *`, None without both.

    Raises BadRequest for what no version of ours is called.
    """
    if unless := request.header("if-none-match").strip():
        if unless != "*":
            raise BadRequest("If-None-Match of a change is *, for what is not there yet.")
        return NOT_THERE
    text = request.header("if-match").strip()
    if not text:
        return None
    found = _ETAG.fullmatch(text)
    if found is None:
        raise BadRequest('If-Match is one version, as the ETag gave it: W/"3".')
    return int(found.group(1))


def is_known(request: WireRequest, etag: str) -> bool:
    """Whether `If-None-Match` names this ETag, weakly compared, among others or as `*`. Source: RFC 9110, 13.1.2."""
    named = request.header("if-none-match").strip()
    return named == "*" or not set(_OPAQUE.findall(etag)).isdisjoint(_OPAQUE.findall(named))


def refuse_implicit_rules(resource: Resource) -> None:
    """Rules that change the meaning of the resource and are not known here (R4: implicitRules)."""
    if "implicitRules" in resource or "_implicitRules" in resource:
        kind = resource["resourceType"]
        text = "implicit rules are not understood here; nothing was stored"
        raise Unprocessable(Issue("error", "not-supported", text, (f"{kind}.implicitRules",)))


def version_number(text: str) -> int:
    """The number of a version in a URL; NotFound for what no version is called."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise NotFound("no such version")
    return int(text)
