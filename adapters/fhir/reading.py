"""The resource in a request: its format, its form, and whether it keeps the specification.

Source: HL7 FHIR R4, 3.1.0.1.11 (content types), https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Set

from adapters.fhir import Resource
from adapters.fhir.check import check
from adapters.fhir.issues import BadRequest, FhirError, Issue, Unprocessable, UnsupportedMediaType
from adapters.fhir.json_format import MAX_BYTES, parse_json
from adapters.fhir.negotiation import request_format
from adapters.fhir.writing import answer_format
from adapters.fhir.xml_format import parse_xml
from adapters.wire import WireRequest


def read_resource(
    request: WireRequest,
    expected_type: str,
    limit: int = MAX_BYTES,
    *,
    or_type: str | None = None,
    known_modifiers: Set[str] = frozenset(),
) -> tuple[Resource, tuple[Issue, ...]]:
    """The resource that the request carries, and what is odd about it but no reason to refuse it.

    or_type  another type that will do, for an operation that takes either
    Raises FhirError (400, 406, 415, 422) and TooLarge.
    """
    resource = parse_resource(request, expected_type, limit, or_type=or_type)
    return resource, checked(resource, known_modifiers=known_modifiers)


def parse_resource(
    request: WireRequest, expected_type: str, limit: int = MAX_BYTES, *, or_type: str | None = None
) -> Resource:
    """The resource before its content is looked at.

    Whether the answer can be written in a format that the requester takes is settled here already, so that nothing is
    stored for a request that ends in 406.
    """
    answer_format(request)
    form = request_format(request.header("content-type"))
    if form == "json-patch":
        raise UnsupportedMediaType(f"A {expected_type} in JSON or XML was expected, not a JSON Patch.")
    body = request.read(limit)
    if not body.strip():
        raise BadRequest(Issue("error", "structure", f"The body is empty; a {expected_type} was expected."))
    parse = parse_xml if form == "xml" else parse_json
    resource = parse(body, max_bytes=limit)
    if resource["resourceType"] not in (expected_type, or_type):
        raise BadRequest(Issue("error", "structure", f"Expected a {expected_type}, found another resource."))
    return resource


def given_bundle(request: WireRequest, limit: int) -> Resource:
    """The Bundle of a request; it was parsed already where its type had to be known first."""
    known: Resource | None = request.kept.get("bundle")
    return parse_resource(request, "Bundle", limit) if known is None else known


def checked(resource: Resource, *, known_modifiers: Set[str] = frozenset()) -> tuple[Issue, ...]:
    """What is odd about it; raises FhirError with all that is wrong: 400 where the form is broken, else 422."""
    issues = check(resource, known_modifiers=known_modifiers, values_needed=True)
    # a list that was cut may end before the fault that matters
    wrong = [issue for issue in issues if issue.is_error or issue.code == "incomplete"]
    if wrong:
        raise refusal(wrong)
    return tuple(issues)


def refusal(wrong: list[Issue]) -> FhirError:
    is_broken = any(issue.code == "structure" for issue in wrong)
    return BadRequest(*wrong) if is_broken else Unprocessable(*wrong)
