"""ITI-68 Retrieve Document: the bytes as they were published, whole or in part; a text also as PDF, if asked for.

Source: IHE MHD 4.2.3, 2:3.68; RFC 9110, 14 (ranges) and 15.5.7 (406)
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from adapters.fhir import outcome
from adapters.fhir.elements import filled, reference
from adapters.fhir.issues import NotAcceptable
from adapters.fhir.negotiation import MediaType, response_format
from adapters.fhir.paper import MEDIA_TYPE, as_paper, can_be_paper
from adapters.fhir.preconditions import is_known
from adapters.fhir.values_document import RENDITION
from adapters.fhir.writing import meta, respond
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.commands import Retrieved, RetrieveDocument
from registry.documents import DocumentEntry

_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?", re.ASCII)
_FHIR = ("application/fhir+json", "application/fhir+xml")
_NO_HASH = "0" * 40
LARGEST_BINARY = 10 * 1024 * 1024
"""Bytes of a document that is still given inside a FHIR Binary; a larger one flows as it is, or not at all."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part in bytes: from `start`, `length` of them or up to the end."""

    start: int
    length: int | None


def decode(request: WireRequest) -> RetrieveDocument:
    """Several ranges and the last bytes of unknown many are answered with the whole, as RFC 9110 permits."""
    wanted, named = _range(request), request.params["id"]
    if named.startswith(RENDITION):
        return RetrieveDocument(named.removeprefix(RENDITION), values=True)
    # with If-Range it is known only afterwards whether the part may be given
    if wanted is None or request.header("if-range") or _as_resource(request):
        return RetrieveDocument(named)
    return RetrieveDocument(named, wanted.start, wanted.length)


def encode(retrieved: Retrieved, request: WireRequest) -> WireResponse:
    entry = retrieved.entry
    if _as_resource(request):
        return _binary_resource(retrieved, request)
    if _wants_paper(retrieved, request):
        return _paper(retrieved, request)
    if not _is_accepted(entry.attachment.content_type, request):
        raise _closed(retrieved, NotAcceptable("The document is of another type than the Accept header has."))
    headers = _headers(entry)
    if is_known(request, _etag(entry)):
        return _without_body(retrieved, 304, headers)
    wanted = _range(request)
    if wanted is not None and request.header("if-range") not in ("", _etag(entry)):
        wanted = None
    if wanted is None:
        return _answer(retrieved, request, 200, headers, retrieved.size)
    if wanted.start >= retrieved.size:
        return _without_body(retrieved, 416, (*headers, ("Content-Range", f"bytes */{retrieved.size}")))
    left = retrieved.size - wanted.start
    length = left if wanted.length is None else min(wanted.length, left)
    span = ("Content-Range", f"bytes {wanted.start}-{wanted.start + length - 1}/{retrieved.size}")
    if request.header("if-range"):
        retrieved = _narrowed(retrieved, wanted, length)
    return _answer(retrieved, request, 206, (*headers, span), length)


def _wants_paper(retrieved: Retrieved, request: WireRequest) -> bool:
    """PDF is taken and the text itself is not; a part of a text makes no paper."""
    is_whole = retrieved.start == 0 and retrieved.length is None
    taken = _is_accepted(MEDIA_TYPE, request) and not _is_accepted(retrieved.entry.attachment.content_type, request)
    return taken and is_whole and can_be_paper(retrieved.entry, retrieved.size)


