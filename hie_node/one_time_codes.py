"""Six digits from a phone as the second factor.

Source: RFC 6238 (TOTP) with SHA-1, 30 seconds and six digits, which every authenticator app speaks; RFC 4226 section 5
(HOTP); RFC 3548 base 32. A code is good once, and one step to either side for a clock that is off.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from datetime import datetime
from urllib.parse import quote

STEP_SECONDS = 30
SLACK = 1
SECRET_BYTES = 20


def new_secret() -> str:
    """A secret to be typed or scanned once."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_at(secret: str, step: int) -> str:
    """The six digits of one step."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    place = digest[-1] & 0xF
    number = struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def step_of(moment: datetime) -> int:
    return int(moment.timestamp()) // STEP_SECONDS


def accepted_step(secret: str, typed: str, *, last: int, now: datetime) -> int | None:
    """The step whose code was typed, if it is of about now and after the `last` that was used; else None."""
    digits = "".join(typed.split())
    here = step_of(now)
    fitting = None
    for step in range(here - SLACK, here + SLACK + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), digits.encode()) and step > last:
            fitting = step
    return fitting


def enrolment_link(secret: str, *, username: str, hospital: str) -> str:
    """What an authenticator app reads from a QR code. Source: Key URI format of the authenticator apps."""
    issuer, account = quote(hospital, safe=""), quote(username, safe="")  # a colon between them, none in them
    return f"otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&digits=6&period={STEP_SECONDS}"


def grouped(secret: str) -> str:
    """For typing: four letters at a time."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
