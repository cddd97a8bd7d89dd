"""Every HL7 v2 exchange that a node speaks, one line each."""

from __future__ import annotations

from adapters.hl7v2 import adt, mdm, orders, oru, qbp, ref
from adapters.hl7v2.errors import (
    MissingField,
    UnsupportedEvent,
    UnsupportedMessage,
    UnsupportedProcessing,
    UnsupportedVersion,
)
from adapters.hl7v2.exchanges import Exchange
from adapters.hl7v2.message import Message

EXCHANGES: tuple[Exchange, ...] = (
    *adt.EXCHANGES,
    oru.EXCHANGE,
    mdm.EXCHANGE,
    orders.EXCHANGE,
    ref.EXCHANGE,
    *qbp.EXCHANGES,
)
_BY_EVENT = {event: exchange for exchange in EXCHANGES for event in exchange.events}
_TYPES = {kind for kind, _ in _BY_EVENT}
_VERSIONS = tuple(f"2.{minor}" for minor in range(1, 10))


def exchange_of(message: Message, *, is_lab: bool) -> Exchange:
    """Which exchange a message is. Raises what its header says that is not spoken here."""
    header = message.header
    kind, event = message.kind
    if kind not in _TYPES:
        raise UnsupportedMessage if kind else MissingField("MSH^1^9")
    exchange = _BY_EVENT.get((kind, event or _event_of(message)))
    if exchange is None:
        raise UnsupportedEvent
    if not message.control_id:
        raise MissingField("MSH^1^10")
    _check_processing(message, is_lab)
    version = header.text(12)
    if not version:
        message.note("MSH-12 is missing; read as 2.5")
    elif not version.startswith(_VERSIONS):
        raise UnsupportedVersion
    return exchange


def _event_of(message: Message) -> str:
    """EVN-1, where an old system leaves the event out of MSH-9."""
    return next((evn.text(1).upper() for evn in message.all("EVN")), "R01" if message.kind[0] == "ORU" else "")


def _check_processing(message: Message, is_lab: bool) -> None:
    told = message.header.text(11).upper()
    if not told:
        message.note("MSH-11 is missing; read as P")
    elif told not in ("P", "T", "D") or (told != "P" and not is_lab):
        raise UnsupportedProcessing