def _paper(retrieved: Retrieved, request: WireRequest) -> WireResponse:
    """Made now; size and hash of the index are those of the text, so this form has no ETag and no ranges."""
    made = as_paper(retrieved.entry, b"".join(retrieved.content))
    if made is None:
        raise NotAcceptable("The document is of another type than the Accept header has.")
    left_out = ("Content-Type", "ETag", "Accept-Ranges")
    headers = tuple(pair for pair in _headers(retrieved.entry) if pair[0] not in left_out)
    sized = (("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(made))), *headers)
    return WireResponse(200, sized, b"" if request.method == "HEAD" else made)


def _range(request: WireRequest) -> Range | None:
    found = _RANGE.fullmatch(request.header("range").replace(" ", ""))
    if found is None:
        return None
    start, last = int(found[1]), int(found[2]) if found[2] else None
    if last is not None and last < start:
        return None
    return Range(start, None if last is None else last - start + 1)


def _narrowed(retrieved: Retrieved, wanted: Range, length: int) -> Retrieved:
    """The part, where the flow brought the whole because of If-Range."""
    part = _part(retrieved.content, wanted.start, length)
    return Retrieved(retrieved.entry, part, retrieved.size, wanted.start, length)


def _part(content: Iterator[bytes], start: int, length: int) -> Iterator[bytes]:
    for piece in content:
        shown = piece[start : start + length]
        start = max(0, start - len(piece))
        length -= len(shown)
        if shown:
            yield shown


def _answer(retrieved: Retrieved, request: WireRequest, status: int, headers: Pairs, length: int) -> WireResponse:
    sized = (*headers, ("Content-Length", str(length)))
    if request.method == "HEAD":
        return _without_body(retrieved, status, sized)
    return WireResponse(status, sized, retrieved.content)


def _without_body(retrieved: Retrieved, status: int, headers: Pairs) -> WireResponse:
    _close(retrieved)
    return WireResponse(status, headers)


def _closed(retrieved: Retrieved, error: Exception) -> Exception:
    _close(retrieved)
    return error


def _close(retrieved: Retrieved) -> None:
    """Let go of the bytes, also at the hospital that holds them."""
    close = getattr(retrieved.content, "close", None)
    if close is not None:
        close()


def _headers(entry: DocumentEntry) -> Pairs:
    """A browser shows nothing of what it is not: a document may come from anywhere and claim to be a page."""
    name = entry.attachment.title or entry.id
    headers = [
        ("Content-Type", _header_text(entry.attachment.content_type) or "application/octet-stream"),
        ("Content-Disposition", f"attachment; filename=\"document\"; filename*=UTF-8''{quote(name, safe='')}"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "sandbox"),
        ("Cache-Control", "no-store"),
        ("Accept-Ranges", "bytes"),
        ("Vary", "Accept"),
    ]
    language = _header_text(entry.attachment.language or "")
    if language:
        headers.append(("Content-Language", language))
    return (*headers, ("ETag", _etag(entry))) if _etag(entry) else tuple(headers)


def _header_text(text: str) -> str:
    """What may stand in a header; a sender's text with line breaks would make headers of its own."""
    return text if text.isascii() and text.isprintable() else ""


def _etag(entry: DocumentEntry) -> str:
    return f'"{entry.attachment.hash}"' if entry.attachment.hash != _NO_HASH else ""


# ---- what the requester takes ----


def _as_resource(request: WireRequest) -> bool:
    """Whether a FHIR Binary is asked for by name; a wildcard means the document itself."""
    asked = next((value for name, value in request.query if name == "_format"), None)
    if asked is not None:
        response_format(None, asked)
        return True
    first = [MediaType.parse(each) for each in request.header("accept").split(",")[:1]]
    return any(each.name in _FHIR and each.quality > 0 for each in first)


def _is_accepted(content_type: str, request: WireRequest) -> bool:
    wishes = [MediaType.parse(each) for each in request.header("accept").split(",")[:50] if each.strip()]
    own = MediaType.parse(content_type).name
    ranges = (own, f"{own.partition('/')[0]}/*", "*/*")
    # the most exact range decides
    named = sorted((each for each in wishes if each.name in ranges), key=lambda each: ranges.index(each.name))
    return not wishes or (bool(named) and named[0].quality > 0)


def _binary_resource(retrieved: Retrieved, request: WireRequest) -> WireResponse:
    entry = retrieved.entry
    if retrieved.size > LARGEST_BINARY:
        raise _closed(retrieved, NotAcceptable("The document is too large for a Binary; ask for its own type."))
    subject = reference(f"DocumentReference/{entry.id}")
    resource = filled(
        resourceType="Binary",
        id=entry.id,
        meta=meta(entry.version, entry.updated),
        contentType=entry.attachment.content_type,
        securityContext=subject,
        data=b64encode(b"".join(retrieved.content)).decode(),
    )
    return respond(request, resource)


TRANSACTION = Transaction(
    "ITI-68",
    "Retrieve Document",
    source="IHE MHD 4.2.3, 2:3.68",
    route=("GET", "/Binary/<id>"),
    command=RetrieveDocument,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Binary", "r"),
    doors=EVERYWHERE,
)
