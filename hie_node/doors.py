"""The doors as one WSGI application: the edge says which door a request came through, the catalogue what can be asked.

Routes are made from the catalogue alone, so a transaction that is not in it cannot be reached.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BuildError, Rule

from adapters.catalogue import TRANSACTIONS
from adapters.dicom.errors import PROBLEM
from adapters.fhir import outcome
from adapters.fhir.issues import FhirError, Issue
from adapters.fhir.issues import NotFound as NoSuchInteraction
from adapters.transactions import UNEXPECTED, Transaction
from adapters.wire import WireRequest, WireResponse, query_pairs
from hie_node import cross_origin, log, operations, tokens_door
from hie_node.batches import handle_bundle
from hie_node.edge.refusals import speaks_fhir
from hie_node.house import House
from hie_node.page_tokens import seal_page
from hie_node.pipeline import handle, handle_message
from hie_node.web import door as pages
from hie_node.web.front import error_page
from registry.errors import Unreadable
from registry.identifiers import HomeCommunityId

NOBODY = HomeCommunityId("urn:oid:0.0")
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

BASES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "house": (
        ("house", "fhir", "/fhir"),
        ("network", "fhir", "/network/fhir"),
        ("house", "dicomweb", "/dicomweb"),
        ("network", "dicomweb", "/network/dicomweb"),
        ("house", "cds", "/cds-services"),
        ("house", "xds-registry", "/xds/registry"),
        ("house", "xds-repository", "/xds/repository"),
        ("network", "xca", "/xca/initiating"),
        ("house", "pix", "/pix"),
        ("house", "pdq", "/pdq"),
    ),
    "peer": (
        ("peer", "fhir", "/fhir"),
        ("peer", "dicomweb", "/dicomweb"),
        ("peer", "xca", "/xca/responding"),
        ("peer", "xcpd", "/xcpd"),
    ),
}
"""Which bases a listener has: door of the transaction, family, path."""


def application(house: House, held: operations.Held | None = None) -> Wsgi:
    """All doors of this node; a request without the edge's word on its door is refused.

    held  the sockets of its other doors, where they are watched without a call
    """
    apps: dict[str, Wsgi] = {
        "house": _door(house, "house"),
        "peer": _door(house, "peer"),
        "ops": operations.application(house, held or {}),
    }

    def dispatch(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        app = apps.get(environ.get("HTTP_X_HIE_DOOR", ""))
        if app is None:
            start_response("421 Misdirected Request", [("Content-Length", "0")])
            return [b""]
        return app(environ, start_response)

    return dispatch


class _Route(Rule):
    """A way in. Werkzeug would write a function for each that makes its address, which takes a tenth of a start; the
    addresses of this program stand in it as they are."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def build(route: Rule, **_values: Any) -> tuple[str, str]:
            raise BuildError(route.endpoint, _values, None)

        return build


def _door(house: House, listener: str) -> Flask:
    app = Flask(f"hie_node.{listener}", static_folder=None)
    app.url_rule_class = _Route
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for door, family, base in BASES[listener]:
        offered = [one for one in TRANSACTIONS if one.family == family and door in one.doors]
        messages, bundles = [one for one in offered if one.action], [one for one in offered if one.bundle]
        single = [one for one in offered if not one.action and not one.bundle]
        for transaction in single:
            _mount(app, house, transaction, door=door, base=base)
        if messages:
            _mount_messages(app, house, messages, door=door, base=base)
        if bundles:
            _mount_bundles(app, house, bundles, single, door=door, base=base)
    if listener == "house":
        tokens_door.mount(app, house)
        pages.mount(app, house)
    else:
        tokens_door.mount_keys(app, house)
    outside = partial(_outside, house, listener)
    app.register_error_handler(HTTPException, outside)
    app.register_error_handler(Exception, outside)
    return app


