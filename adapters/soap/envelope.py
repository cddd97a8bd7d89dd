"""The SOAP 1.2 envelope with its addressing headers: read once, strictly, and written.

Nothing in a message is followed: answers go back on the same connection or not at all.

Source: SOAP 1.2 Part 1: 2.4, 5; WS-Addressing 1.0 Core: 3.2 and SOAP Binding: 6; IHE ITI TF-2: V.3
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from uuid import uuid4

from adapters.soap.errors import SoapFault
from adapters.soap.mtom import Package, open_package
from adapters.soap.names import PREFIXES, SOAP, WSA, WSSE, children, named, text_of
from adapters.wire import WireRequest
from adapters.xml_door import XmlElement, XmlRefused, parse_xml_bytes

ANONYMOUS = ("http://www.w3.org/2005/08/addressing/anonymous", "http://www.w3.org/2005/08/addressing/none")
_HERE = ("", SOAP + "/role/next", SOAP + "/role/ultimateReceiver")
_UNDERSTOOD = (WSA, WSSE)
_DECLARED = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Message:
    """One message: what is wanted (`action`), which message it is, who says so (`security`), and the payload."""

    action: str
    message_id: str
    security: XmlElement | None
    body: XmlElement
    package: Package


def open_message(request: WireRequest) -> Message:
    """The message of a request; raises SoapFault, and TooLarge or Unreadable where it cannot be read at all."""
    package = open_package(request)
    try:
        root = parse_xml_bytes(package.envelope, max_bytes=len(package.envelope))
    except XmlRefused as refused:
        raise SoapFault(f"The envelope cannot be read: {refused.reason}.") from refused
    _check_version(root)
    header, body = root.find(named(SOAP, "Header")), root.find(named(SOAP, "Body"))
    if body is None or len(body) != 1 or root[-1] is not body or len(root) > 2:
        raise SoapFault("An envelope has a Body with one element, and at most a Header before it.")
    blocks = [] if header is None else [block for block in header if block.get(named(SOAP, "role"), "") in _HERE]
    _check_understood(blocks)
    action = _one(blocks, "Action", required=True)
    # a client library whose contract names no soapAction writes a word of its own there, which is no IRI
    if ":" in package.action and package.action != action:
        raise SoapFault("The Content-Type names another action than the message.", subcode="a:ActionMismatch")
    _check_reply(blocks)
    security = [block for block in blocks if block.tag == named(WSSE, "Security")]
    if len(security) > 1:
        raise SoapFault("More than one Security header.", subcode="wsse:InvalidSecurity")
    return Message(action, _one(blocks, "MessageID"), security[0] if security else None, body[0], package)


def _check_version(root: XmlElement) -> None:
    if root.tag != named(SOAP, "Envelope"):
        wrong = "Envelope" in str(root.tag)
        raise SoapFault("The root is not a SOAP 1.2 Envelope.", code="VersionMismatch" if wrong else "Sender")


def _check_understood(blocks: list[XmlElement]) -> None:
    for block in blocks:
        must = block.get(named(SOAP, "mustUnderstand"), "false").strip() in ("true", "1")
        if must and not any(str(block.tag).startswith(f"{{{known}}}") for known in _UNDERSTOOD):
            raise SoapFault("A header that must be understood is not known here.", code="MustUnderstand")


def _one(blocks: list[XmlElement], name: str, *, required: bool = False) -> str:
    found = [text_of(block) for block in blocks if block.tag == named(WSA, name)]
    if len(found) > 1 or any(len(value) > LONGEST_ID for value in found):
        raise SoapFault(f"{name} may stand once in the Header.", subcode="a:InvalidAddressingHeader")
    if required and not any(found):
        told = f"The Header has to hold an {name}."
        raise SoapFault(told, subcode="a:MessageAddressingHeaderRequired")
    return found[0] if found else ""


def _check_reply(blocks: list[XmlElement]) -> None:
    """An answer is never sent anywhere else: an address in a message is nobody we know."""
    for block in blocks:
        if block.tag not in (named(WSA, "ReplyTo"), named(WSA, "FaultTo")):
            continue
        addresses = [text_of(each) for each in children(block, WSA, "Address")]
        if any(address not in ANONYMOUS for address in addresses):
            raise SoapFault("Answers go back the same way only.", subcode="a:OnlyAnonymousAddressSupported")


# ---- writing ----


_NOT_PLAIN = re.compile("[&<>\"'\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def text(value: object) -> str:
    """A value as character data or inside an attribute; signs that XML cannot hold are left out."""
    written = str(value)
    return escape(_NOT_XML.sub("", written), quote=True) if _NOT_PLAIN.search(written) else written


def write_envelope(action: str, body: Iterator[str] | str, *, relates_to: str = "", header: str = "") -> Iterator[str]:
    """An envelope around a body that may still be made: an answer to `relates_to`, or a question without it."""
    addressing = f'<a:Action s:mustUnderstand="true">{text(action)}</a:Action><a:MessageID>{uuid4().urn}</a:MessageID>'
    if relates_to:
        addressing += f"<a:RelatesTo>{text(relates_to)}</a:RelatesTo>"
    yield f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope{_DECLARED}><s:Header>{addressing}{header}</s:Header>'
    yield "<s:Body>"
    yield from (body,) if isinstance(body, str) else body
    yield "</s:Body></s:Envelope>"
