"""RAD-107, WADO-RS: the images of a study, a series or one instance, as they were stored; or what their headers say.

Stored objects are never transcoded, so a request without a transfer syntax gets them as stored too, where the
standard's default would be Explicit VR Little Endian: an archive that cannot take that refuses visibly, while a
lossy conversion would not be seen.

Source: IHE RAD TF-2: 4.107; DICOM PS3.18: 10.4 (retrieve), 8.7 (media types, Accept).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from adapters.dicom import dicom_json, native_xml
from adapters.dicom.dicom_json import Json
from adapters.dicom.errors import NotAcceptable, problem
from adapters.dicom.multipart import DICOM, MediaType, Writer
from adapters.dicom.negotiation import digest_field, entity_tag, known_states, ranges, takes_xml
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.commands import RelayedStudy, RetrievedStudy, RetrieveStudy
from registry.errors import NotFound, TooLarge, Unreadable
from registry.identifiers import check_uid
from registry.studies import Instance

_AS_STORED = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
_LARGEST_LIST = 64 << 20
"""Bytes of the headers of one study that are turned from JSON into XML at once."""
_NO_STORE = ("Cache-Control", "no-store")


def decode(request: WireRequest) -> RetrieveStudy:
    """Raises NotAcceptable before anything is looked up where no accepted form can be produced."""
    metadata = request.path.rstrip("/").endswith("/metadata")
    if metadata:
        takes_xml(request)
    else:
        _wanted_syntaxes(request)
    series, instance = request.params.get("series"), request.params.get("instance")
    return RetrieveStudy(
        study_instance_uid=check_uid(request.params["study"], "Study Instance UID"),
        series_instance_uid=check_uid(series, "Series Instance UID") if series else None,
        sop_instance_uid=check_uid(instance, "SOP Instance UID") if instance else None,
        metadata_only=metadata,
        known=known_states(request),
    )


def encode(result: RetrievedStudy | RelayedStudy, request: WireRequest) -> WireResponse:
    """The answer flows: one piece of one instance is in memory at a time."""
    if isinstance(result, RelayedStudy):
        if _is_metadata(request) and takes_xml(request):
            return _as_xml(_listed(result.content))
        headers: Pairs = (("Content-Type", result.content_type), _NO_STORE)
        if result.length is not None:
            headers += (("Content-Length", str(result.length)),)
        if result.fingerprint:
            headers += (entity_tag(result.fingerprint),)
        return WireResponse(200, headers, result.content)
    tag = entity_tag(result.study.fingerprint)
    if result.unchanged:
        return WireResponse(304, (tag, _NO_STORE))
    answer = _answered(result, request)
    # a part of the study must not be taken for all of it the next time
    return replace(answer, headers=(*answer.headers, tag)) if answer.status == 200 else answer


def _answered(result: RetrievedStudy, request: WireRequest) -> WireResponse:
    if _is_metadata(request):
        # links lead back through who was asked: another hospital's node gives its askers frames by number, and no links
        base = request.base if request.door != "peer" else ""
        headers = _metadata(result, base)
        if takes_xml(request):
            return _as_xml(headers)
        return WireResponse(200, (("Content-Type", dicom_json.MEDIA_TYPE), _NO_STORE), _as_json(headers))
    announced = _selected(result, request)
    if not announced:
        raise NotFound("instance")
    wanted = _wanted_syntaxes(request)
    sent = tuple(one for one in announced if "*" in wanted or one.transfer_syntax in wanted)
    if not sent:
        raise NotAcceptable(_AS_STORED)
    if "instance" in request.params and not _accepts_multipart(request):
        return _single(result)
    return _related(result, sent, base=request.base, missing=len(announced) - len(sent))


def _related(result: RetrievedStudy, sent: tuple[Instance, ...], *, base: str, missing: int) -> WireResponse:
    """Many parts; 206 and how many are missing where some are stored in no accepted transfer syntax (PS3.18: 10.4.3).

    The length is known beforehand where the index knows the size of every instance.
    """
    writer, uids = Writer(), {one.sop_instance_uid for one in sent}
    length = writer.length((_part_headers(instance), instance.size) for instance in sent)
    parts = ((_part_headers(instance), _exactly(instance, chunks)) for instance, chunks in _chosen(result, uids))
    headers: Pairs = (("Content-Type", writer.content_type), _NO_STORE)
    if all(instance.size for instance in sent):
        headers += (("Content-Length", str(length)),)
    if missing:
        text = f"{missing} instances are stored in no accepted transfer syntax and are not sent"
        headers += (("Warning", f'299 {base} "{text}"'),)
    return WireResponse(206 if missing else 200, headers, _closing(writer.body(parts), result))


def _chosen(result: RetrievedStudy, uids: set[str]) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    for instance, chunks in result.instances:
        if instance.sop_instance_uid in uids:
            yield instance, chunks
        else:
            _let_go(chunks)


def _single(result: RetrievedStudy) -> WireResponse:
    found = next(result.instances, None)
    if found is None:
        raise NotFound("instance")
    instance, chunks = found
    headers: Pairs = (("Content-Type", _type_of(instance)), _NO_STORE)
    if instance.size:
        headers += (("Content-Length", str(instance.size)),)
    return WireResponse(200, headers, _closing(_exactly(instance, chunks), result))


def _is_metadata(request: WireRequest) -> bool:
    return request.path.rstrip("/").endswith("/metadata")


def _metadata(result: RetrievedStudy, base: str) -> Iterator[Json]:
    """What the header of each object says, in their order."""
    series_of = {
        one.sop_instance_uid: series.series_instance_uid for series in result.study.series for one in series.instances
    }
    study = f"{base}/studies/{result.study.study_instance_uid}"
    try:
        for instance, chunks in result.instances:
            uid = instance.sop_instance_uid
            url = f"{study}/series/{series_of[uid]}/instances/{uid}" if base else ""
            yield dicom_json.metadata(chunks, url)
            _let_go(chunks)
    finally:
        _let_go(result.instances)


def _as_json(headers: Iterator[Json]) -> Iterator[bytes]:
    separator = b"["
    for one in headers:
        yield separator + dicom_json.dumped(one)
        separator = b",\n"
    yield b"]" if separator != b"[" else b"[]"


def _as_xml(headers: Iterator[Json]) -> WireResponse:
    """One part an object (PS3.18: 10.4.3.3.3), each made when its turn comes."""
    writer = Writer(native_xml.MEDIA_TYPE)
    return WireResponse(200, (("Content-Type", writer.content_type), _NO_STORE), writer.body(native_xml.parts(headers)))


def _listed(content: Iterator[bytes]) -> Iterator[Json]:
    """Headers that came as JSON from elsewhere, for a caller who wants XML. Raises Unreadable for anything else."""
    whole = bytearray()
    for piece in content:
        whole += piece
        if len(whole) > _LARGEST_LIST:
            raise TooLarge("headers of a study", limit=_LARGEST_LIST)
    try:
        found = json.loads(whole)
        return iter([dict(one) for one in found])
    except (ValueError, TypeError) as error:
        raise Unreadable("headers of a study", "not DICOM JSON") from error


def _selected(result: RetrievedStudy, request: WireRequest) -> tuple[Instance, ...]:
    """What the index lists for this request, which is what the flow sends."""
    return result.study.selected(request.params.get("series"), request.params.get("instance"))


def _exactly(instance: Instance, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The stored bytes; a file that is shorter or longer than the index knows breaks the answer off visibly."""
    if not instance.size:  # it comes from an archive, which alone knows
        yield from chunks
        return
    left = instance.size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise Unreadable("stored instance", "does not have the size that the index knows")


