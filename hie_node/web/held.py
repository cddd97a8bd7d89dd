"""Texts that the closed lists' words hold back: a doctor reads each, and says whether it may leave."""

from __future__ import annotations

from flask import Response

from consent.held_texts import READERS, Finding
from hie_node.flows.held_texts import decide_text, held_text, waiting
from hie_node.web.documents import content_of, report_of
from hie_node.web.front import Page, Refused, Visit
from registry.errors import NotFound


def queue(visit: Visit) -> Response:
    """What was made last on top, and below it what was decided last."""
    return visit.page("held.html", queue=waiting(visit.act("held-texts")), done=visit.facts().get("done", ""))


def read(visit: Visit) -> Response:
    """The document itself, with both answers under it."""
    found = held_text(visit.act("held-text"), visit.params["document_id"])
    shown = report_of(visit, found.entry.id) | {
        "title": found.entry.attachment.title,
        "performed": found.entry.performed,
    }
    return visit.page("held_text.html", found=found, **shown)


def content(visit: Visit) -> Response:
    """Its bytes, where it is no text."""
    found = held_text(visit.act("held-text"), visit.params["document_id"])
    return content_of(visit, found.entry.id)


def decide(visit: Visit) -> Response:
    finding = visit.field("finding", 10)
    if finding not in set(Finding):
        raise Refused(400, "error.400")
    try:
        decide_text(visit.act("read-text"), visit.params["document_id"], Finding(finding))
    except NotFound:
        raise Refused(409, "held.gone") from None
    return visit.go(f"/held?f={visit.seal(done=finding)}")


PAGES = (
    Page("held-texts", "GET", "/held", queue, READERS),
    Page("held-text", "GET", "/held/<document_id>", read, READERS),
    Page("held-text-content", "GET", "/held/<document_id>/content", content, READERS),
    Page("read-text", "POST", "/held/<document_id>", decide, READERS),
)
