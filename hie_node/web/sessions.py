"""Who is signed in: a signed cookie that says nothing, and a row that can be ended at once.

Sources: OWASP ASVS 5.0 chapter 7 (sessions), RFC 6265bis (`__Host-` cookies).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Request, Response

from adapters.store.people import User
from adapters.store.sessions import Session
from hie_node.house import House

SESSION, VISITOR = "__Host-hie-session", "__Host-hie-visitor"
"""The visitor's cookie carries the secret of forms before anybody is signed in."""
NOTED_EVERY = timedelta(seconds=60)
"""The last request is written down to within a minute, so that reading a page is not a write."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came: `user` is None for nobody; `ended` where there was a session that is over.

    proved  when they last proved who they are, and `factor` by what besides a password
    """

    secret: str
    user: User | None = None
    ended: bool = False
    fresh: bool = False
    proved: datetime | None = None
    factor: str = ""


def arrival(house: House, request: Request) -> Arrival:
    """Whose request this is, looked up anew each time: a disabled account is out at once."""
    secret = _unsigned(house, SESSION, request.cookies.get(SESSION, ""))
    if secret is not None:
        found = _signed_in(house, secret)
        if found is not None:
            user, session = found
            return Arrival(secret, user, proved=session.proved, factor=session.factor)
    visitor = _unsigned(house, VISITOR, request.cookies.get(VISITOR, ""))
    ended = SESSION in request.cookies
    return Arrival(visitor or secrets.token_urlsafe(32), ended=ended, fresh=visitor is None)


def _signed_in(house: House, secret: str) -> tuple[User, Session] | None:
    now, limits = house.now(), house.settings.limits
    with house.storage.read() as unit:
        found = unit.sessions.session(secret)
        user = unit.people_of_the_house.user(found.username) if found else None
    if found is None or user is None or user.disabled:
        return None
    if now - found.seen > timedelta(seconds=limits.session_idle):
        return None
    if now - found.started > timedelta(seconds=limits.session_life):
        return None
    if now - found.seen > NOTED_EVERY:
        with house.storage.begin() as unit:
            unit.sessions.saw(secret, now=now)
    return user, found


def start(house: House, username: str, *, factor: str = "") -> str:
    """A new session; what was idle for long is forgotten with it. Returns its secret."""
    secret, now = secrets.token_urlsafe(32), house.now()
    with house.storage.begin() as unit:
        unit.sessions.forget_idle(now - timedelta(seconds=house.settings.limits.session_life))
        unit.sessions.start(secret, username, now=now, factor=factor)
    return secret


def give(house: House, response: Response, name: str, secret: str) -> None:
    """Set the cookie; it ends with the browser."""
    value = f"{secret}.{_signature(house, name, secret)}"
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Lax")


def take(response: Response, name: str) -> None:
    """Take the cookie back."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")


def form_token(house: House, secret: str) -> str:
    """What every form of this browser carries, and a form of another site cannot know."""
    return _signature(house, "form", secret)


def is_form_token(house: House, secret: str, token: str) -> bool:
    return hmac.compare_digest(form_token(house, secret).encode(), token.encode())


def _unsigned(house: House, name: str, value: str) -> str | None:
    secret, _, signature = value.partition(".")
    expected = _signature(house, name, secret)
    return secret if secret and hmac.compare_digest(expected.encode(), signature.encode()) else None


def _signature(house: House, use: str, secret: str) -> str:
    message = f"hie-node pages {use}\n{secret}".encode()
    return hmac.new(house.page_key, message, hashlib.sha256).hexdigest()
