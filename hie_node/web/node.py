"""The administrator's page: what is in order, who the peers are, and what the sealed record proves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import Response

from consent.requesters import Role
from hie_node import checks
from hie_node.checks import Check
from hie_node.flows.audit import Verification, verify
from hie_node.web.front import Page, Visit

ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})


def node_page(visit: Visit) -> Response:
    return _shown(visit)


def ask_peers(visit: Visit) -> Response:
    """Whether each peer answers now. Nothing about a patient is asked."""
    return _shown(visit, answers=checks.look_at(visit.house, [checks.peers]))


def verify_record(visit: Visit) -> Response:
    """Every sealed row is computed again; on a large record this takes its time, so it is a button."""
    return _shown(visit, verified=verify(visit.house))


def _shown(visit: Visit, *, answers: Sequence[Check] = (), verified: Verification | None = None) -> Response:
    house = visit.house
    with house.storage.read() as unit:
        seal = unit.disclosures.last_seal()
        waiting = unit.disclosures.unsealed(1000)
        feeds = unit.feeds.counts(house.now() - timedelta(days=1))
    peers = [peer for peer in house.directory.current().peers if peer.home != house.home]
    return visit.page(
        "node.html",
        checks=checks.look_at(house, checks.NEAR),
        peers=peers,
        answers=answers,
        verified=verified,
        seal=seal,
        waiting=len(waiting),
        feeds=feeds,
    )


PAGES = (
    Page("node", "GET", "/node", node_page, ADMINISTRATOR),
    Page("ask-peers", "POST", "/node/peers", ask_peers, ADMINISTRATOR),
    Page("verify-record", "POST", "/node/record", verify_record, ADMINISTRATOR),
)
