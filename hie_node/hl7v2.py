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
from adapters.hl7v2.errors import BeyondBounds, Hl7Fault, SenderNotAllowed
from adapters.hl7v2.exchanges import Exchange, Read, Reply
from adapters.hl7v2.mapping import SenderMapping, mapped, mapping_of
from adapters.hl7v2.message import Message, header_field, read_message
from adapters.hl7v2.orders import ASKING
from adapters.store.unit import UnitOfWork
from consent.errors import ConsentError
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import feeds, log, metrics
from hie_node.acts import Act, Caller
from hie_node.apart import pulse
from hie_node.flows.anew import grouped_anew, one_group, was_in_the_way
from hie_node.flows.table import flow_for
from hie_node.house import House
from hie_node.overtaken import STALE, still_news
from registry.code_maps import CodeGap, gaps
from registry.commands import ProvideSubmission
from registry.errors import RegistryError, StorageUnavailable
from registry.feeds import REFUSED, FeedItem
from registry.vietnamese import composed

READ_AHEAD = 8 << 20
"""Bytes of messages that are read before the first of them is carried out; what is larger goes one by one."""

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
    gaps: tuple[CodeGap, ...] = ()


@dataclass(frozen=True, slots=True)
class Understood:
    """A message read to its end as its sender meant it, and nothing done about it yet."""

    message: Message
    here: Receiver
    exchange: Exchange
    read: Read


@dataclass(frozen=True, slots=True)
class Looked:
    """What reading gave: the message as it came, and what it asks for, or what is wrong with it."""

    message: Message | None
    found: Understood | Exception
    seconds: float


def handle(house: House, data: bytes, *, address: str | None = None, replayed: FeedItem | None = None) -> Handled:
    """Answer one message, whatever it is. `address` is where it came from over the network.

    replayed  the item of the log that this message is: what becomes of it is written there by whoever asks

    Raises MemoryError: whoever set that bound ends the process that has reached it.
    """
    return _handle(house, data, _look(house, data, address), address, replayed)


def handle_together(house: House, messages: Sequence[bytes], *, address: str | None = None) -> list[Handled]:
    """Messages of one sender, in order, with one wait for the disk; their answers may leave when this returns.

    They are read before the database is asked for anything: a message that reads for long keeps nobody from writing.
    """
    if not _may_share(messages):
        return [handle(house, each, address=address) for each in messages]
    pairs = [(each, _look(house, each, address)) for each in messages]
    # what the database cannot take together is tried one by one, so that each gets the answer that fits it
    with contextlib.suppress(StorageUnavailable), one_group(house):
        return [_handle(house, data, looked, address) for data, looked in pairs]
    return [_handle(house, data, looked, address) for data, looked in pairs]


def _may_share(messages: Sequence[bytes]) -> bool:
    if len(messages) < 2 or sum(map(len, messages)) > READ_AHEAD:
        return False
    return not any(header_field(each, 9).partition("^")[0].upper() in ASKING for each in messages)


def _look(house: House, data: bytes, address: str | None) -> Looked:
    pulse()
    started = time.perf_counter()
    message: Message | None = None
    try:
        message = read_message(data)
        found: Understood | Exception = _understood(house, message, address)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever goes wrong becomes an answer
        found = error
    return Looked(message, found, time.perf_counter() - started)


def _understood(house: House, message: Message, address: str | None) -> Understood:
    if address is not None:
        _check_sender(house, message.header.text(3), message.header.text(4), address)
    meant, here = as_meant(house, message, house.mappings.current())
    exchange = exchange_of(meant, is_lab=here.is_lab)
    return Understood(meant, here, exchange, exchange.decode(meant, here))


def _handle(
    house: House, data: bytes, looked: Looked, address: str | None, replayed: FeedItem | None = None
) -> Handled:
    pulse()
    started = time.perf_counter() - looked.seconds
    try:
        if isinstance(looked.found, Exception):
            raise looked.found
        handled = _answered(house, looked.found, data, replayed)
    except MemoryError:
        raise
    except Exception as error:
        if was_in_the_way(error) and house.storage.is_together:
            raise  # another unit waits for the whole group, so that all of it has to let go
        handled = _refused(house, looked.message, data, error)
        if replayed is None and not isinstance(error, SenderNotAllowed):  # a stranger must not fill the disk
            _keep_refused(house, looked.message, data, handled)
    _told(handled, address, time.perf_counter() - started)
    return handled


def _told(handled: Handled, address: str | None, seconds: float) -> None:
    """Counts and the log."""
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


def give_up(house: House, data: bytes, *, address: str | None = None) -> Handled:
    """Answer a message that cost more than one may, without reading it again: refused, and kept to be read later."""
    return _unread(house, data, BeyondBounds(), address, keep=True)


def refuse(house: House, head: bytes, error: Exception, *, address: str | None = None) -> Handled:
    """Answer what could not even be received as a whole; there is nothing of it to be kept."""
    return _unread(house, head, error, address, keep=False)


def _unread(house: House, data: bytes, error: Exception, address: str | None, *, keep: bool) -> Handled:
    handled = _refused(house, None, data, error)
    try:
        if address is not None:
            _check_sender(house, *_named(data), address)
        _keep_refused(house, None, data, handled, whole=keep)
    except SenderNotAllowed as stranger:
        handled = _refused(house, None, data, stranger)
    _told(handled, address, 0.0)
    return handled


