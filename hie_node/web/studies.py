"""One imaging study: what its hospital says of it, and all its images as one file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator

from flask import Response

from hie_node.flows.draw import images_of
from hie_node.flows.fetch import fetch_study
from hie_node.web.documents import about
from hie_node.web.front import Page, Visit, attachment
from hie_node.web.patients import TREATING
from registry.commands import RetrieveStudy
from registry.errors import InvalidIdentifier, NotFound
from registry.identifiers import check_uid

PIECE = 256 << 10
"""Bytes that gather before they leave."""


def study_page(visit: Visit) -> Response:
    return visit.page("study.html", uid=_uid(visit), **about(visit, None))


def study_download(visit: Visit) -> Response:
    """Every image with its stored bytes, in a ZIP that is made while it flows; it breaks off visibly."""
    answer = fetch_study(visit.act("download-study"), RetrieveStudy(_uid(visit)))
    response = Response(zipped(images_of(answer)), content_type="application/zip")
    response.headers["Content-Disposition"] = attachment("dicom.zip")
    return response


def _uid(visit: Visit) -> str:
    try:
        return check_uid(visit.params["uid"])
    except InvalidIdentifier as error:
        raise NotFound("study") from error


class _Outlet(io.RawIOBase):
    """Where the ZIP is written to; what has gathered is taken away. It cannot go back, and a ZIP need not."""

    def __init__(self) -> None:
        self.gathered = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self.gathered += content
        return len(content)

    def take(self) -> bytes:
        taken, self.gathered = bytes(self.gathered), bytearray()
        return taken


def zipped(files: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """A ZIP of numbered files, nothing compressed since images already are, in constant memory."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for number, content in enumerate(files, start=1):
            with archive.open(f"{number:05d}.dcm", "w", force_zip64=True) as file:
                for piece in content:
                    file.write(piece)
                    if len(outlet.gathered) >= PIECE:
                        yield outlet.take()
    yield outlet.take()


PAGES = (
    Page("study", "GET", "/studies/<uid>", study_page, TREATING),
    Page("study-download", "GET", "/studies/<uid>/download", study_download, TREATING),
)
