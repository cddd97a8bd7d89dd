"""The one way through the house: authenticate, check the scope, decode, dispatch, record, encode.

A transaction is a row of the catalogue and never sees these steps, so it can forget none of them. An answer that shows
something of a patient does not leave unless its row in the record of disclosures is committed.
"""

from __future__ import annotations

import base64
import io
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

from adapters.dicom.errors import DicomwebError
from adapters.fhir.issues import UnsupportedMediaType
from adapters.fhir.negotiation import MediaType
from adapters.interpreter import waiting
from adapters.soap import faults
from adapters.soap.envelope import open_message
from adapters.soap.messages import transaction_of
from adapters.transactions import REFERENCE_HEADER, UNEXPECTED, Transaction
from adapters.trust.scopes import Scopes
from adapters.wire import Pairs, WireRequest, WireResponse
from consent.disclosures import Action
from consent.errors import QuotaReached, ScopeMissing, TokenRefused
from consent.reasons import Reason
from consent.requesters import Requester, Role
from hie_node import image_feeds, log, metrics, submission_feeds
from hie_node.acts import Act, Caller
from hie_node.authentication import (
    at_a_cds_service,
    at_the_house_door,
    at_the_peer_door,
    by_message,
    introduced,
)
from hie_node.flows.anew import out_of_the_way
from hie_node.flows.table import flow_for
from hie_node.house import House
from hie_node.page_tokens import open_page
from registry.commands import StoreInstances
from registry.errors import InvalidValue, StorageUnavailable, Unreadable

FORM_BODY = 64 << 10
"""Bytes of a search sent as a form: parameters, not content."""

UNKNOWN_ASKER = 401
_ITEM_BY_ITEM = frozenset({"fhir", "dicomweb"})
"""Where every answer is decided item by item, so that a token for one patient can be enforced."""

_ACTIONS: Mapping[str, Action] = {"c": "C", "r": "R", "u": "U", "d": "D", "s": "E"}


def handle(house: House, transaction: Transaction, request: WireRequest) -> WireResponse:
    """Answer one request of one transaction; whatever goes wrong is answered in the transaction's own language."""
    started = time.perf_counter()
    caller: Caller | None = None
    why, shown = "", False
    if submission_feeds.is_submission(transaction):
        request = submission_feeds.heard(request)
    try:
        request, caller = _authenticated(house, transaction, request)
        request = _with_form(house, transaction, request)
        response, shown = _answered(house, transaction, request, caller)
    except Exception as error:
        response = refused(transaction, request, error)
        why = error.reason if isinstance(error, TokenRefused) else ""
        if caller is not None and submission_feeds.is_submission(transaction):
            submission_feeds.note_refused(house, transaction, request, caller=caller, error=error, answer=response)
    if request.door == "peer" and not shown and response.status != UNKNOWN_ASKER:
        _even_out(started, house.settings.limits.refusal_pace)
    seconds = time.perf_counter() - started
    metrics.observe(transaction.name, request.door, response.status, seconds)
    log.request(transaction.name, request.door, response.status, seconds, caller.requester if caller else None, why)
    return response


def handle_message(house: House, offered: Sequence[Transaction], request: WireRequest) -> WireResponse:
    """Answer one SOAP message: which of the address's transactions it is stands in its envelope, which is read first.

    Whoever shows neither a token nor a certificate of the network is told so before any of it is parsed.
    """
    started = time.perf_counter()
    sender: tuple[Caller, Scopes] | None = None
    try:
        sender = introduced(house, request)
        request = submission_feeds.heard(request)
        message = open_message(request)
        request = replace(request, kept={"message": message})
        transaction = transaction_of(message, offered)
    except Exception as error:
        answer = faults.fault(error, request)
        if answer.status == UNEXPECTED:
            log.fault("SOAP", error, secrets.token_hex(6))
        _note_unread(house, offered, request, sender=sender, error=error, answer=answer)
        seconds = time.perf_counter() - started
        metrics.observe("SOAP", request.door, answer.status, seconds)
        log.request("SOAP", request.door, answer.status, seconds, None, "")
        return answer
    return handle(house, transaction, request)


def _note_unread(
    house: House,
    offered: Sequence[Transaction],
    request: WireRequest,
    *,
    sender: tuple[Caller, Scopes] | None,
    error: Exception,
    answer: WireResponse,
) -> None:
    """A message of whoever may submit at this address, and that nobody could tell a submission from a question."""
    submission = next((one for one in offered if submission_feeds.is_submission(one)), None)
    if sender is None or submission is None or not sender[1].cover(*submission.scope):
        return
    submission_feeds.note_refused(
        house, submission, request, caller=sender[0], error=error, answer=answer, name=submission_feeds.UNREAD
    )


