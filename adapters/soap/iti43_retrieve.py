"""ITI-43 Retrieve Document Set and ITI-39 Cross Gateway Retrieve: bytes as they were published, beside their envelope.

The envelope says what follows before the first byte of a document is read, so nothing is ever in memory as a whole.

Source: IHE ITI TF-2: 3.43, 3.39
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

from adapters.dicom.multipart import Writer
from adapters.soap.communities import read_home
from adapters.soap.datatypes import read_unique_id, write_unique_id
from adapters.soap.envelope import text, write_envelope
from adapters.soap.errors import QueryFault, SoapFault
from adapters.soap.faults import (
    ErrorLine,
    answer_action,
    error_line,
    error_list,
    fault,
    is_fault,
    message_of,
    package_type,
    respond,
    root_headers,
    status_of,
)
from adapters.soap.messages import payload
from adapters.soap.mtom import SOAP_XML, XOP_XML
from adapters.soap.names import ITI_2007, XDS, XOP, children, named, text_of
from adapters.transactions import HOUSE, NETWORK, PEER, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.commands import DocumentAsked, RetrievedDocuments, RetrieveDocuments

MOST_DOCUMENTS = 100
_BASE64_CHUNK = 3 * 64 * 1024


def decode(request: WireRequest) -> RetrieveDocuments:
    return RetrieveDocuments(read_wanted(payload(request, XDS, "RetrieveDocumentSetRequest").body, request))


def read_wanted(body: XmlElement, request: WireRequest) -> tuple[DocumentAsked, ...]:
    """The DocumentRequests of a message. Raises SoapFault, and QueryFault where a community has to be named."""
    wanted = tuple(read_asked(each, request) for each in children(body, XDS, "DocumentRequest"))
    if not 1 <= len(wanted) <= MOST_DOCUMENTS:
        raise SoapFault(f"1 to {MOST_DOCUMENTS} DocumentRequests in one message.")
    return wanted


def read_asked(element: XmlElement, request: WireRequest) -> DocumentAsked:
    """One DocumentRequest."""
    home, repository, unique_id = (
        text_of(element.find(named(XDS, name)))
        for name in ("HomeCommunityId", "RepositoryUniqueId", "DocumentUniqueId")
    )
    if not repository or not unique_id:
        raise SoapFault("A DocumentRequest names a RepositoryUniqueId and a DocumentUniqueId.")
    if not home and request.door != "house":
        raise QueryFault("XDSMissingHomeCommunityId", "each DocumentRequest has to name its community")
    return DocumentAsked(repository, read_unique_id(unique_id), read_home(home) if home else None)


def encode(retrieved: RetrievedDocuments, request: WireRequest) -> WireResponse:
    return answer(retrieved, [_missing(asked, error) for asked, error in retrieved.missing], request)


def answer(retrieved: RetrievedDocuments, lines: list[ErrorLine], request: WireRequest) -> WireResponse:
    """RetrieveDocumentSetResponse: what was found, and a line for each that was not."""
    status = status_of(lines, something=bool(retrieved.found or retrieved.relayed))
    head = (
        f'<x:RetrieveDocumentSetResponse><rs:RegistryResponse status="{status}">{error_list(lines)}'
        "</rs:RegistryResponse>"
    )
    if not retrieved.found and not retrieved.relayed:
        return respond(request, answer_action(request), f"{head}</x:RetrieveDocumentSetResponse>")
    message = message_of(request)
    if message is not None and (message.package.is_mtom or "multipart/related" in request.header("accept")):
        return _package(retrieved, request, head)
    return _inline(retrieved, request, head)


def _missing(asked: DocumentAsked, error: Exception) -> ErrorLine:
    line = error_line(error, location=str(asked.home or ""))
    return replace(line, told=f"{write_unique_id(asked.unique_id)}: {line.told}")


def _listed(retrieved: RetrievedDocuments) -> list[tuple[DocumentAsked, str, str]]:
    """Every document that follows, with its media type and what it was made as, by the number in its Content-ID."""
    own = [(asked, one.entry.attachment.content_type, one.made_as) for asked, one in retrieved.found]
    return [*own, *((*each, "") for relayed in retrieved.relayed for each in relayed.listed)]


def _contents(retrieved: RetrievedDocuments) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The bytes of each with its number: first what is here, then what flows through, in the order that it comes."""
    for number, (_, one) in enumerate(retrieved.found, 1):
        yield number, one.content
    first = len(retrieved.found) + 1
    for relayed in retrieved.relayed:
        for place, content in relayed.parts:
            yield first + place, content
        first += len(relayed.listed)


def _described(asked: DocumentAsked, kind: str, made_as: str, content: str) -> str:
    """One DocumentResponse; the order of its children is fixed by the schema."""
    home = f"<x:HomeCommunityId>{asked.home}</x:HomeCommunityId>" if asked.home else ""
    made = f"<x:NewDocumentUniqueId>{text(write_unique_id(made_as))}</x:NewDocumentUniqueId>" if made_as else ""
    return (
        f"<x:DocumentResponse>{home}<x:RepositoryUniqueId>{text(asked.repository)}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{text(write_unique_id(asked.unique_id))}</x:DocumentUniqueId>{made}"
        f"<x:mimeType>{text(kind)}</x:mimeType><x:Document>{content}</x:Document></x:DocumentResponse>"
    )


