"""A document of the registry as a DocumentReference, and back.

What the registry governs (ids, status, subject, relations, labels, where the bytes are and how many) is always written
from the noun. Everything else that the sender wrote and the noun does not know is kept and given back in its place.

Source: IHE MHD 4.2.3, DocumentReference profiles Minimal and Comprehensive; 2:4.5.1 (map from XDS)
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from adapters.fhir import Resource
from adapters.fhir.authors import (
    contained_author,
    contained_by_id,
    contained_patient,
    read_author,
    read_source_patient,
)
from adapters.fhir.elements import (
    MHD_STRUCTURE,
    Element,
    coding,
    concept,
    concepts,
    document_id,
    entry_uuid_identifier,
    filled,
    identifier,
    instant,
    is_entry_uuid,
    organization_reference,
    period,
    read_coding,
    read_concept,
    read_concepts,
    read_identifier,
    read_moment,
    read_period,
    reference,
    referenced_id,
    unique_id_identifier,
)
from adapters.fhir.issues import Issue, Unprocessable
from adapters.fhir.kept import drop_unreferenced, give_back, keep, without
from adapters.fhir.values_document import VALUES, has_values, values_extension
from adapters.fhir.writing import meta
from registry.coded import NORMAL, CodedValue
from registry.documents import Attachment, DocumentEntry, DocumentStatus, Relation, RelationKind
from registry.identifiers import HomeCommunityId, PatientIdentifier

MINIMAL = MHD_STRUCTURE + "IHE.MHD.Minimal.DocumentReference"
SIMPLIFIED_PUBLISH = MHD_STRUCTURE + "IHE.MHD.SimplifiedPublish.DocumentReference"
_GOVERNED = ("resourceType", "id", "masterIdentifier", "status", "subject", "relatesTo", "securityLabel")
_GOVERNED_ATTACHMENT = ("contentType", "url", "data", "size", "hash")
_HEX = re.compile(rb"[0-9A-Fa-f]{40}")

NO_NAMES: Mapping[HomeCommunityId, str] = {}


def document_reference(
    entry: DocumentEntry, *, base: str, home: HomeCommunityId, names: Mapping[HomeCommunityId, str] = NO_NAMES
) -> Resource:
    """What this node tells of a document. A document of another community has its subject by identifier only.

    base   absolute URL of the FHIR base that was asked; the bytes are below it
    home   this node's community
    names  what the communities are called
    """
    is_remote = entry.home is not None and entry.home != home
    custodian = entry.home or home
    known = filled(
        resourceType="DocumentReference",
        id=entry.id,
        meta=meta(entry.version, entry.updated, MINIMAL),
        extension=values_extension(entry),
        masterIdentifier=unique_id_identifier(entry.unique_id),
        identifier=[entry_uuid_identifier(entry.entry_uuid)] if entry.entry_uuid else None,  # a peer may know none
        status=entry.status.value,
        subject=reference(None if is_remote else f"Patient/{entry.record_id}", to_identifier=identifier(entry.patient)),
        relatesTo=[_relates_to(each) for each in entry.relations],
        securityLabel=concepts(entry.sensitivity or (NORMAL,)),
        content=[_content(entry, base)],
        context=_context(entry),
        custodian=organization_reference(custodian, names.get(custodian)),
        **_said(_WORDED, entry, _WORDED),
    )
    return drop_unreferenced(_with_kept(known, entry.extra, is_remote=is_remote))


@dataclass(frozen=True, slots=True)
class Filing:
    """What the registry, not the resource, says of a document: under which id, whose, and which bytes.

    entry_uuid  used where the resource has none
    community   where the document is kept, if not here
    version     of the entry there, and since when
    """

    entry_id: str
    entry_uuid: str
    patient: PatientIdentifier
    record_id: str
    attachment: Attachment
    community: HomeCommunityId | None = None
    version: int = 1
    updated: datetime | None = None


def read_document_reference(
    resource: Resource,
    filing: Filing,
    *,
    home: HomeCommunityId,
    target: Callable[[Element], str] | None = None,
) -> DocumentEntry:
    """The noun in a DocumentReference that `check` found to be in order.

    home    this node's community
    target  finds the registry id behind a relatesTo.target
    """
    contained, context = contained_by_id(resource), resource.get("context", {})
    number, demographics = read_source_patient(context.get("sourcePatientInfo"), contained)
    start, stop = read_period(context.get("period"))
    authors = (read_author(each, contained) for each in resource.get("author", ()))
    made = partial(
        DocumentEntry,
        id=filing.entry_id,
        entry_uuid=read_entry_uuid(resource) or filing.entry_uuid,
        unique_id=read_unique_id(resource),
        patient=filing.patient,
        record_id=filing.record_id,
        attachment=filing.attachment,
        type=read_concept(resource.get("type")),
        categories=read_concepts(resource.get("category")),
        format=read_coding(resource["content"][0].get("format")),
        facility_type=read_concept(context.get("facilityType")),
        practice_setting=read_concept(context.get("practiceSetting")),
        events=read_concepts(context.get("event")),
        sensitivity=_read_labels(resource.get("securityLabel", ())),
        authors=tuple(author for author in authors if author),
        authenticator=read_author(resource.get("authenticator"), contained),
        description=resource.get("description"),
        date=read_moment(resource.get("date")),
        start=start,
        stop=stop,
        references=tuple(number for number in map(_related_number, context.get("related", ())) if number),
        encounters=tuple(number for number in map(_related_number, context.get("encounter", ())) if number),
        relations=_read_relations(resource, target or relation_target),
        source_patient=number,
        source_demographics=demographics,
        status=_read_status(resource["status"]),
        home=filing.community,
        version=filing.version,
        updated=filing.updated,
        # of its own documents this node knows itself
        has_values=filing.community is not None and has_values(resource),
    )
    entry = made()
    described = _described(resource)
    kept = keep(described, _described_alone(entry, described, home))
    return made(extra=kept) if kept else entry


def read_attachment(resource: Resource, *, sha1: str, size: int, content_hash: str) -> Attachment:
    """The attachment as announced, with hash (hex) and size of the bytes themselves."""
    told = resource["content"][0]["attachment"]
    return Attachment(
        content_type=told.get("contentType", ""),
        size=size,
        hash=sha1,
        content_hash=content_hash,
        language=told.get("language"),
        title=told.get("title"),
        creation=told.get("creation"),
    )


def read_hash(text: str | None) -> str | None:
    """A SHA-1 as hex: base64 of its 20 bytes, or, as IHE's own examples have it, of its 40 hex digits."""
    if not text:
        return None
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) == 20:
        return raw.hex()
    if _HEX.fullmatch(raw):
        return raw.decode().lower()
    at = ("DocumentReference.content[0].attachment.hash",)
    raise Unprocessable(Issue("error", "value", "The hash is not a SHA-1 of 20 bytes in base64.", at))


