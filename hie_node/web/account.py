"""Everybody's own page: the second factor, and where they are signed in."""

from __future__ import annotations

from dataclasses import replace

from flask import Response

from consent.requesters import Role
from hie_node import log, one_time_codes, passwords
from hie_node.flows.accounts import set_password
from hie_node.page_tokens import open_page, seal_page
from hie_node.web import factors
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.login import LONGEST, count_second_try, enrol_page, prove, prove_page
from registry.errors import InvalidValue, Unreadable

EVERYBODY = frozenset(role for role in Role if role not in (Role.SYSTEM, Role.PATIENT))
_SECRET, _LIFE = b"new one-time code secret", 600


def account(visit: Visit) -> Response:
    return _shown(visit)


def _shown(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    with visit.house.storage.read() as unit:
        mine = [one for one in unit.sessions.all() if one.username == visit.user.username]
    facts = {"sessions": mine, "is_local": not visit.user.provider, "least": passwords.SHORTEST, "problem": problem}
    return visit.page("account.html", status=status, **facts)


def new_password(visit: Visit) -> Response:
    """Whoever was given a password chooses one of their own; everything that is signed in elsewhere ends with it."""
    house, user = visit.house, visit.user
    if user.provider:
        raise Refused(409, "account.provider")
    count_second_try(visit, user.username)
    typed, wanted = (visit.request.form.get(name, "")[: LONGEST + 1] for name in ("password", "new"))
    if not passwords.fits(typed, user.password_hash, lab=house.settings.lab):
        return _shown(visit, problem="account.password.wrong", status=422)
    if not passwords.SHORTEST <= len(wanted) <= LONGEST or wanted == typed:
        return _shown(visit, problem="account.password.short", status=422)
    set_password(visit.act("new-password"), user.username, passwords.hasher(house.settings.lab).hash(wanted))
    log.event("password changed", role=user.role.value)
    return visit.go(f"/login?f={visit.seal(back='/account', chosen='yes')}")


def new_code(visit: Visit) -> Response:
    """Show a new secret; the old one stays until a code of the new one was typed."""
    secret = one_time_codes.new_secret()
    facts = (("username", visit.user.username), ("secret", secret))
    note = seal_page(visit.house, facts, use=_SECRET, life=_LIFE)
    return enrol_page(visit, visit.user, note, secret, action="/account/code/confirm")


def confirm_code(visit: Visit) -> Response:
    try:
        facts = dict(open_page(visit.house, visit.field("note", 4000), use=_SECRET))
    except ValueError as error:
        raise Unreadable("note", "this form is not from this node") from error
    if facts.get("username") != visit.user.username:
        raise InvalidValue("note", expected="a form of this session")
    secret = facts["secret"]
    if not factors.keep_code_secret(visit.house, visit.user.username, secret, visit.field("code", 20)):
        note = visit.field("note", 4000)
        return enrol_page(visit, visit.user, note, secret, action="/account/code/confirm", status=422, wrong=True)
    log.event("second factor set", kind="totp")
    return visit.go("/account")


def end_others(visit: Visit) -> Response:
    """Sign out everywhere else, at once."""
    with visit.house.storage.begin() as unit:
        here = unit.sessions.session(visit.arrival.secret)
        for one in unit.sessions.all():
            if one.username == visit.user.username and here is not None and one.number != here.number:
                unit.sessions.end_number(one.number)
    return visit.go("/account")


def remove_passkey(visit: Visit) -> Response:
    with visit.house.storage.begin() as unit:
        user = unit.people_of_the_house.user(visit.user.username)
        if user is not None:
            kept = tuple(one for one in user.passkeys if one.id != visit.field("id", 2000))
            unit.people_of_the_house.add_user(replace(user, passkeys=kept), replace=True)
    return visit.go("/account")


PAGES = (
    Page("account", "GET", "/account", account, EVERYBODY),
    Page("new-code", "POST", "/account/code", new_code, EVERYBODY, step_up="/account"),
    Page("confirm-code", "POST", "/account/code/confirm", confirm_code, EVERYBODY),
    Page("new-password", "POST", "/account/password", new_password, EVERYBODY),
    Page("end-others", "POST", "/account/sessions", end_others, EVERYBODY),
    Page("remove-passkey", "POST", "/account/passkeys/remove", remove_passkey, EVERYBODY, step_up="/account"),
    Page("prove", "GET", "/prove", prove_page, EVERYBODY),
    Page("prove", "POST", "/prove", prove, EVERYBODY),
)
