"""One address, several messages: which transaction an envelope is, and what it carries.

Source: WS-Addressing 1.0 SOAP Binding: 6.4.2 (ActionNotSupported)
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.soap.envelope import Message
from adapters.soap.errors import SoapFault
from adapters.soap.faults import message_of
from adapters.soap.names import named
from adapters.transactions import Transaction
from adapters.wire import WireRequest


def transaction_of(message: Message, offered: Sequence[Transaction]) -> Transaction:
    """The transaction that a message is, of those that its address takes. Raises SoapFault."""
    found = next((one for one in offered if one.action == message.action), None)
    if found is None:
        raise SoapFault("This action is not known at this address.", subcode="a:ActionNotSupported")
    return found


def payload(request: WireRequest, namespace: str, name: str) -> Message:
    """The message of a request, whose Body holds an element of this name; raises SoapFault."""
    message = message_of(request)
    if message is None or message.body.tag != named(namespace, name):
        raise SoapFault(f"The Body has to hold a {name} for this action.")
    return message
