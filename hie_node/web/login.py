"""Sign in and out, and choose a language."""

from __future__ import annotations

from datetime import timedelta

from flask import Response

from hie_node import log, passwords
from hie_node.web import sessions
from hie_node.web.front import LANGUAGE, Page, Refused, Visit
from hie_node.web.rendering import NAVIGATION
from hie_node.web.wording import LANGUAGES

LONGEST = 1000
"""Characters of a name or a password; hashing more would only cost time."""


def home(visit: Visit) -> Response:
    """The first page of whoever is signed in; else the page to sign in at."""
    user = visit.arrival.user
    if user is None:
        ended = visit.arrival.ended or bool(visit.facts().get("ended"))
        return visit.page("login.html", wrong=False, ended=ended)
    for path, _, roles in NAVIGATION:
        if user.role in roles:
            return visit.go(path)
    return visit.page("error.html", status=403, title="error.no-pages", reference="")


def sign_in(visit: Visit) -> Response:
    """Name and password; the answer and the work are the same for a wrong name and a wrong password."""
    name, password = visit.field("username", LONGEST), visit.request.form.get("password", "")[:LONGEST]
    house = visit.house
    _count_try(visit, name)
    with house.storage.read() as unit:
        user = unit.people_of_the_house.user(name)
    stored = user.password_hash if user and not user.disabled else None
    if not passwords.fits(password, stored, lab=house.settings.lab):
        log.event("sign-in refused")
        return visit.page("login.html", status=403, wrong=True, ended=False)
    with house.storage.begin() as unit:
        unit.sessions.forget_tries(name)
    response = visit.go(visit.facts().get("back", "/"))
    sessions.give(house, response, sessions.SESSION, sessions.start(house, name))
    sessions.take(response, sessions.VISITOR)
    visit.arrival = sessions.Arrival(visit.arrival.secret)
    assert user is not None
    log.event("signed in", role=user.role.value)
    return response


def _count_try(visit: Visit, name: str) -> None:
    """Counted before the password is looked at, so that many at once gain nothing."""
    limits, now = visit.house.settings.limits, visit.house.now()
    wait = timedelta(seconds=limits.login_wait)
    with visit.house.storage.begin() as unit:
        tries = unit.sessions.another_try(name, now=now, since=now - wait)
    if tries.count > limits.login_tries:
        seconds = max(1, int((tries.since + wait - now).total_seconds()))
        raise Refused(429, "error.tries", minutes=(seconds + 59) // 60, seconds=seconds)


def sign_out(visit: Visit) -> Response:
    with visit.house.storage.begin() as unit:
        unit.sessions.end(visit.arrival.secret)
    response = visit.go("/")
    sessions.take(response, sessions.SESSION)
    return response


def choose_language(visit: Visit) -> Response:
    """Kept in a cookie of its own for a year; it is no secret."""
    chosen = visit.field("language", 2)
    response = visit.go(visit.facts().get("back", "/"))
    value = chosen if chosen in LANGUAGES else LANGUAGES[0]
    response.set_cookie(LANGUAGE, value, max_age=365 * 86400, path="/", secure=True, httponly=True, samesite="Lax")
    return response


PAGES = (
    Page("home", "GET", "/", home, None),
    Page("sign-in", "GET", "/login", home, None),
    Page("sign-in", "POST", "/login", sign_in, None),
    Page("sign-out", "POST", "/logout", sign_out, None),
    Page("language", "POST", "/language", choose_language, None),
)
