"""Who saw a patient's record: the answer to the question that every patient may ask."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from hie_node.web.searching import problem_of, search
from registry.answers import OutcomeKind
from registry.commands import Page as Rows
from registry.directory import Peer
from registry.errors import InvalidValue
from registry.local_time import VIET_NAM
from registry.searches import ANYBODY, Cursor, PatientSelector

MAY_KNOW = frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER})
ANSWERS = frozenset({Role.CONSENT_DESK, Role.DATA_PROTECTION_OFFICER})
"""Who gives a patient the answer on paper."""
MOST, MOST_PRINTED, MOST_EXPORTED = 200, 1000, 10_000
DAYS = (7, 30, 365, 3650)


def ask(visit: Visit) -> Response:
    return _shown(visit)


def _shown(visit: Visit, *, status: int = 200, **facts: Any) -> Response:
    """The page with its three questions, and what was found."""
    usual: dict[str, Any] = {"rows": None, "found": None, "problem": "", "more": False, "days": 30}
    usual |= {
        "about": "",
        "record": "",
        "numbers": None,
        "groups": None,
        "by": "",
        "hospital_asked": "",
        "only": "",
        "first": 1,
        "total": 0,
        "older": "",
    }
    return visit.page("disclosures.html", status=status, choices=DAYS, peers=known_peers(visit), **(usual | facts))


def known_peers(visit: Visit) -> tuple[Peer, ...]:
    """All other hospitals of the directory, whatever their state: what they asked once stays on record."""
    return tuple(peer for peer in visit.house.directory.current().peers if peer.home != visit.house.home)


def answer(visit: Visit) -> Response:
    """The rows of one patient, or of whoever looked, newest first. That they were read is itself a row."""
    since = _days(visit)
    if "by" in visit.request.form:
        return _of_whom(visit, since)
    record_id = visit.field("record", 64)
    problem, found = "", None
    if not record_id:
        try:
            found = search(visit)
        except InvalidValue as error:
            problem = problem_of(error)
        if found and len(found.records) == 1:
            record_id = found.records[0].id
    if not record_id:
        return _shown(visit, found=found, problem=problem, days=since)
    only = visit.field("only", 100)
    first, after = _place(visit)
    told = _rows(visit, "find-disclosures", record_id, since, MOST, subject=only or None, after=after)
    with visit.house.storage.read() as unit:
        known = unit.patients.record_by_id(record_id)
    about = " · ".join(filter(None, (visit.looks.number(known.identifier) if known else "", only)))
    place = _placed(visit, first, told)
    return _shown(visit, days=since, record=record_id, only=only, about=about, **told, **place)


def _place(visit: Visit) -> tuple[int, Cursor | None]:
    """Where the page begins that the form asks for: the number of its first row, and the row before it."""
    facts = visit.facts_in(visit.field("after", 2000))
    if "row" not in facts:
        return 1, None
    return int(facts["first"]), Cursor(datetime.fromisoformat(facts["recorded"]), facts["row"])


def _placed(visit: Visit, first: int, told: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the rows of one page, and the seal of the place where the next one begins."""
    last: Cursor | None = told.pop("next")
    older = ""
    if last is not None and last.performed is not None:
        begins = str(first + len(told["rows"]))
        older = visit.seal(first=begins, recorded=last.performed.isoformat(), row=last.id)
    # rows that were added since the first page was read count too
    return {"first": first, "older": older, "total": max(told.pop("total") or 0, first - 1 + len(told["rows"]))}


def _days(visit: Visit) -> int:
    days = visit.field("days", 20)
    return int(days) if days in {str(one) for one in DAYS} else 30


def _of_whom(visit: Visit, days: int) -> Response:
    """What one person did, or one hospital asked, with the patients' own numbers."""
    by, facility = visit.field("by", 100), visit.field("hospital", 10)
    peer = next((one for one in known_peers(visit) if str(one.community.facility) == facility), None)
    asked: dict[str, Any] = {"days": days, "by": by, "hospital_asked": facility}
    if not by and peer is None:
        return _shown(visit, status=400, problem="disclosures.by.missing", **asked)
    first, after = _place(visit)
    command = FindDisclosures(
        patient=ANYBODY,
        since=visit.house.now() - timedelta(days=days),
        subject=by or None,
        other=peer.home if peer else None,
        after=after,
        limit=MOST,
    )
    told = _table(visit, find_disclosures(visit.act("disclosures-of", action="E"), command))
    about = " · ".join(filter(None, (by, peer.community.name if peer else "")))
    numbers = own_numbers(visit, (row.record_id for row in told["rows"]))
    return _shown(visit, about=about, numbers=numbers, **_placed(visit, first, told), **asked, **told)


def own_numbers(visit: Visit, record_ids: Iterable[str | None]) -> dict[str, str]:
    """The hospital's own number of each of these records that is known here."""
    with visit.house.storage.read() as unit:
        records = [unit.patients.record_by_id(each) for each in set(record_ids) if each]
    return {record.id: record.identifier.value for record in records if record}


