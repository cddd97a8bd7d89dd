"""The one door for signed tokens. No other file imports a JWT library.

The library is permissive by design; what it lets through (no expiry, weak keys, tokens of 50 MB, duplicate names)
is refused here. Every failure is TokenRefused with a short code and nothing of the token in it.
Sources: RFC 7515 (JWS), RFC 7519 (JWT), RFC 8725 (best practice).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.trust.jwk import Jwk, VerificationKey, from_base64url, read_jwk
from adapters.trust.strict_json import NotStrictJson, read_object
from consent.errors import TokenRefused

ALGORITHMS = frozenset({"ES256", "ES384", "RS256", "RS384"})
"""RS256 for ID tokens of a hospital's own provider alone: every other kind of token names what it takes."""
CLOCK_TOLERANCE = timedelta(seconds=10)
LARGEST_TOKEN = 8192
# each of them lets the sender choose the key, the meaning of the bytes, or their size
_REFUSED_HEADERS = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"})
_LATEST = 253402300799  # the last second that a date can hold (9999-12-31)
_JWS = jwt.PyJWS(algorithms=sorted(ALGORITHMS))

Claims = dict[str, Any]
KeysOf = Callable[[str], Iterable[Jwk]]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Rules:
    """What one kind of token must look like.

    types      allowed values of `typ` in lower case; an empty one stands for its absence
    required   claims that must be there
    audience   the only one it may be for; None: it is not for anyone in particular (receipts, seals)
    tolerated  headers that are usually refused and here only ignored
    lifetime   from `iat` (or, where that is not required, from now) to `exp`; None: it does not expire by itself
    """

    types: frozenset[str]
    required: frozenset[str]
    audience: str | None = None
    lifetime: timedelta | None = None
    algorithms: frozenset[str] = frozenset({"ES256"})
    limit: int = LARGEST_TOKEN
    tolerated: frozenset[str] = frozenset()


def encode(claims: Mapping[str, Any], key: PrivateKey, *, kid: str, typ: str, algorithm: str = "ES256") -> str:
    """Sign the claims; raises TokenRefused("oversize") rather than make what no door takes."""
    token = _JWS.encode(orjson.dumps(claims), key, algorithm=algorithm, headers={"kid": kid, "typ": typ})
    if len(token) > LARGEST_TOKEN:
        raise TokenRefused("oversize")
    return token


def decode(token: str, keys_of: KeysOf, rules: Rules, *, now: datetime | None) -> Claims:
    """The claims of a token that holds in every respect; raises TokenRefused.

    `keys_of` is asked with the issuer that the token claims; what it returns must hold the key that signed.
    `now` may be None only for kinds without a lifetime, whose times are judged by the rules of their room.
    """
    header, payload = _open(token, rules.limit)
    claims = _object(payload, rules.limit)
    _verify(token, payload, _key(header, text(claims, "iss"), keys_of, rules))
    _check_names(claims, rules)
    if rules.audience is not None:
        _check_audience(claims.get("aud"), rules.audience)
    if now is not None:
        _check_times(claims, rules, now.timestamp())
    return claims


def _open(token: str, limit: int) -> tuple[dict[str, Any], bytes]:
    if len(token) > limit:
        raise TokenRefused("oversize")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefused("malformed")
    try:
        header, payload, _signature = (from_base64url(part) for part in parts)
    except ValueError as error:
        raise TokenRefused("malformed") from error
    return _object(header, limit), payload


def _object(content: bytes, limit: int) -> dict[str, Any]:
    try:
        return read_object(content, limit=limit)
    except NotStrictJson as error:
        raise TokenRefused("malformed" if error.reason == "not-json" else error.reason) from error


def _key(header: Mapping[str, Any], issuer: str, keys_of: KeysOf, rules: Rules) -> VerificationKey:
    if (_REFUSED_HEADERS - rules.tolerated) & header.keys():
        raise TokenRefused("header")
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS & rules.algorithms:
        raise TokenRefused("algorithm")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in rules.types:
        raise TokenRefused("type")
    if not isinstance(kid, str) or not kid:
        raise TokenRefused("unknown-key")
    named = [jwk for jwk in keys_of(issuer) if jwk.get("kid") == kid]
    if not named:
        raise TokenRefused("unknown-key")
    key = _readable(named[0], algorithm)
    if key.algorithm != algorithm:
        raise TokenRefused("algorithm")
    return key


def _readable(jwk: Jwk, algorithm: str) -> VerificationKey:
    """An RSA key is read for RS384, unless it is a provider's that says RS256 itself or nothing."""
    if algorithm == "RS256" and jwk.get("kty") == "RSA" and jwk.get("alg", algorithm) == algorithm:
        return replace(read_jwk({**jwk, "alg": "RS384"}), algorithm=algorithm)
    return read_jwk(jwk)


def _verify(token: str, payload: bytes, key: VerificationKey) -> None:
    try:
        verified = _JWS.decode_complete(token, key.key, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefused("signature") from error
    # what is read is what was verified, whatever the library makes of the same text
    if verified["payload"] != payload:
        raise TokenRefused("signature")


def _check_names(claims: Claims, rules: Rules) -> None:
    if rules.required - claims.keys():
        raise TokenRefused("missing-claim")
    for name in ("iss", "sub", "jti"):
        if name in rules.required:
            text(claims, name)


def _check_audience(audience: Any, expected: str) -> None:
    # a second audience could present the same token here
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if audience != expected:
        raise TokenRefused("audience")


def _check_times(claims: Claims, rules: Rules, now: float) -> None:
    tolerance = CLOCK_TOLERANCE.total_seconds()
    issued, expires, not_before = (_seconds(claims, name) for name in ("iat", "exp", "nbf"))
    if expires is not None and now >= expires + tolerance:
        raise TokenRefused("expired")
    if any(start is not None and start > now + tolerance for start in (issued, not_before)):
        raise TokenRefused("from-the-future")
    if rules.lifetime is None:
        return
    longest = rules.lifetime.total_seconds()
    if expires is None or expires > now + longest + tolerance:
        raise TokenRefused("lifetime")
    if "iat" in rules.required and (issued is None or not 0 < expires - issued <= longest):
        raise TokenRefused("lifetime")


def _seconds(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise TokenRefused("claim")
    return float(value)


def moment(claims: Claims, name: str) -> datetime:
    """A NumericDate claim as a moment; raises TokenRefused when it is not one."""
    seconds = _seconds(claims, name)
    if seconds is None:
        raise TokenRefused("missing-claim")
    return datetime.fromtimestamp(seconds, UTC)


def text(claims: Mapping[str, Any], name: str, *, limit: int = 255, default: str | None = None) -> str:
    """A printable text of 1 to `limit` characters; absent: the default, or TokenRefused where there is none."""
    value = claims.get(name)
    if value is None or value == "":
        if default is None:
            raise TokenRefused("missing-claim")
        return default
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise TokenRefused("claim")
    return value
