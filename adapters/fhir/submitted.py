"""One document that is handed in: its metadata as a noun, its bytes, and what they must be by what was announced.

Source: IHE MHD 4.2.3, 2:3.65.4.1.3 (expected actions of the recipient)
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha1, sha256
from uuid import NAMESPACE_URL, uuid5

from adapters.fhir import Resource
from adapters.fhir.document_reference import (
    Filing,
    read_attachment,
    read_document_reference,
    read_hash,
    read_unique_id,
    relation_target,
)
from adapters.fhir.elements import Element
from adapters.fhir.inside import look_inside
from adapters.fhir.issues import ContentTooLarge, Issue, Unprocessable
from adapters.fhir.json_format import to_json
from adapters.ids import ordered_id
from consent.closed_lists import sensitivity
from registry.documents import DocumentEntry
from registry.errors import NonIdenticalHash, NonIdenticalSize
from registry.identifiers import HomeCommunityId, PatientIdentifier, check_unique_id
from registry.submissions import Bytes, SubmittedDocument

LONGEST_TEXT = 1_000_000
MAX_METADATA = 256 * 1024
"""Bytes of a DocumentReference beside its content. Each search shows all of it, and an asking hospital reads a few
megabytes of an answer: one document of such a size would hide all others of its patient."""


def submitted_document(
    resource: Resource,
    content: bytes,
    *,
    patient: PatientIdentifier,
    record_id: str,
    home: HomeCommunityId,
    entry_id: str = "",
    target: Callable[[Element], str] = relation_target,
) -> SubmittedDocument:
    """The document with its bytes, checked against announced size and hash.

    Raises NonIdenticalSize, NonIdenticalHash, and ContentTooLarge for more metadata than an answer could carry.
    """
    told = resource["content"][0]["attachment"]
    if len(to_json(resource)) - len(told.get("data", "")) > MAX_METADATA:
        raise ContentTooLarge(f"A DocumentReference has at most {MAX_METADATA} bytes beside its content.")
    digest = sha1(content, usedforsecurity=False).hexdigest()
    announced_hash, announced_size = read_hash(told.get("hash")), told.get("size")
    unique_id = read_unique_id(resource)
    if announced_size is not None and announced_size != len(content):
        raise NonIdenticalSize(unique_id, registered=str(announced_size), received=str(len(content)))
    if announced_hash is not None and announced_hash != digest:
        raise NonIdenticalHash(unique_id, registered=announced_hash, received=digest)
    filing = Filing(
        entry_id=entry_id or ordered_id(),
        # not the fullUrl: it is a name within one message, and some senders use the same in each
        entry_uuid=uuid5(NAMESPACE_URL, unique_id).urn,
        patient=patient,
        record_id=record_id,
        attachment=read_attachment(resource, sha1=digest, size=len(content), content_hash=sha256(content).hexdigest()),
    )
    entry = read_document_reference(resource, filing, home=home, target=target)
    check_unique_id(entry.entry_uuid)
    inside = look_inside(content, entry.attachment.content_type)
    if labels := sensitivity(inside.codes, medicines=inside.medicines):
        entry = replace(entry, sensitivity=tuple(dict.fromkeys((*entry.sensitivity, *labels))))
    return SubmittedDocument(
        entry=entry,
        content=Bytes(content),
        announced_hash=announced_hash,
        announced_size=announced_size,
        texts=(*_texts(entry, content), *inside.texts),
        codes=(*entry.categories, *entry.events, *((entry.type,) if entry.type else ())),
    )


def read_bytes(data: str, at: str) -> bytes:
    """The bytes in a base64Binary; white space in it is allowed, anything else that does not belong is not."""
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unprocessable(Issue("error", "value", "This is not base64.", (at,))) from None


def _texts(entry: DocumentEntry, content: bytes) -> tuple[str, ...]:
    """What a person could read of it, for the check against closed lists."""
    shown = [entry.attachment.title, entry.description, *(event.display for event in entry.events)]
    if entry.attachment.content_type.lower().startswith("text/"):
        shown.append(content[:LONGEST_TEXT].decode("utf-8", "replace"))
    return tuple(text for text in shown if text)
