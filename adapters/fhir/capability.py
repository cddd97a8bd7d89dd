"""What this node can do at one of its doors, made from the rows of the catalogue, so that the two cannot differ.

A transaction's module says which parameters its search understands (SEARCH_PARAMETERS: name to type), which operation
it is (OPERATION: name and definition), which profiles its resources keep (PROFILES) and what else is to be said of them
(EXTENSIONS).

Source: HL7 FHIR R4, CapabilityStatement, https://hl7.org/fhir/R4/capabilitystatement.html; IHE ITI TF-2: Appendix Z
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.fhir import Resource, outcome
from adapters.fhir.elements import Element, filled, instant
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import EVERYWHERE, Door, Transaction
from adapters.wire import WireRequest, WireResponse

_CANONICAL = "https://profiles.ihe.net/ITI"
INSTANTIATES: dict[str, tuple[str, ...]] = {
    "ITI-65": (
        f"{_CANONICAL}/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient",
        f"{_CANONICAL}/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Comprehensive",
        f"{_CANONICAL}/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.UnContained",
    ),
    "ITI-67": (f"{_CANONICAL}/MHD/CapabilityStatement/IHE.MHD.DocumentResponder",),
    "ITI-78": (f"{_CANONICAL}/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",),
    "ITI-83": (f"{_CANONICAL}/PIXm/CapabilityStatement/IHE.PIXm.Manager",),
    "ITI-105": (f"{_CANONICAL}/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified",),
    "ITI-106": (f"{_CANONICAL}/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate",),
    "ITI-110": (f"{_CANONICAL}/DSUBm/CapabilityStatement/IHE.DSUBm.ResourceNotificationBroker",),
    "ITI-119": (f"{_CANONICAL}/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplierMatch",),
}
PROFILES: dict[str, tuple[str, ...]] = {
    "AuditEvent": tuple(
        f"{_CANONICAL}/BALP/StructureDefinition/IHE.BasicAudit.Patient{each}"
        for each in ("Create", "Read", "Update", "Delete", "Query")
    ),
    "Consent": tuple(
        f"{_CANONICAL}/PCF/StructureDefinition/IHE.PCF.consent{each}" for each in ("Basic", "Intermediate", "Advanced")
    ),
    "Patient": (f"{_CANONICAL}/PDQm/StructureDefinition/IHE.PDQm.Patient",),
    "Subscription": ("http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription",),
}
_CONDITIONAL_READ = {
    "Basic": "not-match",
    "Binary": "not-match",
    **dict.fromkeys(("Endpoint", "Location", "Organization"), "not-supported"),
}
"""What has no time of its last change, or no version either; all others are read conditionally in both ways."""
GUIDES = ("MHD", "PDQm", "PIXm", "PCF", "BALP", "DSUBm")
_WORDS_OF_DOORS: dict[Door, str] = {
    "house": "records of this hospital, for its own systems and people",
    "network": "records of the whole network, asked of every community at once",
    "peer": "records of this hospital, for other hospitals, by the patient's consent",
}


@dataclass(frozen=True, slots=True)
class DescribeNode:
    """`GET /metadata` at one door. Answered with NodeDescription."""

    door: str


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """What the statement is made from.

    rows       of this door; others are left out
    published  when this set of transactions was put into use
    """

    rows: Sequence[Transaction]
    version: str
    published: datetime
    software: str = "hie-node"


@dataclass(slots=True)
class _Ability:
    """What can be done with one resource type, gathered row by row."""

    interactions: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    operations: dict[str, str] = field(default_factory=dict)
    conditional_update: bool = False
    conditional_delete: bool = False
    documented: list[str] = field(default_factory=list)
    extensions: tuple[Element, ...] = ()


def capability_statement(node: NodeDescription, *, door: str, base: str) -> Resource:
    """The statement of one door."""
    rows = [row for row in node.rows if row.family == "fhir" and door in row.doors]
    return filled(
        resourceType="CapabilityStatement",
        url=f"{base}/metadata",
        version=node.version,
        name="HieNode",
        title="hie-node",
        status="active",
        date=instant(node.published),
        kind="instance",
        instantiates=sorted({each for row in rows for each in INSTANTIATES.get(row.name, ())}),
        software={"name": node.software, "version": node.version},
        implementation={"description": _words(door), "url": base},
        fhirVersion="4.0.1",
        format=["application/fhir+json", "application/fhir+xml", "json", "xml"],
        implementationGuide=[f"{_CANONICAL}/{each}/ImplementationGuide/ihe.iti.{each.lower()}" for each in GUIDES],
        rest=[_rest(rows)],
    )


def _words(door: str) -> str:
    return next((text for name, text in _WORDS_OF_DOORS.items() if name == door), door)


def _rest(rows: Iterable[Transaction]) -> Element:
    abilities: dict[str, _Ability] = {}
    system: list[Element] = []
    for row in rows:
        kind = row.route[1].removeprefix("/").partition("/")[0]
        if not kind:
            system.append({"code": row.bundle, "documentation": f"{row.name} {row.title}"})
        elif kind[:1].isupper():
            _add(abilities.setdefault(kind, _Ability()), row)
    return filled(
        mode="server",
        security=_security(),
        resource=[_resource(kind, ability) for kind, ability in sorted(abilities.items())],
        interaction=system,
    )


def _security() -> Element:
    iua = {"system": "http://profiles.ihe.net/fhir/ihe.securityTypes/CodeSystem/securityTypes", "code": "IUA"}
    smart = {
        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
        "code": "SMART-on-FHIR",
    }
    return {"cors": False, "service": [{"coding": [iua]}, {"coding": [smart]}]}


def _add(ability: _Ability, row: Transaction) -> None:
    method, path = row.route
    last = path.rpartition("/")[2]
    ability.documented.append(f"{row.name} {row.title}")
    ability.extensions = ability.extensions or _of_module(row, "EXTENSIONS") or ()
    if last.startswith("$"):
        name, definition = _of_module(row, "OPERATION") or (last[1:], f"urn:hie-node:operation:{last[1:]}")
        definition = (_of_module(row, "OPERATIONS") or {}).get(last, definition)
        ability.operations[name] = definition
        return
    code = _interaction(method, path)
    if code == "update" and "<" not in path:
        ability.conditional_update = True
    if code == "delete" and "<" not in path:
        ability.conditional_delete = True
    if code and code not in ability.interactions:
        ability.interactions.append(code)
    if code == "search-type":
        ability.parameters |= dict(_search_parameters(row))


def _interaction(method: str, path: str) -> str | None:
    if method == "GET" and "_history" in path:
        return "history-instance" if path.endswith("_history") else "vread"
    if method == "GET":
        return "read" if "<" in path else "search-type"
    return {"POST": "create", "PUT": "update", "DELETE": "delete", "PATCH": "patch"}.get(method)


def _search_parameters(row: Transaction) -> Mapping[str, str]:
    """A module that speaks of several resource types has a table for each."""
    found: Mapping[str, Any] = _of_module(row, "SEARCH_PARAMETERS") or {}
    one: Mapping[str, str] = found.get(row.scope[0], found)
    return one


def _of_module(row: Transaction, name: str) -> Any:
    """What the module that decodes this row says of itself."""
    return getattr(sys.modules.get(row.decode.__module__), name, None)


def _resource(kind: str, ability: _Ability) -> Element:
    is_read = "read" in ability.interactions
    return filled(
        extension=list(ability.extensions),
        type=kind,
        supportedProfile=list(PROFILES.get(kind, ())),
        documentation="; ".join(dict.fromkeys(ability.documented)),
        interaction=[{"code": each} for each in ability.interactions],
        versioning="versioned" if "vread" in ability.interactions else "no-version",
        readHistory="vread" in ability.interactions,
        conditionalCreate="create" in ability.interactions,
        conditionalRead=_CONDITIONAL_READ.get(kind, "full-support") if is_read else "not-supported",
        conditionalUpdate=ability.conditional_update,
        conditionalDelete="single" if ability.conditional_delete else "not-supported",
        searchParam=[{"name": name, "type": kind} for name, kind in sorted(ability.parameters.items())],
        operation=[{"name": name, "definition": where} for name, where in sorted(ability.operations.items())],
    )


def decode(request: WireRequest) -> DescribeNode:
    answer_format(request)
    return DescribeNode(request.door)


def encode(node: NodeDescription, request: WireRequest) -> WireResponse:
    return respond(request, capability_statement(node, door=request.door, base=request.base))


TRANSACTION = Transaction(
    "metadata",
    "Describe this node",
    source="HL7 FHIR R4, 3.1.0.14 (capabilities)",
    route=("GET", "/metadata"),
    command=DescribeNode,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("CapabilityStatement", "r"),
    doors=EVERYWHERE,
    discloses=False,
    open_to_all=True,
)
TRANSACTIONS = (TRANSACTION,)
"""Open to everybody (3.1.0.14): the pipeline asks for no token here."""
