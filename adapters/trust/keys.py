"""A node's own keys: the ones that sign, and the one that the keys of patients are wrapped with.

The key that will sign after the next rotation is published before it is used, and the ones before stay published
for 30 days, so that a peer that read our keys at any time in between can verify what we sign: no rotation is an outage.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from adapters.trust.errors import KeyUnusable
from adapters.trust.files import Stamp, read_private, stamp, write_whole
from adapters.trust.jwk import public_jwk
from adapters.trust.jwt_door import encode
from adapters.trust.strict_json import NotStrictJson, read_object

# peers may go on with what they read of our keys for this long
OVERLAP = timedelta(days=30)
_CURRENT, _NEXT, _RETIRED = "signing-current.pem", "signing-next.pem", "signing-retired.json"
_WRAPPING = "key-encryption.key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One ES256 key with its public half as a JWK; `kid` is the RFC 7638 thumbprint."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    public: Mapping[str, str]

    @property
    def kid(self) -> str:
        return self.public["kid"]

    def pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_signing_key() -> SigningKey:
    """A fresh ES256 key."""
    return _signing_key(ec.generate_private_key(ec.SECP256R1()))


def read_signing_key(path: Path, *, lab: bool = False) -> SigningKey:
    """The ES256 key of a file; raises KeyUnusable."""
    try:
        key = load_pem_private_key(read_private(path, lab=lab), password=None)
    except (ValueError, TypeError) as error:
        raise KeyUnusable(path, "is not a private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyUnusable(path, "is not a key on P-256")
    return _signing_key(key)


def _signing_key(key: ec.EllipticCurvePrivateKey) -> SigningKey:
    return SigningKey(key, public_jwk(key.public_key()))


@dataclass(frozen=True, slots=True)
class Retired:
    """A public key that signed until then; kept for ever, since old seals are verified with it."""

    jwk: Mapping[str, str]
    since: datetime


class SigningKeys:
    """The keys in one folder; a rotation by another process is noticed at the next use."""

    def __init__(self, folder: Path, *, lab: bool = False) -> None:
        self.folder, self._lab, self._lock = folder, lab, Lock()
        self._files = tuple(folder / name for name in (_CURRENT, _NEXT, _RETIRED))
        self._read()

    @classmethod
    def load(cls, folder: Path, *, lab: bool = False) -> SigningKeys:
        """Raises KeyUnusable when there are none, or when others of this machine can read them (not in the lab)."""
        return cls(folder, lab=lab)

    @classmethod
    def create(cls, folder: Path) -> SigningKeys:
        """Make the first keys; raises KeyUnusable rather than overwrite any."""
        if (folder / _CURRENT).exists():
            raise KeyUnusable(
                folder / _CURRENT,
                "is there already and stays; the administrator makes a new one on the page /node/peers",
            )
        write_whole(folder / _NEXT, make_signing_key().pem())
        write_whole(folder / _CURRENT, make_signing_key().pem())
        return cls(folder)

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """A compact JWS over the claims with the current key."""
        self._refresh()
        current = self._current
        return encode(claims, current.key, kid=current.kid, typ=typ)

    def signs_now(self) -> SigningKey:
        """The key that signs at this moment, for what is signed otherwise than as a JWT."""
        self._refresh()
        return self._current

    def jwks(self, *, now: datetime) -> dict[str, list[dict[str, str]]]:
        """What peers may verify with: the current key, the next one, and those retired less than 30 days ago."""
        self._refresh()
        retired = [one.jwk for one in self._retired if now < one.since + OVERLAP]
        return {"keys": _each_once([self._current.public, self._next.public, *retired])}

    def ever(self) -> list[dict[str, str]]:
        """Every key that this node has signed with: for seals and receipts of its own, however old."""
        self._refresh()
        return _each_once([self._current.public, *(one.jwk for one in self._retired)])

    @property
    def kid(self) -> str:
        """Of the key that signs now."""
        self._refresh()
        return self._current.kid

    def rotate(self, *, now: datetime) -> str:
        """The next key becomes the current one, and a new next one is published; returns the kid that signs now.

        Killed at any point it leaves keys that work: the old one is listed before it stops to sign.
        """
        with self._lock:
            self._read()
            _write_retired(self.folder / _RETIRED, (Retired(self._current.public, now), *self._retired))
            (self.folder / _NEXT).replace(self.folder / _CURRENT)
            write_whole(self.folder / _NEXT, make_signing_key().pem())
            self._read()
            return self._current.kid

    def _refresh(self) -> None:
        if stamp(self._files) != self._stamp:
            with self._lock:
                self._read()

    def _read(self) -> None:
        seen: Stamp = stamp(self._files)
        current = read_signing_key(self.folder / _CURRENT, lab=self._lab)
        # a rotation that was killed has not written it yet
        following = self.folder / _NEXT
        self._next = read_signing_key(following, lab=self._lab) if following.exists() else current
        self._retired = _read_retired(self.folder / _RETIRED)
        self._current = current
        self._stamp = seen


def _each_once(jwks: list[Mapping[str, str]]) -> list[dict[str, str]]:
    return list({jwk["kid"]: dict(jwk) for jwk in jwks}.values())


def _write_retired(path: Path, retired: tuple[Retired, ...]) -> None:
    content = {"retired": [{"jwk": dict(one.jwk), "since": one.since.isoformat()} for one in retired]}
    write_whole(path, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _read_retired(path: Path) -> tuple[Retired, ...]:
    if not path.exists():
        return ()
    try:
        entries = read_object(path.read_bytes(), limit=1_000_000)["retired"]
        return tuple(Retired(entry["jwk"], datetime.fromisoformat(entry["since"])) for entry in entries)
    except (NotStrictJson, KeyError, TypeError, ValueError) as error:
        raise KeyUnusable(path, "is not a list of retired keys") from error


def create_key_encryption_key(folder: Path) -> bytes:
    """32 random bytes in a file of mode 0600; raises KeyUnusable rather than overwrite the key to every record."""
    path = folder / _WRAPPING
    if path.exists():
        raise KeyUnusable(path, "is there already; without it no stored record can be read")
    write_whole(path, secrets.token_bytes(32))
    return key_encryption_key(folder)


def key_encryption_key(folder: Path, *, lab: bool = False) -> bytes:
    """The key that wraps the keys of patients; raises KeyUnusable."""
    path = folder / _WRAPPING
    key = read_private(path, lab=lab)
    if len(key) != 32:
        raise KeyUnusable(path, "does not hold 32 bytes")
    return key
