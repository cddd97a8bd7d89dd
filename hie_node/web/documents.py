"""Open one report: text on the page itself, PDF in a frame of our own origin, anything else as a download."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response

from hie_node.flows.fetch import fetch_document
from hie_node.flows.find import read_document
from hie_node.flows.reviews import read_person
from hie_node.flows.streaming import gathered
from hie_node.web.front import PART, Page, Visit, attachment
from hie_node.web.patients import TREATING
from registry.commands import ReadDocument, Retrieved, RetrieveDocument
from registry.errors import NotFound
from registry.identifiers import HomeCommunityId
from registry.people import SourceRecord

LONGEST_TEXT = 1 << 20
"""Bytes of a text that is shown on the page; a longer one is a download."""
SHOWN_AS_THEY_ARE = frozenset({"application/pdf", "image/jpeg", "image/png"})
CONTENT_POLICY = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'"
)
"""For a shown PDF: the browser's own viewer needs a style and an object, nothing else may load."""


def document_page(visit: Visit) -> Response:
    """The report itself where it is text; anything else is named first and fetched when it is asked for."""
    page = "report.html" if visit.request.headers.get(PART) else "document.html"
    return visit.page(page, **report_of(visit, visit.params["document_id"]))


def report_of(visit: Visit, document_id: str) -> dict[str, Any]:
    """What `report.html` shows of a document that this person may see."""
    listed = _listed(visit, document_id)
    shown = {"listed": listed, "text": "", **about(visit, listed.home)}
    if listed.kind == "text/plain" and listed.size <= LONGEST_TEXT:
        given = fetch_document(visit.act("read-document"), RetrieveDocument(document_id))
        return {**shown, "kind": "text", "text": _text(given, listed)}
    return {**shown, "kind": listed.kind if listed.kind in SHOWN_AS_THEY_ARE else "other"}


@dataclass(frozen=True, slots=True)
class Listed:
    """What the index says of the bytes; `kind` is the media type without its parameters."""

    content_type: str
    size: int
    home: HomeCommunityId | None

    @property
    def kind(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


def _listed(visit: Visit, document_id: str) -> Listed:
    """Of another hospital's document we know what its hospital listed, of our own what the index says."""
    if "." not in document_id:
        entry = read_document(visit.act("read-document"), ReadDocument(document_id))
        return Listed(entry.attachment.content_type, entry.attachment.size, None)
    with visit.house.storage.read() as unit:
        remote = unit.remote.entry(document_id)
    if remote is None or remote.kind != "document":
        raise NotFound("document")
    return Listed(remote.content_type or "", remote.size or 0, remote.home)


def document_content(visit: Visit) -> Response:
    return content_of(visit, visit.params["document_id"])


def content_of(visit: Visit, document_id: str) -> Response:
    """The bytes as their hospital sent them; what a browser might run is only ever a download."""
    kind = _listed(visit, document_id).kind
    given = fetch_document(visit.act("open-document"), RetrieveDocument(document_id))
    if kind in SHOWN_AS_THEY_ARE:
        response = Response(given.content, content_type=kind)
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
    else:
        response = Response(given.content, content_type="application/octet-stream")
        response.headers["Content-Disposition"] = attachment("document" + _SUFFIXES.get(kind, ".bin"))
    return response


_SUFFIXES = {"text/plain": ".txt", "text/xml": ".xml", "application/xml": ".xml", "text/html": ".html.txt"}


def _text(given: Retrieved, listed: Listed) -> str:
    """The text in the charset that it names; letters that do not fit are shown as such."""
    _, _, charset = listed.content_type.partition("charset=")
    content = gathered(given.content, "document", limit=LONGEST_TEXT)
    try:
        return content.decode(charset.strip(' "') or "utf-8", errors="replace")
    except LookupError:
        return content.decode("utf-8", errors="replace")


def about(visit: Visit, home: HomeCommunityId | None) -> dict[str, Any]:
    """What the link said of this thing: whose it is, what, when, where. Without it the page shows the thing alone."""
    facts = visit.facts()
    peer = visit.house.directory.current().peer(home) if home else None
    place = peer.community.name if peer else facts.get("hospital", visit.house.settings.name)
    performed = facts.get("performed", "")
    return {
        "patient": _patient(visit, facts.get("record", "")),
        "title": facts.get("title", ""),
        "place": place,
        "performed": datetime.fromisoformat(performed) if performed else None,
        "series": [line.split("\t") for line in facts.get("series", "").split("\n") if line],
        "sealed": visit.request.args.get("f", ""),
        "has_images": bool(facts.get("study")),
    }


def _patient(visit: Visit, record_id: str) -> SourceRecord | None:
    """Whose report it is stands above it, so that two open pages are not mistaken for each other."""
    if not record_id:
        return None
    try:
        return read_person(visit.act("read-patient"), record_id).person.first
    except NotFound:
        return None


PAGES = (
    Page("document", "GET", "/documents/<document_id>", document_page, TREATING),
    Page("document-content", "GET", "/documents/<document_id>/content", document_content, TREATING),
)