def became(handled: Handled) -> feeds.Became:
    """For the log of feeds."""
    if handled.verdict.code != ACCEPTED.code:
        judged = handled.verdict
        reason = " ".join(filter(None, (judged.code, str(judged.number), judged.location, judged.text)))
        return feeds.Became(REFUSED, reasons=(reason,), notes=handled.notes)
    outcome = "unchanged" if handled.again or not handled.commands else "stored"
    return feeds.Became(outcome, handled.documents, notes=handled.notes, gaps=handled.gaps)


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
        maps=house.code_maps,
    )


def _answered(house: House, found: Understood, data: bytes, replayed: FeedItem | None) -> Handled:
    message, here, exchange, read = found.message, found.here, found.exchange, found.read
    if exchange.reply is not None:
        results = [_one(house, message, exchange, command) for command in read.commands]
        reply = exchange.reply(results, message, here)
        told = answers(sender_of(message, data), ACCEPTED, now=here.now, reply=reply, notes=message.deviations)
        return Handled(tuple(told), ACCEPTED, _event(message), commands=len(results))
    identity = (_sender(message), message.control_id[:255], _digest(data))
    again = replayed is None and _had_effect(house, identity)
    commands = [] if again else still_news(house, read.commands, replayed)
    notes = (*message.deviations, *read.notes, *((STALE,) if len(commands) < len(read.commands) and not again else ()))
    told = answers(sender_of(message, data), ACCEPTED, now=here.now, notes=notes)
    brought = [each for one in commands if isinstance(one, ProvideSubmission) for each in one.submission.documents]
    missing = gaps(result for one in brought for result in one.entry.results)
    handled = Handled(tuple(told), ACCEPTED, _event(message), again, len(commands), notes, len(brought), missing)
    _carry_out(house, message, exchange, commands, _last_step(house, message, data, handled, identity, replayed))
    return handled


def as_meant(house: House, message: Message, mappings: tuple[SenderMapping, ...]) -> tuple[Message, Receiver]:
    """The message and this hospital's names, with the habits of its sender taken out."""
    here, mapping = receiver(house), mapping_of(message, mappings)
    if mapping is None:
        return message, here
    authorities = {**here.authorities, **mapping.authorities}
    return mapped(message, mapping), replace(here, authorities=authorities, systems=mapping.systems)


def _check_sender(house: House, application: str, facility: str, address: str) -> None:
    """Raises SenderNotAllowed for a system that is not on the list, or not at its place."""
    senders = house.settings.mllp.senders
    if senders and not any(each.is_named(application, facility) and each.comes_from(address) for each in senders):
        raise SenderNotAllowed


def _had_effect(house: House, identity: tuple[str, str, str]) -> bool:
    with house.storage.read() as unit:
        return unit.messages.had_effect(*identity)


LastStep = Callable[[UnitOfWork], None]


def _carry_out(house: House, message: Message, exchange: Exchange, commands: Sequence[object], last: LastStep) -> None:
    """All commands or none; with the last one becomes durable that the message had its effect."""

    def all_of_them() -> None:
        with house.storage.together() if len(commands) > 1 else contextlib.nullcontext():
            for place, command in enumerate(commands, 1):
                _one(house, message, exchange, command, also=last if place == len(commands) else None)

    grouped_anew(house, all_of_them)
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


def _keep_refused(house: House, message: Message | None, data: bytes, handled: Handled, *, whole: bool = True) -> None:
    """Its sender knows that it had no effect; whoever mends the fault can read it again. Questions are not kept.

    whole  whether all of it came; of a part there is nothing to read again
    """
    if message is not None and any(each.reply and message.kind in each.events for each in EXCHANGES):
        return
    with contextlib.suppress(StorageUnavailable):
        kept = feeds.keep(house, data) if whole else None
        # of what could not be read, its header says what it can
        name = message.control_id if message else header_field(data, 10)
        feed = feed_of(message) if message else f"{feeds.HL7} {_signed(*_named(data))}"
        item = feeds.new_item(house, feed, name, kept)
        with house.storage.begin() as unit:
            feeds.write(unit, item, kept, became(handled))


def feed_of(message: Message) -> str:
    """The name of the feed in the log: which system sent it."""
    return f"{feeds.HL7} {_sender(message)}"


def _caller(house: House, message: Message) -> Caller:
    sender = _sender(message)
    requester = Requester(
        f"hl7v2:{sender}", Role.SYSTEM, house.home, sender, house.settings.name, purpose=PurposeOfUse.TREAT
    )
    return Caller(requester, "house")


def _sender(message: Message) -> str:
    """Application and facility as they sign themselves, fit for a record."""
    return _signed(message.header.text(3), message.header.text(4))


def _named(data: bytes) -> tuple[str, str]:
    """MSH-3 and MSH-4 of a message that was not read."""
    return header_field(data, 3).partition("^")[0], header_field(data, 4).partition("^")[0]


def _signed(application: str, facility: str) -> str:
    names = (composed(name)[:64] for name in (application, facility))
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
