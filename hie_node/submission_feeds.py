"""Submissions over FHIR and SOAP in the log of feeds: documents that were handed in, and patients that were fed.

What was accepted is an item without bytes: its documents are kept already, under their patient's key. What was refused
is kept as it came, request line, headers and body, so that it can be read again once the cause is mended. Whoever was
not let in, or may not submit, leaves nothing here: nobody may fill the disk. A program that tries the same again all
night has one item for each day, with how often.

Source: RFC 9112: 2.1 (a request as bytes)
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO
from uuid import NAMESPACE_OID, uuid5

from adapters.catalogue import TRANSACTIONS
from adapters.fhir import batch, outcome
from adapters.soap import faults
from adapters.soap.envelope import open_message
from adapters.soap.messages import transaction_of
from adapters.store.unit import UnitOfWork
from adapters.transactions import REFERENCE_HEADER, UNEXPECTED, Transaction
from adapters.wire import WireRequest, WireResponse, query_pairs
from consent.errors import TokenRefused
from hie_node import feeds
from hie_node.acts import Act, Caller
from hie_node.flows.table import flow_for
from hie_node.house import House
from hie_node.overtaken import STALE, still_news
from registry.code_maps import gaps
from registry.commands import FeedPatient, MergePatients, Provided, ProvideSubmission, RemovePatient
from registry.errors import StorageUnavailable
from registry.feeds import REFUSED, FeedItem

LARGEST_KEPT = 10 << 20
"""Bytes of one request that are kept: as many as FHIR takes, and an envelope. Of a longer one there is its line."""

MOST_A_DAY = 10_000
"""Requests that one sender may have refused on one day, each with a line of its own; as many can be read again."""

MOST_KEPT_A_DAY = 1 << 30
"""Bytes of one sender and day, in all its refused requests; what is refused beyond these two has one line a day."""

UNREAD = "a request that could not be read"
REST = "the rest of the day"
SENT_AGAIN = "the same was sent again, and refused again"
BEYOND = "refused beyond what is kept of one sender and day"
NOT_KEPT = f"its bytes are not kept: more than {LARGEST_KEPT}, or they did not come to their end"

_COMMANDS = (ProvideSubmission, FeedPatient, MergePatients, RemovePatient)
_HEADERS = ("Content-Type", "If-None-Exist", "If-Match", "If-None-Match")
"""What a submission says beside its body. Who asks is not kept: whoever reads it again does so in their own name."""

_FHIR_BASE = "/fhir"
_LONGEST_ID = 100


def is_submission(transaction: Transaction) -> bool:
    return transaction.command in _COMMANDS


class Heard:
    """A request's body that remembers what was read of it, as long as that is not too much."""

    def __init__(self, body: BinaryIO) -> None:
        self._body = body
        self._pieces: list[bytes] | None = []
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._body.read(size)
        self._size += len(piece)
        if self._size > LARGEST_KEPT:
            self._pieces = None
        if self._pieces is not None:
            self._pieces.append(piece)
        return piece

    def whole(self) -> bytes | None:
        """All of it, what nobody had read included; None where that is more than is kept, or where it broke off."""
        with contextlib.suppress(OSError):
            while self._pieces is not None:
                if not self.read(1 << 16):
                    return b"".join(self._pieces)
        return None


def heard(request: WireRequest) -> WireRequest:
    """The request, with a body that can be kept if it is refused."""
    if request.door != "house" or request.body is None or isinstance(request.body, Heard):
        return request
    return replace(request, body=Heard(request.body))  # type: ignore[arg-type]


def note_accepted(act: Act, transaction: Transaction, request: WireRequest, unit: UnitOfWork) -> None:
    """In the unit in which it takes effect. Meant as the `also` of its act."""
    item = feeds.new_item(act.house, _feed(transaction, act.caller), _name(transaction, request))
    told = tuple(issue.text for issue in request.kept.get("warnings", ()))
    became = _of_provided(act.provided) if act.provided else feeds.Became("stored")
    feeds.write(unit, item, None, replace(became, notes=(*told, *became.notes)))


def _of_provided(provided: Provided) -> feeds.Became:
    missing = gaps(result for entry in provided.documents for result in entry.results)
    return feeds.Became(provided.outcome, len(provided.documents), notes=provided.warnings, gaps=missing)


# ---- what was refused ----


def note_refused(
    house: House,
    transaction: Transaction,
    request: WireRequest,
    *,
    caller: Caller,
    error: Exception,
    answer: WireResponse,
    name: str = "",
) -> None:
    """After its unit was undone. Its sender was told, so a database that is away is no loss; who is to come again later
    was not refused.

    caller  who was let in, with the right to submit
    answer  what was told
    name    where it is known only that it was meant for this address
    """
    if isinstance(error, StorageUnavailable | TokenRefused) or request.door != "house":
        return
    reasons = _reasons(transaction, error)
    if reference := next((value for header, value in answer.headers if header == REFERENCE_HEADER), ""):
        reasons = (*reasons, f"reference {reference} of the node's log")
    item = feeds.new_item(house, _feed(transaction, caller), name or _name(transaction, request))
    body = request.body.whole() if isinstance(request.body, Heard) else None
    with contextlib.suppress(StorageUnavailable):
        _keep(house, item, reasons, None if body is None else _as_it_came(request, body))


