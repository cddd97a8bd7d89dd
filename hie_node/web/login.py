"""Sign in and out: password and second factor, and choose a language.

Between the password and the second factor stands a sealed note for this browser alone, good for a few minutes; a
session begins only after both.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Response

from adapters.store.people import User
from hie_node import log, one_time_codes, passwords
from hie_node.page_tokens import open_page, seal_page
from hie_node.web import factors, sessions
from hie_node.web.front import LANGUAGE, OWN_PAGE, Page, Refused, SignInFirst, Visit
from hie_node.web.qr import qr_of
from hie_node.web.rendering import NAVIGATION
from hie_node.web.wording import LANGUAGES
from registry.errors import Unreadable

LONGEST = 1000
"""Characters of a name or a password; hashing more would only cost time."""
NOTE, NOTE_LIFE = b"password was right", 300


def home(visit: Visit) -> Response:
    """The first page of whoever is signed in; else the page to sign in at."""
    user = visit.arrival.user
    if user is None:
        ended = visit.arrival.ended or bool(visit.facts().get("ended"))
        return _door(visit, ended=ended)
    if user.has_to_choose:
        return visit.go(OWN_PAGE)
    for path, _, roles in NAVIGATION:
        if user.role in roles:
            return visit.go(path)
    return visit.page("error.html", status=403, title="error.no-pages", reference="")


def _door(visit: Visit, *, status: int = 200, wrong: bool = False, ended: bool = False) -> Response:
    how = visit.house.settings.sign_in
    left = visit.facts().get("left", "")
    chosen = "chosen" in visit.facts()
    return visit.page("login.html", status=status, wrong=wrong, ended=ended, how=how, left=left, chosen=chosen)


def sign_in(visit: Visit) -> Response:
    """Name and password; the answer and the work are the same for a wrong name and a wrong password."""
    name, password = visit.field("username", LONGEST), visit.request.form.get("password", "")[:LONGEST]
    house = visit.house
    if not house.settings.sign_in.local_accounts:
        raise Refused(403, "error.provider-only")
    _count_try(visit, name)
    with house.storage.read() as unit:
        user = unit.people_of_the_house.user(name)
    usable = user is not None and not user.disabled and not user.provider
    stored = user.password_hash if user and usable else None
    if not passwords.fits(password, stored, lab=house.settings.lab):
        log.event("sign-in refused")
        return _door(visit, status=403, wrong=True)
    assert user is not None
    if factors.demanded(house, user):
        return _ask_second(visit, user, _note(visit, user.username))
    return let_in(visit, user, back=visit.facts().get("back", "/"))


def let_in(visit: Visit, user: User, *, back: str, factor: str = "") -> Response:
    """Begin a session; wrong tries are forgotten."""
    house = visit.house
    with house.storage.begin() as unit:
        unit.sessions.forget_tries(user.username)
        unit.sessions.forget_tries(_second(user.username))
    response = visit.go(back)
    sessions.give(house, response, sessions.SESSION, sessions.start(house, user.username, factor=factor))
    sessions.take(response, sessions.VISITOR)
    visit.arrival = sessions.Arrival(visit.arrival.secret)
    log.event("signed in", role=user.role.value, factor=factor or None)
    return response


def _note(visit: Visit, username: str, **facts: str) -> str:
    """What the browser brings along to the second step: for this browser and a few minutes only."""
    told = {"username": username, "browser": visit.arrival.secret, "back": visit.facts().get("back", "/"), **facts}
    return seal_page(visit.house, tuple(told.items()), use=NOTE, life=NOTE_LIFE)


def read_note(visit: Visit) -> dict[str, str]:
    """The note that came with the form. Raises SignInFirst for none, one too old, and one of another browser."""
    try:
        facts = dict(open_page(visit.house, visit.field("note", 4000), use=NOTE))
    except (Unreadable, ValueError) as error:
        raise SignInFirst from error
    if facts.get("browser") != visit.arrival.secret:
        raise SignInFirst
    return facts


def _ask_second(visit: Visit, user: User, note: str, *, status: int = 200, wrong: bool = False) -> Response:
    """Ask for the second factor; whoever has none yet makes one now."""
    if user.has_second_factor:
        return visit.page("second.html", status=status, wrong=wrong, note=note, person=user)
    secret = one_time_codes.new_secret()
    return enrol_page(visit, user, _note(visit, user.username, secret=secret), secret, action="/login/enrol")


def enrol_page(
    visit: Visit, user: User, note: str, secret: str, *, action: str, status: int = 200, wrong: bool = False
) -> Response:
    link = one_time_codes.enrolment_link(secret, username=user.username, hospital=visit.house.settings.name)
    shown = one_time_codes.grouped(secret)
    qr = qr_of(link)
    return visit.page("enrol.html", status=status, wrong=wrong, note=note, secret=shown, qr=qr, action=action)


def second(visit: Visit) -> Response:
    """The code of the second step."""
    note = read_note(visit)
    user = user_of(visit, note["username"])
    count_second_try(visit, user.username)
    if not factors.takes_code(visit.house, user.username, visit.field("code", 20)):
        log.event("second factor refused")
        return _ask_second(visit, user, visit.field("note", 4000), status=403, wrong=True)
    return let_in(visit, user, back=note["back"], factor="totp")


def enrol(visit: Visit) -> Response:
    """The first code of a new secret; with it the secret counts, and the session begins."""
    note = read_note(visit)
    user = user_of(visit, note["username"])
    count_second_try(visit, user.username)
    secret = note.get("secret", "")
    if user.has_second_factor or not secret:
        raise SignInFirst
    if not factors.keep_code_secret(visit.house, user.username, secret, visit.field("code", 20)):
        token = visit.field("note", 4000)
        return enrol_page(visit, user, token, secret, action="/login/enrol", status=403, wrong=True)
    return let_in(visit, user, back=note["back"], factor="totp")


def user_of(visit: Visit, username: str) -> User:
    """Whose second step it is; out at once when the account is disabled meanwhile."""
    with visit.house.storage.read() as unit:
        user = unit.people_of_the_house.user(username)
    if user is None or user.disabled:
        raise SignInFirst
    return user


def _second(username: str) -> str:
    """Tries of the second step are counted apart from those of the password."""
    return f"second step of {username}"


def count_second_try(visit: Visit, username: str) -> None:
    _count_try(visit, _second(username))


def _count_try(visit: Visit, name: str) -> None:
    """Counted before the password is looked at, so that many at once gain nothing."""
    limits, now = visit.house.settings.limits, visit.house.now()
    wait = timedelta(seconds=limits.login_wait)
    with visit.house.storage.begin() as unit:
        tries = unit.sessions.another_try(name, now=now, since=now - wait)
    if tries.count > limits.login_tries:
        seconds = max(1, int((tries.since + wait - now).total_seconds()))
        raise Refused(429, "error.tries", minutes=(seconds + 59) // 60, seconds=seconds)


def prove_page(visit: Visit) -> Response:
    """Before an emergency access or an export: is it still the one who signed in?"""
    return _proof(visit)


def _proof(visit: Visit, *, status: int = 200, wrong: bool = False) -> Response:
    return visit.page("prove.html", status=status, wrong=wrong, f=visit.request.args.get("f", ""))


def prove(visit: Visit) -> Response:
    """A code or a passkey where there is one, else the password; then back to where it was needed."""
    house, user = visit.house, visit.user
    count_second_try(visit, user.username)
    if user.totp:
        right = factors.takes_code(house, user.username, visit.field("code", 20))
    else:
        typed = visit.request.form.get("password", "")[:LONGEST]
        by_password = not (user.provider or user.passkeys)
        right = passwords.fits(typed, user.password_hash if by_password else None, lab=house.settings.lab)
    return proved(visit) if right else _proof(visit, status=422, wrong=True)


def proved(visit: Visit) -> Response:
    """It is still the one who signed in: back to where that was needed."""
    house, user = visit.house, visit.user
    with house.storage.begin() as unit:
        unit.sessions.forget_tries(_second(user.username))
        unit.sessions.prove(visit.arrival.secret, now=house.now())
    log.event("proved again", role=user.role.value)
    return visit.go(visit.facts().get("back", "/"))


def sign_out(visit: Visit) -> Response:
    with visit.house.storage.begin() as unit:
        unit.sessions.end(visit.arrival.secret)
    by_provider = visit.arrival.factor == "provider"
    response = visit.go(f"/login?f={visit.seal(left='provider')}" if by_provider else "/")
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
    Page("second-factor", "POST", "/login/second", second, None),
    Page("enrol-factor", "POST", "/login/enrol", enrol, None),
    Page("sign-out", "POST", "/logout", sign_out, None),
    Page("language", "POST", "/language", choose_language, None),
)
