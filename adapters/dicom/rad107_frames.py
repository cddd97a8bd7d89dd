"""RAD-107, WADO-RS: single frames of an image, and long values that its header leaves out, as they are stored.

Nothing is decoded: a caller that takes only other forms than the stored one is told so (406).

Source: DICOM PS3.18: 10.4.1.1.6 (frames), 10.4.1.1.7 (bulk data), 8.7.3 (media types), Tables 8.7.3-2 to 8.7.3-5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from adapters.dicom.dictionary import EXPLICIT_LITTLE
from adapters.dicom.errors import NotAcceptable, problem
from adapters.dicom.frames import OCTETS, Span, locate_pixels, locate_value
from adapters.dicom.multipart import MediaType, Writer
from adapters.dicom.negotiation import entity_tag, known_states, ranges
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.commands import RelayedStudy, RetrievedObject, RetrieveFrames
from registry.errors import InvalidValue, NotFound
from registry.identifiers import check_uid

FRAMES_LIMIT = 1_000
FRAME_LIST = re.compile(r"[1-9]\d{0,6}(,[1-9]\d{0,6})*", re.ASCII)
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_PIXEL_DATA = 0x7FE00010
_NO_STORE = ("Cache-Control", "no-store")


def decode(request: WireRequest) -> RetrieveFrames:
    """Raises InvalidValue for a list of frames or a tag of another form."""
    params = request.params
    listed, tag = params.get("frames", ""), params.get("tag", "")
    if "frames" in params and (not FRAME_LIST.fullmatch(listed) or listed.count(",") >= FRAMES_LIMIT):
        raise InvalidValue("frames", expected=f"numbers from 1 on, separated by commas, at most {FRAMES_LIMIT}")
    if "tag" in params and not _TAG.fullmatch(tag):
        raise InvalidValue("bulkdata", expected="a tag of eight hexadecimal digits")
    return RetrieveFrames(
        check_uid(params["study"], "Study Instance UID"),
        check_uid(params["series"], "Series Instance UID"),
        check_uid(params["instance"], "SOP Instance UID"),
        tuple(int(number) for number in listed.split(",")) if listed else (),
        tag.upper(),
        request.header("accept", "*/*") or "*/*",
        known_states(request),
    )


def encode(result: RetrievedObject | RelayedStudy, request: WireRequest) -> WireResponse:
    """The parts flow; where each lies was found before the first byte leaves."""
    if isinstance(result, RelayedStudy):
        headers: Pairs = (("Content-Type", result.content_type), _NO_STORE)
        if result.length is not None:
            headers += (("Content-Length", str(result.length)),)
        return WireResponse(200, headers, result.content)
    tag = entity_tag(result.study.fingerprint)
    if result.unchanged:
        return WireResponse(304, (tag, _NO_STORE))
    try:
        answer = _answer(result, request)
        return replace(answer, headers=(*answer.headers, tag))
    except BaseException:
        result.end(False)
        raise


def _answer(result: RetrievedObject, request: WireRequest) -> WireResponse:
    wanted = decode(request)
    if wanted.frames or int(wanted.tag, 16) == _PIXEL_DATA:
        pixels = locate_pixels(result.read)
        numbers = wanted.frames or tuple(range(1, pixels.count + 1))
        if max(numbers) > pixels.count:
            raise NotFound("frame")
        parts = [pixels.frame(number) for number in numbers]
        return _sent(result, request, pixels.media_type, pixels.transfer_syntax, parts)
    return _sent(result, request, OCTETS, EXPLICIT_LITTLE, [(locate_value(result.read, int(wanted.tag, 16)),)])


def _sent(
    result: RetrievedObject, request: WireRequest, media: str, syntax: str, parts: list[tuple[Span, ...]]
) -> WireResponse:
    offered = f'multipart/related; type="{media}"; transfer-syntax={syntax}'
    kind = next((one for one in ranges(request) if _takes(one, media, syntax, len(parts))), None)
    if kind is None:
        raise NotAcceptable(offered)
    own = (("Content-Type", f"{media}; transfer-syntax={syntax}"),)
    sizes = [sum(length for _, length in spans) for spans in parts]
    if kind.value == media:
        headers: Pairs = (*own, ("Content-Length", str(sizes[0])), _NO_STORE)
        return WireResponse(200, headers, _flowing(result, _bytes_of(result, parts[0])))
    writer = Writer(media)
    length = writer.length((own, size) for size in sizes)
    body = writer.body((own, _bytes_of(result, spans)) for spans in parts)
    headers = (("Content-Type", writer.content_type), ("Content-Length", str(length)), _NO_STORE)
    return WireResponse(200, headers, _flowing(result, body))


def _takes(kind: MediaType, media: str, syntax: str, parts: int) -> bool:
    """Whether a media range covers what is stored; octets of any transfer syntax cover everything."""
    asked = kind.parameters.get("transfer-syntax", "")
    if kind.value in ("*/*", "multipart/*"):
        return asked in ("", "*", syntax)
    if kind.value == media:
        return parts == 1 and asked in ("", "*", syntax)
    if kind.value != "multipart/related":
        return False
    root = kind.parameters.get("type", "*/*").lower()
    if root == OCTETS and asked == "*":
        return True
    return root in ("*/*", media) and asked in ("", "*", syntax)


def _bytes_of(result: RetrievedObject, spans: tuple[Span, ...]) -> Iterator[bytes]:
    for start, length in spans:
        yield from result.read(start, length)


def _flowing(result: RetrievedObject, body: Iterator[bytes]) -> Iterator[bytes]:
    complete = False
    try:
        yield from body
        complete = True
    finally:
        result.end(complete)


def _transaction(path: str, title: str) -> Transaction:
    return Transaction(
        name="RAD-107",
        title=title,
        source="IHE RAD TF-2: 4.107, DICOM PS3.18: 10.4",
        route=("GET", f"/studies/<study>/series/<series>/instances/<instance>{path}"),
        command=RetrieveFrames,
        decode=decode,
        encode=encode,
        error=problem,
        scope=("ImagingStudy", "r"),
        doors=EVERYWHERE,
        family="dicomweb",
    )


TRANSACTIONS = (
    _transaction("/frames/<frames>", "Retrieve frames of an instance"),
    _transaction("/bulkdata/<tag>", "Retrieve a long value of an instance"),
)
