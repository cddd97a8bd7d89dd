"""One HL7 v2 message through the house: read, known sender, known message, flows, acknowledgement.

The same steps whether it came over MLLP or in a file. It is acknowledged when its effect is durable; that it had its
effect is written in the same unit, so a resend after a lost acknowledgement is acknowledged again and changes nothing.
A control id alone does not make a resend: some systems count from one each morning, and their reports must not be lost.
The message itself is kept in the same unit (hie_node/feeds.py); a refused one as well, so that it can be read again.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from adapters.hl7v2.ack import ACCEPTED, Verdict, answers, sender_of, verdict
from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.catalogue import EXCHANGES, exchange_of
from adapters.hl7v2.errors import Hl7Fault, SenderNotAllowed
from adapters.hl7v2.exchanges import Exchange, Reply
from adapters.hl7v2.mapping import SenderMapping, mapped, mapping_of
from adapters.hl7v2.message import Message, header_field, read_message
from adapters.hl7v2.orders import ASKING
from adapters.store.unit import UnitOfWork
from consent.errors import ConsentError
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import feeds, log, metrics
from hie_node.acts import Act, Caller
from hie_node.flows.table import flow_for
from hie_node.house import House
from registry.commands import FeedPatient, ProvideSubmission
from registry.errors import RegistryError, StorageUnavailable
from registry.feeds import REFUSED, FeedItem
from registry.vietnamese import composed

_EVENTS = {event for exchange in EXCHANGES for event in exchange.events}


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one message. `answers` are without framing; `again` says that it had its effect before."""

    answers: tuple[bytes, ...]
    verdict: Verdict
    event: str = "other"
    again: bool = False
    commands: int = 0
    notes: tuple[str, ...] = ()
    documents: int = 0


def handle(house: House, data: bytes, *, address: str | None = None, replayed: FeedItem | None = None) -> Handled:
    """Answer one message, whatever it is. `address` is where it came from over the network.

    replayed  the item of the log that this message is: what becomes of it is written there by whoever asks
    """
    started = time.perf_counter()
    message: Message | None = None
    try:
        message = read_message(data)
        handled = _answered(house, message, data, address, replayed)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong becomes an answer
        handled = _refused(house, message, data, error)
        if replayed is None and not isinstance(error, SenderNotAllowed):  # a stranger must not fill the disk
            _keep_refused(house, message, data, handled)
    seconds = time.perf_counter() - started
    metrics.HL7.labels(handled.event, handled.verdict.code).inc()
    metrics.observe(f"HL7 {handled.event}", "mllp" if address else "file", handled.verdict.number, seconds)
    facts = {"again": True} if handled.again else {}
    log.event(
        "hl7",
        kind=handled.event,
        code=handled.verdict.code,
        number=handled.verdict.number,
        where=handled.verdict.location,
        notes=len(handled.notes),
        ms=round(seconds * 1000, 1),
        **facts,
    )
    return handled


def handle_together(house: House, messages: Sequence[bytes], *, address: str | None = None) -> list[Handled]:
    """Messages of one sender, in order, with one wait for the disk; their answers may leave when this returns."""
    if len(messages) > 1 and not any(header_field(each, 9).partition("^")[0].upper() in ASKING for each in messages):
        # what the database cannot take together is tried one by one, so that each gets the answer that fits it
        with contextlib.suppress(StorageUnavailable), house.storage.together(), house.contents.batch():
            return [handle(house, each, address=address) for each in messages]
    return [handle(house, each, address=address) for each in messages]


def became(handled: Handled) -> feeds.Became:
    """For the log of feeds."""
    if handled.verdict.code != ACCEPTED.code:
        judged = handled.verdict
        reason = " ".join(filter(None, (judged.code, str(judged.number), judged.location, judged.text)))
        return feeds.Became(REFUSED, reasons=(reason,), notes=handled.notes)
    outcome = "unchanged" if handled.again or not handled.commands else "stored"
    return feeds.Became(outcome, handled.documents, notes=handled.notes)


