"""Passkeys at the pages: make one, and show one as the second factor. Each challenge is good once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
from flask import Response

from adapters.store.people import Passkey, User
from adapters.trust import passkeys
from adapters.trust.passkeys import Site
from consent.errors import TokenRefused, TokenReplayed
from hie_node import log
from hie_node.page_tokens import open_page, seal_page
from hie_node.web.account import EVERYBODY
from hie_node.web.front import Page, Refused, SignInFirst, Visit
from hie_node.web.login import count_second_try, let_in, proved, read_note, user_of
from registry.errors import Unreadable

_ASKED, _LIFE = b"passkey challenge", 180


def _site(visit: Visit) -> Site:
    return Site(visit.house.settings.house.url, visit.house.settings.name)


def _question(visit: Visit, options: object, challenge: str, username: str) -> Response:
    facts = (("challenge", challenge), ("username", username), ("browser", visit.arrival.secret))
    asked = seal_page(visit.house, facts, use=_ASKED, life=_LIFE)
    return Response(orjson.dumps({"options": options, "asked": asked}), content_type="application/json")


def _challenge(visit: Visit, username: str) -> str:
    """The challenge that was sealed for this browser and this person; spent with it. Raises SignInFirst."""
    try:
        facts = dict(open_page(visit.house, visit.field("asked", 4000), use=_ASKED))
    except (Unreadable, ValueError) as error:
        raise SignInFirst from error
    if (facts.get("browser"), facts.get("username")) != (visit.arrival.secret, username):
        raise SignInFirst
    try:
        with visit.house.storage.begin() as unit:
            expires = visit.house.now() + timedelta(seconds=_LIFE)
            unit.tokens.spend("passkey", facts["challenge"], expires=expires)
    except TokenReplayed as error:
        raise SignInFirst from error
    return facts["challenge"]


def ask_to_make(visit: Visit) -> Response:
    user = visit.user
    options, challenge = passkeys.registration(
        _site(visit), username=user.username, name=user.name, known=user.passkeys
    )
    return _question(visit, options, challenge, user.username)


def make(visit: Visit) -> Response:
    challenge = _challenge(visit, visit.user.username)
    try:
        made = passkeys.registered(
            _site(visit), visit.field("answer", 20_000), challenge=challenge, name=visit.field("name", 60)
        )
    except TokenRefused as error:
        raise Refused(400, "account.passkey.failed") from error
    _keep(visit, visit.user.username, made)
    log.event("second factor set", kind="passkey")
    return visit.go("/account")


def ask_to_show(visit: Visit) -> Response:
    user = user_of(visit, read_note(visit)["username"])
    options, challenge = passkeys.assertion(_site(visit), user.passkeys)
    return _question(visit, options, challenge, user.username)


def show(visit: Visit) -> Response:
    """The second step of signing in."""
    note = read_note(visit)
    user = user_of(visit, note["username"])
    count_second_try(visit, user.username)
    challenge = _challenge(visit, user.username)
    try:
        shown = passkeys.asserted(_site(visit), visit.field("answer", 20_000), challenge=challenge, known=user.passkeys)
    except TokenRefused as error:
        log.event("second factor refused")
        raise Refused(403, "account.passkey.failed") from error
    _keep(visit, user.username, shown)
    return let_in(visit, user, back=note["back"], factor="passkey")


def ask_to_prove(visit: Visit) -> Response:
    """The same device again, in the middle of a session."""
    options, challenge = passkeys.assertion(_site(visit), visit.user.passkeys)
    return _question(visit, options, challenge, visit.user.username)


def prove_by_passkey(visit: Visit) -> Response:
    """A fresh proof for what wants one."""
    user = visit.user
    count_second_try(visit, user.username)
    challenge = _challenge(visit, user.username)
    try:
        shown = passkeys.asserted(_site(visit), visit.field("answer", 20_000), challenge=challenge, known=user.passkeys)
    except TokenRefused as error:
        log.event("proof refused")
        raise Refused(403, "account.passkey.failed") from error
    _keep(visit, user.username, shown)
    return proved(visit)


def _keep(visit: Visit, username: str, key: Passkey) -> None:
    with visit.house.storage.begin() as unit:
        user: User | None = unit.people_of_the_house.user(username)
        if user is None:
            raise SignInFirst
        others = tuple(one for one in user.passkeys if one.id != key.id)
        unit.people_of_the_house.add_user(replace(user, passkeys=(*others, key)), replace=True)


PAGES = (
    Page("ask-new-passkey", "POST", "/account/passkeys/ask", ask_to_make, EVERYBODY, step_up="/account"),
    Page("new-passkey", "POST", "/account/passkeys", make, EVERYBODY, step_up="/account"),
    Page("ask-passkey", "POST", "/login/passkey/ask", ask_to_show, None),
    Page("show-passkey", "POST", "/login/passkey", show, None),
    Page("ask-passkey-again", "POST", "/prove/passkey/ask", ask_to_prove, EVERYBODY),
    Page("prove-by-passkey", "POST", "/prove/passkey", prove_by_passkey, EVERYBODY),
)
