"""What the node noticed about itself: each alarm with whom it is about and what to do, until somebody looked at it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from consent.limits import Alarm
from hie_node.flows.alarms import clear_alarm, open_alarms
from hie_node.web.disclosures import MAY_KNOW
from hie_node.web.front import Page, Refused, Visit
from registry.errors import InvalidIdentifier, NotFound
from registry.identifiers import HomeCommunityId

MOST = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """One alarm, and whose doing it is about: a hospital, and perhaps one login there."""

    alarm: Alarm
    hospital: str
    facility: str
    login: str


def alarms_page(visit: Visit) -> Response:
    found = open_alarms(visit.house)
    return visit.page(
        "alarms.html",
        alarms=[_shown(visit, one) for one in found[:MOST]],
        more=len(found) > MOST,
        done=visit.facts().get("done", ""),
    )


def _shown(visit: Visit, alarm: Alarm) -> Shown:
    """`urn:oid:…#bs.minh` as a hospital and a login; our own hospital is searched by the login alone."""
    home, _, login = alarm.about.partition("#")
    if home == str(visit.house.home):
        return Shown(alarm, visit.house.settings.name, "", login)
    try:
        peer = visit.house.directory.current().peer(HomeCommunityId(home))
    except InvalidIdentifier:
        peer = None
    return (
        Shown(alarm, peer.community.name, str(peer.community.facility), login) if peer else Shown(alarm, home, "", "")
    )


def clear(visit: Visit) -> Response:
    try:
        clear_alarm(visit.act("clear-alarm"), visit.field("alarm", 300))
    except NotFound:
        raise Refused(409, "alarms.gone") from None
    return visit.go(f"/alarms?f={visit.seal(done='yes')}")


PAGES = (
    Page("alarms", "GET", "/alarms", alarms_page, MAY_KNOW),
    Page("clear-alarm", "POST", "/alarms", clear, MAY_KNOW),
)
