"""A hospital's own PACS over DICOMweb: what it holds is indexed by headers, its pixels are fetched when asked for.

Nothing is copied. What the PACS answers is bounded and read piece by piece; its links are not followed.

Source: DICOM PS3.18: 10.6 (search), 10.4 (retrieve, metadata).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from adapters.dicom.client import parts
from adapters.dicom.data_sets import read_data_set, write_data_set
from adapters.dicom.dicom_json import Json
from adapters.dicom.dictionary import EXPLICIT_LITTLE
from adapters.dicom.header_values import wanted
from adapters.dicom.part10 import head_of, read_header_values
from registry.errors import ArchiveUnavailable, InvalidValue, RegistryError
from registry.identifiers import check_uid
from registry.local_time import VIET_NAM
from registry.ports import ArchivedStudy
from registry.studies import ReadInstance

STUDIES_AT_ONCE = 200
ANSWER_LIMIT = 64 << 20
"""Bytes of one answer of headers: a study of some ten thousand slices."""

PIECE = 256 << 10
_JSON = {"Accept": "application/dicom+json"}
_AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_STUDY, _COUNT, _AVAILABLE_SYNTAX = "0020000D", "00201208", "00083002"


@dataclass(frozen=True, slots=True)
class WebArchive:
    """Implements `registry.ports.Archive` over DICOMweb.

    url      of the DICOMweb service, without a slash at the end
    headers  such as an Authorization that the PACS wants
    issuer   assigning authority of the hospital's own patient numbers
    """

    url: str
    issuer: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    authority: str | None = None
    pool: urllib3.PoolManager = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=self.authority) if self.authority else None
        timeout = urllib3.Timeout(connect=5.0, read=30.0)
        pool = urllib3.PoolManager(maxsize=8, timeout=timeout, retries=False, ssl_context=context)
        object.__setattr__(self, "pool", pool)

    def listed(self, since: date, until: date) -> Iterator[ArchivedStudy]:
        """The studies of these days, page by page."""
        offset = 0
        while True:
            span = f"{since:%Y%m%d}-{until:%Y%m%d}"
            path = f"/studies?StudyDate={span}&includefield={_COUNT}&limit={STUDIES_AT_ONCE}&offset={offset}"
            found = self._json(path)
            yield from (ArchivedStudy(_first(one, _STUDY), int(_first(one, _COUNT) or 0)) for one in found)
            if len(found) < STUDIES_AT_ONCE:
                return
            offset += len(found)

    def instances(self, study_instance_uid: str) -> Iterator[ReadInstance]:
        """What the headers of a study say. One that cannot be used is passed over: it stays in the PACS."""
        for one in self._json(f"/studies/{_path(study_instance_uid)}/metadata"):
            try:
                yield _read(one, self.issuer)
            except RegistryError:
                continue

    def metadata(self, path: tuple[str, ...]) -> list[Json]:
        """The headers of a study, series or instance; what lies elsewhere is left out."""
        found = self._json(_below(path) + "/metadata")
        return [{tag: said for tag, said in one.items() if "BulkDataURI" not in said} for one in found]

    @contextmanager
    def opened(self, path: tuple[str, ...]) -> Iterator[Iterator[tuple[str, str, Iterator[bytes]]]]:
        """The objects of a study, series or instance as they come: SOP instance UID, transfer syntax, the file."""
        with self._got(_below(path), _AS_STORED) as answer:
            pieces = _pieces(answer)
            yield (head_of(part.chunks) for part in parts(answer.headers.get("Content-Type", ""), pieces))

    def _json(self, path: str) -> list[Json]:
        with self._got(path, _JSON) as answer:
            if answer.status == 204:
                return []
            body = b""
            for piece in _pieces(answer):
                body += piece
                if len(body) > ANSWER_LIMIT:
                    raise ArchiveUnavailable("answered too much")
        try:
            found: Any = json.loads(body)
        except ValueError as error:
            raise ArchiveUnavailable("answered no JSON") from error
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise ArchiveUnavailable("answered no list of data sets")
        return found

    @contextmanager
    def _got(self, path: str, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        try:
            answer = self.pool.request(
                "GET", self.url + path, headers={**headers, **self.headers}, preload_content=False, redirect=False
            )
        except HTTPError as error:
            raise ArchiveUnavailable(type(error).__name__) from error
        try:
            if answer.status not in (200, 204):
                raise ArchiveUnavailable(f"status {answer.status}")
            yield answer
        finally:
            answer.close()


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(PIECE, decode_content=True)
    except HTTPError as error:
        raise ArchiveUnavailable(type(error).__name__) from error


def _below(path: tuple[str, ...]) -> str:
    levels = ("studies", "series", "instances")
    return "".join(f"/{level}/{_path(uid)}" for level, uid in zip(levels, path, strict=False))


def _path(uid: str) -> str:
    return quote(check_uid(uid, "UID"), safe="")


def _first(one: Json, tag: str) -> str:
    values = one.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _read(one: Json, issuer: str) -> ReadInstance:
    """The same reading as of a file: the header is written as a data set and read back."""
    named = {f"{tag:08X}" for tag in wanted()}
    kept = {tag: said for tag, said in one.items() if tag in named and "vr" in said and "BulkDataURI" not in said}
    try:
        dataset, charset = read_data_set(write_data_set(kept), EXPLICIT_LITTLE)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise InvalidValue("header", expected="a data set as DICOM JSON") from error
    syntax = _first(one, _AVAILABLE_SYNTAX)
    return read_header_values(dataset, charset, transfer_syntax=syntax, own_issuer=issuer, timezone=VIET_NAM)
