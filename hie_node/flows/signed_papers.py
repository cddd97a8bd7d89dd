"""The paper that a patient signed: a document of this hospital, to which the source of the Consent leads.

It never leaves the hospital, and since it tells nothing of an illness it stands in nobody's history: whoever asks for
papers of its kind, or for it by its id, finds it. Its bytes are kept under the patient's key before a consent says that
they are there.

Source: Law 91/2025/QH15 Art. 26 k2; IHE PCF 1.1, Consent.source[x]; LOINC 59284-0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from adapters.store.unit import UnitOfWork
from consent.consents import Consent, Evidence
from consent.errors import InvalidConsent
from consent.requesters import Role
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.permission import consents_for
from hie_node.flows.publish import file_document
from hie_node.house import new_id
from registry.coded import CONSENT_PAPER, MIME_TYPE_SUFFICIENT, STAYS_HERE
from registry.documents import Attachment, DocumentEntry
from registry.errors import NotFound
from registry.people import SourceRecord
from registry.ports import StoredContent
from registry.submissions import Bytes, SubmittedDocument

PAPERS = {b"%PDF-": "application/pdf", b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
OTHER_PAPER = "application/octet-stream"
KINDS = ("paper", "electronic", "witnessed")
MAY_PROVE = frozenset({Role.CONSENT_DESK, Role.DATA_PROTECTION_OFFICER})
"""Who has to show what was signed, also of a patient who has refused this hospital since."""
TITLE = "Văn bản yêu cầu cung cấp dữ liệu"
_NAMES = UUID("8f2a6a3c-5f0d-5c1e-9b60-2f7c4f7e5a11")


def signed_paper(body: bytes, kind: str) -> tuple[bytes, str]:
    """A signed paper and its media type: its first bytes say what it is, and an e-signed one has to be signed.

    A scan in a format of its own is kept as it is. Whether the signature is that of the patient is for the desk to
    see: no certificate is looked up here.
    Raises InvalidConsent for anything else.
    """
    media = next((media for beginning, media in PAPERS.items() if body.startswith(beginning)), OTHER_PAPER)
    if not body:
        raise InvalidConsent("Consent.source[x]", "the signed request; this file is empty")
    if kind not in KINDS:
        raise InvalidConsent("Consent.evidence.kind", "one of " + ", ".join(KINDS))
    if kind == "electronic" and not (media == "application/pdf" and b"/ByteRange" in body and b"/Contents" in body):
        raise InvalidConsent("Consent.source[x]", "a PDF with an electronic signature in it (ISO 32000-1, 12.8)")
    return body, media


@dataclass(frozen=True, slots=True)
class KeptPaper:
    """A paper whose bytes are durable and of which no index knows yet. `owner` is the record under whose key."""

    owner: str
    stored: StoredContent
    body: bytes
    media_type: str
    about: Consent


def keep_paper(act: Act, owner: str, body: bytes, media_type: str, about: Consent) -> KeptPaper:
    """Write the paper of a request durably, under the key of its patient."""
    return KeptPaper(owner, act.house.contents.put(owner, (body,)), body, media_type, about)


def file_paper(act: Act, unit: UnitOfWork, paper: KeptPaper, patient: SourceRecord) -> Evidence:
    """Into the patient's documents, once however often it is recorded. Raises OwnerChanged, to be begun anew."""
    given = paper.about.evidence or Evidence("paper", "")
    document = SubmittedDocument(_entry(act, paper, patient, given), Bytes(paper.body))
    entry = file_document(act, unit, document, patient, paper.stored, owner=paper.owner)
    return replace(given, reference=f"DocumentReference/{entry.id}", hash=paper.stored.content_hash)


def _entry(act: Act, paper: KeptPaper, patient: SourceRecord, evidence: Evidence) -> DocumentEntry:
    fresh, stored = new_id(), paper.stored
    return DocumentEntry(
        id=fresh,
        entry_uuid=f"urn:uuid:{fresh}",
        unique_id=f"urn:uuid:{uuid5(_NAMES, f'{paper.owner} {stored.content_hash}')}",
        patient=patient.identifier,
        record_id="",
        attachment=Attachment(
            paper.media_type,
            stored.size,
            stored.sha1,
            stored.content_hash,
            evidence.language or None,
            TITLE,
            paper.about.given.isoformat(),
        ),
        type=CONSENT_PAPER,
        categories=(CONSENT_PAPER,),
        format=MIME_TYPE_SUFFICIENT,
        sensitivity=(STAYS_HERE,),
        date=act.now,
    )


def named_by_its_bytes(unit: UnitOfWork, person: Identified, evidence: Evidence | None) -> Evidence | None:
    """Evidence that is a document of this hospital is held to be the patient's own, and is named by its bytes."""
    kind, _, document_id = (evidence.reference if evidence else "").partition("/")
    if evidence is None or not (kind == "DocumentReference" or evidence.reference.startswith("urn:")):
        return evidence
    found = unit.documents.entry(document_id) if document_id else unit.documents.by_unique_id(evidence.reference)
    if found is None or found.record_id not in person.record_ids or found.repository is not None:
        if document_id:
            raise InvalidConsent("Consent.source[x]", "a document of this patient here")
        return evidence
    if evidence.hash not in ("", found.attachment.content_hash, found.attachment.hash):
        raise InvalidConsent("Consent.source[x]", "the hash of the document that it names")
    return replace(evidence, hash=found.attachment.content_hash)


def signed_request(act: Act, consent_id: str) -> bytes:
    """The signed paper behind a consent of this hospital, whole; raises NotFound where it lies elsewhere."""
    with act.unit() as unit:
        consent = unit.consents.consent(consent_id)
        person = by_record_id(unit, consent.record_id) if consent else None
        if consent is None or consent.evidence is None or person is None:
            raise NotFound("a signed request of this consent here")
        act.about(person.first)
        act.items = [consent.id]
        owner, content_hash = _place(act, unit, person, consent.evidence)
    return b"".join(act.house.contents.open(owner, content_hash))


def _place(act: Act, unit: UnitOfWork, person: Identified, evidence: Evidence) -> tuple[str, str]:
    """Where the bytes lie: under which key, and their hash. Raises NotFound."""
    kind, _, place = evidence.reference.partition(":")
    if kind == "content":  # as it was kept before papers were documents
        owner, _, content_hash = place.partition("/")
        return owner, content_hash
    kind, _, document_id = evidence.reference.partition("/")
    entry = unit.documents.entry(document_id) if kind == "DocumentReference" else None
    proves = act.caller.requester.role in MAY_PROVE
    consents = () if proves else consents_for(act, unit, person)
    if entry is None or entry.repository is not None or not act.judge(entry, consents).permit:
        raise NotFound("a signed request of this consent here")
    return entry.record_id, entry.attachment.content_hash