def refuse(house: House, head: bytes, error: Exception) -> Handled:
    """Answer what could not even be received as a whole."""
    return _refused(house, None, head, error)


def receiver(house: House) -> Receiver:
    """This hospital, as messages may name it."""
    settings = house.settings
    names = (str(settings.facility_code), settings.name, *settings.issuers)
    return Receiver(
        home=house.home,
        facility=settings.facility_code,
        patient_id_system=settings.patient_id_system,
        now=house.now(),
        own_names=frozenset(name.upper() for name in names),
        authorities=settings.mllp.authorities,
        is_lab=settings.lab,
    )


def _answered(house: House, message: Message, data: bytes, address: str | None, replayed: FeedItem | None) -> Handled:
    if address is not None:
        _check_sender(house, message, address)
    message, here = as_meant(house, message, house.mappings.current())
    exchange = exchange_of(message, is_lab=here.is_lab)
    read = exchange.decode(message, here)
    if exchange.reply is not None:
        results = [_one(house, message, exchange, command) for command in read.commands]
        reply = exchange.reply(results, message, here)
        told = answers(sender_of(message, data), ACCEPTED, now=here.now, reply=reply, notes=message.deviations)
        return Handled(tuple(told), ACCEPTED, _event(message), commands=len(results))
    identity = (_sender(message), message.control_id[:255], _digest(data))
    again = replayed is None and _had_effect(house, identity)
    commands = [] if again else _still_news(house, read.commands, replayed)
    notes = (*message.deviations, *read.notes, *((STALE,) if len(commands) < len(read.commands) and not again else ()))
    told = answers(sender_of(message, data), ACCEPTED, now=here.now, notes=notes)
    documents = sum(len(one.submission.documents) for one in commands if isinstance(one, ProvideSubmission))
    handled = Handled(tuple(told), ACCEPTED, _event(message), again, len(commands), notes, documents)
    _carry_out(house, message, exchange, commands, _last_step(house, message, data, handled, identity, replayed))
    return handled


STALE = "replayed: a later message of this patient was accepted since; nothing was changed by this one"


def _still_news(house: House, commands: Sequence[object], replayed: FeedItem | None) -> list[object]:
    """Of a message that is read again, what no later message has overtaken."""
    if replayed is None:
        return list(commands)
    with house.storage.read() as unit:
        return [each for each in commands if not _is_overtaken(unit, each, replayed)]


def _is_overtaken(unit: UnitOfWork, command: object, replayed: FeedItem) -> bool:
    if isinstance(command, ProvideSubmission):
        return False
    if not isinstance(command, FeedPatient):
        return replayed.outcome != REFUSED
    known = unit.patients.record(command.identifier)
    return known is not None and known.updated is not None and known.updated > replayed.received


def as_meant(house: House, message: Message, mappings: tuple[SenderMapping, ...]) -> tuple[Message, Receiver]:
    """The message and this hospital's names, with the habits of its sender taken out."""
    here, mapping = receiver(house), mapping_of(message, mappings)
    if mapping is None:
        return message, here
    return mapped(message, mapping), replace(here, authorities={**here.authorities, **mapping.authorities})


def _check_sender(house: House, message: Message, address: str) -> None:
    """Raises SenderNotAllowed for a system that is not on the list, or not at its place."""
    senders = house.settings.mllp.senders
    named = (message.header.text(3), message.header.text(4))
    if senders and not any(each.is_named(*named) and each.comes_from(address) for each in senders):
        raise SenderNotAllowed


def _had_effect(house: House, identity: tuple[str, str, str]) -> bool:
    with house.storage.read() as unit:
        return unit.messages.had_effect(*identity)


LastStep = Callable[[UnitOfWork], None]


def _carry_out(house: House, message: Message, exchange: Exchange, commands: Sequence[object], last: LastStep) -> None:
    """All commands or none; with the last one becomes durable that the message had its effect."""
    with house.storage.together() if len(commands) > 1 else contextlib.nullcontext():
        for place, command in enumerate(commands, 1):
            _one(house, message, exchange, command, also=last if place == len(commands) else None)
    if not commands:
        with house.storage.begin() as unit:
            last(unit)


