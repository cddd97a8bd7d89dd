"""Public keys as JSON, and back: three kinds of key, each good for exactly one algorithm.

Sources: RFC 7517 (JWK), RFC 7518 section 6 (EC, RSA), RFC 7638 (thumbprint), RFC 8725 section 3.1 (one algorithm
per key).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from consent.errors import TokenRefused

Jwk = Mapping[str, Any]
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

SMALLEST_RSA, LARGEST_RSA = 2048, 8192
_CURVES: dict[str, tuple[ec.EllipticCurve, int, str]] = {
    "P-256": (ec.SECP256R1(), 32, "ES256"),
    "P-384": (ec.SECP384R1(), 48, "ES384"),
}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, the name it goes by, and the one algorithm it may be used with."""

    kid: str
    algorithm: str
    key: PublicKey


def base64url(content: bytes) -> str:
    """Without padding. Source: RFC 7515 section 2."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes; raises ValueError for any other spelling of them (padding, white space, loose last bits)."""
    if _BASE64URL.fullmatch(text) is None:
        raise ValueError("not base64url")
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(content) != text:
        raise ValueError("not canonical base64url")
    return content


def read_jwk(jwk: Jwk) -> VerificationKey:
    """The key in a JWK; raises TokenRefused("key") for one that is private, weak, off its curve or for other uses."""
    if _PRIVATE_PARTS & jwk.keys() or jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise TokenRefused("key")
    kind = jwk.get("kty")
    parts = ("crv", "x", "y") if kind == "EC" else ("n", "e")
    values = tuple(jwk.get(part) for part in parts)
    if kind not in ("EC", "RSA") or not all(isinstance(value, str) and len(value) <= 1400 for value in values):
        raise TokenRefused("key")
    try:
        algorithm, key = _ec(*values) if kind == "EC" else _rsa(*values)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TokenRefused("key") from error
    kid = jwk.get("kid", "")
    if jwk.get("alg", algorithm) != algorithm or not isinstance(kid, str) or len(kid) > 255:
        raise TokenRefused("key")
    return VerificationKey(kid or thumbprint(public_jwk(key)), algorithm, key)


# a thousand hospitals with two keys each; parsing a point costs as much as a signature
@lru_cache(maxsize=4096)
def _ec(curve: str, x: str, y: str) -> tuple[str, PublicKey]:
    if curve not in _CURVES:
        raise ValueError("curve")
    named, size, algorithm = _CURVES[curve]
    first, second = from_base64url(x), from_base64url(y)
    if len(first) != size or len(second) != size:
        raise ValueError("coordinate")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(first, "big"), int.from_bytes(second, "big"), named)
    return algorithm, numbers.public_key()


@lru_cache(maxsize=256)
def _rsa(n: str, e: str) -> tuple[str, PublicKey]:
    modulus, exponent = (int.from_bytes(from_base64url(part), "big") for part in (n, e))
    if not SMALLEST_RSA <= modulus.bit_length() <= LARGEST_RSA or exponent.bit_length() > 32:
        raise ValueError("size")
    return "RS384", rsa.RSAPublicNumbers(exponent, modulus).public_key()


def public_jwk(key: PublicKey) -> dict[str, str]:
    """The key as a JWK for signatures, named by its thumbprint."""
    if isinstance(key, rsa.RSAPublicKey):
        rsa_numbers = key.public_numbers()
        jwk = {"kty": "RSA", "n": _minimal(rsa_numbers.n), "e": _minimal(rsa_numbers.e)}
        algorithm = "RS384"
    else:
        name = next((name for name, (curve, _, _) in _CURVES.items() if curve.name == key.curve.name), None)
        if name is None:
            raise TokenRefused("key")
        _, size, algorithm = _CURVES[name]
        numbers = key.public_numbers()
        x, y = (base64url(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
        jwk = {"kty": "EC", "crv": name, "x": x, "y": y}
    return {**jwk, "kid": thumbprint(jwk), "alg": algorithm, "use": "sig"}


def thumbprint(jwk: Jwk) -> str:
    """SHA-256 over the required members in order of their names. Source: RFC 7638 section 3."""
    members = ("crv", "kty", "x", "y") if jwk.get("kty") == "EC" else ("e", "kty", "n")
    exact = orjson.dumps({member: jwk[member] for member in members})
    return base64url(hashlib.sha256(exact).digest())


def _minimal(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
