"""One HL7 v2 message through the house: read, known sender, known message, flows, acknowledgement.

The same steps whether it came over MLLP or in a file. It is acknowledged when its effect is durable; that it had its
effect is written in the same unit, so a resend after a lost acknowledgement is acknowledged again and changes nothing.
A control id alone does not make a resend: some systems count from one each morning, and their reports must not be lost.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import time
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from adapters.hl7v2.ack import ACCEPTED, Verdict, answers, sender_of, verdict
from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.catalogue import EXCHANGES, exchange_of
from adapters.hl7v2.errors import Hl7Fault, SenderNotAllowed
from adapters.hl7v2.exchanges import Exchange, Read, Reply
from adapters.hl7v2.message import Message, read_message
from adapters.store.unit import UnitOfWork
from consent.errors import ConsentError
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log, metrics
from hie_node.acts import Act, Caller
from hie_node.flows.table import flow_for
from hie_node.house import House
from registry.errors import RegistryError
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


def handle(house: House, data: bytes, *, address: str | None = None) -> Handled:
    """Answer one message, whatever it is. `address` is where it came from over the network."""
    started = time.perf_counter()
    message: Message | None = None
    try:
        message = read_message(data)
        handled = _answered(house, message, data, address)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong becomes an answer
        handled = _refused(house, message, data, error)
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


def _answered(house: House, message: Message, data: bytes, address: str | None) -> Handled:
    if address is not None:
        _check_sender(house, message, address)
    here = receiver(house)
    exchange = exchange_of(message, is_lab=here.is_lab)
    read = exchange.decode(message, here)
    identity = (_sender(message), message.control_id[:255], _digest(data))
    again = exchange.reply is None and _had_effect(house, identity)
    results = [] if again else _carried_out(house, message, exchange, read, identity)
    reply = exchange.reply(results, message, here) if exchange.reply else None
    notes = (*message.deviations, *read.notes)
    told = answers(sender_of(message, data), ACCEPTED, now=here.now, reply=reply, notes=notes)
    return Handled(tuple(told), ACCEPTED, _event(message), again, len(read.commands), notes)


def _check_sender(house: House, message: Message, address: str) -> None:
    """Raises SenderNotAllowed for a system that is not on the list, or not at its place."""
    senders = house.settings.mllp.senders
    named = (message.header.text(3), message.header.text(4))
    if senders and not any(each.is_named(*named) and each.comes_from(address) for each in senders):
        raise SenderNotAllowed


def _had_effect(house: House, identity: tuple[str, str, str]) -> bool:
    with house.storage.read() as unit:
        return unit.messages.had_effect(*identity)


def _carried_out(
    house: House, message: Message, exchange: Exchange, read: Read, identity: tuple[str, str, str]
) -> list[object]:
    """Each command through its flow; with the last one becomes durable that the message had its effect."""
    results = []
    is_query = exchange.reply is not None
    for place, command in enumerate(read.commands, 1):
        act = Act(house, _caller(house, message), exchange.name, "E" if is_query else "U", query=_query(message))
        if place == len(read.commands) and not is_query:
            act.also = partial(_keep, identity=identity, act=act)
        results.append(flow_for(command, network=False)(act, command))
        if not act.recorded:
            raise AssertionError(f"{exchange.name} answered without a record")
    return results


def _keep(unit: UnitOfWork, *, identity: tuple[str, str, str], act: Act) -> None:
    unit.messages.keep(*identity, now=act.now)


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
