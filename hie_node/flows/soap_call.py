"""One message to a gateway and what comes back: who asks in an assertion, written requests beside it.

Source: IHE ITI TF-2: 3.40 (XUA), 3.55, 3.38
"""

from __future__ import annotations

from typing import Any

from adapters.peers import xca_client
from adapters.peers.errors import PeerBroken
from adapters.peers.transport import PeerResponse
from adapters.trust.peer_tokens import receipt_hash
from adapters.trust.saml import make_assertion
from hie_node.flows.peer_call import RECEIPT_HEADER, Asking
from hie_node.house import House
from registry.directory import Peer


def call(
    house: House, asking: Asking, peer: Peer, message: tuple[str, str, str], *, exchange: str, deadline: float
) -> PeerResponse:
    """The answer to a message, given as address, action and body. Raises PeerError."""
    of, action, body = message
    envelope = xca_client.question(action, body, security_of(house, asking, peer, exchange))
    headers = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{action}"', **receipts_beside(asking)}
    most = house.settings.limits.peer_answer
    answer = house.transport.request(peer, "POST", peer.path(of), headers, envelope, deadline=deadline, max_bytes=most)
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}", peer.home)
    return answer


def security_of(house: House, asking: Asking, peer: Peer, exchange: str) -> str:
    """The assertion of who asks, for this one hospital."""
    return make_assertion(
        house.keys,
        asking.requester,
        audience=peer.home,
        now=house.now(),
        assertion_id=exchange,
        receipts=[receipt_hash(jws) for _, jws in asking.receipts],
    )


def receipts_beside(asking: Asking) -> dict[str, str]:
    """The written requests, as the header that carries them."""
    return {RECEIPT_HEADER: ",".join(jws for _, jws in asking.receipts)} if asking.receipts else {}


def type_of(answer: Any) -> str:
    """The Content-Type of an answer."""
    found: str = answer.headers.get("content-type", "")
    return found
