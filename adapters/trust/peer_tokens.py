"""The token of one question from node to node: who asks, why, and that this very request is meant.

Bound to the holder (aud), to the asker's TLS certificate (cnf), to method, path and body, for at most 60 s and once.
The path is bound as it is written in the request line. Nodes ask in the body, where nothing personal can end in a log
of addresses; who asks with a query (a search by GET) can bind it too (`qsh`). Without that claim the query counts as it
comes: only the holder of the certificate itself could have changed it.
Sources: RFC 7519, RFC 8705 section 3.1 (cnf), RFC 9449 section 4.2 (htm, htu), IHE IUA (ITI-72).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.trust import certificates
from adapters.trust.errors import CertificateUnusable
from adapters.trust.iua import iua_in, iua_of, purpose_in, requester_in, role_in
from adapters.trust.jwk import Jwk, base64url
from adapters.trust.jwt_door import CLOCK_TOLERANCE, Claims, Rules, decode, moment, text
from adapters.trust.keys import SigningKeys
from adapters.trust.pcf import pcf_in, pcf_of
from consent.errors import TokenRefused
from consent.requesters import Requester
from consent.residuals import ConsentClaims
from registry.identifiers import HomeCommunityId

TYPE = "hie-peer+jwt"
LIFETIME = timedelta(seconds=60)
MOST_RECEIPTS = 16
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_RANDOM_128_BITS = re.compile(r"[A-Za-z0-9_-]{22,64}")
_REQUIRED = frozenset({"iss", "sub", "aud", "jti", "iat", "exp", "cnf", "htm", "htu", "bsh", "extensions"})

KeysOfHome = Callable[[HomeCommunityId], Iterable[Jwk]]


@dataclass(frozen=True, slots=True)
class PeerToken:
    """What a valid token says.

    expires    after this moment it is refused for its age, so it has to be remembered as used until then
    receipts   SHA-256, hex, of the receipts that travel with the question
    basis      what the asker says of the consents behind it; its rules narrow what is shown
    """

    requester: Requester
    token_id: str
    expires: datetime
    receipts: tuple[str, ...]
    basis: ConsentClaims | None = None


def body_hash(body: bytes) -> str:
    """base64url of the SHA-256 of a request body; of an empty one as well."""
    return base64url(hashlib.sha256(body).digest())


def receipt_hash(jws: str) -> str:
    """SHA-256 of a signed receipt, hex: how a token names it."""
    return hashlib.sha256(jws.encode()).hexdigest()


def new_token_id() -> str:
    """128 random bits, as a token's id has to have."""
    return secrets.token_urlsafe(16)


def make_peer_token(  # noqa: PLR0913 - a token binds as many facts
    keys: SigningKeys,
    requester: Requester,
    *,
    audience: HomeCommunityId,
    method: str,
    path: str,
    body: bytes,
    certificate_thumbprint: str,
    query: str = "",
    receipts: Sequence[str] = (),
    basis: ConsentClaims | None = None,
    token_id: str = "",
    now: datetime,
) -> str:
    """Sign one question; `path` and `query` as the request line will say, `receipts` as hashes (`receipt_hash`).

    One `token_id` may serve one question to several holders: each of them takes it once.
    """
    if len(receipts) > MOST_RECEIPTS:
        raise TokenRefused("receipts")
    issued = int(now.timestamp())
    claims = {
        "iss": str(requester.home),
        "aud": str(audience),
        "sub": requester.subject,
        "jti": token_id or new_token_id(),
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
        "cnf": {"x5t#S256": certificate_thumbprint},
        "htm": method,
        "htu": path,
        "bsh": body_hash(body),
        "extensions": {"ihe_iua": iua_of(requester), **({"ihe_pcf": pcf_of(basis)} if basis else {})},
        **({"qsh": _query_hash(query)} if query else {}),
        **({"client_id": requester.client_id} if requester.client_id else {}),
        **({"reason": requester.reason} if requester.reason else {}),
        **({"declared": int(requester.declared.timestamp())} if requester.declared else {}),
        **({"receipts": list(receipts)} if receipts else {}),
    }
    return keys.sign(claims, TYPE)


def read_peer_token(  # noqa: PLR0913 - as above
    token: str,
    *,
    keys_of: KeysOfHome,
    home: HomeCommunityId,
    method: str,
    path: str,
    body_hash: str,
    certificate_der: bytes,
    now: datetime,
    query: str = "",
) -> PeerToken:
    """Who asks. Certificate, issuer and directory entry are one community, or TokenRefused.

    `keys_of` gives the keys of a community that may ask, none for any other. That the token was not used before is
    the caller's to check: `token_id` has to be spent until `expires`.
    """
    asker = _certified(certificate_der)
    rules = Rules(frozenset({TYPE}), _REQUIRED, audience=str(home), lifetime=LIFETIME)
    claims = decode(token, lambda issuer: keys_of(asker) if issuer == str(asker) else (), rules, now=now)
    bound = {"cnf": {"x5t#S256": certificates.thumbprint(certificate_der)}, "htm": method, "htu": path}
    for name, expected in (bound | {"bsh": body_hash}).items():
        if claims[name] != expected:
            raise TokenRefused(_UNBOUND[name])
    if "qsh" in claims and claims["qsh"] != _query_hash(query):
        raise TokenRefused("other-query")
    if _RANDOM_128_BITS.fullmatch(text(claims, "jti")) is None:
        raise TokenRefused("claim")
    return PeerToken(
        _requester(claims, asker),
        claims["jti"],
        moment(claims, "exp") + CLOCK_TOLERANCE,
        _receipts(claims),
        pcf_in(claims, base=""),
    )


def _query_hash(query: str) -> str:
    return base64url(hashlib.sha256(query.encode()).digest())


_UNBOUND = {"cnf": "other-certificate", "htm": "other-method", "htu": "other-path", "bsh": "other-body"}


def _certified(der: bytes) -> HomeCommunityId:
    try:
        return certificates.home_of(der)
    except CertificateUnusable as error:
        raise TokenRefused("certificate") from error


def _requester(claims: Claims, home: HomeCommunityId) -> Requester:
    iua = iua_in(claims)
    role, purpose = role_in(iua), purpose_in(iua)
    if role is None or purpose is None:
        raise TokenRefused("missing-claim")
    if iua.get("home_community_id") != str(home):
        raise TokenRefused("issuer")
    return requester_in(claims, home=home, role=role, purpose=purpose, client_id=text(claims, "client_id", default=""))


def _receipts(claims: Claims) -> tuple[str, ...]:
    receipts = claims.get("receipts", [])
    if not isinstance(receipts, list) or len(receipts) > MOST_RECEIPTS:
        raise TokenRefused("receipts")
    if not all(isinstance(one, str) and _SHA256_HEX.fullmatch(one) for one in receipts):
        raise TokenRefused("receipts")
    return tuple(receipts)
