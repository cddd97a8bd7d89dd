"""Where the hospital's own systems get their tokens: SMART Backend Services, and what a client needs to know for it.

Sources: SMART App Launch 2.2 (Backend Services), RFC 6749 section 5, RFC 8414, IHE IUA ITI-71, ITI-103.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import orjson
from flask import Flask, Response, request

from adapters.catalogue import TRANSACTIONS
from adapters.trust import smart
from adapters.trust.errors import OAuthError
from adapters.trust.scopes import narrowed
from consent.errors import TokenReplayed
from hie_node import log
from hie_node.clients import registered
from hie_node.house import House
from hie_node.patient_tokens import RECORD_BY_RECORD, basis_of
from registry.errors import StorageUnavailable

FORM_LIMIT = 32 << 10
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def mount(app: Flask, house: House) -> None:
    """The token endpoint, its metadata and the public keys: what needs no token."""
    base = house.settings.house.url
    app.add_url_rule("/oauth/token", "token", lambda: _token(house), methods=["POST"], provide_automatic_options=False)
    known = {
        "/.well-known/smart-configuration": lambda: smart.smart_configuration(base, scopes=_scopes()),
        "/fhir/.well-known/smart-configuration": lambda: smart.smart_configuration(base, scopes=_scopes()),
        "/network/fhir/.well-known/smart-configuration": lambda: smart.smart_configuration(base, scopes=_scopes()),
        "/.well-known/oauth-authorization-server": lambda: smart.authorization_server(base, scopes=_scopes()),
    }
    mount_keys(app, house)
    for path, document in known.items():
        app.add_url_rule(path, path, lambda make=document: _json(make()), provide_automatic_options=False)


def mount_keys(app: Flask, house: House) -> None:
    """The public keys of this node, for its own systems and for its peers."""
    app.add_url_rule(
        "/.well-known/jwks.json",
        "keys",
        lambda: _json(house.keys.jwks(now=house.now())),
        provide_automatic_options=False,
    )


def _scopes() -> list[str]:
    letters: dict[str, set[str]] = {}
    for transaction in TRANSACTIONS:
        if transaction.doors == {"peer"} or transaction.bundle == "batch":
            continue  # peers have no scopes, and each entry of a batch has its own
        resource, letter = transaction.scope
        letters.setdefault(resource, set()).add(letter)
    return sorted(f"system/{r}.{''.join(x for x in 'cruds' if x in found)}" for r, found in letters.items())


def _json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, content_type="application/json")


def _token(house: House) -> Response:
    try:
        return _json(_exchange(house), headers=NO_STORE)
    except OAuthError as refusal:
        log.event("token refused", error=refusal.error, reason=refusal.reason)
        return _json({"error": refusal.error}, refusal.status, NO_STORE)
    except StorageUnavailable:
        return _json({"error": "temporarily_unavailable"}, 503, NO_STORE | {"Retry-After": "30"})


def _form() -> dict[str, str]:
    """The parameters, each once: two readers must not read two requests. Source: RFC 6749 section 3.2."""
    if request.mimetype != "application/x-www-form-urlencoded" or (request.content_length or 0) > FORM_LIMIT:
        raise OAuthError("invalid_request")
    try:
        pairs = parse_qsl(
            request.get_data().decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise OAuthError("invalid_request") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request")
    return form


def _exchange(house: House) -> dict[str, object]:
    """A signed assertion comes in, an access token goes out; the assertion is spent with it."""
    form = _form()
    if form.get("grant_type") != "client_credentials":
        raise OAuthError("unsupported_grant_type" if form.get("grant_type") else "invalid_request")
    if form.get("client_assertion_type") != smart.ASSERTION_TYPE or not form.get("client_assertion"):
        raise OAuthError("invalid_client", 401)
    now = house.now()
    with house.storage.begin() as unit:
        assertion = smart.read_assertion(
            form["client_assertion"],
            client_of=lambda client_id: registered(unit.people_of_the_house.client(client_id)),
            token_url=f"{house.settings.house.url}/oauth/token",
            now=now,
        )
        if (form.get("client_id") or assertion.client.client_id) != assertion.client.client_id:
            raise OAuthError("invalid_client", 401, reason="client_id is another one")  # RFC 7521 section 4.2
        try:
            unit.tokens.spend(assertion.client.client_id, assertion.token_id, expires=assertion.expires)
        except TokenReplayed as replay:
            raise OAuthError("invalid_client", 401, reason="replayed") from replay
    asker, scope, basis = (
        assertion.requester(home=house.home, organization=house.settings.name),
        form.get("scope", ""),
        None,
    )
    if assertion.patient:
        scope = narrowed(scope, RECORD_BY_RECORD)
        with house.storage.read() as unit:
            basis = basis_of(house, unit, asker, assertion.patient)
    token = smart.issue_access_token(
        house.keys,
        asker,
        scope=scope,
        allowed=assertion.client.scopes,
        base=house.settings.house.url,
        now=now,
        basis=basis,
    )
    return token.answer()
