"""The token by which a hospital's system authenticates itself to a CDS service.

Source: CDS Hooks 2.0, "Trusting CDS Clients": a JWT signed by the client, for the very service that is called, used
once. Its keys are those that the administrator admitted (`hie clients add ISSUER`); nobody follows a `jku` in its head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.trust.jwk import Jwk
from adapters.trust.jwt_door import CLOCK_TOLERANCE, Rules, decode, moment
from adapters.trust.smart import RegisteredClient
from consent.errors import TokenRefused

LIFETIME = timedelta(minutes=5)
_CLAIMS = frozenset({"iss", "aud", "exp", "iat", "jti"})


@dataclass(frozen=True, slots=True)
class HookToken:
    """A valid one: whose it is, and the id under which it has to be spent until `expires`."""

    client: RegisteredClient
    token_id: str
    expires: datetime


def read_hook_token(
    token: str, *, client_of: Callable[[str], RegisteredClient | None], audience: str, now: datetime
) -> HookToken:
    """The system that signed it; raises TokenRefused."""
    rules = Rules(
        frozenset({"jwt", ""}),
        _CLAIMS,
        audience=audience,
        lifetime=LIFETIME,
        algorithms=frozenset({"ES384", "RS384", "ES256"}),
        tolerated=frozenset({"jku"}),
    )
    claims = decode(token, lambda issuer: _keys_of(client_of(issuer)), rules, now=now)
    client = client_of(claims["iss"])
    if client is None:
        raise TokenRefused("issuer")
    # one name for every client's ids, so that two systems' ids are never one
    token_id = hashlib.sha256(f"{client.client_id}\n{claims['jti']}".encode()).hexdigest()
    return HookToken(client, token_id, moment(claims, "exp") + CLOCK_TOLERANCE)


def _keys_of(client: RegisteredClient | None) -> Iterable[Jwk]:
    return client.jwks if client else ()
