"""Who is at the door. House: an access token of this node. Peer: mutual TLS and a signed one-use token, bound together.

What fails here is TokenRefused, whatever the reason: the answer does not tell which check it was.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from adapters.trust.hook_tokens import read_hook_token
from adapters.trust.peer_tokens import body_hash, read_peer_token, receipt_hash
from adapters.trust.receipts import read_receipt
from adapters.trust.scopes import Scopes
from consent.errors import InvalidReceipt, ScopeMissing, TokenRefused
from consent.receipts import ConsentReceipt
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Caller
from hie_node.clients import registered
from hie_node.flows.peer_call import RECEIPT_HEADER
from hie_node.house import House

CERTIFICATE_HEADER = "x-hie-client-certificate"
"""Set by the edge from the TLS connection; whatever a client sends under this name is dropped there."""


def bearer(headers: Mapping[str, str]) -> str:
    """The token of `Authorization: Bearer …`."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise TokenRefused("missing")
    return token.strip()


def at_the_house_door(house: House, headers: Mapping[str, str]) -> tuple[Caller, Scopes]:
    """A system or a person of this hospital, and what its token lets it do."""
    access = house.access_tokens.read(
        bearer(headers), keys=house.keys.ever(), base=house.settings.house.url, home=house.home, now=house.now()
    )
    return Caller(access.requester, "house"), access.scopes


def at_a_cds_service(house: House, headers: Mapping[str, str], *, path: str) -> tuple[Caller, Scopes]:
    """An access token of this node, or the system's own token for this very service (CDS Hooks), which is spent."""
    try:
        return at_the_house_door(house, headers)
    except TokenRefused as refusal:
        if refusal.reason == "missing":
            raise
    with house.storage.begin() as unit:
        token = read_hook_token(
            bearer(headers),
            client_of=lambda client_id: registered(unit.people_of_the_house.client(client_id)),
            audience=house.settings.house.url + path,
            now=house.now(),
        )
        unit.tokens.spend("cds-hooks", token.token_id, expires=token.expires)
    client = token.client
    purpose = PurposeOfUse.TREAT
    if purpose not in client.purposes:
        raise ScopeMissing
    asker = Requester(
        client.client_id,
        Role.SYSTEM,
        house.home,
        client.name,
        house.settings.name,
        purpose,
        client_id=client.client_id,
        token_id=token.token_id,
    )
    return Caller(asker, "house"), client.scopes


def at_the_peer_door(
    house: House, headers: Mapping[str, str], *, method: str, path: str, query: str, body: bytes
) -> Caller:
    """Another node: certificate, token and directory name the same hospital, and the token is for this very request."""
    try:
        certificate = base64.b64decode(headers.get(CERTIFICATE_HEADER, ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise TokenRefused("certificate") from error
    if not certificate:
        raise TokenRefused("certificate")
    token = read_peer_token(
        bearer(headers),
        keys_of=house.directory.current().keys_of,
        home=house.home,
        method=method,
        path=path,
        query=query,
        body_hash=body_hash(body),
        certificate_der=certificate,
        now=house.now(),
    )
    receipts = _receipts(house, headers.get(RECEIPT_HEADER.lower(), ""), token.receipts)
    return Caller(token.requester, "peer", token.expires, receipts)


def _receipts(house: House, header: str, announced: tuple[str, ...]) -> tuple[tuple[ConsentReceipt, str], ...]:
    """The written requests that came along and that the token names; one that cannot be read counts as not sent."""
    found = []
    for jws in (part.strip() for part in header.split(",") if part.strip()):
        if receipt_hash(jws) not in announced:
            continue
        try:
            found.append((read_receipt(jws, house.directory.current().keys_of), jws))
        except InvalidReceipt:
            continue
    return tuple(found)
