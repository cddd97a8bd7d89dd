"""Templates to answers: everything that is filled in is escaped, and nothing may be missing."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from consent.requesters import Role
from hie_node.web.sessions import form_token

if TYPE_CHECKING:
    from hie_node.web.front import Visit

NAVIGATION: tuple[tuple[str, str, frozenset[Role]], ...] = (
    ("/patients", "nav.patients", frozenset({Role.DOCTOR, Role.NURSE})),
    ("/consents", "nav.consents", frozenset({Role.CONSENT_DESK, Role.DOCTOR, Role.NURSE})),
    ("/reviews", "nav.reviews", frozenset({Role.REGISTRAR})),
    ("/people", "nav.people", frozenset({Role.REGISTRAR})),
    (
        "/referrals",
        "nav.referrals",
        frozenset({Role.DOCTOR, Role.NURSE, Role.REGISTRAR, Role.CONSENT_DESK}),
    ),
    ("/node", "nav.node", frozenset({Role.ADMINISTRATOR})),
    ("/disclosures", "nav.disclosures", frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER})),
    ("/emergencies", "nav.emergencies", frozenset({Role.DATA_PROTECTION_OFFICER})),
    ("/ledger", "nav.ledger", frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER, Role.DOCTOR})),
)
"""Which pages a role finds in the head of every page; the first is where it begins."""


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("hie_node.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def static_file(name: str) -> bytes:
    """One of our own files, kept in memory."""
    return files("hie_node.web").joinpath("static", name).read_bytes()


@cache
def static_path(name: str) -> str:
    """Its address, which changes with its content, so that a browser may keep it."""
    return f"/static/{hashlib.sha256(static_file(name)).hexdigest()[:12]}/{name}"


def render(visit: Visit, template: str, *, status: int, **facts: Any) -> Response:
    """A page of this visit."""
    looks = visit.looks
    user = visit.arrival.user
    text = _templates().get_template(template).render(
        visit=visit,
        looks=looks,
        t=looks.say,
        user=user,
        language=visit.language,
        hospital=visit.house.settings.name,
        lab=visit.house.settings.lab,
        token=form_token(visit.house, visit.arrival.secret),
        navigation=[(path, key) for path, key, roles in NAVIGATION if user and user.role in roles],
        static_path=static_path,
        facts_given=facts,
        **facts,
    )  # fmt: skip
    return Response(text, status, content_type="text/html; charset=utf-8")
