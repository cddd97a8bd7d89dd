"""Bring a document or a study into files: written beside, named when it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.dicom.client import parts
from hie_node.acts import Act, Caller
from hie_node.flows.fetch import fetch_document, fetch_study
from hie_node.house import House
from registry.commands import RelayedStudy, RetrieveDocument, RetrieveStudy
from registry.errors import NotFound


@dataclass(slots=True)
class Fetched:
    """How much arrived."""

    files: int = 0
    bytes: int = 0


def fetch_to(house: House, caller: Caller, what: str, out: Path) -> Fetched:
    """A study by its UID or by the id that a search showed, otherwise a document."""
    uid = _study_uid(house, what)
    act = Act(house, caller, "hie fetch")
    if uid is None:
        result = Fetched()
        _write(out, fetch_document(act, RetrieveDocument(what)).content, result)
        return result
    return _study(act, uid, out)


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


def _study(act: Act, uid: str, folder: Path) -> Fetched:
    answer = fetch_study(act, RetrieveStudy(uid))
    folder.mkdir(parents=True, exist_ok=True)
    result = Fetched()
    pieces: Iterator[Iterable[bytes]]
    if isinstance(answer, RelayedStudy):
        pieces = (part.chunks for part in parts(answer.content_type, answer.content))
    else:
        pieces = (content for _, content in answer.instances)
    for number, content in enumerate(pieces, start=1):
        _write(folder / f"{number:05d}.dcm", content, result)
    if not result.files:
        raise NotFound("study")
    return result


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
