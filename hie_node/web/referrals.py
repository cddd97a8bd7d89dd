"""Who is on the way here, and whom this hospital sent on: so that nobody arrives unexpected."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from consent.requesters import Role
from hie_node.flows.copies import Arrived, arrived
from hie_node.flows.referrals import expected_patients, referred_patients
from hie_node.web.front import Page, Visit
from registry.submissions import ExpectedPatient

RECEIVING = frozenset({Role.DOCTOR, Role.NURSE, Role.REGISTRAR, Role.CONSENT_DESK})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One line: who, from where, what there is, and how much of it is here already."""

    expected: ExpectedPatient
    sender: str
    here: Arrived


def referrals_page(visit: Visit) -> Response:
    act = visit.act("open-referrals")
    directory = visit.house.directory.current()
    arrivals = []
    coming = expected_patients(act)
    with visit.house.storage.read() as unit:
        here = [arrived(unit, one) for one in coming]
    for one, so_far in zip(coming, here, strict=True):
        peer = directory.peer(one.sender)
        arrivals.append(Arrival(one, peer.community.name if peer else str(one.referral.sender), so_far))
    sent = [(one, directory.at(one.referral.receiver)) for one in referred_patients(visit.act("open-referrals"))]
    return visit.page("referrals.html", arrivals=arrivals, sent=sent)


PAGES = (Page("referrals", "GET", "/referrals", referrals_page, RECEIVING),)
