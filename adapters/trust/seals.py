"""Signed heads of the log of disclosures: what peers keep for each other, so that no row can vanish unnoticed.

A seal's signature is a JWS that says size, root and time itself, so that a peer can keep it without our rows.
Sources: RFC 6962 section 3.5 (signed tree head), C2SP tlog-cosignature (witnesses).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from adapters.trust.errors import SealBroken
from adapters.trust.jwk import Jwk
from adapters.trust.jwt_door import Rules, decode
from adapters.trust.keys import SigningKeys
from consent.errors import TokenRefused
from consent.merkle import Frontier
from consent.ports import Seal
from registry.identifiers import HomeCommunityId

TYPE, COSIGNATURE = "hie-seal+jwt", "hie-cosignature+jwt"
_REQUIRED = frozenset({"iss", "iat", "size", "root", "sealed"})
_RULES = Rules(frozenset({TYPE}), _REQUIRED, limit=2048)
_KEPT_RULES = Rules(frozenset({COSIGNATURE}), frozenset({"iss", "sub", "iat", "size", "root"}), limit=2048)


@dataclass(frozen=True, slots=True)
class Head:
    """What one seal says: so many rows of this hospital's log had this root (hex) at that moment."""

    home: HomeCommunityId
    size: int
    root: str
    sealed: datetime


def seal(keys: SigningKeys, frontier: Frontier, *, home: HomeCommunityId, now: datetime) -> Seal:
    """Sign the head of the log as it stands."""
    claims = {
        "iss": str(home),
        "iat": int(now.timestamp()),
        "size": frontier.size,
        "root": frontier.root.hex(),
        "sealed": now.isoformat(),
    }
    return Seal(frontier.size, frontier, now, keys.sign(claims, TYPE))


def read_head(signature: str, *, home: HomeCommunityId, keys: Iterable[Jwk]) -> Head:
    """What a seal of this hospital says; raises SealBroken unless one of its keys signed it."""
    known = tuple(keys)
    try:
        claims = decode(signature, lambda issuer: known if issuer == str(home) else (), _RULES, now=None)
        size, root, sealed = claims["size"], claims["root"], datetime.fromisoformat(claims["sealed"])
    except TokenRefused as error:
        raise SealBroken(error.reason) from error
    except (TypeError, ValueError) as error:
        raise SealBroken("form") from error
    if not isinstance(size, int) or isinstance(size, bool) or not isinstance(root, str):
        raise SealBroken("form")
    return Head(home, size, root, sealed)


def verify_seal(found: Seal, *, home: HomeCommunityId, keys: Iterable[Jwk]) -> Head:
    """The head that a stored seal proves; raises SealBroken when size, tree or time are not the signed ones."""
    frontier = found.frontier
    if found.size != frontier.size or len(frontier.roots) != frontier.size.bit_count():
        raise SealBroken("tree")
    head = read_head(found.signature, home=home, keys=keys)
    if (head.size, head.root, head.sealed) != (found.size, frontier.root.hex(), found.sealed):
        raise SealBroken("other-head")
    return head


def cosign(keys: SigningKeys, head: Head, *, keeper: HomeCommunityId, now: datetime) -> str:
    """Sign that this head of another hospital's record was shown to us and is kept."""
    claims = {
        "iss": str(keeper),
        "sub": str(head.home),
        "iat": int(now.timestamp()),
        "size": head.size,
        "root": head.root,
    }
    return keys.sign(claims, COSIGNATURE)


def check_cosignature(jws: str, head: Head, *, keeper: HomeCommunityId, keys: Iterable[Jwk]) -> None:
    """Raise SealBroken unless that hospital signed that it keeps this very head."""
    known = tuple(keys)
    try:
        claims = decode(jws, lambda issuer: known if issuer == str(keeper) else (), _KEPT_RULES, now=None)
    except TokenRefused as error:
        raise SealBroken(error.reason) from error
    if (claims["sub"], claims["size"], claims["root"]) != (str(head.home), head.size, head.root):
        raise SealBroken("other-head")
