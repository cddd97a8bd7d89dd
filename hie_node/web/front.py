"""The one way to a page: who is it, may they, is the form ours; then the page, or an error in the reader's language."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from flask import Request, Response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import dump_options_header

from adapters.peers.errors import PeerError
from adapters.store.people import User
from consent.disclosures import Action, Direction
from consent.emergency import EmergencyAccess
from consent.errors import ConsentError, EmergencyRefused
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log, metrics
from hie_node.acts import Act, Caller
from hie_node.flows.emergencies import running_of, under
from hie_node.house import House
from hie_node.page_tokens import open_page, seal_page
from hie_node.passwords import TooManyAtOnce
from hie_node.web import sessions
from hie_node.web.looks import Looks
from hie_node.web.rendering import render
from hie_node.web.wording import LANGUAGES, Language
from registry.errors import (
    Gone,
    InvalidValue,
    NotFound,
    NotUnique,
    RegistryError,
    StorageUnavailable,
    TooLarge,
    Unreadable,
    VersionConflict,
)

LANGUAGE = "__Host-hie-language"
PART = "Answer-Part"
"""Set by our script, which wants the answer of the other hospitals alone. Names with X-Hie- are the edge's."""
OWN_PAGE, TO_CHOOSE = "/account", frozenset({"account", "new-password"})
"""Where everybody changes their password, and the pages that it takes."""
FORM_BODY = 64 << 10
"""Bytes of a posted form without a file."""
FACTS_LIFE = 43200
"""Seconds that the sealed facts of a link are readable: as long as a session at most."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Refused(Exception):
    """A page that this person may not see, or a form that is not ours. `why` is the key of its wording."""

    def __init__(self, status: int, why: str, **facts: object) -> None:
        self.status, self.why, self.facts = status, why, facts
        super().__init__(why)


class SignInFirst(Exception):
    """Nobody is signed in."""


class ProveFirst(Exception):
    """This wants a fresh proof that it is still the one who signed in."""


class ChooseFirst(Exception):
    """Somebody else set the password of this person, who first chooses one of their own."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page or one action. `roles` is None where nobody needs to be signed in.

    step_up  wants a proof of a few minutes ago at most (emergency access, exports, accounts); its value is where to
             come back to after that
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    view: Callable[[Visit], Response]
    roles: frozenset[Role] | None
    takes_a_scan: bool = False
    step_up: str = ""

    def body(self, house: House) -> int:
        """Bytes that may be sent to it."""
        return FORM_BODY + (house.settings.limits.scan_body if self.takes_a_scan else 0)


@dataclass(slots=True)
class Visit:
    """One request to a page, and what its page needs to answer."""

    house: House
    request: Request
    arrival: sessions.Arrival
    language: Language
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def user(self) -> User:
        assert self.arrival.user is not None
        return self.arrival.user

    @property
    def looks(self) -> Looks:
        return Looks(self.language, self.house.now())

    def field(self, name: str, longest: int = 500) -> str:
        """One field of the form, without spaces around; one that is too long was not typed by a person."""
        value = self.request.form.get(name, "").strip()
        if len(value) > longest:
            raise InvalidValue(name, expected=f"at most {longest} characters")
        return value

    def act(
        self,
        name: str,
        *,
        action: Action = "R",
        direction: Direction = "disclosed",
        purpose: PurposeOfUse | None = None,
    ) -> Act:
        """What this person does now, as every flow takes it."""
        return Act(self.house, Caller(self._requester(purpose), "house"), f"page {name}", action, direction)

    def _requester(self, purpose: PurposeOfUse | None) -> Requester:
        usual = PurposeOfUse.TREAT if self.user.role.treats else PurposeOfUse.HOPERAT
        running = self.emergency() if purpose is None and self.user.role.treats else None
        asker = self._asker(purpose or usual)
        return under(asker, reason=running.said, declared=running.declared) if running else asker

    def emergency(self) -> EmergencyAccess | None:
        """The emergency that this person declared for the patient of this page, while it lasts."""
        record_id = self.params.get("record_id") or self.facts().get("record", "")
        return running_of(self.house, record_id, self.user.username) if record_id else None

    def _asker(self, purpose: PurposeOfUse) -> Requester:
        return Requester(
            self.user.username,
            self.user.role,
            self.house.home,
            name=self.user.name,
            organization=self.house.settings.name,
            purpose=purpose,
        )

    def seal(self, **facts: str) -> str:
        """Facts about a thing as an opaque part of a link to it."""
        return seal_page(self.house, tuple(facts.items()), use=b"page facts", life=FACTS_LIFE)

    def facts(self) -> dict[str, str]:
        """What the link that led here says; empty when it says nothing any more."""
        return self.facts_in(self.request.args.get("f", ""))

    def facts_in(self, link: str) -> dict[str, str]:
        """What the opaque part of one link says; empty when it says nothing any more."""
        try:
            return dict(open_page(self.house, link, use=b"page facts")) if link else {}
        except (Unreadable, ValueError, TypeError):
            return {}

    def page(self, template: str, *, status: int = 200, **facts: Any) -> Response:
        return render(self, template, status=status, **facts)

    def go(self, path: str) -> Response:
        """After a form: show a page, so that reloading sends nothing again."""
        return as_ours(redirect(path, 303))


