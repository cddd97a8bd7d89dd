"""MTOM: an envelope whose documents travel beside it as bytes of their own, read and written as a stream.

The envelope is in memory, bounded; a document never is. References lead to parts of the same message and nowhere else.

Source: W3C XOP 1.0, W3C MTOM 1.0, IHE ITI TF-2: V.3.6 (MTOM/XOP)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import unquote

from adapters.dicom.errors import UnsupportedMedia
from adapters.dicom.multipart import Part, Spool, SpooledPart, boundary_of, media_type, read_parts
from adapters.soap.errors import MetadataFault, SoapFault
from adapters.soap.names import XOP, named
from adapters.wire import WireRequest
from adapters.xml_door import XmlElement
from registry.errors import TooLarge, Unreadable
from registry.submissions import Bytes, Content

XOP_XML, SOAP_XML = "application/xop+xml", "application/soap+xml"
ENVELOPE_LIMIT = 10 * 1024 * 1024
"""Bytes of an envelope with all documents that it holds as text."""
MOST_PARTS = 500
_CHUNK = 256 * 1024


@dataclass(slots=True)
class Package:
    """A message as it came in: the bytes of its envelope, and the parts that travel beside it.

    is_mtom   whether it came as a package, so that its answer may
    action    of the Content-Type, where it names one
    """

    envelope: bytes
    is_mtom: bool
    action: str
    _rest: Iterator[Part] = field(default_factory=lambda: iter(()))
    _parts: dict[str, SpooledPart] = field(default_factory=dict)
    _spool: Spool | None = None
    _folder: str = ""

    def part(self, content_id: str) -> SpooledPart | None:
        """One part by its Content-ID; all that have not come yet are written to the spool first."""
        for one in self._rest:
            self._keep(one)
        return self._parts.get(content_id)

    def _keep(self, part: Part) -> None:
        name = content_id_of(part)
        if name in self._parts or not name:
            raise SoapFault("Each part of the message needs a Content-ID of its own.")
        if part.headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise SoapFault("A part has to be sent as it is: Content-Transfer-Encoding binary.")
        self._spool = self._spool or Spool(self._folder)
        start, length = self._spool.add(part.chunks)
        self._parts[name] = SpooledPart(self._spool.path, start, length, self._spool)


def open_package(request: WireRequest) -> Package:
    """The envelope of a request; the parts behind it are not read yet. Raises SoapFault."""
    kind = media_type(request.header("content-type"))
    if kind.value == SOAP_XML:
        return Package(_limited(request.read(ENVELOPE_LIMIT)), False, kind.parameters.get("action", ""))
    if kind.value in ("text/xml", "application/xml"):
        raise SoapFault("SOAP 1.2 is spoken here: application/soap+xml.", code="VersionMismatch", status=415)
    if kind.value != "multipart/related" or request.body is None:
        raise SoapFault("Expected application/soap+xml, or multipart/related with application/xop+xml.", status=415)
    try:
        boundary = boundary_of(request.header("content-type"), XOP_XML)
    except UnsupportedMedia as error:
        raise SoapFault("Expected the type application/xop+xml in multipart/related.", status=415) from error
    action = kind.parameters.get("action", "")
    package = Package(b"", True, action, read_parts(_pieces(request.body), boundary, parts=MOST_PARTS))
    package._folder = request.spool
    _find_envelope(package, kind.parameters.get("start", "").strip("<>"))
    return package


def _pieces(body: BinaryIO) -> Iterator[bytes]:
    while piece := body.read(_CHUNK):
        yield piece


def _find_envelope(package: Package, start: str) -> None:
    """The root part is the one that `start` names, else the first (RFC 2387: 3.2)."""
    for part in package._rest:
        if start and content_id_of(part) != start:
            package._keep(part)
            continue
        if part.media_type.value not in (XOP_XML, SOAP_XML):
            raise SoapFault("The root part has to be application/xop+xml.")
        package.envelope = _bounded(part)
        return
    raise SoapFault("The root part that the Content-Type names is not in the message.")


def _bounded(part: Part) -> bytes:
    found = bytearray()
    for piece in part.chunks:
        found += piece
        if len(found) > ENVELOPE_LIMIT:
            raise TooLarge("envelope", limit=ENVELOPE_LIMIT)
    return bytes(found)


def _limited(body: bytes) -> bytes:
    if not body:
        raise Unreadable("envelope", "the body is empty")
    return body


def content_id_of(part: Part) -> str:
    return part.headers.get("content-id", "").strip().removeprefix("<").removesuffix(">")


def content_of(element: XmlElement, package: Package) -> Content:
    """The bytes of a Document element: a part of the message, or base64 inside the envelope.

    Raises MetadataFault("XDSMissingDocument") for a part that is not there, and for one without a byte: nobody meant to
    hand in a document that says nothing.
    """
    content = _content_of(element, package)
    if (content.length if isinstance(content, SpooledPart) else len(content.value)) == 0:
        raise MetadataFault("a Document is empty", "XDSMissingDocument")
    return content


def _content_of(element: XmlElement, package: Package) -> Bytes | SpooledPart:
    include = element.find(named(XOP, "Include"))
    if include is None:
        return Bytes(_base64(element.text or ""))
    if len(element) > 1:
        raise SoapFault("A Document holds one reference, or its bytes.")
    href = include.get("href", "")
    if not href.startswith("cid:"):
        raise SoapFault("A reference may only lead to a part of the same message (cid:); none is ever fetched.")
    found = package.part(unquote(href[4:]))
    if found is None:
        raise MetadataFault("a Document refers to a part that is not in the message", "XDSMissingDocument")
    return found


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SoapFault("The content of a Document is not base64.") from error
