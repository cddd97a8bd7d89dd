"""A question for a patient that is acknowledged now and answered later: decided then, on what holds then.

The question waits sealed, with who asked and the written requests that it carried; for a day, then nobody waits for it.

Source: IHE ITI TF-2: 3.55.6.2
"""

from __future__ import annotations

import base64
import time
from hashlib import sha256
from uuid import uuid4

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerError
from adapters.soap.iti55_deferred import ANSWER, asked_again, kept_question, read_acknowledgement, write_answer
from adapters.store.codec import dump, load
from adapters.store.jobs import Job
from adapters.trust.receipts import read_receipt
from adapters.trust.saml import make_assertion
from consent.errors import InvalidReceipt
from consent.receipts import ConsentReceipt
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log
from hie_node.acts import Act, Caller
from hie_node.flows.discover import discover
from hie_node.house import House
from hie_node.page_tokens import open_page, seal_page
from registry.commands import DeferDiscovery
from registry.directory import Peer
from registry.errors import InvalidValue, Unreadable
from registry.identifiers import HomeCommunityId

DEFERRED = "deferred-discovery"
LIFE = 24 * 60 * 60
"""Seconds that an answer is tried for; the asking gateway has given up by then."""
_USE = b"deferred discovery"
_NEVER = frozenset({400, 404, 405, 410, 413, 415, 501})
"""A gateway that takes no such message takes it no better the next time."""


def defer(act: Act, command: DeferDiscovery) -> None:
    """Keep the question. Raises InvalidValue where its answer belongs anywhere but to the hospital that asks."""
    house, requester = act.house, act.caller.requester
    peer = house.directory.current().peer(requester.home)
    if peer is None or command.respond_to != peer.peer_url + peer.path("deferred"):
        raise InvalidValue("respondTo", expected="the address that the directory lists for who asks")
    kept = [("message", command.message.decode()), ("message_id", command.message_id), ("requester", dump(requester))]
    kept += [("receipt", jws) for _, jws in act.caller.receipts]
    sealed = seal_page(house, tuple(kept), use=_USE, life=LIFE)
    own = sha256(f"{peer.home} {command.own_id}".encode()).hexdigest()
    with act.about_nobody() as unit:
        unit.jobs.enqueue(
            DEFERRED, {"home": str(peer.home), "sealed": sealed}, run_at=act.now, dedup_key=f"{DEFERRED}:{own}"
        )


def answer_deferred(house: House, job: Job) -> str | None:
    """Decide, record and send; None when it is acknowledged or nobody waits any more, else why not."""
    peer = house.directory.current().peer(HomeCommunityId(job.payload["home"]))
    try:
        kept = open_page(house, job.payload["sealed"], use=_USE)
    except Unreadable:
        peer = None
    if peer is None or not peer.active:
        log.warning("deferred answer given up", home=job.payload["home"], attempts=job.attempts)
        return None
    said = dict(kept)
    request = kept_question(said["message"].encode(), said["message_id"], house.home)
    receipts = _receipts(house, [jws for name, jws in kept if name == "receipt"])
    command = asked_again(request)
    question = base64.b64encode(str(request.kept["question"]).encode()).decode()
    caller = Caller(load(Requester, said["requester"]), "peer", receipts=receipts)
    found = discover(Act(house, caller, "ITI-55", "E", query=question), command)
    return _send(house, peer, write_answer(found, request, security=_security(house, peer)))


def _receipts(house: House, signed: list[str]) -> tuple[tuple[ConsentReceipt, str], ...]:
    """The written requests that still hold; one whose signer is not listed any more counts as not sent."""
    found = []
    for jws in signed:
        try:
            found.append((read_receipt(jws, house.directory.current().keys_of), jws))
        except InvalidReceipt:
            continue
    return tuple(found)


def _security(house: House, peer: Peer) -> str:
    sender = Requester("deferred answers", Role.SYSTEM, house.home, purpose=PurposeOfUse.TREAT)
    return make_assertion(
        house.keys, sender, audience=peer.home, now=house.now(), assertion_id=uuid4().hex, receipts=[]
    )


def _send(house: House, peer: Peer, envelope: bytes) -> str | None:
    limits = house.settings.limits
    headers = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{ANSWER}"'}
    deadline = time.monotonic() + limits.answer_budget
    try:
        answer = house.transport.request(
            peer, "POST", peer.path("deferred"), headers, envelope, deadline=deadline, max_bytes=limits.peer_answer
        )
        if answer.status in _NEVER:
            log.warning("deferred answer refused", home=str(peer.home), status=answer.status)
            return None
        if answer.status != 200:
            return f"status-{answer.status}"
        code = read_acknowledgement(answer.body)
    except (PeerError, BadAnswer) as failure:
        return type(failure).__name__
    # an answer that was understood and refused is refused again
    if code == "CE":
        log.warning("deferred answer refused", home=str(peer.home))
    return None if code in ("CA", "CE") else "try-again"
