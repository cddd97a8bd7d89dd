"""Templates to answers: everything that is filled in is escaped, and nothing may be missing."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from adapters.store.people import User
from consent.held_texts import READERS
from consent.requesters import Role
from hie_node.web.sessions import form_token
from registry.ordered import every_name

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
    ("/alarms", "nav.alarms", frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER})),
    ("/held", "nav.held", READERS),
    ("/ledger", "nav.ledger", frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER, Role.DOCTOR})),
)
"""Which pages a role finds in the head of every page; the first is where it begins."""


BEHIND = {
    "/quarantine": "/reviews",
    "/pairs": "/reviews",
    "/files": "/reviews",
    "/documents": "/patients",
    "/studies": "/patients",
    "/view": "/patients",
}
"""Pages that are reached from another one of the head, which stands for them there."""


_DIRECTIONS = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Marks that turn the direction of writing: UAX 9, section 2."""


def _as_it_is_read(value: Any) -> Any:
    """What somebody wrote, in the order in which it is stored: turned round, one name can be made to look like
    another, and what stands behind it too."""
    return value.translate(_DIRECTIONS) if isinstance(value, str) and not value.isascii() else value


def _navigation(user: User | None) -> list[tuple[str, str]]:
    """Nothing for who has to choose a password first."""
    if user is None or user.has_to_choose:
        return []
    return [(path, key) for path, key, roles in NAVIGATION if user.role in roles]


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("hie_node.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_as_it_is_read,
    )


WITH_A_CAMERA = frozenset({"search.html"})
"""Pages on which a card can be held before the camera."""
STATIC = (
    "house.css",
    "house.js",
    "camera.js",
    "sign.js",
    "passkey.js",
    "icon.svg",
    "viewer/viewer.css",
    "viewer/main.js",
    "viewer/pane.js",
    "viewer/series.js",
    "viewer/image.js",
    "viewer/stream.js",
    "viewer/part10.js",
)


@cache
def static_file(name: str) -> bytes:
    """One of our own files, kept in memory."""
    return files("hie_node.web").joinpath("static", name).read_bytes()


@cache
def _version() -> str:
    """Changes with the content of any of them, so that a browser may keep them; one for all, since they name each
    other."""
    return hashlib.sha256(b"".join(map(static_file, STATIC))).hexdigest()[:12]


def static_path(name: str) -> str:
    """The address of one of our own files."""
    return f"/static/{_version()}/{name}"


def render(visit: Visit, template: str, *, status: int, **facts: Any) -> Response:
    """A page of this visit."""
    response = Response(text_of(visit, template, **facts), status, content_type="text/html; charset=utf-8")
    if template in WITH_A_CAMERA:
        response.headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=()"
    return response


def text_of(visit: Visit, template: str, **facts: Any) -> str:
    """A page, or a part of one."""
    looks = visit.looks
    user = visit.arrival.user
    return _templates().get_template(template).render(
        visit=visit,
        looks=looks,
        t=looks.say,
        user=user,
        language=visit.language,
        hospital=visit.house.settings.name,
        lab=visit.house.settings.lab,
        token=form_token(visit.house, visit.arrival.secret),
        navigation=_navigation(user),
        room=lambda: _room(visit.request.path),
        static_path=static_path,
        facts_given=facts,
        examination_names=every_name,
        **facts,
    )  # fmt: skip


def _room(path: str) -> str:
    """The page of the head in whose room this one is."""
    first = "/" + path.split("/")[1]
    return BEHIND.get(first, first)
