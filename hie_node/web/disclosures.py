"""Who saw a patient's record: the answer to the question that every patient may ask."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from flask import Response

from consent.commands import FindDisclosures
from consent.disclosures import Disclosure
from consent.requesters import Role
from hie_node.flows.audit import find_disclosures
from hie_node.flows.reviews import read_person
from hie_node.ledger_report import safe_cell
from hie_node.web.consents import DESK
from hie_node.web.front import Page, Visit, attachment
from hie_node.web.searching import search
from registry.answers import OutcomeKind
from registry.errors import InvalidValue
from registry.searches import PatientSelector

MAY_KNOW = frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER})
MOST, MOST_PRINTED, MOST_EXPORTED = 200, 1000, 10_000
DAYS = (7, 30, 365, 3650)


def ask(visit: Visit) -> Response:
    return visit.page("disclosures.html", rows=None, found=None, problem="", more=False, days=30, choices=DAYS)


def answer(visit: Visit) -> Response:
    """The rows of one patient, newest first. That they were read is itself a row."""
    days = visit.field("days", 20)
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
    told = _rows(visit, "find-disclosures", record_id, since, MOST)
    page = "disclosures.html"
    return visit.page(page, found=None, problem="", days=since, record=record_id, choices=DAYS, **told)


def seen(visit: Visit) -> Response:
    """The same for the patient at the desk, who asked: on one page to print."""
    record_id, days = visit.params["record_id"], visit.field("days", 20)
    since = int(days) if days in {str(one) for one in DAYS} else 30
    known = read_person(visit.act("read-patient"), record_id)
    told = _rows(visit, "seen", record_id, since, MOST_PRINTED)
    return visit.page("seen.html", person=known.person, record_id=record_id, days=since, **told)


def _rows(visit: Visit, name: str, record_id: str, days: int, most: int) -> dict[str, Any]:
    """What the table of rows needs. Whoever asks learns what was opened only by its number."""
    since = visit.house.now() - timedelta(days=days)
    command = FindDisclosures(patient=PatientSelector(record_id=record_id), since=since, limit=most)
    rows = find_disclosures(visit.act(name, action="E"), command)
    names = {str(peer.home): peer.community.name for peer in visit.house.directory.current().peers}
    return {
        "rows": rows.items,
        "more": rows.total is None,
        "names": names | {str(visit.house.home): visit.house.settings.name},
        "why": partial(_why, visit),
    }


def export(visit: Visit) -> Response:
    """The rows of one patient as a file, for the answer that the patient gets; that they left is itself a row."""
    days = visit.field("days", 20)
    since = int(days) if days in {str(one) for one in DAYS} else 30
    command = FindDisclosures(
        patient=PatientSelector(record_id=visit.field("record", 64)),
        since=visit.house.now() - timedelta(days=since),
        limit=MOST_EXPORTED,
    )
    rows = find_disclosures(visit.act("export-disclosures", action="E"), command).items
    names = {str(peer.home): peer.community.name for peer in visit.house.directory.current().peers}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([visit.looks.say(f"log.{one}") for one in ("when", "who", "hospital", "what", "why", "items")])
    for row in rows:
        asker = row.requester
        place = names.get(str(asker.home), asker.organization or str(asker.home))
        what = f"{visit.looks.say(f'direction.{row.direction}')}, {row.transaction}"
        why = "; ".join((visit.looks.say(f"purpose.{asker.purpose}"), *_why(visit, row)))
        told = (visit.looks.minute(row.recorded), asker.name or asker.subject, place, what, why, str(len(row.items)))
        writer.writerow([safe_cell(cell) for cell in told])
    response = Response("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = attachment("disclosures.csv")
    return response


def _why(visit: Visit, row: Disclosure) -> Iterator[str]:
    """The reasons of a row in words; what came from other hospitals is kept as `27001:answered`."""
    hospitals = {str(p.community.facility): p.community.name for p in visit.house.directory.current().peers}
    for reason, number in row.reasons.items():
        facility, colon, kind = reason.partition(":")
        if colon and kind in set(OutcomeKind):
            yield f"{hospitals.get(facility, facility)}: {visit.looks.say(f'outcome.{kind}', n=number)}"
        else:
            yield visit.looks.known(f"reason.{reason}", reason)


PAGES = (
    Page("disclosures", "GET", "/disclosures", ask, MAY_KNOW),
    Page("disclosures", "POST", "/disclosures", answer, MAY_KNOW),
    Page("seen", "POST", f"{DESK}/<record_id>/seen", seen, frozenset({Role.CONSENT_DESK})),
    Page("export-disclosures", "POST", "/disclosures/export", export, MAY_KNOW, step_up="/disclosures"),
)
