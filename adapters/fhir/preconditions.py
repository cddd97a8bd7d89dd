"""Which version a change is meant for.

Source: HL7 FHIR R4, 3.1.0.5 (managing resource contention), https://hl7.org/fhir/R4/http.html#concurrency
"""

from __future__ import annotations

import re

from adapters.fhir import Resource
from adapters.fhir.issues import BadRequest, Issue, NotFound, Unprocessable
from adapters.wire import WireRequest

_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')


def expected_version(request: WireRequest) -> int | None:
    """The version in `If-Match`, None without it. Raises BadRequest for what no version of ours is called."""
    text = request.header("if-match").strip()
    if not text:
        return None
    found = _ETAG.fullmatch(text)
    if found is None:
        raise BadRequest('If-Match is one version, as the ETag gave it: W/"3".')
    return int(found.group(1))


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
