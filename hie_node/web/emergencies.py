"""The data protection officer's page: which emergencies wait for a review, by when, what was found of earlier ones, and
how often they happen and for what, over a period."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence

from flask import Response

from consent.emergency import EmergencyAccess, findings_by_reason
from consent.requesters import Role
from hie_node.flows.emergencies import recent, review, waiting
from hie_node.ledger_report import safe_cell
from hie_node.web.disclosures import own_numbers
from hie_node.web.front import Page, Refused, Visit, attachment
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId

OFFICER = frozenset({Role.DATA_PROTECTION_OFFICER})
DAYS = (30, 90, 365, 1825)
USUAL, MOST = 90, 200
FINDINGS = ("justified", "unjustified", "waiting")


def queue(visit: Visit) -> Response:
    """What is due first on top; below it the period that was chosen."""
    found, days = waiting(visit.act("emergencies")), _days(visit, visit.request.args.get("days", ""))
    within = recent(visit.act("emergency-statistics"), days=days)
    reviewed, counted = [one for one in within if one.review], findings_by_reason(within)
    return visit.page(
        "emergencies.html",
        waiting=found,
        late=sum(one.is_late(visit.house.now()) for one in found),
        numbers=own_numbers(visit, (one.record_id for one in (*found, *reviewed[:MOST]))),
        days=days,
        choices=DAYS,
        within=within,
        reviewed=reviewed[:MOST],
        more=len(reviewed) > MOST,
        counted=counted,
        totals=sum(counted.values(), Counter[str]()),
        findings=FINDINGS,
        staff=_staff(visit),
        now=visit.house.now(),
        hospital_of=_hospitals(visit),
        done=visit.facts().get("done", ""),
    )


def _days(visit: Visit, asked: str) -> int:
    return int(asked) if asked in {str(one) for one in DAYS} else USUAL


def _hospitals(visit: Visit) -> Callable[[HomeCommunityId], str]:
    """Hospitals by community, as people name them."""
    names = {peer.home: peer.community.name for peer in visit.house.directory.current().peers}
    names[visit.house.home] = visit.house.settings.name
    return lambda home: names.get(home, str(home))


def _staff(visit: Visit) -> dict[str, str]:
    """Who reviewed, as people call them."""
    with visit.house.storage.read() as unit:
        return {one.username: one.name for one in unit.people_of_the_house.users() if one.name}


def decide(visit: Visit) -> Response:
    """Justified or not; it is said once."""
    finding = visit.field("finding", 20)
    if finding not in ("justified", "unjustified"):
        raise Refused(400, "error.400")
    act = visit.act("review-emergency")
    try:
        review(act, visit.params["access_id"], finding=finding, text=visit.field("text", 900))  # type: ignore[arg-type]
    except InvalidValue:
        raise Refused(409, "emergency.gone") from None
    return visit.go(f"/emergencies?f={visit.seal(done=finding)}")


HEAD = ("declared", "by", "role", "hospital", "reason", "what", "patient", "finding", "comment", "reviewed-by", "at")


def export(visit: Visit) -> Response:
    """Every emergency of the period with what was found, to hand over; that it left is itself a row."""
    within = recent(visit.act("export-emergencies", action="E"), days=_days(visit, visit.field("days", 20)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([visit.looks.say(f"emergency.column.{one}") for one in HEAD])
    for cells in _cells(visit, within):
        writer.writerow([safe_cell(cell) for cell in cells])
    response = Response("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = attachment("emergencies.csv")
    return response


def _cells(visit: Visit, within: Sequence[EmergencyAccess]) -> list[tuple[str, ...]]:
    say, hospital_of, staff = visit.looks.say, _hospitals(visit), _staff(visit)
    numbers = own_numbers(visit, (one.record_id for one in within))
    return [
        (
            visit.looks.minute(one.declared),
            one.name or one.subject,
            say(f"role.{one.role}"),
            hospital_of(one.home),
            say(f"emergency.reason.{one.reason}"),
            one.text,
            numbers.get(one.record_id or "", ""),
            say(f"emergency.found.{one.review.finding if one.review else 'waiting'}"),
            one.review.text if one.review else "",
            staff.get(one.review.by, one.review.by) if one.review else "",
            visit.looks.minute(one.review.at) if one.review else "",
        )
        for one in within
    ]


PAGES = (
    Page("emergencies", "GET", "/emergencies", queue, OFFICER),
    Page("export-emergencies", "POST", "/emergencies/export", export, OFFICER, step_up="/emergencies"),
    Page("review-emergency", "POST", "/emergencies/<access_id>", decide, OFFICER),
)
