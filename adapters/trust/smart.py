"""Tokens for the systems of this hospital: a signed assertion comes in, a short access token goes out.

Sources: SMART App Launch 2.2 (Backend Services), RFC 7523 (client assertions), RFC 9068 (at+jwt), RFC 6749 section
5.2 (errors), RFC 8414 (metadata), IHE IUA (ITI-71, ITI-72, ITI-103).
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from adapters.trust.errors import OAuthError
from adapters.trust.iua import LONGEST_REASON, iua_in, iua_of, name_in, purpose_in, requester_in, role_in
from adapters.trust.jwk import Jwk
from adapters.trust.jwt_door import CLOCK_TOLERANCE, Claims, Rules, decode, moment, text
from adapters.trust.keys import SigningKeys
from adapters.trust.pcf import LONGEST_ADDRESS, pcf_in, pcf_of
from adapters.trust.scopes import Scopes, granted, narrowed
from consent.errors import TokenRefused
from consent.requesters import PurposeOfUse, Requester, Role
from consent.residuals import ConsentClaims
from registry.identifiers import HomeCommunityId

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = timedelta(minutes=5)
ACCESS_LIFETIME = timedelta(seconds=300)
MOST_KEPT = 1024
_ASSERTION_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "jti"})
_ACCESS_TYPE = "at+jwt"
_ACCESS_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "extensions"})
_STAFF = frozenset({Role.SYSTEM, Role.DOCTOR, Role.NURSE, Role.REGISTRAR, Role.CONSENT_DESK})


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A system that the administrator admitted: its keys, what it may ask for, why, and for whom it may speak."""

    client_id: str
    name: str
    jwks: tuple[Jwk, ...]
    scopes: Scopes
    purposes: frozenset[PurposeOfUse] = frozenset({PurposeOfUse.TREAT})
    roles: frozenset[Role] = _STAFF