def as_ours(response: Any) -> Response:
    assert isinstance(response, Response)
    return response


def serve(house: House, page: Page, **params: str) -> Response:
    """Answer one request of one page, whatever goes wrong."""
    started = time.perf_counter()
    visit = _visit(house, params)
    try:
        visit.arrival = sessions.arrival(house, visit.request)
        _let_in(visit, page)
        response = page.view(visit)
    except SignInFirst:
        response = _to_the_door(visit)
    except ProveFirst:
        response = _to_the_proof(visit, page)
    except ChooseFirst:
        response = Response("", 401) if visit.request.headers.get(PART) else visit.go(OWN_PAGE)
    except Exception as error:
        response = _refusal(visit, page, error)
    # a scan that was spooled to disk goes with the request, not some time later
    visit.request.close()
    response = dressed(visit, response)
    seconds = time.perf_counter() - started
    metrics.observe(f"page {page.name}", "house", response.status_code, seconds)
    log.request(f"page {page.name}", "house", response.status_code, seconds, None)
    return response


def error_page(house: House, status: int) -> Response:
    """A page about an address that no page has."""
    visit = _visit(house, {})
    # without the database there is still a page
    with suppress(RegistryError):
        visit.arrival = sessions.arrival(house, visit.request)
    key = f"error.{status}" if status in (404, 405, 500) else "error.400"
    return dressed(visit, visit.page("error.html", status=status, title=key, reference=""))


def _visit(house: House, params: Mapping[str, str]) -> Visit:
    chosen = request.cookies.get(LANGUAGE, "")
    language: Language = "en" if chosen == "en" else LANGUAGES[0]
    return Visit(house, request, sessions.Arrival(secrets.token_urlsafe(32)), language, params)


def _let_in(visit: Visit, page: Page) -> None:
    visit.request.max_content_length = page.body(visit.house)
    if page.roles is not None and visit.arrival.user is None:
        raise SignInFirst
    if page.method == "POST" and not sessions.is_form_token(
        visit.house, visit.arrival.secret, visit.request.form.get("token", "")
    ):
        raise Refused(403, "error.form")
    if page.roles is not None and visit.user.has_to_choose and page.name not in TO_CHOOSE:
        raise ChooseFirst
    if page.roles is not None and visit.user.role not in page.roles:
        raise Refused(403, "error.role")
    if page.step_up and not has_proof(visit):
        raise ProveFirst


def has_proof(visit: Visit) -> bool:
    """Whether who this is was proved a few minutes ago at most."""
    proved, life = visit.arrival.proved, timedelta(seconds=visit.house.settings.limits.proof_life)
    return proved is not None and visit.house.now() - proved <= life


def _to_the_door(visit: Visit) -> Response:
    """Sign in, and come back to a page that was only looked at; a form is not sent again by itself."""
    if visit.request.headers.get(PART):
        return Response("", 401)
    back = visit.request.path if visit.request.method == "GET" else "/"
    # the cookie of the session that is over goes with this answer, so the next page is told
    ended = "yes" if visit.arrival.ended else ""
    return visit.go(f"/login?f={visit.seal(back=back, ended=ended)}")


def _to_the_proof(visit: Visit, page: Page) -> Response:
    """Prove it, and come back to where the form stood: a form is not sent again by itself."""
    return visit.go(f"/prove?f={visit.seal(back=page.step_up.format(**visit.params))}")


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (TooLarge, 413),
    (NotFound, 404),
    (Gone, 404),
    (NotUnique, 409),
    (VersionConflict, 409),
    (StorageUnavailable, 503),
    (TooManyAtOnce, 503),
    (PeerError, 502),
    (InvalidValue, 400),
    (Unreadable, 400),
    (EmergencyRefused, 403),
    (ConsentError, 400),
)


def _refusal(visit: Visit, page: Page, error: Exception) -> Response:
    if isinstance(error, Refused):
        return visit.page("error.html", status=error.status, title=error.why, facts=error.facts, reference="")
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
    if status is None and isinstance(error, HTTPException) and error.code in (400, 413):
        status = error.code
    reference = ""
    if status is None:
        status, reference = 500, secrets.token_hex(6)
        log.fault(f"page {page.name}", error, reference)
    return visit.page("error.html", status=status, title=f"error.{status}", reference=reference)


def dressed(visit: Visit, response: Response) -> Response:
    """Every answer forbids what no page needs; a page may set its own rule for its content."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if visit.arrival.fresh and visit.arrival.user is None:
        sessions.give(visit.house, response, sessions.VISITOR, visit.arrival.secret)
    if visit.arrival.ended:
        sessions.take(response, sessions.SESSION)
    return response


def attachment(name: str) -> str:
    """Content-Disposition of a download."""
    return dump_options_header("attachment", {"filename": name})