def _mount(app: Flask, house: House, transaction: Transaction, *, door: str, base: str) -> None:
    """One transaction at one base; a search can be sent as a form as well."""
    method, path = transaction.route
    routes = [(method, path)]
    if transaction.form:
        routes.append(("POST", path.rstrip("/") + "/_search"))
    view = partial(_answer, house, transaction, door, base)
    if transaction.family == "cds":
        cross_origin.mount(app, house, base + path, method)
        view = partial(cross_origin.allowed, house, view)
    for verb, where in routes:
        app.add_url_rule(
            (base + where).rstrip("/") or "/",
            endpoint=f"{door} {transaction.name} {verb} {where}",
            view_func=view,
            methods=[verb],
            provide_automatic_options=False,
        )


def _mount_messages(app: Flask, house: House, offered: list[Transaction], *, door: str, base: str) -> None:
    """One address for several SOAP messages; which one it is stands in the message."""

    def view() -> Response:
        return flask_response(handle_message(house, offered, wire_request(house, door, base, {})))

    app.add_url_rule(base, f"{door} {base}", view, methods=["POST"], provide_automatic_options=False)


def _mount_bundles(
    app: Flask, house: House, bundles: list[Transaction], single: list[Transaction], *, door: str, base: str
) -> None:
    """The base of FHIR takes Bundles; which transaction one is stands inside."""

    def view() -> Response:
        asked = wire_request(house, door, base, {})
        return _with_query(asked, bundles[0], lambda one: handle_bundle(house, bundles, single, one))

    app.add_url_rule(base, f"{door} {base}", view, methods=["POST"], provide_automatic_options=False)


def _answer(house: House, transaction: Transaction, door: str, base: str, **params: str) -> Response:
    asked = wire_request(house, door, base, params)
    return _with_query(asked, transaction, lambda one: handle(house, transaction, one))


def _with_query(
    asked: WireRequest, transaction: Transaction, answer: Callable[[WireRequest], WireResponse]
) -> Response:
    """The answer to a request whose query is read; one that cannot be is told so in the transaction's own language."""
    try:
        asked = replace(asked, query=query_pairs(request.environ.get("QUERY_STRING", "")))
    except Unreadable as error:
        return flask_response(transaction.error(error, asked))
    return flask_response(answer(asked))


def wire_request(house: House, door: str, base: str, params: dict[str, str]) -> WireRequest:
    """The current request as adapters see it, its query not yet read."""
    at = house.settings.peer if door == "peer" else house.settings.house
    return WireRequest(
        method=request.method,
        path=request.path,
        target=request.environ.get("RAW_URI", ""),
        door=door,
        base=at.url + base,
        home=house.home,
        params=params,
        headers=_headers(),
        body=request.stream,  # type: ignore[arg-type]
        length=request.content_length or 0,
        seal_page=partial(seal_page, house),
        patient_id_system=house.settings.patient_id_system,
        spool=str(house.settings.spool),
    )


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def flask_response(answer: WireResponse) -> Response:
    """The answer as the server sends it; a body that flows stays an iterator."""
    response = Response(answer.body, status=answer.status)
    response.headers.clear()
    for name, value in answer.headers:
        response.headers.add(name, value)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    response.automatically_set_content_length = isinstance(answer.body, bytes)
    return response


def _outside(house: House, listener: str, error: Exception) -> Response:
    """What no transaction answers: an address or a method that none has, or a fault before one was reached."""
    status = error.code or UNEXPECTED if isinstance(error, HTTPException) else UNEXPECTED
    if status == UNEXPECTED:
        log.fault("door", error, secrets.token_hex(6))
    if listener == "house" and pages.owns(request.path):
        return error_page(house, status)
    headers = []
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(sorted(error.valid_methods or ()))))
    if not speaks_fhir(request.path.encode()):
        document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
        headers.append(("Content-Type", PROBLEM))
        return flask_response(WireResponse(status, tuple(headers), orjson.dumps(document)))
    asked = WireRequest(request.method, request.path, "house", "", NOBODY, query=(), headers=_headers())
    told = outcome.error(_AS_FHIR.get(status, error), asked)
    return flask_response(WireResponse(told.status, (*told.headers, *headers), told.body))


_AS_FHIR: Mapping[int, Exception] = {
    404: NoSuchInteraction("There is no such interaction here."),
    405: FhirError(Issue("error", "not-supported", "There is no such interaction here."), status=405),
}
