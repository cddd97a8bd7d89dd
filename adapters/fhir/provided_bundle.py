"""The entries of a Provide Document Bundle, told apart: closed slicing, each entry is exactly one of the kinds.

Source: IHE MHD 4.2.3, 2:3.65.4.1.2, profile Minimal.ProvideBundle
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from adapters.fhir import Resource
from adapters.fhir.document_rules import PROVIDE_BUNDLES, Profile
from adapters.fhir.issues import Issue, Unprocessable
from adapters.fhir.json_format import to_json
from adapters.fhir.lists import kind_of_list
from registry.errors import MissingContent

Kind: TypeAlias = Literal["set", "document", "patch", "binary", "folder", "patient"]

_ID = r"[A-Za-z0-9.\-]{1,64}"
_REQUESTS: Mapping[Kind, re.Pattern[str]] = {
    "set": re.compile(r"POST List"),
    "document": re.compile(r"POST DocumentReference"),
    "patch": re.compile(rf"PATCH DocumentReference/({_ID})"),
    "binary": re.compile(r"POST (?:Binary|Bundle)"),
    "folder": re.compile(rf"POST List|PUT List/({_ID})"),
    "patient": re.compile(rf"(?:GET|PUT) Patient/({_ID})|PUT Patient\?\S{{1,1000}}|POST Patient"),
}
_PATCH = {"path": "DocumentReference.status", "type": "replace", "value": "superseded"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the bundle.

    target  the id in the request's URL: what is patched, or which folder is updated
    at      FHIRPath of its resource
    condition  `ifNoneExist` of a document
    is_fhir_document  its bytes are ours, so that what was announced of another writing of them says nothing
    """

    kind: Kind
    full_url: str
    resource: Resource
    target: str | None
    at: str
    is_fhir_document: bool = False
    condition: str = ""


@dataclass(frozen=True)
class ProvidedBundle:
    """A whole bundle, in order."""

    profile: Profile
    entries: tuple[Entry, ...]

    @cached_property
    def _kinds(self) -> Mapping[Kind, tuple[Entry, ...]]:
        return {kind: tuple(entry for entry in self.entries if entry.kind == kind) for kind in _REQUESTS}

    @cached_property
    def _binaries(self) -> Mapping[str, Entry]:
        return {entry.full_url: entry for entry in self.of("binary")}

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        return self._kinds[kind]

    @property
    def submission_set(self) -> Entry:
        return self.of("set")[0]

    def binary(self, document: Entry) -> Entry:
        """The bytes that a document announces. Raises MissingContent."""
        url = document.resource["content"][0]["attachment"]["url"]
        found = self._binaries.get(url)
        if found is None or "data" not in found.resource:
            raise MissingContent(f"{document.at}.content[0].attachment.url")
        return found


def refuse_other_bundles(bundle: Resource) -> Profile:
    """Which profile the bundle claims; other transactions and batches are not this node's business."""
    meta = bundle.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    claimed = [name for url, name in PROVIDE_BUNDLES.items() if isinstance(profiles, list) and url in profiles]
    if bundle.get("type") != "transaction" or not claimed:
        told = "Only an IHE MHD Provide Document Bundle is taken here: a transaction with its profile in Bundle.meta."
        raise Unprocessable(Issue("error", "not-supported", told, ("Bundle.type", "Bundle.meta.profile")))
    return claimed[0]


def read_bundle(bundle: Resource, profile: Profile) -> ProvidedBundle:
    """The entries of a bundle that `check` found to be in order. Raises Unprocessable."""
    entries = tuple(_entry(each, index) for index, each in enumerate(bundle.get("entry", ())))
    provided = ProvidedBundle(profile, entries)
    if len(provided.of("set")) != 1:
        raise _refused("required", "Exactly one submission set is needed.", "Bundle.entry")
    if len(provided.of("patient")) > 1:
        raise _refused("structure", "At most one Patient may be in the bundle.", "Bundle.entry")
    known = [entry.full_url for entry in entries if entry.full_url]
    if len(set(known)) != len(known):
        raise _refused("duplicate", "Each fullUrl may stand once (bdl-7).", "Bundle.entry.fullUrl")
    _refuse_idle_binaries(provided)
    return provided


def refuse_other_patches(entry: Entry) -> None:
    """A PATCH sets the status of what was replaced, and nothing else."""
    operations = entry.resource.get("parameter", ())
    parts: dict[str, Any] = {}
    for part in operations[0].get("part", ()) if len(operations) == 1 else ():
        parts[part.get("name", "")] = part.get("valueString", part.get("valueCode"))
    if parts != _PATCH or operations[0].get("name") != "operation":
        told = "The only patch taken here replaces DocumentReference.status by superseded."
        raise _refused("not-supported", told, entry.at)


def _entry(element: dict[str, Any], index: int) -> Entry:
    at = f"Bundle.entry[{index}].resource"
    resource, request = element.get("resource", {}), element.get("request")
    if request is None:
        raise _refused("required", "Each entry of a transaction needs its request.", f"Bundle.entry[{index}].request")
    asked = f"{request.get('method')} {request.get('url')}"
    kind = _kind(resource, asked, at)
    condition = request.get("ifNoneExist", "") if kind == "document" else ""
    conditional = [name for name in request if name.startswith("if") and not (condition and name == "ifNoneExist")]
    if conditional and kind != "patient":
        told = "Conditional requests are not taken in this bundle."
        raise _refused("not-supported", told, f"Bundle.entry[{index}].request.{conditional[0]}")
    found = _REQUESTS[kind].fullmatch(asked)
    if found is None:
        told = "This method and URL do not belong to this kind of entry."
        raise _refused("not-supported", told, f"Bundle.entry[{index}].request")
    target = next((group for group in found.groups() if group), None)
    if kind in ("document", "binary") and not element.get("fullUrl"):
        raise _refused("required", "The entry needs a fullUrl to be referred to.", f"Bundle.entry[{index}].fullUrl")
    is_document = resource.get("resourceType") == "Bundle"
    resource = _as_binary(resource) if is_document else resource
    return Entry(kind, element.get("fullUrl", ""), resource, target, at, is_document, condition)


def _as_binary(document: Resource) -> Resource:
    """A FHIR document is kept as the bytes that it is in JSON, whatever form the message had (2:3.65.4.1.2.1)."""
    data = b64encode(to_json(document)).decode()
    return {"resourceType": "Binary", "contentType": "application/fhir+json", "data": data}


def _kind(resource: Resource, asked: str, at: str) -> Kind:
    match resource.get("resourceType"):
        case "List" if (kind := kind_of_list(resource)) in ("submissionset", "folder"):
            return "set" if kind == "submissionset" else "folder"
        case "DocumentReference":
            return "document"
        case "Parameters":
            return "patch"
        case "Binary":
            return "binary"
        case "Patient":
            return "patient"
        case None if asked.startswith("GET Patient/"):
            return "patient"
        case "Bundle" if resource.get("type") == "document" and asked == "POST Bundle":
            return "binary"
        case "Bundle":
            raise _refused("not-supported", "Of bundles only FHIR documents (type document) are taken here.", at)
        case _:
            raise _refused("structure", "This entry is none of those that the profile knows.", at)


def _refuse_idle_binaries(provided: ProvidedBundle) -> None:
    announced = {
        each["attachment"].get("url") for entry in provided.of("document") for each in entry.resource["content"]
    }
    for entry in provided.of("binary"):
        if entry.full_url not in announced:
            raise _refused("structure", "No document announces these bytes.", entry.at)


def _refused(code: str, text: str, at: str) -> Unprocessable:
    return Unprocessable(Issue("error", code, text, (at,)))
