"""The data protection officer's page: which emergencies wait for a review, by when, and how often they happen."""

from __future__ import annotations

from flask import Response

from consent.requesters import Role
from hie_node.flows.emergencies import review, statistics_of, waiting
from hie_node.web.disclosures import own_numbers
from hie_node.web.front import Page, Refused, Visit
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId

OFFICER = frozenset({Role.DATA_PROTECTION_OFFICER})
DAYS = 90


def queue(visit: Visit) -> Response:
    """What is due first on top."""

    def hospital_of(home: HomeCommunityId) -> str:
        peer = visit.house.directory.current().peer(home)
        return visit.house.settings.name if home == visit.house.home else peer.community.name if peer else str(home)

    found = waiting(visit.act("emergencies"))
    return visit.page(
        "emergencies.html",
        waiting=found,
        numbers=own_numbers(visit, (one.record_id for one in found)),
        use=statistics_of(visit.act("emergency-statistics"), days=DAYS),
        now=visit.house.now(),
        hospital_of=hospital_of,
        done=visit.facts().get("done", ""),
    )


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


PAGES = (
    Page("emergencies", "GET", "/emergencies", queue, OFFICER),
    Page("review-emergency", "POST", "/emergencies/<access_id>", decide, OFFICER),
)
