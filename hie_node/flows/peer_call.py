"""One request to a peer: the one-use token, the written requests it carries, and the mutual TLS connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.peers.transport import PeerResponse, PeerStream
from adapters.soap.datatypes import write_cx
from adapters.trust.peer_tokens import make_peer_token, receipt_hash
from consent.decide import AccessRequest
from consent.receipts import ConsentReceipt
from consent.requesters import Requester
from consent.residuals import ConsentClaims, residual_of, used
from hie_node.house import House
from registry.directory import Peer

RECEIPT_HEADER = "Consent-Receipt"
"""Carries the signed written requests (JWS), separated by commas."""

Receipts = Sequence[tuple[ConsentReceipt, str]]


@dataclass(frozen=True, slots=True)
class Asking:
    """On whose behalf a peer is asked, the written requests that go along, and the id in the records of both sides."""

    requester: Requester
    receipts: Receipts = ()
    exchange: str = ""


def call_peer(
    house: House,
    asking: Asking,
    peer: Peer,
    *,
    method: str,
    path: str,
    body: bytes = b"",
    content_type: str = "application/fhir+json",
    deadline: float | None = None,
) -> PeerResponse:
    """Ask and wait for the whole, bounded answer, until `deadline` or the end of the answer budget at the latest.

    A query in `path` holds nothing personal: it is from a link that the peer gave.
    """
    limits = house.settings.limits
    headers = _headers(house, asking, peer, method=method, path=path, body=body)
    if body:
        headers["Content-Type"] = content_type
    deadline = time.monotonic() + limits.answer_budget if deadline is None else deadline
    return house.transport.request(peer, method, path, headers, body, deadline=deadline, max_bytes=limits.peer_answer)


def stream_from_peer(
    house: House, asking: Asking, peer: Peer, *, path: str, accept: str, range_: str = "", known: str = ""
) -> PeerStream:
    """Open a transfer that flows through; closing it closes the peer's side. `known` is the ETag of what is here."""
    headers = _headers(house, asking, peer, method="GET", path=path, body=b"")
    headers["Accept"] = accept
    if range_:
        headers["Range"] = range_
    if known:
        headers["If-None-Match"] = known
    deadline = time.monotonic() + house.settings.limits.open_budget
    most = house.settings.limits.dicom_body
    return house.transport.stream(peer, "GET", path, headers, deadline=deadline, max_bytes=most)


def _headers(house: House, asking: Asking, peer: Peer, *, method: str, path: str, body: bytes) -> dict[str, str]:
    path, _, query = path.partition("?")
    token = make_peer_token(
        house.keys,
        asking.requester,
        audience=peer.community.home,
        method=method,
        path=path,
        query=query,
        body=body,
        certificate_thumbprint=house.transport.thumbprint,
        receipts=[receipt_hash(jws) for _, jws in asking.receipts],
        basis=_basis(asking, peer, now=house.now()),
        token_id=asking.exchange,
        now=house.now(),
    )
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/fhir+json"}
    if asking.receipts:
        headers[RECEIPT_HEADER] = ",".join(jws for _, jws in asking.receipts)
    return headers


def _basis(asking: Asking, peer: Peer, *, now: datetime) -> ConsentClaims | None:
    """What the token says of the written requests that go along; in an emergency they bind nobody."""
    number = min((one for receipt, _ in asking.receipts for one in receipt.patient), default=None)
    if number is None or asking.requester.purpose.is_emergency:
        return None
    holder = peer.community.home
    ask = AccessRequest(asking.requester, holder)
    behind = used([receipt.as_consent(number, "", holder) for receipt, _ in asking.receipts], ask, now=now)
    return ConsentClaims(
        write_cx(number),
        tuple(f"urn:uuid:{one.id}" for one in behind),
        tuple(dict.fromkeys(one.policy for one in behind)),
        residual_of(behind, ask, now=now),
    )
