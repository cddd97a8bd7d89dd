"""Bring a document or a study into files: written beside, named when it is whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapters.dicom import dicom_json
from adapters.dicom.client import parts
from adapters.dicom.errors import BrokenMultipart
from adapters.dicom.part10 import head_of
from adapters.peers.errors import PeerError
from hie_node.acts import Act, Caller
from hie_node.flows.fetch import fetch_document, fetch_study
from hie_node.house import House
from registry.commands import RelayedStudy, RetrieveDocument, RetrievedStudy, RetrieveStudy
from registry.errors import ArchiveUnavailable, NotFound, RegistryError, Unreadable
from registry.identifiers import check_uid

BREAKS = (PeerError, BrokenMultipart, Unreadable, ArchiveUnavailable)
BREAKS_BORNE = 20
LIST_LIMIT = 256 << 20
"""Bytes of the headers of one study."""

PAUSE, LONGEST_PAUSE = 0.25, 10.0
"""Seconds before a broken line is tried again: doubled each time."""

Open = Callable[[RetrieveStudy], RetrievedStudy | RelayedStudy]


@dataclass(slots=True)
class Fetched:
    """How much arrived, and how often the line broke meanwhile."""

    files: int = 0
    bytes: int = 0
    breaks: int = 0


class Incomplete(RegistryError):
    """A study of which a part has arrived; the rest is fetched by the same command again."""

    def __init__(self, arrived: int, missing: int) -> None:
        self.arrived, self.missing = arrived, missing
        super().__init__(f"{arrived} images have arrived, {missing} are missing; run the same command again")


def fetch_to(house: House, caller: Caller, what: str, out: Path) -> Fetched:
    """A study by its UID or by the id that a search showed, otherwise a document."""
    uid = _study_uid(house, what)
    if uid is not None:
        return _study(house, caller, uid, out)
    result = Fetched()
    _write(out, fetch_document(Act(house, caller, "hie fetch"), RetrieveDocument(what)).content, result)
    return result


def _study_uid(house: House, what: str) -> str | None:
    with house.storage.read() as unit:
        known = unit.studies.study(what)
        if known is not None:
            return known.study_instance_uid
        remote = unit.remote.entry(what)
        if remote is not None:
            return remote.study_instance_uid
        if unit.studies.by_uid(what) or unit.remote.of_study(what):
            return what
    return None


def _study(house: House, caller: Caller, uid: str, folder: Path) -> Fetched:
    """Each object in a file named by its UID. What lies there already has arrived and is not asked for again; a line
    that breaks is taken up where it broke."""
    folder.mkdir(parents=True, exist_ok=True)
    result, opened = Fetched(), partial(_opened, house, caller)
    if not _arrived(folder):
        try:
            return _all_at_once(opened(RetrieveStudy(uid)), folder, result)
        except BREAKS:
            result.breaks += 1
    while missing := _missing(opened, uid, folder, result):
        before = _arrived(folder)
        for one in missing:
            try:
                _all_at_once(opened(one.command), folder, result)
            except BREAKS:
                result.breaks += 1
                break
        else:
            # a holder that sends something else than it lists must not be asked for ever
            result.breaks += len(missing) if _arrived(folder) == before else 0
        if result.breaks > BREAKS_BORNE:
            raise Incomplete(len(_arrived(folder)), len(missing))
    if not _arrived(folder):
        raise NotFound("study")
    return result


def _opened(house: House, caller: Caller, command: RetrieveStudy) -> RetrievedStudy | RelayedStudy:
    return fetch_study(Act(house, caller, "hie fetch"), command)


def _all_at_once(answer: RetrievedStudy | RelayedStudy, folder: Path, result: Fetched) -> Fetched:
    pieces: Iterator[Iterator[bytes]]
    if isinstance(answer, RelayedStudy):
        pieces = (part.chunks for part in parts(answer.content_type, answer.content))
    else:
        pieces = (content for _, content in answer.instances)
    for content in pieces:
        uid, _, whole = head_of(content)
        _write(folder / f"{check_uid(uid, 'SOP Instance UID')}.dcm", whole, result)
    return result


def _missing(open_: Open, uid: str, folder: Path, result: Fetched) -> list[Listed]:
    """What the holder lists and is not here, key images first."""
    try:
        listed = _listed(open_(RetrieveStudy(uid, metadata_only=True)), uid)
    except BREAKS:
        result.breaks += 1
        if result.breaks > BREAKS_BORNE:
            raise
        time.sleep(min(LONGEST_PAUSE, PAUSE * 2**result.breaks))
        return _missing(open_, uid, folder, result)
    arrived = _arrived(folder)
    wanted = [one for one in listed if one.sop_instance_uid not in arrived]
    return sorted(wanted, key=lambda one: not one.is_key)


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as its holder lists it; `is_key` for what points at images: key objects, presentation states."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    is_key: bool

    @property
    def command(self) -> RetrieveStudy:
        return RetrieveStudy(self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)


def _listed(answer: RetrievedStudy | RelayedStudy, uid: str) -> list[Listed]:
    """Raises Unreadable for a list that is none."""
    if not isinstance(answer, RelayedStudy):
        return [_one(dicom_json.metadata(chunks), uid) for _, chunks in answer.instances]
    content = b""
    for piece in answer.content:
        content += piece
        if len(content) > LIST_LIMIT:
            raise Unreadable("headers of a study", "too long")
    try:
        return [_one(said, uid) for said in json.loads(content)]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unreadable("headers of a study", "not DICOM JSON") from error


def _one(said: dict[str, Any], uid: str) -> Listed:
    series, instance = (check_uid(said[tag]["Value"][0], "UID") for tag in ("0020000E", "00080018"))
    return Listed(uid, series, instance, said.get("00080060", {}).get("Value") in (["KO"], ["PR"]))


def _arrived(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.dcm")}


def _write(path: Path, content: Iterable[bytes], result: Fetched) -> None:
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            for piece in content:
                file.write(piece)
                result.bytes += len(piece)
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    result.files += 1
