"""What the trust adapters refuse beside tokens and receipts (those are in `consent.errors`).

TrustError
├── KeyUnusable           a key file that is missing, open to others, or not a key
├── CertificateUnusable   a certificate that does not name one community, or cannot be read
├── DirectoryRefused      a list of peers that must not be followed: signatures, version, expiry, form
├── SealBroken            a head of the log that its signature does not cover
├── ProviderUnusable      the OpenID provider of the hospital: not reachable, or its answer cannot be used
└── OAuthError            an error of the token endpoint, in its standard's words
"""

from __future__ import annotations

from pathlib import Path


class TrustError(Exception):
    """Base of what the trust adapters refuse."""


class KeyUnusable(TrustError):
    """A key file that is missing, open to others, or not a key."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path.name}: {reason}")


class CertificateUnusable(TrustError):
    """A certificate that does not name one community, or cannot be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"certificate: {reason}")


class DirectoryRefused(TrustError):
    """A list of peers that must not be followed; the one that was in force stays in force until it ends."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"directory of peers: {reason}; it was not taken over")


class SealBroken(TrustError):
    """A head of the log of disclosures that its signature does not cover."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"seal: {reason}")


class ProviderUnusable(TrustError):
    """The hospital's OpenID provider is not reachable, or its answer cannot be used."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"sign-in provider: {reason}")


class OAuthError(TrustError):
    """An error of the token endpoint. Source: RFC 6749 section 5.2; RFC 6750 section 3.1 for bearer tokens.

    error    the standard's code, sent as it is
    status   of the HTTP answer
    reason   which check failed, for our own record; outsiders do not get it
    """

    def __init__(self, error: str, status: int = 400, *, reason: str = "") -> None:
        self.error, self.status, self.reason = error, status, reason
        super().__init__(f"{error}: {reason}" if reason else error)
