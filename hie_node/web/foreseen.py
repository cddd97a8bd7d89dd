"""What would they see? Shown to a patient before the signature: by kind and number, for one hospital that would ask.

The desk is no treating role: it learns no title, and nothing of what the law closes, not even that there is some.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from flask import Response

from consent.reasons import Reason
from hie_node.flows.preview import Weighed, before_signing
from hie_node.flows.reviews import read_person
from hie_node.web.consents import AT_THE_DESK, DESK
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.timeline import HEADINGS, heading
from registry.documents import DocumentEntry
from registry.performed import COMPARED, Performed
from registry.searches import PatientSelector

NEVER = frozenset({Reason.CLOSED_LIST, Reason.UNREVIEWED_TEXT, Reason.STAYS_HERE})


@dataclass(frozen=True, slots=True)
class Kind:
    """How many things of one kind there are, and how many of them would be seen, without and with the request."""

    name: str
    number: int
    now: int
    signed: int


def foreseen(visit: Visit) -> Response:
    """That it was looked at is on record, so it is a form."""
    record_id, facility = visit.params["record_id"], visit.field("facility", 10)
    others = (one for one in visit.house.directory.current().active if one.home != visit.house.home)
    asking = next((peer for peer in others if str(peer.community.facility) == facility), None)
    if asking is None:
        raise Refused(400, "consent.problem.from")
    known = read_person(visit.act("read-patient"), record_id)
    weighed = before_signing(visit.act("foresee"), PatientSelector(record_id=record_id), asking=asking)
    return visit.page(
        "foreseen.html",
        person=known.person,
        record_id=record_id,
        asking=asking.community,
        kinds=kinds(visit, weighed),
    )


def kinds(visit: Visit, weighed: tuple[Weighed, ...]) -> list[Kind]:
    """By the headings of the doctor's page; what the law closes is in none of them."""
    counted: dict[str, Counter[str]] = {}
    for one in weighed:
        if one.signed.reason in NEVER:
            continue
        counter = counted.setdefault(_kind(visit, one), Counter())
        counter.update(number=1, now=int(one.now.permit), signed=int(one.signed.permit))
    order = ("imaging", *HEADINGS)
    in_order = sorted(counted.items(), key=lambda entry: order.index(entry[0]))
    return [Kind(name, one["number"], one["now"], one["signed"]) for name, one in in_order]


def _kind(visit: Visit, one: Weighed) -> str:
    item, home = one.item, visit.house.home
    if isinstance(item, DocumentEntry):
        return heading(Performed(item.performed, home, None, None, (item,)))
    return "imaging" if COMPARED & set(item.modalities) else "images"


PAGES = (Page("foresee", "POST", f"{DESK}/<record_id>/preview", foreseen, AT_THE_DESK),)