def _part_headers(instance: Instance) -> Pairs:
    """With the SHA-256 of the stored bytes where the index knows it (RFC 9530, Repr-Digest)."""
    kind = ("Content-Type", _type_of(instance))
    return (kind, ("Repr-Digest", digest_field(instance.content_hash))) if instance.content_hash else (kind,)


def _type_of(instance: Instance) -> str:
    return f"{DICOM}; transfer-syntax={instance.transfer_syntax}" if instance.transfer_syntax else DICOM


def _closing(body: Iterator[bytes], result: RetrievedStudy) -> Iterator[bytes]:
    try:
        yield from body
    finally:
        _let_go(result.instances)


def _let_go(source: object) -> None:
    """The archive closes its file when the reader stops, wherever that is."""
    if callable(close := getattr(source, "close", None)):
        close()


def _wanted_syntaxes(request: WireRequest) -> frozenset[str]:
    """Transfer syntaxes that the caller takes, `*` for any; raises NotAcceptable where it takes no DICOM at all."""
    single = "instance" in request.params
    kinds = [kind for kind in ranges(request) if _is_related(kind) or (single and kind.value == DICOM)]
    if not kinds:
        raise NotAcceptable(_AS_STORED)
    return frozenset(kind.parameters.get("transfer-syntax", "*") for kind in kinds)


def _is_related(kind: MediaType) -> bool:
    if kind.value in ("*/*", "multipart/*"):
        return True
    return kind.value == "multipart/related" and kind.parameters.get("type", DICOM).lower() in (DICOM, "*/*")


def _accepts_multipart(request: WireRequest) -> bool:
    """For one instance: multipart, unless the caller prefers the bare object."""
    first = next(kind for kind in ranges(request) if _is_related(kind) or kind.value == DICOM)
    return first.value != DICOM


def _transaction(path: str, title: str) -> Transaction:
    return Transaction(
        name="RAD-107",
        title=title,
        source="IHE RAD TF-2: 4.107, DICOM PS3.18: 10.4",
        route=("GET", path),
        command=RetrieveStudy,
        decode=decode,
        encode=encode,
        error=problem,
        scope=("ImagingStudy", "r"),
        doors=EVERYWHERE,
        family="dicomweb",
    )


_SERIES = "/studies/<study>/series/<series>"
TRANSACTION = _transaction("/studies/<study>", "Retrieve a study")
TRANSACTIONS = (
    TRANSACTION,
    _transaction(_SERIES, "Retrieve a series"),
    _transaction(f"{_SERIES}/instances/<instance>", "Retrieve an instance"),
    _transaction("/studies/<study>/metadata", "Retrieve the headers of a study"),
    _transaction(f"{_SERIES}/metadata", "Retrieve the headers of a series"),
    _transaction(f"{_SERIES}/instances/<instance>/metadata", "Retrieve the header of an instance"),
)