def seen(visit: Visit) -> Response:
    """The same for the patient, who asked at the desk or the officer: on one page to print."""
    record_id, since = visit.params["record_id"], _days(visit)
    known = read_person(visit.act("read-patient"), record_id)
    told = _rows(visit, "seen", record_id, since, MOST_PRINTED)
    told["rows"], groups = _together(told["rows"])
    told |= {"person": known.person, "record_id": record_id, "days": since, "numbers": None, "groups": groups}
    return visit.page("seen.html", **told)


@dataclass(slots=True)
class Group:
    """What one person did in the same way on one day."""

    times: int
    since: datetime
    entries: int


def _together(rows: Sequence[Disclosure]) -> tuple[list[Disclosure], dict[str, Group]]:
    """The newest row of each group, in order, and how often and how much it stands for: a patient reads who looked, not
    every click of the one who looked."""
    newest: dict[tuple[object, ...], Disclosure] = {}
    groups: dict[str, Group] = {}
    for row in rows:
        day = row.recorded.astimezone(VIET_NAM).date()
        reasons = tuple(sorted(row.reasons))
        key = (day, row.requester.home, row.requester.subject, row.requester.purpose, row.requester.role)
        first = newest.setdefault((*key, row.direction, row.transaction, row.complete, reasons), row)
        group = groups.setdefault(first.id, Group(0, row.recorded, 0))
        group.times, group.since = group.times + 1, min(group.since, row.recorded)
        group.entries += len(row.items)
    return list(newest.values()), groups


def _rows(
    visit: Visit,
    name: str,
    record_id: str,
    days: int,
    most: int,
    *,
    subject: str | None = None,
    after: Cursor | None = None,
) -> dict[str, Any]:
    """Whoever asks learns what was opened only by its number."""
    since, who = visit.house.now() - timedelta(days=days), PatientSelector(record_id=record_id)
    command = FindDisclosures(patient=who, since=since, subject=subject, after=after, limit=most)
    return _table(visit, find_disclosures(visit.act(name, action="E"), command))


def _table(visit: Visit, rows: Rows[Disclosure]) -> dict[str, Any]:
    """What the table of rows needs."""
    names = {str(peer.home): peer.community.name for peer in visit.house.directory.current().peers}
    return {
        "rows": rows.items,
        "more": rows.next is not None,
        "next": rows.next,
        "total": rows.total,
        "names": names | {str(visit.house.home): visit.house.settings.name},
        "why": partial(_why, visit),
    }


def export(visit: Visit) -> Response:
    """The rows of one patient as a file, for the answer that the patient gets; that they left is itself a row."""
    command = FindDisclosures(
        patient=PatientSelector(record_id=visit.field("record", 64)),
        since=visit.house.now() - timedelta(days=_days(visit)),
        limit=MOST_EXPORTED,
    )
    found = find_disclosures(visit.act("export-disclosures", action="E"), command)
    names = {str(peer.home): peer.community.name for peer in visit.house.directory.current().peers}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([visit.looks.say(f"log.{one}") for one in ("when", "who", "hospital", "what", "why", "items")])
    for row in found.items:
        asker = row.requester
        place = names.get(str(asker.home), asker.organization or str(asker.home))
        what = f"{visit.looks.say(f'direction.{row.direction}')}, {row.transaction}"
        why = "; ".join((visit.looks.say(f"purpose.{asker.purpose}"), *_why(visit, row)))
        told = (visit.looks.minute(row.recorded), asker.name or asker.subject, place, what, why, str(len(row.items)))
        writer.writerow([safe_cell(cell) for cell in told])
    if found.next is not None:
        writer.writerow([visit.looks.say("disclosures.more")])
    response = Response("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = attachment("disclosures.csv")
    return response


def _why(visit: Visit, row: Disclosure) -> Iterator[str]:
    """The reasons of a row in words; what came from other hospitals is kept as `27001:answered`. A change of the house
    says whose account or which hospital."""
    hospitals = {str(p.community.facility): p.community.name for p in visit.house.directory.current().peers}
    for reason, number in row.reasons.items():
        facility, colon, kind = reason.partition(":")
        if colon and kind in set(OutcomeKind):
            yield f"{hospitals.get(facility, facility)}: {visit.looks.say(f'outcome.{kind}', n=number)}"
        else:
            said = visit.looks.known(f"reason.{reason}", reason)
            of_the_house = row.direction == "changed" and row.record_id is None and len(row.items) == 1
            yield f"{hospitals.get(row.items[0], row.items[0])}: {said}" if of_the_house else said


PAGES = (
    Page("disclosures", "GET", "/disclosures", ask, MAY_KNOW),
    Page("disclosures", "POST", "/disclosures", answer, MAY_KNOW),
    Page("seen", "POST", f"{DESK}/<record_id>/seen", seen, ANSWERS),
    Page("export-disclosures", "POST", "/disclosures/export", export, MAY_KNOW, step_up="/disclosures"),
)
