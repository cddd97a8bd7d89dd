"""The hospital's own OpenID Connect provider: where it is, how somebody is sent there, and what comes back.

Authorization code with PKCE; the ID token is verified against the provider's keys, for this client, this sign-in
(nonce) and now. Calls to it follow the rules of all outgoing connections: TLS 1.2 or newer with its certificate
checked, no proxy from the environment, no redirects, bounded in time and bytes.
Sources: OpenID Connect Core 1.0 section 3.1, Discovery 1.0, RP-Initiated Logout 1.0, RFC 7636 (PKCE), RFC 9207 (issuer
in the answer).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode

from adapters.trust.errors import ProviderUnusable
from adapters.trust.jwk import base64url
from adapters.trust.jwt_door import Claims, Rules, decode
from adapters.trust.strict_json import NotStrictJson, read_object
from consent.errors import TokenRefused

SECONDS, MOST_BYTES, KEPT_SECONDS = 5.0, 256 << 10, 300
_ID_TOKEN_LIFE = timedelta(days=1)
_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "iat", "nonce"})


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider and this node's place there. `ca_file` empty: the system's authorities."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Departure:
    """What this node has to remember of somebody on their way to the provider."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Departure:
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))


class ProviderClient:
    """Talks to the provider; its documents are kept for a few minutes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = Lock()

    def address(self, provider: Provider, departure: Departure, *, fresh: bool = False) -> str:
        """Where the browser is sent; `fresh` asks for a new proof, whatever session the provider has."""
        challenge = base64url(hashlib.sha256(departure.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": provider.redirect_uri,
            "scope": "openid profile",
            "state": departure.state,
            "nonce": departure.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"prompt": "login", "max_age": "0"} if fresh else {}),
        }
        return f"{self._endpoint(provider, 'authorization_endpoint')}?{urlencode(asked)}"

    def farewell(self, provider: Provider, *, back: str) -> str:
        """Where the browser is sent to end the session there; `back` has to be registered at the provider."""
        asked = {"client_id": provider.client_id, "post_logout_redirect_uri": back}
        return f"{self._endpoint(provider, 'end_session_endpoint')}?{urlencode(asked)}"

    def claims(self, provider: Provider, departure: Departure, code: str, *, now: datetime) -> Claims:
        """Who came back with this code. Raises ProviderUnusable, or TokenRefused for a token that does not hold."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": provider.redirect_uri,
            "client_id": provider.client_id,
            "code_verifier": departure.verifier,
        }
        answer = self._call(provider, self._endpoint(provider, "token_endpoint"), form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderUnusable("no-id-token")
        return self._verified(provider, departure, token, now)

    def _verified(self, provider: Provider, departure: Departure, token: str, now: datetime) -> Claims:
        rules = Rules(
            frozenset({"jwt", ""}),
            _CLAIMS,
            audience=provider.client_id,
            lifetime=_ID_TOKEN_LIFE,
            algorithms=frozenset({"RS256", "RS384", "ES256", "ES384"}),
            limit=64 << 10,
        )
        keys = self._document(provider, self._endpoint(provider, "jwks_uri")).get("keys")
        listed = [key for key in keys if isinstance(key, Mapping)] if isinstance(keys, list) else []
        claims = decode(token, lambda issuer: listed if issuer == provider.issuer else (), rules, now=now)
        if not secrets.compare_digest(str(claims["nonce"]).encode(), departure.nonce.encode()):
            raise TokenRefused("nonce")
        return claims

    def _endpoint(self, provider: Provider, name: str) -> str:
        found = self._document(provider, provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != provider.issuer:
            raise ProviderUnusable("other-issuer")
        address = found.get(name)
        if not isinstance(address, str) or not address.startswith("https://"):
            raise ProviderUnusable(f"no-{name}")
        return address

    def _document(self, provider: Provider, address: str) -> dict[str, Any]:
        with self._lock:
            since, known = self._kept.get(address, (0.0, {}))
        if known and time.monotonic() - since < KEPT_SECONDS:
            return known
        found = self._call(provider, address, None)
        with self._lock:
            self._kept[address] = (time.monotonic(), found)
        return found

    def _call(self, provider: Provider, address: str, form: Mapping[str, str] | None) -> dict[str, Any]:
        import requests  # most hospitals have no provider

        headers = {"Accept": "application/json"}
        if form is not None and provider.client_secret:
            pair = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        with requests.Session() as session:
            session.trust_env = False
            session.verify = provider.ca_file or True
            try:
                answer = session.request(
                    "GET" if form is None else "POST",
                    address,
                    data=form,
                    headers=headers,
                    timeout=SECONDS,
                    allow_redirects=False,
                    stream=True,
                )
                content = answer.raw.read(MOST_BYTES + 1, decode_content=True)
            except requests.RequestException as error:
                raise ProviderUnusable("not-reachable") from error
        if answer.status_code != 200 or len(content) > MOST_BYTES:
            raise ProviderUnusable(f"status-{answer.status_code}")
        try:
            return read_object(content, limit=MOST_BYTES)
        except NotStrictJson as error:
            raise ProviderUnusable("no-json") from error


def values_at(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The texts at a claim: `roles`, or `realm_access.roles` inside another; one text, or a list of them."""
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    listed = found if isinstance(found, list) else [found]
    return frozenset(one for one in listed if isinstance(one, str))