def read_unique_id(resource: Resource) -> str:
    """The uniqueId, wherever the sender put it: masterIdentifier, or an identifier of that type."""
    typed = (each for each in resource.get("identifier", ()) if _is_typed_unique_id(each))
    for each in (resource.get("masterIdentifier"), *typed):
        if each and each.get("value"):
            return document_id(each.get("system"), each["value"])
    at = (f"{resource['resourceType']}.masterIdentifier",)
    raise Unprocessable(Issue("error", "required", "The document needs a masterIdentifier, its unique id.", at))


def read_entry_uuid(resource: Resource) -> str | None:
    """The entryUUID that the sender gave, lower case."""
    found = (each["value"].lower() for each in resource.get("identifier", ()) if is_entry_uuid(each))
    return next((value for value in found if value.startswith("urn:uuid:")), None)


def relation_target(element: Element) -> str:
    """Where a relation points to: a registry id, or an entryUUID or uniqueId where only an identifier is given."""
    found = referenced_id(element, "DocumentReference")
    named = element.get("identifier", {})
    if found is None and named.get("value"):
        return document_id(named.get("system"), named["value"])
    if found is None:
        at = ("DocumentReference.relatesTo.target",)
        raise Unprocessable(Issue("error", "not-found", "The target is no DocumentReference of this node.", at))
    return found


# ---- writing ----


def _said(words: Words, entry: DocumentEntry, names: Collection[str]) -> Element:
    """What the noun says, or says nothing, in those elements that have one of the names."""
    return {name: word(entry) for name, word in words.items() if name in names}


def _contained(entry: DocumentEntry) -> list[Resource]:
    patient = contained_patient(entry.source_patient, entry.source_demographics, "source-patient")
    authors = [contained_author(author, f"author-{number}") for number, author in enumerate(entry.authors, 1)]
    signer = [contained_author(entry.authenticator, "authenticator")] if entry.authenticator else []
    return [*([patient] if patient else []), *authors, *signer]


def _content(entry: DocumentEntry, base: str) -> Element:
    attachment, worded = entry.attachment, _worded_content(entry)
    told = {
        "contentType": attachment.content_type,
        "url": f"{base}/Binary/{entry.id}",
        "size": attachment.size,
        "hash": b64encode(bytes.fromhex(attachment.hash)).decode(),
    }
    worded["attachment"] = told | worded["attachment"]
    return worded


def _worded_content(entry: DocumentEntry) -> Element:
    attachment = entry.attachment
    told = filled(language=attachment.language, title=attachment.title, creation=attachment.creation)
    return {"attachment": told, "format": coding(entry.format)} if entry.format else {"attachment": told}


def _context(entry: DocumentEntry) -> Element:
    related = [reference(to_identifier=identifier(each)) for each in entry.references]
    return filled(**_said(_WORDED_IN_CONTEXT, entry, _WORDED_IN_CONTEXT), related=related)


def _source_patient(entry: DocumentEntry) -> Element | None:
    has_source = contained_patient(entry.source_patient, entry.source_demographics, "") is not None
    return reference("#source-patient") if has_source else None


