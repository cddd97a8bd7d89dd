"""Who saw a patient's record: the answer to the question that every patient may ask."""

from __future__ import annotations

from datetime import timedelta

from flask import Response

from consent.commands import FindDisclosures
from consent.requesters import Role
from hie_node.flows.audit import find_disclosures
from hie_node.web.front import Page, Visit
from hie_node.web.searching import search
from registry.errors import InvalidValue
from registry.searches import PatientSelector

MAY_KNOW = frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER})
MOST = 200
DAYS = (7, 30, 365, 3650)


def ask(visit: Visit) -> Response:
    return visit.page("disclosures.html", rows=None, found=None, problem="", more=False, days=30, choices=DAYS)


def answer(visit: Visit) -> Response:
    """The rows of one patient, newest first. That they were read is itself a row."""
    days = visit.field("days", 5)
    since = int(days) if days in {str(one) for one in DAYS} else 30
    record_id = visit.field("record", 64)
    problem, found = "", None
    if not record_id:
        try:
            found = search(visit)
        except InvalidValue:
            problem = "search.name-and-birth"
        if found and len(found.records) == 1:
            record_id = found.records[0].id
    if not record_id:
        page = "disclosures.html"
        return visit.page(page, rows=None, found=found, problem=problem, more=False, days=since, choices=DAYS)
    command = FindDisclosures(
        patient=PatientSelector(record_id=record_id), since=visit.house.now() - timedelta(days=since), limit=MOST
    )
    rows = find_disclosures(visit.act("find-disclosures", action="E"), command)
    names = {str(peer.home): peer.community.name for peer in visit.house.directory.current().peers}
    return visit.page(
        "disclosures.html",
        rows=rows.items,
        found=None,
        problem="",
        more=rows.total is None,
        days=since,
        choices=DAYS,
        names=names | {str(visit.house.home): visit.house.settings.name},
    )


PAGES = (
    Page("disclosures", "GET", "/disclosures", ask, MAY_KNOW),
    Page("disclosures", "POST", "/disclosures", answer, MAY_KNOW),
)
