"""Passwords of the people of this hospital, as Argon2id (RFC 9106)."""

from __future__ import annotations

from functools import cache
from threading import BoundedSemaphore

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 14
"""Characters of a password that somebody chooses."""
AT_ONCE = BoundedSemaphore(2)
"""64 MiB and a core for each check: more at once would let a burst of logins take the machine."""
PATIENCE_SECONDS = 5.0


class TooManyAtOnce(Exception):
    """More passwords wait to be checked than this machine can check in a few seconds."""


@cache
def hasher(lab: bool) -> argon2.PasswordHasher:
    """RFC 9106's second recommendation (3 rounds, 64 MiB); OWASP's least in the lab, where many are made."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=19456) if lab else argon2.PasswordHasher()


@cache
def _nobodys(lab: bool) -> str:
    return hasher(lab).hash("nobody has this password")


def fits(password: str, stored: str | None, *, lab: bool) -> bool:
    """Whether the password is right. The work is the same for a name that nobody has (`stored` is None)."""
    if not AT_ONCE.acquire(timeout=PATIENCE_SECONDS):
        raise TooManyAtOnce
    try:
        return hasher(lab).verify(stored or _nobodys(lab), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        AT_ONCE.release()
