"""Bundles at the base of FHIR: which transaction one is stands inside; a batch is carried out entry by entry.

Each entry of a batch goes the whole way of a request of its own: scope, decision, record and outcome.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from adapters.fhir import outcome
from adapters.fhir.batch import MOST_ANSWERED, BatchEntry
from adapters.fhir.issues import BadRequest, FhirError, Issue, NotFound
from adapters.fhir.reading import parse_resource
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse, query_pairs
from consent.errors import TokenRefused
from hie_node import log, metrics, submission_feeds
from hie_node.authentication import at_the_house_door
from hie_node.house import House
from hie_node.pipeline import handle, refused
from registry.errors import Unreadable

_NO_SUCH = "There is no such interaction here."


@dataclass(frozen=True, slots=True)
class Route:
    """One transaction and the addresses below the base at which it answers."""

    transaction: Transaction
    path: re.Pattern[str]

    @classmethod
    def of(cls, transaction: Transaction) -> Route:
        pattern = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", transaction.route[1].strip("/").replace("$", r"\$"))
        return cls(transaction, re.compile(pattern))


def handle_bundle(
    house: House, bundles: Sequence[Transaction], single: Sequence[Transaction], request: WireRequest
) -> WireResponse:
    """Answer a Bundle. Whoever shows no token is told so before any of it is parsed.

    bundles  the transactions that are Bundles of a type
    single   what an entry of a batch can ask for
    """
    started, caller, why, is_read = time.perf_counter(), None, "", False
    first = next(one for one in bundles if one.bundle == "transaction")
    batch = next(one for one in bundles if one.bundle == "batch")
    try:
        caller, scopes = at_the_house_door(house, request.headers)
        request = submission_feeds.heard(request)
        bundle = parse_resource(request, "Bundle", house.settings.limits.fhir_body)
        is_read, request = True, replace(request, kept={"bundle": bundle})
        if bundle.get("type") != "batch":
            return handle(house, first, request)
        answer = _carried_out(house, batch, single, request)
    except Exception as error:
        answer = refused(batch, request, error)
        why = error.reason if isinstance(error, TokenRefused) else ""
        if caller is not None and scopes.cover(*first.scope):
            # a batch is no submission as a whole; what could not be read may have been one
            name = batch.name if is_read else submission_feeds.UNREAD
            submission_feeds.note_refused(house, first, request, caller=caller, error=error, answer=answer, name=name)
    seconds = time.perf_counter() - started
    metrics.observe(batch.name, request.door, answer.status, seconds)
    log.request(batch.name, request.door, answer.status, seconds, caller.requester if caller else None, why)
    return answer


def _carried_out(house: House, batch: Transaction, single: Sequence[Transaction], request: WireRequest) -> WireResponse:
    routes = [Route.of(one) for one in single]
    answers: list[WireResponse] = []
    length = 0
    for entry in batch.decode(request).entries:
        answer = _answer(house, routes, request, entry) if length <= MOST_ANSWERED else _too_much(request)
        length += len(answer.body) if isinstance(answer.body, bytes) else 0
        answers.append(answer)
    return batch.encode(answers, request)


def _answer(house: House, routes: Iterable[Route], request: WireRequest, entry: BatchEntry) -> WireResponse:
    """The answer of one entry; whatever becomes of it, the others go on."""
    own = replace(
        request,
        method=entry.method,
        path=f"{request.path.rstrip('/')}/{entry.path}",
        target=f"{request.path.rstrip('/')}/{entry.path}?{entry.query}",
        headers=entry.headers or {},
        body=io.BytesIO(entry.body),
        length=len(entry.body),
        kept={},
    )
    try:
        if entry.fault is not None:
            raise entry.fault
        transaction, params = _route(routes, entry)
        own = replace(own, params=params, query=query_pairs(entry.query))
    except (FhirError, Unreadable) as error:
        return outcome.error(error, own)
    return _whole(handle(house, transaction, own), own)


def _route(routes: Iterable[Route], entry: BatchEntry) -> tuple[Transaction, dict[str, str]]:
    """The transaction of an entry and what its address names. Raises FhirError."""
    method = "GET" if entry.method == "HEAD" else entry.method
    fitting = [(one.transaction, found) for one in routes if (found := one.path.fullmatch(entry.path))]
    for transaction, found in fitting:
        if transaction.route[0] == method:
            return transaction, {name: unquote(value) for name, value in found.groupdict().items()}
    if fitting:
        raise FhirError(Issue("error", "not-supported", _NO_SUCH), status=405)
    raise NotFound(_NO_SUCH)


def _whole(answer: WireResponse, request: WireRequest) -> WireResponse:
    """An answer that flows is no part of a message: it is let go, and the entry says how to get it."""
    if isinstance(answer.body, bytes):
        return answer
    close = getattr(answer.body, "close", None)
    if close is not None:
        close()
    return outcome.error(BadRequest(Issue("error", "not-supported", "Ask for this content by itself.")), request)


def _too_much(request: WireRequest) -> WireResponse:
    told = "The answers before this one are as much as one message holds; this entry was not carried out."
    return outcome.error(FhirError(Issue("error", "too-costly", told), status=413), request)
