"""Parameters: what goes into and comes out of FHIR's operations.

Source: HL7 FHIR R4, Parameters, https://hl7.org/fhir/R4/parameters.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.elements import Element
from adapters.fhir.issues import BadRequest, Issue


def parameters(parts: Iterable[Element]) -> Resource:
    """What an operation gives; it may be nothing."""
    given = list(parts)
    return {"resourceType": "Parameters", **({"parameter": given} if given else {})}


def named(resource: Resource, name: str) -> list[Element]:
    """The parameters of this name, in order."""
    return [each for each in resource.get("parameter", ()) if each.get("name") == name]


def only(resource: Resource, name: str, *kinds: str) -> Any:
    """The value of the one parameter of this name, None without it. Raises BadRequest for two, or another kind."""
    found = named(resource, name)
    if not found:
        return None
    value = next((found[0][kind] for kind in kinds if kind in found[0]), None)
    if len(found) > 1 or value is None:
        raise unusable(name, f"expected once, as {' or '.join(kinds)}")
    return value


def unusable(name: str, text: str) -> BadRequest:
    return BadRequest(Issue("error", "invalid", f"{name}: {text}", (f"Parameters.parameter.where(name='{name}')",)))