Words: TypeAlias = Mapping[str, Callable[[DocumentEntry], Any]]
_WORDED: Words = {
    "contained": _contained,
    "type": lambda entry: concept(entry.type),
    "category": lambda entry: concepts(entry.categories),
    "date": lambda entry: instant(entry.date),
    "author": lambda entry: [reference(f"#author-{number}") for number, _ in enumerate(entry.authors, 1)],
    "authenticator": lambda entry: reference("#authenticator") if entry.authenticator else None,
    "description": lambda entry: entry.description,
}
"""Elements that a sender may word as it likes, as far as the noun knows them."""
_WORDED_IN_CONTEXT: Words = {
    "encounter": lambda entry: [reference(to_identifier=identifier(each)) for each in entry.encounters],
    "event": lambda entry: concepts(entry.events),
    "period": lambda entry: period(entry.start, entry.stop),
    "facilityType": lambda entry: concept(entry.facility_type),
    "practiceSetting": lambda entry: concept(entry.practice_setting),
    "sourcePatientInfo": _source_patient,
}


def _relates_to(relation: Relation) -> Element:
    if ":" in relation.target or "^" in relation.target:
        target = reference(to_identifier=_document_identifier(relation.target))
    else:
        target = reference(f"DocumentReference/{relation.target}")
    return {"code": relation.kind.value, "target": target}


def _document_identifier(value: str) -> Element:
    return without(unique_id_identifier(value), "use", "type")


def _with_kept(known: Resource, kept: Mapping[str, Any], *, is_remote: bool) -> Resource:
    """Ours with what was kept; lists that both write into are joined, and a remote document keeps our custodian."""
    resource = give_back(known, without(dict(kept), "identifier", *(["custodian"] if is_remote else [])))
    if named := known.get("identifier", []) + kept.get("identifier", []):
        resource["identifier"] = named
    ours, theirs = known.get("context", {}).get("related", []), kept.get("context", {}).get("related", [])
    if theirs:
        numbers = {_related_number(each) for each in theirs}
        joined = [each for each in ours if _related_number(each) not in numbers] + theirs
        resource["context"] = {**resource["context"], "related": joined}
    return resource


# ---- reading ----


def _described(resource: Resource) -> Resource:
    """The part of a resource that the sender may word as it likes."""
    uuid = read_entry_uuid(resource)
    content = resource["content"][0]
    context = resource.get("context", {})
    rest = without(resource, *_GOVERNED)
    rest["extension"] = [each for each in resource.get("extension", ()) if each.get("url") != VALUES]
    rest["meta"] = without(resource.get("meta", {}), "versionId", "lastUpdated")
    # what was handed in by that profile does not keep it: its bytes are elsewhere now
    if SIMPLIFIED_PUBLISH in rest["meta"].get("profile", ()):
        del rest["meta"]["profile"]
    rest["identifier"] = [each for each in resource.get("identifier", ()) if each.get("value", "").lower() != uuid]
    rest["content"] = [{**content, "attachment": without(content["attachment"], *_GOVERNED_ATTACHMENT)}]
    rest["context"] = {**context, "related": [each for each in context.get("related", ()) if not _is_plain(each)]}
    rest["context"] = without(rest["context"])
    return without(rest)


def _described_alone(entry: DocumentEntry, described: Resource, home: HomeCommunityId) -> Resource:
    """The same part as the noun itself would be written, without what its sender did not speak of."""
    return filled(
        meta={"profile": [MINIMAL]},
        custodian=organization_reference(entry.home or home),
        content=[_worded_content(entry)],
        context=filled(**_said(_WORDED_IN_CONTEXT, entry, described.get("context", {}))),
        **_said(_WORDED, entry, described),
    )


def _read_labels(labels: Iterable[Element]) -> tuple[CodedValue, ...]:
    """Every code of every label, a label in words as its own code: none that closes a document may get lost."""
    codes = [code for label in labels for code in map(read_coding, label.get("coding", ())) if code]
    words = [CodedValue(label["text"]) for label in labels if label.get("text") and not label.get("coding")]
    return tuple(code for code in (*codes, *words) if not code.means(NORMAL))


def _read_status(status: str) -> DocumentStatus:
    if status not in set(DocumentStatus):
        at = ("DocumentReference.status",)
        raise Unprocessable(Issue("error", "code-invalid", "The status is current or superseded.", at))
    return DocumentStatus(status)


def _read_relations(resource: Resource, target: Callable[[Element], str]) -> tuple[Relation, ...]:
    return tuple(
        Relation(RelationKind(each["code"]), target(each.get("target", {}))) for each in resource.get("relatesTo", ())
    )


def _related_number(element: Element) -> PatientIdentifier | None:
    return read_identifier(element.get("identifier"))


def _is_plain(element: Element) -> bool:
    """A related thing that the noun knows completely."""
    number = _related_number(element)
    return number is not None and element == reference(to_identifier=identifier(number))


def _is_typed_unique_id(element: Element) -> bool:
    return any(each.get("code") == "uniqueId" for each in element.get("type", {}).get("coding", ()))
