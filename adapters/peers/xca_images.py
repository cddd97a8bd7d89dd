"""Images of another hospital over SOAP: RAD-75 asked, and its answer read object by object while it arrives.

Nothing that arrives is believed: what was not asked for, is another object than it is said to be, or in another form
than is accepted, ends the answer.

Source: IHE RAD TF-2: 4.75
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from adapters.dicom.multipart import PARTS_LIMIT, Part, boundary_of, media_type, read_parts
from adapters.dicom.part10 import head_of
from adapters.peers.answers import BadAnswer
from adapters.soap.envelope import text
from adapters.soap.errors import RegistryRefusal
from adapters.soap.faults import XDS_CODES
from adapters.soap.mtom import ENVELOPE_LIMIT, XOP_XML
from adapters.soap.names import RAD, RAD_2011, RS, SOAP, XDS, XOP, named, text_of
from adapters.xml_door import XmlElement, XmlRefused, parse_xml_bytes
from registry.commands import DocumentAsked
from registry.errors import NotFound, RegistryError
from registry.identifiers import HomeCommunityId
from registry.image_sets import ImageAsked, RetrieveImages
from registry.manifests import DICOM_FILE

ACTION = RAD_2011 + "CrossGatewayRetrieveImagingDocumentSet"
_KNOWN = frozenset(XDS_CODES.values())
_BROKEN = (RegistryError, XmlRefused, StopIteration, ValueError)


def question(home: HomeCommunityId, command: RetrieveImages) -> str:
    """RetrieveImagingDocumentSetRequest for objects of one community."""
    studies: dict[str, dict[str, list[str]]] = {}
    for one in command.wanted:
        written = (
            f"<x:DocumentRequest><x:HomeCommunityId>{home}</x:HomeCommunityId><x:RepositoryUniqueId>"
            f"{text(one.document.repository)}</x:RepositoryUniqueId><x:DocumentUniqueId>"
            f"{text(one.sop_instance_uid)}</x:DocumentUniqueId></x:DocumentRequest>"
        )
        series = studies.setdefault(one.study_instance_uid, {})
        series.setdefault(one.series_instance_uid, []).append(written)
    listed = "".join(
        f'<i:StudyRequest studyInstanceUID="{text(study)}">'
        + "".join(
            f'<i:SeriesRequest seriesInstanceUID="{text(uid)}">{"".join(requests)}</i:SeriesRequest>'
            for uid, requests in series.items()
        )
        + "</i:StudyRequest>"
        for study, series in studies.items()
    )
    syntaxes = "".join(f"<i:TransferSyntaxUID>{text(one)}</i:TransferSyntaxUID>" for one in sorted(command.syntaxes))
    return (
        f'<i:RetrieveImagingDocumentSetRequest xmlns:i="{RAD}">{listed}'
        f"<i:TransferSyntaxUIDList>{syntaxes}</i:TransferSyntaxUIDList></i:RetrieveImagingDocumentSetRequest>"
    )


@dataclass(frozen=True, slots=True)
class Arriving:
    """What the holder says it sends, what it does not, and the objects as they come, by their place in `listed`."""

    listed: tuple[tuple[DocumentAsked, str], ...]
    missing: tuple[tuple[DocumentAsked, Exception], ...]
    parts: Iterator[tuple[int, Iterator[bytes]]]


def read_images(chunks: Iterable[bytes], content_type: str, command: RetrieveImages) -> Arriving:
    """The envelope of an answer; the objects behind it are read as `parts` are. Raises BadAnswer."""
    try:
        parts = _parts(chunks, content_type)
        envelope = _bounded(next(parts))
        root = parse_xml_bytes(envelope, max_bytes=ENVELOPE_LIMIT)
    except _BROKEN as error:
        raise BadAnswer("no package that can be read") from error
    response = root.find(f"{named(SOAP, 'Body')}/{named(XDS, 'RetrieveDocumentSetResponse')}")
    if response is None:
        raise BadAnswer("a fault, or another message than was asked for")
    announced = _announced(response, {one.sop_instance_uid: one for one in command.wanted})
    order = list(announced.values())
    errors = {one.get("location", ""): one.get("errorCode", "") for one in response.iter(named(RS, "RegistryError"))}
    absent = [one for one in command.wanted if one not in order]
    return Arriving(
        tuple((one.document, DICOM_FILE) for one in order),
        tuple((one.document, _why(one, errors)) for one in absent),
        _objects(parts, announced, order, command.syntaxes),
    )


def _parts(chunks: Iterable[bytes], content_type: str) -> Iterator[Part]:
    """Also of an answer without documents, which need not be a package."""
    if media_type(content_type).value != "multipart/related":
        return iter((Part({}, iter(chunks)),))
    return read_parts(chunks, boundary_of(content_type, XOP_XML), parts=PARTS_LIMIT + 1)


def _bounded(part: Part) -> bytes:
    found = bytearray()
    for piece in part.chunks:
        found += piece
        if len(found) > ENVELOPE_LIMIT:
            raise BadAnswer("an envelope that is too large")
    return bytes(found)


def _announced(response: XmlElement, wanted: dict[str, ImageAsked]) -> dict[str, ImageAsked]:
    """Which object each part is, by Content-ID."""
    found: dict[str, ImageAsked] = {}
    for one in response.iter(named(XDS, "DocumentResponse")):
        asked = wanted.get(text_of(one.find(named(XDS, "DocumentUniqueId"))))
        include = one.find(f"{named(XDS, 'Document')}/{named(XOP, 'Include')}")
        href = "" if include is None else include.get("href", "")
        if asked is None or not href.startswith("cid:") or asked in found.values():
            raise BadAnswer("an object that was not asked for, or comes twice, or has no bytes")
        found[unquote(href[4:])] = asked
    return found


def _why(asked: ImageAsked, errors: dict[str, str]) -> Exception:
    """The holder's own code, where it is one of the profile; its words are not passed on."""
    code = errors.get(asked.sop_instance_uid, "")
    if code not in _KNOWN:
        return NotFound("this object of another hospital")
    return RegistryRefusal(code, "the community that holds it does not give it out so")


def _objects(
    parts: Iterator[Part], announced: dict[str, ImageAsked], order: Sequence[ImageAsked], syntaxes: frozenset[str]
) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Raises BadAnswer for an object that is another one, or in another form, and where one does not come."""
    left = dict(announced)
    for part in parts:
        asked = left.pop(part.headers.get("content-id", "").strip("<> "), None)
        try:
            uid, syntax, content = head_of(part.chunks)
        except RegistryError as error:
            raise BadAnswer("an object that is none") from error
        if asked is None or uid != asked.sop_instance_uid or syntax not in syntaxes:
            raise BadAnswer("another object than was announced")
        yield order.index(asked), content
    if left:
        raise BadAnswer("an object that was announced did not come")
