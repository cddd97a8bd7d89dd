"""Sign in through the hospital's OpenID Connect provider; roles come from its claims, anew at every sign-in."""

from __future__ import annotations

import hmac
from datetime import datetime
from functools import cache

from flask import Response, redirect

from adapters.store.people import User
from adapters.trust.errors import ProviderUnusable
from adapters.trust.files import read_private
from adapters.trust.jwt_door import Claims, moment
from adapters.trust.oidc import Departure, Provider, ProviderClient, values_at
from consent.errors import TokenRefused
from consent.requesters import Role
from hie_node import log
from hie_node.house import House
from hie_node.page_tokens import open_page, seal_page
from hie_node.web.front import Page, Refused, SignInFirst, Visit, as_ours
from hie_node.web.login import let_in
from registry.errors import NotFound, Unreadable

COOKIE, LIFE, USE = "__Host-hie-provider", 600, b"on the way to the provider"
BACK = "/login/provider/back"
NAMES = ("preferred_username", "upn", "email", "sub")
"""Claims that name somebody as the hospital does, the best first."""


@cache
def _client() -> ProviderClient:
    return ProviderClient()


def _provider(house: House) -> Provider:
    how = house.settings.sign_in
    if not how.provider:
        raise NotFound("sign-in of the hospital")
    secret = ""
    if how.client_secret_file:
        path = house.settings.home / how.client_secret_file
        secret = read_private(path, lab=house.settings.lab).decode().strip()
    ca_file = str(house.settings.home / how.provider_ca_file) if how.provider_ca_file else ""
    return Provider(how.provider, how.client_id, secret, house.settings.house.url + BACK, ca_file)


def leave(visit: Visit) -> Response:
    """Send the browser to the provider; what has to be remembered goes with it, sealed, in a short-lived cookie."""
    departure, fresh = Departure.new(), visit.arrival.user is not None
    try:
        address = _client().address(_provider(visit.house), departure, fresh=fresh)
    except ProviderUnusable as error:
        raise _unusable(error) from error
    facts = {
        "state": departure.state,
        "nonce": departure.nonce,
        "verifier": departure.verifier,
        "back": visit.facts().get("back", "/"),
        "fresh": "yes" if fresh else "",
    }
    sealed = seal_page(visit.house, tuple(facts.items()), use=USE, life=LIFE)
    response = as_ours(redirect(address, 303))
    response.set_cookie(COOKIE, sealed, max_age=LIFE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def leave_altogether(visit: Visit) -> Response:
    """End the session at the provider too, so that the next one at this screen is asked who they are. The ID token is
    not kept, so it is no hint: what it says of a person would stand in an address."""
    provider = _provider(visit.house)
    try:
        address = _client().farewell(provider, back=visit.house.settings.house.url + "/login")
    except ProviderUnusable as error:
        raise _unusable(error) from error
    return as_ours(redirect(address, 303))


def come_back(visit: Visit) -> Response:
    """The provider's answer: the state is that of this browser, the code is exchanged, the ID token verified."""
    facts = _remembered(visit)
    departure = Departure(facts["state"], facts["nonce"], facts["verifier"])
    code, state = visit.request.args.get("code", ""), visit.request.args.get("state", "")
    if not code or not hmac.compare_digest(state.encode(), departure.state.encode()):
        raise Refused(403, "error.provider")
    if visit.request.args.get("iss", visit.house.settings.sign_in.provider) != visit.house.settings.sign_in.provider:
        raise Refused(403, "error.provider")
    try:
        claims = _client().claims(_provider(visit.house), departure, code, now=visit.house.now())
    except (ProviderUnusable, TokenRefused) as error:
        raise _unusable(error) from error
    if facts["fresh"] and (visit.house.now() - _authenticated(claims)).total_seconds() > LIFE:
        raise Refused(403, "error.provider")
    response = let_in(visit, _account(visit.house, claims), back=facts["back"], factor="provider")
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def _authenticated(claims: Claims) -> datetime:
    """When the provider last saw a proof, where a fresh one was asked for."""
    try:
        return moment(claims, "auth_time")
    except TokenRefused as error:
        raise Refused(403, "error.provider") from error


def _remembered(visit: Visit) -> dict[str, str]:
    try:
        return dict(open_page(visit.house, visit.request.cookies.get(COOKIE, ""), use=USE))
    except (Unreadable, ValueError) as error:
        raise SignInFirst from error


def _unusable(error: ProviderUnusable | TokenRefused) -> Refused:
    log.warning("the sign-in provider cannot be used", reason=error.reason)
    return Refused(502 if isinstance(error, ProviderUnusable) else 403, "error.provider")


def _account(house: House, claims: Claims) -> User:
    """The account of whoever the provider vouches for, made or brought up to date; one of this node is never taken."""
    role = _role(house, claims)
    if role is None:
        log.event("sign-in refused", reason="no-role")
        raise Refused(403, "error.no-role")
    vouched = f"{claims['iss']} {claims['sub']}"
    username = next(str(claims[name])[:100] for name in NAMES if isinstance(claims.get(name), str) and claims[name])
    name = claims.get("name") if isinstance(claims.get("name"), str) else ""
    with house.storage.begin() as unit:
        before = unit.people_of_the_house.user(username)
        if before is not None and before.provider != vouched:
            raise Refused(409, "error.name-taken")
        if before is not None and before.disabled:
            raise Refused(403, "error.no-role")
        user = User(username, "", role, str(name)[:100], provider=vouched)
        unit.people_of_the_house.add_user(user, replace=True)
    return user


def _role(house: House, claims: Claims) -> Role | None:
    """The first of the mapped roles, in the order in which they are written down."""
    how = house.settings.sign_in
    held = values_at(claims, how.role_claim)
    return next((Role(role) for value, role in how.roles.items() if value in held), None)


PAGES = (
    Page("provider", "GET", "/login/provider", leave, None),
    Page("provider-back", "GET", BACK, come_back, None),
    Page("provider-sign-out", "GET", "/logout/provider", leave_altogether, None),
)
