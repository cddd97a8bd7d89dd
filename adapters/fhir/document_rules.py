"""What MHD asks of a DocumentReference and a List beyond FHIR itself, rule by rule.

Source: IHE MHD 4.2.3, profiles Minimal, UnContained.Comprehensive and Comprehensive
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from adapters.fhir import Resource
from adapters.fhir.elements import MHD_STRUCTURE
from adapters.fhir.issues import Issue
from adapters.fhir.lists import DESIGNATION_TYPE, SOURCE_ID

Profile: TypeAlias = Literal["Minimal", "UnContained.Comprehensive", "Comprehensive"]
PROVIDE_BUNDLES: dict[str, Profile] = {
    f"{MHD_STRUCTURE}IHE.MHD.Minimal.ProvideBundle": "Minimal",
    f"{MHD_STRUCTURE}IHE.MHD.UnContained.Comprehensive.ProvideBundle": "UnContained.Comprehensive",
    f"{MHD_STRUCTURE}IHE.MHD.Comprehensive.ProvideBundle": "Comprehensive",
}

_LIST_ABSENT = ("encounter", "orderedBy", "emptyReason")
_ENTRY_ABSENT = ("flag", "deleted", "date")
_DOCUMENT_NEEDS = ("type", "category", "subject", "securityLabel", "context")
_CONTEXT_NEEDS = ("facilityType", "practiceSetting", "sourcePatientInfo")


def document_faults(resource: Resource, profile: Profile, at: str) -> list[Issue]:
    """What is against the profile, with the place of each; `at` is the FHIRPath of the resource."""
    faults = [*_minimal_document(resource, at)]
    if profile != "Minimal":
        faults += _comprehensive_document(resource, at)
    if profile == "Comprehensive":
        faults += _not_contained(resource, at)
    return faults


def submission_set_faults(resource: Resource, profile: Profile, at: str) -> list[Issue]:
    faults = [*_list_faults(resource, at)]
    urls = [each.get("url") for each in resource.get("extension", ())]
    if urls.count(SOURCE_ID) != 1:
        faults.append(_fault("required", "exactly one ihe-sourceId is needed", f"{at}.extension"))
    if urls.count(DESIGNATION_TYPE) > 1 or (profile != "Minimal" and DESIGNATION_TYPE not in urls):
        faults.append(_fault("required", "one ihe-designationType is needed", f"{at}.extension"))
    return faults + _needed(resource, ("date",) if profile == "Minimal" else ("date", "subject"), at)


def folder_faults(resource: Resource, profile: Profile, at: str) -> list[Issue]:
    faults = [*_list_faults(resource, at)]
    urls = [each.get("url") for each in resource.get("extension", ())]
    if "source" in resource:
        faults.append(_fault("structure", "a folder has no source", f"{at}.source"))
    if profile != "Minimal" and DESIGNATION_TYPE not in urls:
        faults.append(_fault("required", "an ihe-designationType is needed", f"{at}.extension"))
    return faults + _needed(resource, ("date",) if profile == "Minimal" else ("date", "title", "subject"), at)


def _minimal_document(resource: Resource, at: str) -> Iterator[Issue]:
    for name in ("docStatus", "implicitRules"):
        if name in resource:
            yield _fault("structure", f"{name} may not be given", f"{at}.{name}")
    if resource["status"] != "current":
        yield _fault("value", "a document is published as current", f"{at}.status")
    if len(resource.get("category", ())) > 1:
        yield _fault("structure", "at most one category", f"{at}.category")
    if len(resource["content"]) != 1:
        yield _fault("structure", "exactly one content is needed", f"{at}.content")
    attachment = resource["content"][0]["attachment"]
    if "data" in attachment:
        yield _fault("structure", "the bytes belong into a Binary", f"{at}.content[0].attachment.data")
    yield from _needed(resource, ("masterIdentifier",), at)
    yield from _needed(attachment, ("contentType", "url"), f"{at}.content[0].attachment")


def _comprehensive_document(resource: Resource, at: str) -> Iterator[Issue]:
    content, context = resource["content"][0], resource.get("context", {})
    yield from _needed(resource, _DOCUMENT_NEEDS, at)
    yield from _needed(content["attachment"], ("language", "creation"), f"{at}.content[0].attachment")
    yield from _needed(content, ("format",), f"{at}.content[0]")
    yield from _needed(context, _CONTEXT_NEEDS, f"{at}.context")


def _not_contained(resource: Resource, at: str) -> Iterator[Issue]:
    """Comprehensive: who wrote it and whom it describes is inside the document's own metadata."""
    references = [(f"{at}.author[{index}]", each) for index, each in enumerate(resource.get("author", ()))]
    references += [(f"{at}.authenticator", resource["authenticator"])] if "authenticator" in resource else []
    source = resource.get("context", {}).get("sourcePatientInfo")
    references += [(f"{at}.context.sourcePatientInfo", source)] if source else []
    inside = {f"#{each.get('id')}" for each in resource.get("contained", ())}
    for place, each in references:
        if each.get("reference") not in inside:
            yield _fault("structure", "a contained resource is needed", place)


def _list_faults(resource: Resource, at: str) -> Iterator[Issue]:
    for name in (*_LIST_ABSENT, "implicitRules"):
        if name in resource:
            yield _fault("structure", f"{name} may not be given", f"{at}.{name}")
    if resource["status"] != "current":
        yield _fault("value", "expected current", f"{at}.status")
    if resource["mode"] != "working":
        yield _fault("value", "expected working", f"{at}.mode")
    if len(resource.get("note", ())) > 1:
        yield _fault("structure", "at most one note", f"{at}.note")
    for index, entry in enumerate(resource.get("entry", ())):
        for name in _ENTRY_ABSENT:
            if name in entry:
                yield _fault("structure", f"{name} may not be given", f"{at}.entry[{index}].{name}")


def _needed(element: Resource, names: tuple[str, ...], at: str) -> list[Issue]:
    return [_fault("required", "this element is required", f"{at}.{name}") for name in names if name not in element]


def _fault(code: str, text: str, at: str) -> Issue:
    return Issue("error", code, text, (at,))
