"""A patient on one page, on the screen and as paper: each line with its day and its source."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response

from adapters.pdf import Block, Facts, Grid, Heading, Paragraph, write_pdf
from consent.requesters import Role
from hie_node.flows.order_check import check_order
from hie_node.flows.reviews import read_person
from hie_node.flows.summary import summarise
from hie_node.web.front import Page, Visit, attachment
from registry.advice import CheckOrder, OrderAdvice
from registry.commands import SummarisePatient
from registry.identifiers import HomeCommunityId
from registry.local_time import VIET_NAM
from registry.one_page import OnePage, one_page
from registry.people import SourceRecord
from registry.searches import PatientSelector

TREATING = frozenset({Role.DOCTOR, Role.NURSE})


def on_screen(visit: Visit) -> Response:
    person, page, advice = _made(visit)
    return visit.page("one_page.html", person=person, page=page, advice=advice, record_id=visit.params["record_id"])


def on_paper(visit: Visit) -> Response:
    person, page, advice = _made(visit)
    looks, now = visit.looks, visit.house.now().astimezone(VIET_NAM)
    title = looks.say("one-page.title")
    footer = looks.say("one-page.made", when=looks.minute(now), who=visit.user.name or visit.user.username)
    content = write_pdf(
        _blocks(visit, person, page, advice), title=title, language=visit.language, created=now, footer=footer
    )
    response = Response(content, content_type="application/pdf")
    response.headers["Content-Disposition"] = attachment("summary.pdf")
    return response


def _made(visit: Visit) -> tuple[SourceRecord, OnePage, OrderAdvice]:
    """Own records decided now, and what the other hospitals let be seen; they are asked where that is not fresh."""
    record_id = visit.params["record_id"]
    known = read_person(visit.act("read-patient"), record_id)
    command = CheckOrder(PatientSelector(record_id=record_id), via="page", history=True)
    advice = check_order(visit.act("one-page", action="E"), command)
    own = summarise(visit.act("summary"), SummarisePatient(record_id=record_id))

    def place(home: HomeCommunityId | None) -> str:
        return visit.house.settings.name if home in (None, visit.house.home) else advice.place(home or visit.house.home)

    return known.person.first, one_page(own.summary, advice.history, advice.papers, place), advice


def _blocks(visit: Visit, person: SourceRecord, page: OnePage, advice: OrderAdvice) -> Iterator[Block]:
    looks, say = visit.looks, visit.looks.say
    yield Heading(say("one-page.title"), 1)
    yield Paragraph(f"{visit.house.settings.name} ({visit.house.settings.facility_code})", centred=True)
    born = looks.born(person.demographics.birth_date)
    numbers = "; ".join(looks.number(number) for number in person.identifiers)
    yield Facts(
        [
            (say("one-page.name"), looks.name(person)),
            (say("one-page.born"), f"{born}, {looks.sex(person)}"),
            (say("one-page.numbers"), numbers),
        ]
    )
    head = (say("one-page.when"), say("one-page.what"), say("one-page.source"))
    for section in page.sections:
        yield Heading(say(f"one-page.{section.name}"))
        if not section.lines:
            yield Paragraph(say("one-page.nothing"))
            continue
        yield Grid(head, [(looks.day(one.when), one.text, one.source) for one in section.lines], (15, 55, 30))
        if section.more:
            yield Paragraph(say("one-page.more", n=section.more), small=True)
    for told in remarks(visit, page, advice):
        yield Paragraph(told, small=True)


def remarks(visit: Visit, page: OnePage, advice: OrderAdvice) -> Iterator[str]:
    """What is missing is said."""
    yield visit.looks.say("one-page.own")
    if page.withheld:
        yield visit.looks.say("one-page.withheld", n=page.withheld)
    for line in advice.lines:
        told = visit.looks.say(f"peers.kind.{line.kind}")
        yield f"{line.community.name}: {told} ({visit.looks.minute(line.asked)})"


PAGES = (
    Page("one-page", "GET", "/patients/<record_id>/summary", on_screen, TREATING),
    Page("one-page-pdf", "GET", "/patients/<record_id>/summary.pdf", on_paper, TREATING),
)
