"""Access Consent: the consent desk records, reads, changes and withdraws what a patient allows.

Source: IHE PCF 1.1, 2:3.108, https://profiles.ihe.net/ITI/PCF/ITI-108.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.fhir import Resource, outcome
from adapters.fhir.conditional import as_search, not_selective
from adapters.fhir.consent import consent, read_consent
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.preconditions import expected_version, version_number
from adapters.fhir.reading import read_resource
from adapters.fhir.search_controls import Asked, read_search
from adapters.fhir.search_values import Parameter, ReferenceValue, TokenValue
from adapters.fhir.whose import WHOSE, whose
from adapters.fhir.writing import answer_format, created, respond, searchset, version_url
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from consent.commands import DeleteConsent, FindConsents, ReadConsent, RecordConsent
from consent.consents import STATUSES, Consent
from registry.commands import Found, Page

SOURCE = "IHE PCF 1.1, 2:3.108"
SEARCH_PARAMETERS = {
    "_id": "token",
    "actor": "reference",
    "actor.identifier": "token",
    "status": "token",
    **WHOSE,
}
MOST_BYTES = 10 * 1024 * 1024
"""A scanned request of several pages, in base64."""


# ---- record ----


def decode_create(request: WireRequest) -> RecordConsent:
    body, _ = read_resource(request, "Consent", MOST_BYTES)
    message = read_consent(body, request.base)
    condition = as_search(request, request.header("if-none-exist"))
    unless = decode_search(condition) if condition else None
    if unless and not unless.ids and not unless.patient.is_given:
        raise not_selective()
    return RecordConsent(message.consent, message.patient, message.scan, unless=unless)


def decode_update(request: WireRequest) -> RecordConsent:
    body, _ = read_resource(request, "Consent", MOST_BYTES)
    if body.get("id") != request.params["id"]:
        text = "the id in the resource is not the one in the URL; nothing was stored"
        raise BadRequest(Issue("error", "invalid", text, ("Consent.id",)))
    message = read_consent(body, request.base, consent_id=request.params["id"])
    version = expected_version(request)
    return RecordConsent(message.consent, message.patient, message.scan, create=False, expected_version=version)


def encode_created(stored: Consent | Found[Consent], request: WireRequest) -> WireResponse:
    """201, or 200 for one that was there under the condition."""
    if isinstance(stored, Found):
        resource = consent(stored.item, request.base)
        return respond(request, resource, headers=(("Location", version_url(request, resource)),))
    return created(request, consent(stored, request.base))


def encode(stored: Consent, request: WireRequest) -> WireResponse:
    return respond(request, consent(stored, request.base))


# ---- read and delete ----


def decode_read(request: WireRequest) -> ReadConsent:
    answer_format(request)
    return ReadConsent(request.params["id"])


def decode_version(request: WireRequest) -> ReadConsent:
    answer_format(request)
    return ReadConsent(request.params["id"], version_number(request.params["version"]))


def decode_delete(request: WireRequest) -> DeleteConsent:
    answer_format(request)
    return DeleteConsent(request.params["id"])


def encode_deleted(stored: Consent, request: WireRequest) -> WireResponse:
    return WireResponse(204, (("ETag", f'W/"{stored.version}"'), ("Cache-Control", "no-store")))


# ---- search ----


def decode_search(request: WireRequest) -> FindConsents:
    asked = read_search(request, SEARCH_PARAMETERS)
    return FindConsents(
        patient=whose(asked, request.base),
        ids=_codes(asked, "_id"),
        statuses=_statuses(asked),
        actor=_actor(asked, request.base),
        limit=asked.count,
        after=asked.after,
    )


def _codes(asked: Asked, name: str) -> tuple[str, ...] | None:
    """Plain codes; of a parameter that stands twice only what stands in both."""
    found: set[str] | None = None
    for parameter in asked.named(name):
        if parameter.modifier:
            raise BadRequest(f"{name} takes no modifier.")
        codes = {TokenValue.parse(value).code or "" for value in parameter.values}
        found = codes if found is None else found & codes
    return tuple(sorted(found)) if found is not None else None


def _statuses(asked: Asked) -> tuple[str, ...] | None:
    statuses = _codes(asked, "status")
    if statuses and not STATUSES.issuperset(statuses):
        raise BadRequest("status is one of " + ", ".join(sorted(STATUSES)) + ".")
    return statuses


def _actor(asked: Asked, base: str) -> str | None:
    found = [_actor_name(each, base) for each in asked.named("actor", "actor.identifier")]
    if len(found) > 1:
        raise BadRequest("A search names one actor.")
    return found[0] if found else None


def _actor_name(parameter: Parameter, base: str) -> str:
    """As `Actor.is_named` takes it: a community, a facility code, an id of the directory, a person's number."""
    if len(parameter.values) != 1:
        raise BadRequest("actor takes one value.")
    modifier = "identifier" if parameter.chain == "identifier" else parameter.modifier
    value = ReferenceValue.parse(parameter.values[0], modifier)
    if value.identifier and value.identifier.code:
        return value.identifier.code
    is_foreign = value.url is not None and not value.url.startswith(f"{base}/")
    if value.id is None or is_foreign:
        raise BadRequest("actor is Organization/ and its id in the directory, or actor:identifier=system|value.")
    return value.id


def encode_search(page: Page[Consent], request: WireRequest) -> WireResponse:
    asked = read_search(request, SEARCH_PARAMETERS)

    def shown(noun: Consent) -> Resource:
        return consent(noun, request.base)

    return searchset(request, asked.shown(page), shown, used=asked.used, warnings=asked.warnings)


def _row(
    title: str,
    route: tuple[str, str],
    command: type,
    decode: Callable[[WireRequest], Any],
    encode: Callable[[Any, WireRequest], WireResponse],
    scope: str,
) -> Transaction:
    return Transaction(
        "ITI-108",
        title,
        source=SOURCE,
        route=route,
        command=command,
        decode=decode,
        encode=encode,
        error=outcome.error,
        scope=("Consent", scope),
        form=scope == "s",
    )


CREATE = _row("Record a Consent", ("POST", "/Consent"), RecordConsent, decode_create, encode_created, "c")
READ = _row("Read a Consent", ("GET", "/Consent/<id>"), ReadConsent, decode_read, encode, "r")
READ_VERSION = _row(
    "Read an earlier version of a Consent",
    ("GET", "/Consent/<id>/_history/<version>"),
    ReadConsent,
    decode_version,
    encode,
    "r",
)
UPDATE = _row("Change a Consent", ("PUT", "/Consent/<id>"), RecordConsent, decode_update, encode, "u")
DELETE = _row("Withdraw a Consent", ("DELETE", "/Consent/<id>"), DeleteConsent, decode_delete, encode_deleted, "d")
TRANSACTION = _row("Find Consents", ("GET", "/Consent"), FindConsents, decode_search, encode_search, "s")
TRANSACTIONS = (TRANSACTION, CREATE, READ, READ_VERSION, UPDATE, DELETE)
