"""WADO-RS rendered and thumbnail: a frame as a picture for a report, a phone or a poor line; not for a diagnosis.

Of a study or series all images come, one part each (`multipart/related; type="image/jpeg"`), in the order of their
numbers; who accepts a bare picture only gets the one in the middle. Of an object with many frames the first is drawn,
one by its number, or those of a list, one part each.

Drawn at the node of whoever looks, from the bytes that the holder sends as they are stored: a peer is never asked to
decode anything. Parameters that are not understood are refused.

Source: DICOM PS3.18: 8.3.5 (rendering parameters), 10.4.1.1.3 (rendered), 10.4.1.1.4 (thumbnail).
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.dicom.errors import BadParameter, NotAcceptable, problem
from adapters.dicom.multipart import Writer
from adapters.dicom.negotiation import RELATED, ranges
from adapters.dicom.rad107_frames import FRAME_LIST, FRAMES_LIMIT
from adapters.transactions import HOUSE_AND_NETWORK, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import DrawImage, DrawnImage, DrawnImages
from registry.identifiers import check_uid
from registry.studies import PictureWish

KINDS = ("image/jpeg", "image/png")
LARGEST = 4096
"""Pixels of an edge of the viewport."""
THUMBNAIL = (128, 128)


def decode(request: WireRequest) -> DrawImage:
    """Raises BadParameter or NotAcceptable before anything is looked up."""
    thumbnail = request.path.rstrip("/").endswith("/thumbnail")
    series, instance = request.params.get("series"), request.params.get("instance")
    frames = _frames(request, several=not thumbnail)
    one = thumbnail or (bool(instance) and len(frames) == 1)
    kind, every = (_kind(request), False) if one else _kind_of_several(request)
    if len(frames) > 1 and not every:
        raise NotAcceptable(f'{RELATED}; type="{KINDS[0]}"')
    return DrawImage(
        study_instance_uid=check_uid(request.params["study"], "Study Instance UID"),
        series_instance_uid=check_uid(series, "Series Instance UID") if series else None,
        sop_instance_uid=check_uid(instance, "SOP Instance UID") if instance else None,
        wish=_wish(request, kind, frames[0], thumbnail=thumbnail),
        every=every and len(frames) == 1,
        frames=frames if len(frames) > 1 else (),
    )


def encode(result: DrawnImage | DrawnImages, request: WireRequest) -> WireResponse:
    if isinstance(result, DrawnImages):
        writer = Writer(result.media_type)
        fields = (("Content-Type", writer.content_type), ("Cache-Control", "no-store"))
        return WireResponse(200, fields, _flowing(writer, result))
    headers = (
        ("Content-Type", result.media_type),
        ("Content-Length", str(len(result.content))),
        ("Cache-Control", "no-store"),
    )
    return WireResponse(200, headers, result.content)


def _flowing(writer: Writer, result: DrawnImages) -> Iterator[bytes]:
    """One part for each picture; whoever leaves stops the drawing, and what is drawn from."""
    head = (("Content-Type", result.media_type),)
    try:
        yield from writer.body((head, (picture,)) for picture in result.pictures)
    finally:
        if callable(close := getattr(result.pictures, "close", None)):
            close()


def _frames(request: WireRequest, *, several: bool) -> tuple[int, ...]:
    """The first, where none is named."""
    listed = request.params.get("frame", "1")
    if not FRAME_LIST.fullmatch(listed) or listed.count(",") >= (FRAMES_LIMIT if several else 1):
        told = f"numbers from 1, with commas between, at most {FRAMES_LIMIT}" if several else "a number from 1"
        raise BadParameter("frame", told)
    return tuple(map(int, listed.split(",")))


def _wish(request: WireRequest, kind: str, frame: int, *, thumbnail: bool) -> PictureWish:
    given: dict[str, str] = {}
    known = ("viewport",) if thumbnail else ("viewport", "window", "quality")
    for name, value in request.query:
        if name not in known or name in given:
            raise BadParameter(name, f"one of {', '.join(known)}, once")
        given[name] = value
    viewport = _viewport(given["viewport"]) if "viewport" in given else None
    return PictureWish(
        frame=frame,
        media_type=kind,
        viewport=viewport or (THUMBNAIL if thumbnail else None),
        window=_window(given["window"]) if "window" in given else None,
        quality=_whole("quality", given["quality"], 100) if "quality" in given else 90,
    )


def _kind(request: WireRequest) -> str:
    """JPEG unless PNG is preferred."""
    for kind in ranges(request):
        if kind.value in KINDS:
            return kind.value
        if kind.value in ("*/*", "image/*"):
            return KINDS[0]
    raise NotAcceptable(", ".join(KINDS))


def _kind_of_several(request: WireRequest) -> tuple[str, bool]:
    """The same, and whether all are wanted rather than one."""
    for kind in ranges(request):
        if kind.value in ("*/*", "multipart/*", RELATED):
            root = kind.parameters.get("type", "image/*").lower()
            if root in ("*/*", "image/*", *KINDS):
                return (root if root in KINDS else KINDS[0]), True
        if kind.value in ("image/*", *KINDS):
            return (kind.value if kind.value in KINDS else KINDS[0]), False
    raise NotAcceptable(f'{RELATED}; type="{KINDS[0]}"')


def _viewport(text: str) -> tuple[int, int]:
    """`width,height`; the regions of a source that may follow are not cut out here, and said so."""
    parts = text.split(",")
    if len(parts) != 2:
        raise BadParameter("viewport", "width,height")
    width, height = (_whole("viewport", part, LARGEST) for part in parts)
    return width, height


def _window(text: str) -> tuple[float, float]:
    """`centre,width,function`, in the unit of the rescaled values."""
    parts = text.split(",")
    if len(parts) != 3 or parts[2] != "linear":
        raise BadParameter("window", "centre,width,linear")
    try:
        centre, width = float(parts[0]), float(parts[1])
    except ValueError:
        raise BadParameter("window", "centre,width,linear") from None
    if not (abs(centre) < 1e6 and 1 <= width < 1e6):
        raise BadParameter("window", "a centre and a width that a scanner could have meant")
    return centre, width


def _whole(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
        raise BadParameter(name, f"a whole number from 1 to {most}")
    return int(text)


def _transaction(path: str, title: str) -> Transaction:
    return Transaction(
        name="RAD-107",
        title=title,
        source="DICOM PS3.18: 10.4",
        route=("GET", path),
        command=DrawImage,
        decode=decode,
        encode=encode,
        error=problem,
        scope=("ImagingStudy", "r"),
        doors=HOUSE_AND_NETWORK,
        family="dicomweb",
    )


_SERIES = "/studies/<study>/series/<series>"
_INSTANCE = f"{_SERIES}/instances/<instance>"
TRANSACTIONS = (
    _transaction("/studies/<study>/rendered", "Retrieve the images of a study as pictures"),
    _transaction(f"{_SERIES}/rendered", "Retrieve the images of a series as pictures"),
    _transaction(f"{_INSTANCE}/rendered", "Retrieve an instance as a picture"),
    _transaction(f"{_INSTANCE}/frames/<frame>/rendered", "Retrieve frames as pictures"),
    _transaction("/studies/<study>/thumbnail", "Retrieve a small picture of a study"),
    _transaction(f"{_SERIES}/thumbnail", "Retrieve a small picture of a series"),
    _transaction(f"{_INSTANCE}/thumbnail", "Retrieve a small picture of an instance"),
    _transaction(f"{_INSTANCE}/frames/<frame>/thumbnail", "Retrieve a small picture of a frame"),
)
