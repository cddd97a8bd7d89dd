"""The sealed record itself: is it whole, does it agree with that of other hospitals, and the proofs to hand over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response

from adapters.peers.errors import PeerError
from consent.requesters import Role
from hie_node.acts import Act
from hie_node.exporting import record_as_zip
from hie_node.flows.heads import kept_for, proof_line
from hie_node.flows.losses import SHORTEST_REASON, answer_for, answer_losses
from hie_node.flows.reconcile import peer_by_name, reconcile
from hie_node.flows.record_checks import ask_for_check, newest_checks
from hie_node.web.disclosures import MAY_KNOW, known_peers
from hie_node.web.front import Page, Refused, Visit, attachment
from registry.errors import InvalidValue, NotFound

RECORD = "/disclosures/record"
LAST_CHECKS, MOST_DIFFERENCES = 10, 100
DAYS = (1, 7, 30, 360)


def record_page(visit: Visit) -> Response:
    return _shown(visit)


def _shown(visit: Visit, *, status: int = 200, **facts: Any) -> Response:
    """The last verifications, what is kept of others, what was lost; and the two sides where they were compared."""
    house = visit.house
    with house.storage.read() as unit:
        seal, restores = unit.disclosures.last_seal(), unit.restores.all()
        heads = [(peer, unit.heads.newest(peer.home)) for peer in known_peers(visit)]
        signed = unit.heads.keepers()
    usual = {"problem": "", "compared": None, "peer": None, "days": DAYS[1]}
    return visit.page(
        "record.html",
        status=status,
        checks=newest_checks(house, LAST_CHECKS),
        seal=seal,
        heads=[(peer, head) for peer, head in heads if head],
        signed={str(peer.home): signed[str(peer.home)][0] for peer in known_peers(visit) if str(peer.home) in signed},
        peers=known_peers(visit),
        lost=[one for one in restores if answer_for(house, one) is None],
        answers=visit.user.role is Role.DATA_PROTECTION_OFFICER,
        least=SHORTEST_REASON,
        choices=DAYS,
        most=MOST_DIFFERENCES,
        done=visit.facts().get("done", ""),
        **(usual | facts),
    )


def verify_record(visit: Visit) -> Response:
    """Every sealed row is computed again and held against what other hospitals keep of it: a job, which takes its time
    on a large record and whose result everybody sees here."""
    ask_for_check(visit.act("verify-record"))
    return visit.go(RECORD)


def compare(visit: Visit) -> Response:
    """Both sides of our questions to one hospital: what each wrote down, and every difference."""
    facility, asked = visit.field("hospital", 10), visit.field("days", 10)
    days = int(asked) if asked in {str(one) for one in DAYS} else DAYS[1]
    peer = peer_by_name(visit.house, facility)
    if peer is None:
        return _shown(visit, status=400, problem="record.compare.missing", days=days)
    act = visit.act("reconcile", action="E")
    act.other = peer.home
    _on_record(act)
    now = visit.house.now()
    try:
        compared = reconcile(visit.house, peer, since=now - timedelta(days=days), until=now)
    except PeerError:
        return _shown(visit, status=502, problem="record.compare.silent", peer=peer, days=days)
    return _shown(visit, compared=compared, peer=peer, days=days)


def _on_record(act: Act) -> None:
    """That it was looked at: of no patient."""
    with act.unit():
        pass


def heads(visit: Visit) -> Response:
    """The heads of another hospital's record that are kept here: proof for whoever doubts that record, one a line."""
    peer = peer_by_name(visit.house, visit.field("hospital", 10))
    if peer is None:
        raise NotFound("hospital")
    act = visit.act("kept-heads", action="E")
    act.other = peer.home
    _on_record(act)
    lines = [proof_line(visit.house, signature) for _, signature in kept_for(visit.house, peer)]
    response = Response("".join(lines), content_type="application/jsonl")
    response.headers["Content-Disposition"] = attachment(f"heads-{peer.community.facility}.jsonl")
    return response


def export(visit: Visit) -> Response:
    """All that an authority needs to verify the record without us; that it left is itself a row."""
    _on_record(visit.act("export-record", action="E"))
    response = Response(record_as_zip(visit.house), content_type="application/zip")
    day = visit.house.now().strftime("%Y-%m-%d")
    response.headers["Content-Disposition"] = attachment(f"record-{visit.house.settings.facility_code}-{day}.zip")
    return response


def answer(visit: Visit) -> Response:
    """The officer answers for rows that were lost when the node came back from a backup."""
    try:
        answer_losses(visit.act("answer-losses"), because=visit.field("because", 900))
    except InvalidValue:
        return _shown(visit, status=400, problem="record.answer.short")
    except NotFound:
        raise Refused(409, "record.answer.none") from None
    return visit.go(f"{RECORD}?f={visit.seal(done='answered')}")


OFFICER = frozenset({Role.DATA_PROTECTION_OFFICER})
PAGES = (
    Page("record", "GET", RECORD, record_page, MAY_KNOW),
    Page("verify-record", "POST", RECORD, verify_record, MAY_KNOW),
    Page("reconcile", "POST", f"{RECORD}/compare", compare, MAY_KNOW),
    Page("kept-heads", "POST", f"{RECORD}/heads", heads, MAY_KNOW),
    Page("export-record", "POST", f"{RECORD}/export", export, MAY_KNOW, step_up=RECORD),
    Page("answer-losses", "POST", f"{RECORD}/answer", answer, OFFICER, step_up=RECORD),
)
