"""The patient's written request behind a Consent: an attachment, a document of this hospital, or where it lies.

The bytes of an attachment become a document of this hospital and do not stay in the consent; what is left of the
element says how long they are, what they hash to, and where they are retrieved.

Source: IHE PCF 1.1, Consent.source[x]; Law 91/2025/QH15 Art. 26 k2; HL7 FHIR R4, Attachment
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

from adapters.fhir import Resource
from adapters.fhir.consent_parties import refused
from adapters.fhir.elements import Element, document_id, filled, referenced_id
from consent.consents import Evidence

EVIDENCE = "urn:hie-node:consent-evidence"
"""Extension of Consent: kind, sha256, explainedBy, language, representedBy."""
KINDS = ("paper", "electronic", "witnessed")
_ATTACHMENT = "Consent.source[x]"
_DOCUMENT = "DocumentReference"
_FIELDS = {"kind": "kind", "sha256": "hash", "explainedBy": "explained_by", "representedBy": "represented_by"}
_TEXTS = {**_FIELDS, "language": "language"}


@dataclass(frozen=True, slots=True)
class Source:
    """What the message says about the written request.

    element  the source as it may be kept: without its bytes
    scan     the bytes with their media type, where the message carries them
    """

    evidence: Evidence | None
    element: Resource
    scan: tuple[bytes, str] | None = None


def read_source(resource: Resource, base: str) -> Source:
    """Raises Unprocessable where bytes and hash differ, or where nothing could be proved later."""
    told = _told(resource)
    if "sourceAttachment" in resource:
        return _from_attachment(resource["sourceAttachment"], told, base)
    if "sourceReference" in resource:
        return _from_reference(resource["sourceReference"], told, base)
    return Source(None, {})


def source_elements(evidence: Evidence | None) -> Resource:
    """`source[x]` and the extension with what FHIR has no element for."""
    if evidence is None:
        return {}
    parts = {name: getattr(evidence, field) for name, field in _TEXTS.items()}
    if len(evidence.hash) != 64:
        del parts["sha256"]
    if parts["kind"] == KINDS[0]:
        del parts["kind"]
    inner = [{"url": name, "valueString": value} for name, value in parts.items() if value]
    extension = [{"url": EVIDENCE, "extension": inner}] if inner else None
    if referenced_id({"reference": evidence.reference}, _DOCUMENT):
        return filled(extension=extension, sourceReference={"reference": evidence.reference})
    attachment = filled(url=evidence.reference) or {"title": "written request of the patient"}
    return filled(extension=extension, sourceAttachment=attachment)


def place_of(evidence: Evidence | None, base: str) -> str:
    """The URL of the bytes of the request, for an attachment that came with them: those of the document here."""
    where = evidence.reference if evidence else ""
    document = referenced_id({"reference": where}, _DOCUMENT)
    return f"{base}/Binary/{document}" if document else where


def same_evidence(one: Evidence | None, other: Evidence | None) -> bool:
    """Whether a message still speaks of the same request; where its bytes went is only known after storing."""
    if one is None or other is None:
        return one is other
    return one.reference in ("", other.reference) and one.hash in ("", other.hash) and one.kind == other.kind


def _told(resource: Resource) -> dict[str, str]:
    extensions = [each for each in resource.get("extension", ()) if each.get("url") == EVIDENCE]
    inner = extensions[0].get("extension", []) if extensions else []
    told = {_TEXTS[each["url"]]: each.get("valueString", each.get("valueCode", "")) for each in inner if _is_ours(each)}
    if len(extensions) > 1 or len(told) != len(inner) or told.setdefault("kind", KINDS[0]) not in KINDS:
        raise refused("Consent.extension", f"once, with kind ({', '.join(KINDS)}), " + ", ".join(_TEXTS))
    digest = told.get("hash", "")
    if digest and (len(digest) != 64 or set(digest) - set("0123456789abcdef")):
        raise refused("Consent.extension", "sha256 as 64 lower-case hex digits")
    return told


def _is_ours(extension: Element) -> bool:
    return extension.get("url") in _TEXTS


def _from_attachment(attachment: Element, told: dict[str, str], base: str) -> Source:
    url = attachment.get("url", "")
    here = referenced_id({"reference": url}, "Binary", base=base)
    if "data" not in attachment and here:
        told.setdefault("hash", _announced_hash(attachment))
        return Source(Evidence(reference=f"{_DOCUMENT}/{here}", **told), {"sourceAttachment": attachment})
    if "data" not in attachment:
        if not url:
            return Source(None, attachment)
        told.setdefault("hash", _announced_hash(attachment))
        if not told["hash"]:
            raise refused(f"{_ATTACHMENT}.hash", "the hash of what the URL leads to", "required")
        return Source(Evidence(reference=url, **told), {"sourceAttachment": attachment})
    scan = _bytes(attachment)
    told["hash"] = _agreed_sha256(attachment, scan, told.get("hash", ""))
    kept = {name: value for name, value in attachment.items() if name != "data"}
    kept |= {"size": len(scan), "hash": b64encode(hashlib.sha1(scan, usedforsecurity=False).digest()).decode()}
    media_type = attachment.get("contentType", "application/octet-stream")
    return Source(Evidence(reference=url, **told), {"sourceAttachment": kept}, (scan, media_type))


def _from_reference(reference: Element, told: dict[str, str], base: str) -> Source:
    document = referenced_id(reference, _DOCUMENT, base=base)
    number = reference.get("identifier", {})
    if document:
        where = f"{_DOCUMENT}/{document}"
    elif "reference" not in reference and number.get("value"):
        where = document_id(number.get("system"), number["value"])
    else:
        raise refused(_ATTACHMENT, "the signed document: DocumentReference/ and its id, or an attachment", "not-found")
    return Source(Evidence(reference=where, **told), {"sourceReference": reference})


def _bytes(attachment: Element) -> bytes:
    try:
        return b64decode("".join(attachment["data"].split()), validate=True)
    except (NotBase64, ValueError) as error:
        raise refused(f"{_ATTACHMENT}.data", "base64", "value") from error


def _agreed_sha256(attachment: Element, scan: bytes, told: str) -> str:
    """The SHA-256 of the bytes; whatever was announced of them must be so."""
    sha256 = hashlib.sha256(scan)
    sha1 = hashlib.sha1(scan, usedforsecurity=False)
    digests = (sha1.digest(), sha256.digest(), sha1.hexdigest().encode(), sha256.hexdigest().encode())
    announced = {b64encode(each).decode() for each in digests}
    if attachment.get("hash", min(announced)) not in announced or told not in ("", sha256.hexdigest()):
        raise refused(f"{_ATTACHMENT}.hash", "the hash of the attached bytes", "conflict")
    if attachment.get("size", len(scan)) != len(scan):
        raise refused(f"{_ATTACHMENT}.size", "the size of the attached bytes", "conflict")
    return sha256.hexdigest()


def _announced_hash(attachment: Element) -> str:
    """Hex of the SHA-1 that FHIR prescribes, or of a SHA-256, which is of more use."""
    try:
        digest = b64decode(attachment.get("hash", ""), validate=True)
    except (NotBase64, ValueError):
        return ""
    return digest.hex() if len(digest) in (20, 32) else ""