def _authenticated(house: House, transaction: Transaction, request: WireRequest) -> tuple[WireRequest, Caller]:
    """Before anything of the body is parsed. A peer's token is bound to its body, so that is read first, bounded."""
    if transaction.open_to_all:
        return request, Caller(Requester("anybody", Role.SYSTEM, house.home), request.door)
    if transaction.action:
        caller, scopes = by_message(house, request)
        if scopes is not None and not scopes.cover(*transaction.scope):
            raise ScopeMissing
        return request, caller
    if request.door == "peer":
        body = request.read(house.settings.limits.fhir_body)
        path, _, query = request.target.partition("?")
        caller = at_the_peer_door(house, request.headers, method=request.method, path=path, query=query, body=body)
        return replace(request, body=io.BytesIO(body), length=len(body)), caller
    if transaction.family == "cds":
        caller, scopes = at_a_cds_service(house, request.headers, path=request.path)
    else:
        caller, scopes = at_the_house_door(house, request.headers)
    if not scopes.cover(*transaction.scope):
        raise ScopeMissing
    return request, caller


def _with_form(house: House, transaction: Transaction, request: WireRequest) -> WireRequest:
    """Parameters of a POST _search count like those of the URL; a page token becomes the search it stands for."""
    pairs: Pairs = request.query
    if transaction.form and request.method == "POST":
        if MediaType.parse(request.header("content-type")).name != "application/x-www-form-urlencoded":
            raise UnsupportedMediaType("The Content-Type of a search must be application/x-www-form-urlencoded.")
        pairs += _form_pairs(request.read(FORM_BODY))
    token = next((value for name, value in pairs if name == "_page"), None)
    if token is not None:
        # the format may be said anew with a link that is followed
        pairs = (*(pair for pair in pairs if pair[0] == "_format"), *open_page(house, token))
    return replace(request, query=pairs)


def _form_pairs(body: bytes) -> Pairs:
    try:
        text = body.decode("ascii")
        return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict"))
    except ValueError as error:
        raise Unreadable("_search", "the body is not a well-formed form in UTF-8") from error


def _even_out(started: float, pace: float) -> None:
    """Let an answer that shows nothing leave at the next beat: whether somebody is known here costs a few queries
    more, and the time of many refusals would tell it."""
    passed = time.perf_counter() - started
    with waiting():
        time.sleep(pace - passed % pace)


def _answered(
    house: House, transaction: Transaction, request: WireRequest, caller: Caller
) -> tuple[WireResponse, bool]:
    """The answer, and whether it shows something of a patient."""
    if caller.only_record is not None and (request.door != "house" or transaction.family not in _ITEM_BY_ITEM):
        raise ScopeMissing
    command = _decoded(house, transaction, request, caller)
    act = Act(house, caller, transaction.name, _ACTIONS[transaction.scope[1]], query=_query(transaction, request))
    if submission_feeds.is_submission(transaction):
        act.also = partial(submission_feeds.note_accepted, act, transaction, request)
    if transaction.discloses and act.action in ("R", "E") and house.quotas.stops(caller.requester, act.now):
        _stop_at_the_quota(act)
    flow = flow_for(command, network=request.door == "network")
    result = out_of_the_way(act, partial(flow, act, command))
    if transaction.discloses and not act.recorded:
        raise AssertionError(f"{transaction.name} answered without a record")
    return transaction.encode(result, request), bool(act.items)


def _decoded(house: House, transaction: Transaction, request: WireRequest, caller: Caller) -> object:
    """Images that nobody can read have no item of their study; that their sender failed has to be seen all the same."""
    try:
        return transaction.decode(request)
    except (DicomwebError, InvalidValue, Unreadable) as error:
        if transaction.command is StoreInstances:
            feed = image_feeds.feed_of(transaction.name, caller)
            image_feeds.note_refused(house, feed, [f"a whole request: {error}"])
        raise


def _stop_at_the_quota(act: Act) -> None:
    """Refused, and on record like every refusal."""
    with act.unit():
        act.refused(Reason.QUOTA)
    raise QuotaReached


def _query(transaction: Transaction, request: WireRequest) -> str:
    """The question as it is kept in the record (IHE BALP, Query): base64, since it may hold identifiers."""
    if transaction.scope[1] != "s":
        return ""
    if transaction.action:
        return base64.b64encode(str(request.kept.get("question", "")).encode()).decode()
    text = "&".join(f"{name}={value}" for name, value in request.query)
    return base64.b64encode(f"{request.path}?{text}".encode()).decode()


def refused(transaction: Transaction, request: WireRequest, error: Exception) -> WireResponse:
    """Known errors in the standard's form; anything else is ours, and only its place is written down."""
    if isinstance(error, StorageUnavailable):
        log.storage_unavailable(transaction.name, error)
    answer = transaction.error(error, request)
    if answer.status == UNEXPECTED:
        reference = secrets.token_hex(6)
        log.fault(transaction.name, error, reference)
        answer = replace(answer, headers=(*answer.headers, (REFERENCE_HEADER, reference)))
    return answer
