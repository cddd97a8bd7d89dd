"""ITI-65 Provide Document Bundle: documents with their submission set and folders, all of it or nothing.

Source: IHE MHD 4.2.3, 2:3.65
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from adapters.fhir import Resource, outcome
from adapters.fhir.authors import contained_by_id
from adapters.fhir.conditional import document_condition
from adapters.fhir.document_rules import document_faults, folder_faults, submission_set_faults
from adapters.fhir.elements import (
    Element,
    document_id,
    filled,
    read_demographics,
    read_identifiers,
    referenced_id,
)
from adapters.fhir.issues import Issue, Unprocessable, operation_outcome
from adapters.fhir.json_format import to_json
from adapters.fhir.lists import read_folder, read_submission_set
from adapters.fhir.provided_bundle import (
    Entry,
    ProvidedBundle,
    read_bundle,
    refuse_other_bundles,
    refuse_other_patches,
)
from adapters.fhir.reading import checked, given_bundle, refusal
from adapters.fhir.subjects import Subject, one_patient, read_subject
from adapters.fhir.submitted import read_bytes, submitted_document
from adapters.fhir.writing import meta, respond
from adapters.ids import ordered_id
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Provided, ProvideSubmission
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.errors import UnresolvedReference
from registry.submissions import PatientMention, Submission, SubmittedDocument

MAX_BYTES = 10 * 1024 * 1024
_UUID_URL = re.compile(r"urn:uuid:[0-9A-Fa-f-]{36}")
_POINTED = re.compile(
    rb'"urn:uuid:(?:(?<="reference":"urn:uuid:)|(?<="url":"urn:uuid:)|(?<=\\"urn:uuid:))([0-9A-Fa-f-]{36})'
)
"""Where a reference into the bundle may stand in a resource as JSON: in such a member, or quoted in a narrative. It
begins with its plain text, which is found many times faster than one of several."""
_KINDS = {"set": "List", "folder": "List", "document": "DocumentReference", "binary": "Binary"}


def decode(request: WireRequest) -> ProvideSubmission:
    """Raises FhirError and SubmissionRejected; whatever it raises, nothing is stored."""
    resource = given_bundle(request, MAX_BYTES)
    profile = refuse_other_bundles(resource)
    warnings = checked(resource)
    bundle = read_bundle(resource, profile)
    _refuse_faults(bundle)
    mention, record_id = _patient(bundle, request.base)
    submission = _Reader(bundle, mention, record_id, request).submission()
    request.kept.update(plan=_plan(bundle, submission), warnings=warnings)
    return ProvideSubmission(submission)


def encode(provided: Provided, request: WireRequest) -> WireResponse:
    """One line for each entry, in the order they came in; the same bundle again gets the same lines."""
    nouns = _by_key(provided)
    lines = [_line(kind, key, provided, nouns) for kind, key in request.kept["plan"]]
    told = [*request.kept["warnings"], *(Issue("warning", "informational", text) for text in provided.warnings)]
    if told:
        at = next(index for index, (kind, _) in enumerate(request.kept["plan"]) if kind == "set")
        lines[at]["response"]["outcome"] = operation_outcome(told)
    return respond(request, {"resourceType": "Bundle", "type": "transaction-response", "entry": lines})


# ---- the rules that span several entries ----


def _refuse_faults(bundle: ProvidedBundle) -> None:
    """All that breaks the profile, told at once."""
    faults = submission_set_faults(bundle.submission_set.resource, bundle.profile, bundle.submission_set.at)
    for entry in bundle.of("document"):
        faults += document_faults(entry.resource, bundle.profile, entry.at)
    for entry in bundle.of("folder"):
        faults += folder_faults(entry.resource, bundle.profile, entry.at)
    members = {each["item"].get("reference") for each in bundle.submission_set.resource.get("entry", ())}
    for entry in (*bundle.of("document"), *bundle.of("folder")):
        if entry.target is None and entry.full_url not in members:
            faults.append(Issue("error", "structure", "The submission set does not list this entry.", (entry.at,)))
    if faults:
        raise refusal(faults)
    for entry in bundle.of("patch"):
        refuse_other_patches(entry)


def _patient(bundle: ProvidedBundle, base: str) -> tuple[PatientMention, str]:
    """The one patient of the whole bundle. Raises Unprocessable and PatientMismatch."""
    brought = {entry.full_url: entry.resource for entry in bundle.of("patient") if entry.resource}
    named = [entry for entry in bundle.entries if "subject" in entry.resource]
    subjects: list[tuple[str, Subject]] = []
    for entry in named:
        at, inside = f"{entry.at}.subject", contained_by_id(entry.resource)
        subjects.append((at, read_subject(entry.resource["subject"], inside, brought, base=base, at=at)))
    # who the document was about at its source: it may be the only description of the patient
    for entry in bundle.of("document"):
        source = entry.resource.get("context", {}).get("sourcePatientInfo")
        if source and (about := _described_source(source, entry.resource)):
            subjects.append((f"{entry.at}.context.sourcePatientInfo", about))
    if not named:
        at = f"{bundle.submission_set.at}.subject"
        raise Unprocessable(Issue("error", "required", "Whose documents these are is not said.", (at,)))
    return one_patient(subjects)


def _described_source(element: Element, resource: Resource) -> Subject | None:
    """What the source says of the person; its own number may differ from the number here and proves nothing alone."""
    whole = contained_by_id(resource).get(element.get("reference", "").removeprefix("#"))
    if whole is None:
        return None
    return Subject(numbers=read_identifiers(whole.get("identifier")), demographics=read_demographics(whole))


Nouns = Mapping[str, DocumentEntry | Folder]


class _Reader:
    """Turns the entries of one bundle into nouns; references among them become the ids they will have."""

    def __init__(self, bundle: ProvidedBundle, mention: PatientMention, record_id: str, request: WireRequest) -> None:
        self._bundle, self._mention, self._record_id, self._request = bundle, mention, record_id, request
        self._ids = {entry.full_url: ordered_id() for entry in bundle.of("document")}
        self._new = {url: f"DocumentReference/{new}" for url, new in self._ids.items()}
        self._named_plainly = all(_UUID_URL.fullmatch(url) for url in self._new)
        self._uuids = frozenset(url.removeprefix("urn:uuid:").encode() for url in self._new)
        self._own = frozenset(self._ids.values())
        self._folders: dict[str, Folder] = {}

    def submission(self) -> Submission:
        documents = tuple(self._document(entry) for entry in self._bundle.of("document"))
        for entry in self._bundle.of("folder"):
            self._folders[entry.at] = self._folder(entry)
        by_url = {entry.full_url: self._folders[entry.at].id for entry in self._bundle.of("folder") if entry.full_url}
        entry = self._bundle.submission_set
        submission_set = read_submission_set(
            self._rewritten(entry.resource),
            entry_uuid=_uuid(entry),
            patient=self._mention.identifier,
            members=self._members(entry, self._ids | by_url),
        )
        patched = tuple(entry.target for entry in self._bundle.of("patch") if entry.target)
        return Submission(
            patient=self._mention,
            documents=documents,
            submission_set=submission_set,
            folders=tuple(self._folders.values()),
            supersede=tuple(dict.fromkeys(patched)),
        )

    def _document(self, entry: Entry) -> SubmittedDocument:
        binary = self._bundle.binary(entry)
        announced = entry.resource["content"][0]["attachment"]["contentType"]
        if _media_type(binary.resource["contentType"]) != _media_type(announced):
            at = f"{entry.at}.content[0].attachment.contentType"
            raise Unprocessable(Issue("error", "business-rule", "The Binary has another contentType.", (at,)))
        resource = self._rewritten(entry.resource)
        if binary.is_fhir_document:
            attachment = resource["content"][0]["attachment"]
            resource["content"][0]["attachment"] = {k: v for k, v in attachment.items() if k not in ("size", "hash")}
        submitted = submitted_document(
            resource,
            read_bytes(binary.resource["data"], f"{binary.at}.data"),
            patient=self._mention.identifier,
            record_id=self._record_id,
            home=self._request.home,
            entry_id=self._ids[entry.full_url],
            target=lambda element: self._target(element, f"{entry.at}.relatesTo.target"),
        )
        if not entry.condition:
            return submitted
        return replace(submitted, unless=document_condition(self._request, entry.condition))

    def _folder(self, entry: Entry) -> Folder:
        return read_folder(
            self._rewritten(entry.resource),
            entry_uuid=_uuid(entry),
            patient=self._mention.identifier,
            members=self._members(entry, self._ids),
            folder_id=entry.target,
        )

    def _members(self, entry: Entry, known: dict[str, str]) -> Iterator[str]:
        for index, each in enumerate(entry.resource.get("entry", ())):
            target, at = each["item"].get("reference", ""), f"{entry.at}.entry[{index}].item"
            yield known.get(target) or self._existing(each["item"], at)

    def _target(self, element: Element, at: str) -> str:
        """A relation may point into the bundle, to this node, or by identifier."""
        target = element.get("reference", "")
        named = element.get("identifier", {})
        if not target and named.get("value"):
            return document_id(named.get("system"), named["value"])
        rewritten = target.removeprefix("DocumentReference/")
        return rewritten if rewritten in self._own else self._existing(element, at)

    def _existing(self, element: Element, at: str) -> str:
        found = referenced_id(element, "DocumentReference", base=self._request.base)
        if found is None:
            raise UnresolvedReference(at, element.get("reference", "")[:100] or "a target without reference")
        return found

    def _rewritten(self, resource: Resource) -> Resource:
        """The resource with references into the bundle replaced by what they will be."""
        if self._mentions_no_other(resource):
            return resource
        written: Resource = _replace_references(resource, self._new.get)
        return written

    def _mentions_no_other(self, resource: Resource) -> bool:
        """Most documents speak of themselves only, and their text is searched faster than their tree is walked."""
        return self._named_plainly and self._uuids.isdisjoint(_POINTED.findall(to_json(resource)))


def _replace_references(value: Any, new: Callable[[str], str | None]) -> Any:
    if isinstance(value, list):
        return [_replace_references(each, new) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: (new(each) or each) if name in ("reference", "url") and isinstance(each, str) else _inner(name, each, new)
        for name, each in value.items()
    }


def _inner(name: str, value: Any, new: Callable[[str], str | None]) -> Any:
    if name != "div" or not isinstance(value, str):
        return _replace_references(value, new)
    # links in a narrative: href="urn:uuid:…"
    parts = value.split('"')
    return '"'.join(new(part) or part for part in parts)


def _uuid(entry: Entry) -> str:
    return entry.full_url.lower() if entry.full_url.lower().startswith("urn:uuid:") else uuid4().urn


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()


# ---- the answer ----


def _plan(bundle: ProvidedBundle, submission: Submission) -> list[tuple[str, str]]:
    """What each line of the answer is about: the kind of entry, and how its noun is found again."""
    documents = {entry.at: str(place) for place, entry in enumerate(bundle.of("document"))}
    folders = {entry.at: folder for entry, folder in zip(bundle.of("folder"), submission.folders, strict=True)}
    carried = {bundle.binary(document).at: document.at for document in reversed(bundle.of("document"))}
    plan: list[tuple[str, str]] = []
    for entry in bundle.entries:
        if entry.kind == "document":
            key = documents[entry.at]
        elif entry.kind == "binary":
            key = documents[carried[entry.at]]
        elif entry.kind == "folder":
            key = folders[entry.at].id
        else:
            key = entry.target or ""
        plan.append((entry.kind, key))
    return plan


def _by_key(provided: Provided) -> Nouns:
    """Documents by their place, folders by their id."""
    documents = {str(place): entry for place, entry in enumerate(provided.documents)}
    return {**documents, **{folder.id: folder for folder in provided.folders}}


def _line(kind: str, key: str, provided: Provided, nouns: Nouns) -> dict[str, Any]:
    if kind == "patch":
        return {"response": {"status": "200 OK", "location": f"DocumentReference/{key}"}}
    if kind == "patient":
        owner = next((entry.record_id for entry in provided.documents), None)
        owner = owner or (provided.submission_set.record_id if provided.submission_set else None)
        return {"response": {"status": "200 OK", "location": f"Patient/{owner or key}"}}
    # a set was not kept where all in it was here already
    item = provided.submission_set if kind == "set" else nouns[key]
    if item is None:
        return {"response": {"status": "200 OK"}}
    about = _about(item)
    location = f"{_KINDS[kind]}/{item.id}"
    location += f"/_history/{about['versionId']}" if kind != "binary" else ""
    etag = f'W/"{about["versionId"]}"'
    status = "200 OK" if item.id in provided.met else "201 Created"
    response = filled(status=status, location=location, etag=etag, lastModified=about.get("lastUpdated"))
    return {"response": response}


def _about(item: DocumentEntry | SubmissionSet | Folder) -> Resource:
    return meta(item.version, item.updated)


TRANSACTION = Transaction(
    "ITI-65",
    "Provide Document Bundle",
    source="IHE MHD 4.2.3, 2:3.65",
    route=("POST", "/"),
    command=ProvideSubmission,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("DocumentReference", "c"),
    doors=HOUSE,
    bundle="transaction",
)