def _package(retrieved: RetrievedDocuments, request: WireRequest, head: str) -> WireResponse:
    """MTOM: the documents follow the envelope as they are; how long it all is is known where all are here."""
    writer, action, listed = Writer(XOP_XML), answer_action(request), _listed(retrieved)
    body = [head]
    for number, (asked, kind, made_as) in enumerate(listed, 1):
        include = f'<xop:Include xmlns:xop="{XOP}" href="cid:document-{number}@hie-node"/>'
        body.append(_described(asked, kind, made_as, include))
    body.append("</x:RetrieveDocumentSetResponse>")
    envelope = "".join(write_envelope(action, "".join(body), relates_to=_relates_to(request))).encode()
    headers: Pairs = (("Content-Type", package_type(writer, action)), ("Cache-Control", "no-store"))
    if not retrieved.relayed:
        parts = [(_part_headers(listed[n][1], n + 1), one.size) for n, (_, one) in enumerate(retrieved.found)]
        length = writer.length([(root_headers(), len(envelope)), *parts])
        headers += (("Content-Length", str(length)),)
    return WireResponse(200, headers, _flow(writer, envelope, retrieved))


def _flow(writer: Writer, envelope: bytes, retrieved: RetrievedDocuments) -> Iterator[bytes]:
    kinds = [kind for _, kind, _ in _listed(retrieved)]

    def parts() -> Iterator[tuple[Pairs, Iterator[bytes]]]:
        yield root_headers(), iter((envelope,))
        for number, content in _contents(retrieved):
            yield _part_headers(kinds[number - 1], number), content

    try:
        yield from writer.body(parts())
    finally:
        _close(retrieved)


def _part_headers(kind: str, number: int) -> Pairs:
    kind = kind if kind.isascii() and kind.isprintable() else "application/octet-stream"
    name = ("Content-ID", f"<document-{number}@hie-node>")
    return (name, ("Content-Type", kind), ("Content-Transfer-Encoding", "binary"))


def _inline(retrieved: RetrievedDocuments, request: WireRequest, head: str) -> WireResponse:
    """Base64 inside the envelope, for who asked without MTOM; flows as well."""
    action, listed = answer_action(request), _listed(retrieved)

    def body() -> Iterator[str]:
        yield head
        for number, content in _contents(retrieved):
            before, _, after = _described(*listed[number - 1], "\0").partition("\0")
            yield before
            yield from _base64(content)
            yield after
        yield "</x:RetrieveDocumentSetResponse>"

    def flow() -> Iterator[bytes]:
        try:
            for piece in write_envelope(action, body(), relates_to=_relates_to(request)):
                yield piece.encode()
        finally:
            _close(retrieved)

    kind = f'{SOAP_XML}; charset=UTF-8; action="{action}"'
    return WireResponse(200, (("Content-Type", kind), ("Cache-Control", "no-store")), flow())


def _base64(content: Iterator[bytes]) -> Iterator[str]:
    held = b""
    for piece in content:
        held += piece
        whole = len(held) - len(held) % 3
        if whole >= _BASE64_CHUNK:
            yield base64.b64encode(held[:whole]).decode()
            held = held[whole:]
    yield base64.b64encode(held).decode()


def _close(retrieved: RetrievedDocuments) -> None:
    """What was not read to its end is let go of, also at the hospital that holds it."""
    flowing = [*(one.content for _, one in retrieved.found), *(relayed.parts for relayed in retrieved.relayed)]
    for one in flowing:
        close = getattr(one, "close", None)
        if close is not None:
            close()


def _relates_to(request: WireRequest) -> str:
    message = message_of(request)
    return message.message_id if message else ""


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """The error of the whole request."""
    if is_fault(exception):
        return fault(exception, request)
    line = error_line(exception, location=str(request.home) if request.door != "house" else "")
    body = (
        f'<x:RetrieveDocumentSetResponse><rs:RegistryResponse status="{status_of([line], something=False)}">'
        f"{error_list([line])}</rs:RegistryResponse></x:RetrieveDocumentSetResponse>"
    )
    return respond(request, answer_action(request), body)


TRANSACTION = Transaction(
    "ITI-43",
    "Retrieve Document Set",
    source="IHE ITI TF-2: 3.43",
    route=("POST", "/"),
    action=ITI_2007 + "RetrieveDocumentSet",
    command=RetrieveDocuments,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Binary", "r"),
    doors=HOUSE,
    family="xds-repository",
)
TRANSACTIONS = (
    TRANSACTION,
    replace(TRANSACTION, title="Retrieve Document Set, federated", family="xca", doors=NETWORK),
    replace(
        TRANSACTION,
        name="ITI-39",
        title="Cross Gateway Retrieve",
        source="IHE ITI TF-2: 3.39",
        action=ITI_2007 + "CrossGatewayRetrieve",
        family="xca",
        doors=PEER,
    ),
)
