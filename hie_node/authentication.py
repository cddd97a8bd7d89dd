"""Who is at the door. House: an access token of this node. Peer: mutual TLS and a signed one-use token, bound together.

What fails here is TokenRefused, whatever the reason: the answer does not tell which check it was.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from adapters.soap.faults import message_of
from adapters.trust import saml
from adapters.trust.certificates import home_of, thumbprint
from adapters.trust.errors import CertificateUnusable
from adapters.trust.hook_tokens import read_hook_token
from adapters.trust.peer_tokens import body_hash, read_peer_token, receipt_hash
from adapters.trust.receipts import read_receipt
from adapters.trust.scopes import Scopes
from adapters.wire import WireRequest
from consent.errors import InvalidReceipt, ScopeMissing, TokenRefused
from consent.receipts import ConsentReceipt
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Caller
from hie_node.clients import registered
from hie_node.flows.peer_call import RECEIPT_HEADER
from hie_node.house import House
from hie_node.patient_tokens import record_of
from registry.directory import Peer

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
    basis = access.basis
    residual = basis.residual if basis else ()
    return Caller(access.requester, "house", residual=residual, only_record=record_of(house, basis)), access.scopes


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
    return Caller(token.requester, "peer", token.expires, receipts, token.basis.residual if token.basis else ())


def introduced(house: House, request: WireRequest) -> tuple[Caller, Scopes] | None:
    """Before a SOAP envelope is read: a token that holds, or a connection of a hospital in the network.

    At the house door a message without a token may still say who sends it, by an assertion inside: then it is nobody
    yet. Raises TokenRefused.
    """
    if request.door == "peer":
        connected_community(house, request.headers)
    elif request.header("authorization"):
        return at_the_house_door(house, request.headers)
    return None


def connected_community(house: House, headers: Mapping[str, str]) -> Peer:
    """The hospital whose certificate the connection shows, if it takes part in the network."""
    try:
        certificate = base64.b64decode(headers.get(CERTIFICATE_HEADER, ""), validate=True)
        peer = house.directory.current().peer(home_of(certificate))
    except (binascii.Error, ValueError, CertificateUnusable) as error:
        raise TokenRefused("certificate") from error
    # an assertion does not name the certificate, as a token does: where the directory lists some, it has to be one
    listed = peer is None or not peer.thumbprints or thumbprint(certificate) in peer.thumbprints
    if peer is None or not peer.active or not listed:
        raise TokenRefused("certificate")
    return peer


def by_message(house: House, request: WireRequest) -> tuple[Caller, Scopes | None]:
    """Who sends a SOAP message: by access token, or by the SAML assertion in its Security header (XUA).

    Scopes are those of this hospital's systems; None for a peer, whose requests are decided record by record.
    """
    if request.door == "peer":
        return _peer_by_assertion(house, request), None
    if request.header("authorization"):
        return at_the_house_door(house, request.headers)
    return _client_by_assertion(house, request)


def _security(request: WireRequest) -> Any:
    message = message_of(request)
    if message is None or message.security is None:
        raise TokenRefused("missing")
    return message.security


def _client_by_assertion(house: House, request: WireRequest) -> tuple[Caller, Scopes]:
    """A system of this hospital vouches for its user: the issuer is a client that the administrator admitted, with its
    keys, its scopes, its purposes and its roles."""
    security = _security(request)
    with house.storage.read() as unit:
        client = registered(unit.people_of_the_house.client(saml.issuer_of(security)))
    if client is None:
        raise TokenRefused("issuer")
    url = house.settings.house.url
    audiences = frozenset({url, url + request.path, str(house.home)})
    said = saml.read_assertion(security, keys=client.jwks, audiences=audiences, now=house.now())
    role, purpose = said.role or Role.SYSTEM, said.purpose or PurposeOfUse.TREAT
    if said.issuer != client.client_id or role not in client.roles or purpose not in client.purposes:
        raise TokenRefused("issuer")
    requester = said.requester(home=house.home, role=role, purpose=purpose, client_id=client.client_id)
    return Caller(requester, "house", said.expires if said.one_use else None), client.scopes


def _peer_by_assertion(house: House, request: WireRequest) -> Caller:
    """Another hospital: the certificate of the connection, its listed key and the assertion name the same one."""
    peer, security = connected_community(house, request.headers), _security(request)
    url = house.settings.peer.url
    said = saml.read_assertion(
        security,
        keys=house.directory.current().keys_of(peer.home),
        audiences=frozenset({url, url + request.path, str(house.home)}),
        now=house.now(),
    )
    if said.role is None or said.purpose is None:
        raise TokenRefused("missing-claim")
    if said.issuer != str(peer.home) or said.home not in ("", str(peer.home)):
        raise TokenRefused("issuer")
    requester = said.requester(home=peer.home, role=said.role, purpose=said.purpose)
    receipts = _receipts(house, request.header(RECEIPT_HEADER), said.receipts)
    return Caller(requester, "peer", said.expires if said.one_use else None, receipts)


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
