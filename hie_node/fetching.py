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
        for one in missing:
            try:
                _all_at_once(opened(one), folder, result)
            except BREAKS:
                result.breaks += 1
                break
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


def _missing(open_: Open, uid: str, folder: Path, result: Fetched) -> list[RetrieveStudy]:
    """What the holder lists and is not here, key images first."""
    try:
        listed = _listed(open_(RetrieveStudy(uid, metadata_only=True)))
    except BREAKS:
        result.breaks += 1
        if result.breaks > BREAKS_BORNE:
            raise
        time.sleep(min(LONGEST_PAUSE, PAUSE * 2**result.breaks))
        return _missing(open_, uid, folder, result)
    arrived = _arrived(folder)
    wanted = [one for one in listed if one["00080018"]["Value"][0] not in arrived]
    wanted.sort(key=lambda one: one.get("00080060", {}).get("Value") not in (["KO"], ["PR"]))
    return [RetrieveStudy(uid, one["0020000E"]["Value"][0], one["00080018"]["Value"][0]) for one in wanted]


def _listed(answer: RetrievedStudy | RelayedStudy) -> list[dict[str, Any]]:
    if isinstance(answer, RelayedStudy):
        found: list[dict[str, Any]] = json.loads(b"".join(answer.content))
        return found
    return [dicom_json.metadata(chunks) for _, chunks in answer.instances]


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