@dataclass(frozen=True, slots=True)
class Assertion:
    """A valid client assertion; `token_id` has to be spent until `expires`, under the client's id.

    patient    the one patient that the token is asked for (`person_id` of IUA), empty for any
    """

    client: RegisteredClient
    token_id: str
    expires: datetime
    subject: str
    name: str
    role: Role
    purpose: PurposeOfUse
    reason: str
    patient: str = ""

    def requester(self, *, home: HomeCommunityId, organization: str) -> Requester:
        """The person behind the system, or the system itself, as this hospital speaks of it."""
        return Requester(
            self.subject, self.role, home, self.name, organization, self.purpose, self.reason, self.client.client_id
        )


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What the token endpoint answers with."""

    token: str
    token_id: str
    scope: str
    lifetime: timedelta

    def answer(self) -> dict[str, Any]:
        """Source: RFC 6749 section 5.1; to be sent with `Cache-Control: no-store`."""
        seconds = int(self.lifetime.total_seconds())
        return {"access_token": self.token, "token_type": "Bearer", "expires_in": seconds, "scope": self.scope}


@dataclass(frozen=True, slots=True)
class HouseToken:
    """A valid access token: who is behind the request, and what it is good for."""

    requester: Requester
    scopes: Scopes
    expires: datetime
    basis: ConsentClaims | None = None


def read_assertion(
    assertion: str, *, client_of: Callable[[str], RegisteredClient | None], token_url: str, now: datetime
) -> Assertion:
    """The client that signed it and whom it speaks for; raises OAuthError.

    A purpose or role that the client may not use is refused, not replaced: care would be more than it asked for.
    """
    rules = Rules(
        frozenset({"", "jwt", "client-authentication+jwt"}),
        _ASSERTION_CLAIMS,
        audience=token_url,
        lifetime=ASSERTION_LIFETIME,
        algorithms=frozenset({"RS384", "ES384"}),
    )
    try:
        claims = decode(assertion, lambda issuer: _keys_of(client_of(issuer)), rules, now=now)
        client = client_of(claims["iss"])
        if client is None or claims["sub"] != client.client_id or claims["iss"] != client.client_id:
            raise TokenRefused("issuer")
        expires = moment(claims, "exp") + CLOCK_TOLERANCE
    except TokenRefused as error:
        raise OAuthError("invalid_client", 401, reason=error.reason) from error
    return _behind(claims, client, expires)


def _keys_of(client: RegisteredClient | None) -> Iterable[Jwk]:
    return client.jwks if client else ()


def _behind(claims: Claims, client: RegisteredClient, expires: datetime) -> Assertion:
    try:
        iua = iua_in(claims)
        role, purpose = role_in(iua) or Role.SYSTEM, purpose_in(iua) or PurposeOfUse.TREAT
        subject = text(iua, "subject_id", default=client.client_id)
        name = name_in(iua) or client.name
        reason = text(iua, "reason", limit=LONGEST_REASON, default="")
        patient = text(iua, "person_id", limit=LONGEST_ADDRESS, default="")
    except TokenRefused as error:
        raise OAuthError("invalid_request", reason=error.reason) from error
    if purpose not in client.purposes or role not in client.roles:
        raise OAuthError("unauthorized_client", reason="purpose" if role in client.roles else "role")
    return Assertion(client, claims["jti"], expires, subject, name, role, purpose, reason, patient)


def issue_access_token(
    keys: SigningKeys,
    requester: Requester,
    *,
    scope: str,
    allowed: Scopes,
    base: str,
    now: datetime,
    basis: ConsentClaims | None = None,
) -> AccessToken:
    """A token for the house door at `base`; raises OAuthError("invalid_scope") where nothing asked for is allowed.

    With `basis` it is for the records of one patient.
    """
    given = narrowed(scope, allowed)
    if not given:
        raise OAuthError("invalid_scope")
    issued, token_id = int(now.timestamp()), secrets.token_urlsafe(16)
    claims = {
        "iss": base,
        "sub": requester.subject,
        "aud": base,
        "client_id": requester.client_id,
        "scope": given,
        "jti": token_id,
        "iat": issued,
        "exp": issued + int(ACCESS_LIFETIME.total_seconds()),
        "extensions": {"ihe_iua": iua_of(requester), **({"ihe_pcf": pcf_of(basis)} if basis else {})},
        **({"reason": requester.reason} if requester.reason else {}),
    }
    try:
        return AccessToken(keys.sign(claims, _ACCESS_TYPE), token_id, given, ACCESS_LIFETIME)
    except TokenRefused as error:
        raise OAuthError("invalid_request", reason=error.reason) from error


def read_access_token(
    token: str, *, keys: Iterable[Jwk], base: str, home: HomeCommunityId, now: datetime
) -> HouseToken:
    """Who asks at the house door; raises TokenRefused."""
    known = tuple(keys)
    rules = Rules(frozenset({_ACCESS_TYPE}), _ACCESS_CLAIMS, audience=base, lifetime=ACCESS_LIFETIME)
    claims = decode(token, lambda issuer: known if issuer == base else (), rules, now=now)
    iua = iua_in(claims)
    role, purpose = role_in(iua), purpose_in(iua)
    if role is None or purpose is None or iua.get("home_community_id") != str(home):
        raise TokenRefused("claim")
    requester = requester_in(claims, home=home, role=role, purpose=purpose, client_id=text(claims, "client_id"))
    scopes, basis = granted(text(claims, "scope", limit=4096)), pcf_in(claims, base=f"{base}/fhir")
    return HouseToken(requester, scopes, moment(claims, "exp"), basis)


class AccessTokens:
    """Access tokens that this process has read before: a system sends the same one with hundreds of requests.

    Kept by their hash, so that no token stands in memory to be stolen; never for longer than it holds, nor under
    other keys than those that verified it. What was refused is not kept.
    """

    def __init__(self, *, most: int = MOST_KEPT) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[object, HouseToken]] = OrderedDict()
        self._lock = Lock()

    def read(self, token: str, *, keys: Iterable[Jwk], base: str, home: HomeCommunityId, now: datetime) -> HouseToken:
        """As `read_access_token`; raises TokenRefused."""
        signers, digest = tuple(keys), hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        under = (signers, base, home)
        with self._lock:
            known = self._known.get(digest)
        if known is not None and known[0] == under and now < known[1].expires + CLOCK_TOLERANCE:
            return known[1]
        found = read_access_token(token, keys=signers, base=base, home=home, now=now)
        with self._lock:
            self._known[digest] = (under, found)
            self._known.move_to_end(digest)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found


def smart_configuration(base: str, *, scopes: Iterable[str]) -> Mapping[str, Any]:
    """`/.well-known/smart-configuration`, without an issuer, which is one of OpenID Connect there.

    Source: SMART App Launch 2.2, conformance.
    """
    return {
        **_metadata(base, scopes),
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        "code_challenge_methods_supported": ["S256"],
    }


def authorization_server(base: str, *, scopes: Iterable[str]) -> Mapping[str, Any]:
    """`/.well-known/oauth-authorization-server`. Sources: RFC 8414, IHE IUA ITI-103."""
    # a list has to be there and may not be empty: there is no authorization endpoint, and "none" is what gives nothing
    responses = {"response_types_supported": ["none"]}
    return {"issuer": base, **_metadata(base, scopes), **responses, "access_token_format": "ihe-jwt"}


def _metadata(base: str, scopes: Iterable[str]) -> dict[str, Any]:
    return {
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "token_endpoint": f"{base}/oauth/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": sorted(scopes),
    }
