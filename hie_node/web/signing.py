"""The written request on paper, as PDF, and signed on the screen: the same sentences each time.

What is signed on the screen is drawn into the PDF here, so that the evidence is one file with all words and every
signature that the law wants. Its lines arrive as points, not as a picture: there is nothing to decode.
Source: Law 20/2023/QH15 Art. 9 (electronic writing), decree 356/2025/NĐ-CP (who signs for a child).
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, time
from itertools import pairwise
from typing import Any

from flask import Response

from adapters.pdf import MEDIA_TYPE, Ink
from consent.representation import Signers
from hie_node.flows.reviews import read_person
from hie_node.request_form import WORDS, RequestForm, request_form, sentences
from hie_node.web.consents import AT_THE_DESK, DESK, DURATIONS, desk_page, others, parties, record, wanted
from hie_node.web.front import Page, Refused, Visit
from registry.local_time import VIET_NAM

PAD = (900, 260)
"""Width and height of the field to sign in, in the points that it counts."""
LONGEST_INK, FEWEST_POINTS, SHORTEST_WAY = 28_000, 8, 100
"""Characters of one signature as it is sent; fewer points than that, or a shorter way in all, is a slip of the hand."""


def paper(visit: Visit) -> Response:
    """The request to print and sign, in Vietnamese whatever the reader's language: it is the patient's paper."""
    form, now = _on_paper(visit), visit.house.now()
    visit.language = "vi"
    needed = form.needed(now).each
    return visit.page(
        "paper.html",
        form=form,
        blocks=[(type(one).__name__, one) for one in sentences(form, WORDS["vi"], now)],
        to=visit.field("to", 10),
        needed=needed,
        complete=bool(form.days and (form.everybody or form.holders)),
        nameless=Signers.REPRESENTATIVE in needed and not form.represented_by,
        pad=PAD,
    )


def pdf(visit: Visit) -> Response:
    """The same request as a PDF, in Vietnamese or English: what is printed here is what is signed."""
    content = request_form(_on_paper(visit), language=visit.language, now=visit.house.now())
    response = Response(content, content_type=MEDIA_TYPE)
    response.headers["Content-Disposition"] = 'inline; filename="request.pdf"'
    return response


def sign(visit: Visit) -> Response:
    """Everybody who has to sign did, on this screen, now: the paper with their signatures is the evidence."""
    now = visit.house.now()
    today = datetime.combine(now.astimezone(VIET_NAM).date(), time.min, VIET_NAM)
    try:
        request, form = wanted(visit, kind="electronic", signed=today), _on_paper(visit)
        needed = form.needed(now).each
        if Signers.REPRESENTATIVE in needed and not form.represented_by:
            raise Refused(400, "consent.problem.representative")
        inks = {one: _ink(visit, one) for one in needed}
        when, who = visit.looks.minute(now), form.explained_by
        told = WORDS["vi"]["told"].format(when=when, hospital=form.signed_at, who=who)
        content = request_form(replace(form, inks=inks, told=told), language="vi", now=now)
        return record(visit, request, (content, MEDIA_TYPE))
    except Refused as problem:
        return desk_page(visit, problem=problem.why, status=problem.status)


def _ink(visit: Visit, signer: Signers) -> Ink:
    """One signature: lines of points, each as x0, y0, x1, y1 and so on. Raises Refused where nobody signed."""
    missing = Refused(400, f"consent.problem.ink.{signer}")
    try:
        told = json.loads(visit.field(f"ink.{signer}", LONGEST_INK) or "[]")
        lines = [_line(one) for one in told]
    except (ValueError, TypeError, RecursionError):
        raise missing from None
    way = sum(abs(x - a) + abs(y - b) for line in lines for (a, b), (x, y) in pairwise(line))
    if sum(map(len, lines)) < FEWEST_POINTS or way < SHORTEST_WAY:
        raise missing
    return Ink(*PAD, lines)


def _line(told: Any) -> list[tuple[int, int]]:
    """Raises ValueError for what is no line on the field."""
    xs, ys = told[::2], told[1::2]
    for values, most in ((xs, PAD[0]), (ys, PAD[1])):
        if not all(type(one) is int and 0 <= one <= most for one in values):
            raise ValueError
    return list(zip(xs, ys, strict=True))


def _on_paper(visit: Visit) -> RequestForm:
    """What is known already; the rest is written by hand."""
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    holders, recipient, everybody = parties(visit)
    days = visit.field("days", 20)
    return RequestForm(
        known.person.first,
        recipient.name,
        holders,
        everybody,
        tuple(peer.community for peer in others(visit)),
        int(days) if days in {str(one) for one in DURATIONS} else None,
        visit.user.name or visit.user.username,
        visit.house.settings.name,
        visit.field("represented_by", 200),
    )


PAGES = (
    Page("form", "POST", f"{DESK}/<record_id>/form", pdf, AT_THE_DESK),
    Page("paper", "POST", f"{DESK}/<record_id>/paper", paper, AT_THE_DESK),
    Page("sign", "POST", f"{DESK}/<record_id>/sign", sign, AT_THE_DESK),
)
