"""Conditional create: a resource is only made where no other fits the condition.

A parameter that is not understood would widen the condition, so it is refused, as is one that names neither an
identifier nor a patient.

Source: HL7 FHIR R4, 3.1.0.8.1, https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from dataclasses import replace

from adapters.fhir import iti67_find_document_references
from adapters.fhir.issues import Issue, PreconditionFailed
from adapters.wire import WireRequest, query_pairs
from registry.searches import DocumentSearch

LONGEST = 4000


def as_search(request: WireRequest, condition: str) -> WireRequest | None:
    """The condition as the search that it is, None without one. Raises Unreadable and PreconditionFailed."""
    if not condition:
        return None
    if len(condition) > LONGEST:
        raise not_selective()
    strict = {"prefer": "handling=strict"}
    return replace(request, query=query_pairs(condition.partition("?")[2] or condition), headers=strict, kept={})


def document_condition(request: WireRequest, condition: str) -> DocumentSearch | None:
    """Which documents are looked for before one is made. Raises FhirError."""
    asked = as_search(request, condition)
    if asked is None:
        return None
    search = iti67_find_document_references.decode(asked).search
    if not search.identifiers and not search.ids and not search.patient.is_given:
        raise not_selective()
    return search


def not_selective() -> PreconditionFailed:
    """Criteria that could fit anything (412 by the specification)."""
    told = "If-None-Exist names an identifier or a patient; nothing was stored."
    return PreconditionFailed(Issue("error", "business-rule", told))
