"""Calls from a browser of another origin, for CDS services alone and only from the origins that node.toml lists.

Source: CDS Hooks 2.0, "Cross-Origin Resource Sharing"; Fetch standard (CORS protocol). Credentials of the browser are
never allowed: who asks is told by a token alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Flask, Response, request

from hie_node.house import House

View = Callable[..., Response]
MINUTES_KEPT = 10


def mount(app: Flask, house: House, path: str, method: str) -> None:
    """Answer the question that a browser asks before it calls this path."""
    app.add_url_rule(
        path.rstrip("/"),
        endpoint=f"cross-origin {method} {path}",
        view_func=partial(_before, house, method),
        methods=["OPTIONS"],
        provide_automatic_options=False,
    )


def allowed(house: House, view: View, **params: str) -> Response:
    """The answer of this view, for the listed origins to read."""
    return _for_its_origin(house, view(**params))


def _before(house: House, method: str, **_params: str) -> Response:
    response = _for_its_origin(house, Response(status=204))
    if "Access-Control-Allow-Origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = method
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response.headers["Access-Control-Max-Age"] = str(MINUTES_KEPT * 60)
    return response


def _for_its_origin(house: House, response: Response) -> Response:
    origin = request.headers.get("Origin", "")
    response.headers.add("Vary", "Origin")
    if origin and origin in house.settings.cds_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
    return response