def _keep(house: House, item: FeedItem, reasons: tuple[str, ...], data: bytes | None) -> None:
    digest = sha256(data).hexdigest() if data is not None else ""
    item = replace(item, id=_id(item, digest or " ".join((item.name, *reasons))))
    with house.storage.read() as unit:
        before = unit.feeds.item(item.id)
        number, size = unit.feeds.kept_since(item.feed, REFUSED, _midnight(item))
    if before is not None:
        return _once_more(house, before, item, SENT_AGAIN, reasons)
    if number >= MOST_A_DAY or size + len(data or b"") > MOST_KEPT_A_DAY:
        return _once_more(house, _rest_of_the_day(house, item), item, BEYOND)
    kept = feeds.keep(house, data) if data is not None else None
    if kept is not None:
        item = replace(item, digest=kept.digest, size=kept.size, owner=kept.owner, kept_as=kept.content_hash)
    notes = () if kept is not None else (NOT_KEPT,)
    with house.storage.begin() as unit:
        feeds.write(unit, item, kept, feeds.Became(REFUSED, reasons=reasons, notes=notes))
    return None


def _once_more(house: House, before: FeedItem, item: FeedItem, note: str, reasons: tuple[str, ...] = ()) -> None:
    """Its bytes lie there already, or are not kept; what is new is that it came."""
    notes = before.deviations | {note: before.deviations.get(note, 0) + 1}
    now = replace(before, received=item.received, outcome=REFUSED, deviations=notes)
    with house.storage.begin() as unit:
        unit.feeds.save(replace(now, reasons=feeds.lines(reasons) or before.reasons))


def _rest_of_the_day(house: House, item: FeedItem) -> FeedItem:
    """The one line of a sender and day for all that has none of its own."""
    line = replace(feeds.new_item(house, item.feed, REST), id=_id(item, REST), reasons=(BEYOND,))
    with house.storage.read() as unit:
        return unit.feeds.item(line.id) or line


def _id(item: FeedItem, what: str) -> str:
    """The same of one sender on one day is one item; a day as keys have it, so that an item ends with its bytes."""
    return str(uuid5(NAMESPACE_OID, f"{item.feed} {what} {item.received.astimezone(UTC):%Y-%m-%d}"))


def _midnight(item: FeedItem) -> datetime:
    return item.received.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _feed(transaction: Transaction, caller: Caller) -> str:
    """`fhir HIS`, `soap RIS`: the system, not the person whom it speaks for."""
    kind = feeds.FHIR if transaction.family == "fhir" else feeds.SOAP
    return f"{kind} {caller.requester.client_id or caller.requester.subject}"


def _name(transaction: Transaction, request: WireRequest) -> str:
    """The transaction, and the number that its sender has for it in its own log."""
    message = faults.message_of(request)
    number = message.message_id if message else request.header("x-request-id")
    return f"{transaction.name} {number[:_LONGEST_ID]}".rstrip()


def _reasons(transaction: Transaction, error: Exception) -> tuple[str, ...]:
    """As its sender was told."""
    if transaction.family != "fhir":
        return (faults.told(error),)
    issues = outcome.describe(error)[1]
    return tuple(f"{one.text} ({', '.join(one.expression)})" if one.expression else one.text for one in issues)


def _as_it_came(request: WireRequest, body: bytes) -> bytes:
    lines = [f"{request.method} {request.target or request.path} HTTP/1.1"]
    lines += [f"{name}: {_one_line(request.header(name))}" for name in _HEADERS if request.header(name)]
    return "\r\n".join((*lines, "", "")).encode("utf-8", "replace") + body


def _one_line(value: str) -> str:
    """The header of an entry of a batch is a member of its JSON, which may hold anything."""
    return "".join(sign if sign.isprintable() else " " for sign in value)


# ---- reading it again ----


def again(house: House, item: FeedItem, caller: Caller) -> feeds.Became:
    """What becomes of it now, in the name of whoever has it read again, as of every file. Raises StorageUnavailable."""
    if item.name.partition(" ")[0] == batch.TRANSACTION.name:
        return feeds.Became(REFUSED, reasons=("a batch is sent again by its sender, entry by entry or whole",))
    request = _request(house, b"".join(feeds.original(house, item)))
    transaction = _at_its_address(request)
    try:
        transaction, request = _told_apart(transaction, request)
        command = transaction.decode(request)
        if not still_news(house, [command], item):
            return feeds.Became("unchanged", notes=(STALE,))
        act = Act(house, caller, transaction.name, "C")
        flow_for(command, network=False)(act, command)
    except StorageUnavailable:
        raise
    except Exception as error:
        if transaction.error(error, request).status == UNEXPECTED:
            raise
        return feeds.Became(REFUSED, reasons=_reasons(transaction, error))
    return _of_provided(act.provided) if act.provided else feeds.Became("stored")


def _request(house: House, data: bytes) -> WireRequest:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return WireRequest(
        method,
        path,
        "house",
        house.settings.house.url + _FHIR_BASE,
        house.home,
        query=query_pairs(query),
        headers=headers,
        body=io.BytesIO(body),
        length=len(body),
        patient_id_system=house.settings.patient_id_system,
        target=target,
        spool=str(house.settings.spool),
    )


def _at_its_address(request: WireRequest) -> Transaction:
    """A submission that its address takes; of SOAP any, for the words of its errors."""
    below = request.path.removeprefix(_FHIR_BASE).rstrip("/")
    return next(
        one
        for one in TRANSACTIONS
        if is_submission(one)
        and (one.action or one.route == (request.method, below or "/"))
        and (one.family == "fhir") == request.path.startswith(_FHIR_BASE)
    )


def _told_apart(transaction: Transaction, request: WireRequest) -> tuple[Transaction, WireRequest]:
    """Of SOAP, which one it is stands in its envelope. Raises SoapFault."""
    if transaction.family == "fhir":
        return transaction, request
    message = open_message(request)
    offered = [one for one in TRANSACTIONS if one.action and is_submission(one)]
    return transaction_of(message, offered), replace(request, kept={"message": message})