def _one(
    house: House, message: Message, exchange: Exchange, command: object, *, also: LastStep | None = None
) -> object:
    is_query = exchange.reply is not None
    act = Act(house, _caller(house, message), exchange.name, "E" if is_query else "U", query=_query(message))
    act.also = also
    result = flow_for(command, network=False)(act, command)
    if not act.recorded:
        raise AssertionError(f"{exchange.name} answered without a record")
    return result


def _last_step(
    house: House,
    message: Message,
    data: bytes,
    handled: Handled,
    identity: tuple[str, str, str],
    replayed: FeedItem | None,
) -> LastStep:
    """That it had its effect, and the message as it came."""
    kept = None if replayed else feeds.keep(house, data)
    item = replayed or feeds.new_item(house, feed_of(message), message.control_id, kept)

    def last(unit: UnitOfWork) -> None:
        unit.messages.keep(*identity, now=item.received)
        if kept is not None:
            feeds.write(unit, item, kept, became(handled))

    return last


def _keep_refused(house: House, message: Message | None, data: bytes, handled: Handled) -> None:
    """Its sender knows that it had no effect; whoever mends the fault can read it again. Questions are not kept."""
    if message is not None and any(each.reply and message.kind in each.events for each in EXCHANGES):
        return
    with contextlib.suppress(StorageUnavailable):
        kept = feeds.keep(house, data)
        name = message.control_id if message else ""
        item = feeds.new_item(house, feed_of(message), name, kept)
        with house.storage.begin() as unit:
            feeds.write(unit, item, kept, became(handled))


def feed_of(message: Message | None) -> str:
    """The name of the feed in the log: which system sent it."""
    return f"{feeds.HL7} {_sender(message) if message else '?'}"


def _caller(house: House, message: Message) -> Caller:
    sender = _sender(message)
    requester = Requester(
        f"hl7v2:{sender}", Role.SYSTEM, house.home, sender, house.settings.name, purpose=PurposeOfUse.TREAT
    )
    return Caller(requester, "house")


def _sender(message: Message) -> str:
    """Application and facility as they sign themselves, fit for a record."""
    names = (composed(message.header.text(number))[:64] for number in (3, 4))
    return "|".join("".join(sign for sign in name if sign.isprintable()) for name in names)


def _digest(data: bytes) -> str:
    """Of all but the header, since a resend may carry another time."""
    body = data.strip(b"\r\n \t").replace(b"\n", b"\r").split(b"\r", 1)[1:]
    return sha256(b"".join(body).replace(b"\r\r", b"\r").rstrip(b"\r")).hexdigest()


def _query(message: Message) -> str:
    """The question as it is kept in the record (IHE ATNA): base64, since it may hold identifiers."""
    text = next((qpd.raw for qpd in message.all("QPD")), "")
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def _refused(house: House, message: Message | None, data: bytes, error: Exception) -> Handled:
    """Known errors in the standard's form; anything else is ours, and only its place is written down."""
    if not isinstance(error, (RegistryError, ConsentError, Hl7Fault)):
        log.fault("hl7", error, secrets.token_hex(6))
    reply: Reply | None = None
    where = ""
    exchange = next((each for each in EXCHANGES if message and message.kind in each.events), None)
    if exchange is not None and exchange.refuse is not None and message is not None:
        with contextlib.suppress(Hl7Fault):  # the question itself may be what cannot be read
            reply, where = exchange.refuse(error, message)
    judged = verdict(error, location=where)
    told = answers(sender_of(message, data), judged, now=house.now(), reply=reply)
    return Handled(tuple(told), judged, _event(message) if message else "other")


def _event(message: Message) -> str:
    """For counts and logs: only what is spoken here has a name."""
    return "^".join(message.kind) if message.kind in _EVENTS else "other"
