"""The drop folder: what a hospital's system puts there is published, then moved to `done` or `refused`.

A file is taken when its size has stood still between two looks; one that its sender goes on writing then comes back and
is read again. A refused file lies beside `<name>.reason.txt`. A crash between publishing and moving only publishes
again, which changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hie_node import log, metrics
from hie_node.house import House
from hie_node.publishing import (
    DEEPEST,
    Published,
    is_folder,
    is_litter,
    is_plain,
    is_unfinished,
    printable,
    publish_paths,
)
from registry.errors import StorageUnavailable

OWN = frozenset({"done", "refused", "rejected"})
"""Folders of ours: published, could not be used, and what a registrar said is nobody's here."""
LONGEST_STEM = 60
"""Characters of a name that get an ending of ours: a name may have 255 bytes, and a letter four of them."""

STILL_WRITTEN = 3600.0
"""Seconds after a file was taken in which it is watched: a slow sender writes on in what was moved under its hands."""

WAIT_UNFINISHED = 900.0
"""Seconds after the last change for which a folder waits where a name in it says that something is still written."""

WAIT_FOR_SIDECAR = 60.0
"""Seconds that a document may lie without its sidecar, and the other way round, before it is refused."""


Publish = Callable[[Path], Sequence[Published]]


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes of a file when its reading began, and until when it is watched."""

    size: int
    until: float


class DropFolder:
    """One look after the other; `look` publishes what is complete."""

    def __init__(self, house: House, publish: Publish | None = None) -> None:
        """`publish` says what became of an entry; by default it is read in this process (`published`)."""
        self._house, self._root = house, house.settings.drop
        self._publish = publish or partial(published, house)
        self._seen: dict[Path, tuple[int, int]] = {}
        self._taken: dict[Path, Taken] = {}
        for name in ("", *OWN):
            (self._root / name).mkdir(mode=0o700, exist_ok=True)

    def look(self) -> None:
        """Publish each file or folder at the top of the drop folder that has stood still since the last look."""
        self._bring_back()
        now_there: dict[Path, tuple[int, int]] = {}
        for entry in sorted(self._root.iterdir()):
            if entry.name in OWN or is_unfinished(entry):
                continue
            with contextlib.suppress(FileNotFoundError):
                now_there[entry] = _measure(entry)
        still = [entry for entry, size in now_there.items() if self._seen.get(entry) == size]
        self._seen = now_there
        for entry in still:
            if os.path.lexists(entry) and not self._waits(entry):
                self._take(entry)
        self._clear_out()

    def _waits(self, entry: Path) -> bool:
        """A document and its sidecar may arrive one after the other, and a folder file by file."""
        if _is_still_written(entry):
            return True
        partners = {".pdf": [".json"], ".txt": [".json"], ".json": [".pdf", ".txt"]}.get(entry.suffix.lower())
        if partners is None or not is_plain(entry) or any(entry.with_suffix(ending).is_file() for ending in partners):
            return False
        return time.time() - entry.stat().st_mtime < WAIT_FOR_SIDECAR

    def _take(self, entry: Path) -> None:
        if entry.suffix.lower() == ".json" and any(entry.with_suffix(e).is_file() for e in (".pdf", ".txt")):
            return
        results = self._publish(entry)
        refused = [result for result in results if result.outcome == "refused" or result.reason]
        moved = [entry]
        if entry.suffix.lower() in (".pdf", ".txt") and entry.with_suffix(".json").is_file():
            moved.append(entry.with_suffix(".json"))
        folder = self._root / ("refused" if refused else "done")
        lies = [_move(path, folder) for path in moved]
        self._taken[lies[0]] = Taken(self._seen[entry][0], time.monotonic() + STILL_WRITTEN)
        if refused:
            self._explain(lies[0], refused)
        metrics.DROPPED.labels("refused" if refused else "published").inc()
        log.event("dropped", kind=results[0].kind if results else "empty", refused=len(refused), files=len(results))

    def _bring_back(self) -> None:
        """What has become longer, or shorter, since its reading began: its sender was not ready with it."""
        for lies, taken in list(self._taken.items()):
            try:
                is_over = not is_plain(lies) or time.monotonic() > taken.until
                if not is_over and lies.stat().st_size == taken.size:
                    continue
                del self._taken[lies]
                if not is_over:
                    put_back(lies, self._root)
                    log.event("a file that was written on after it was read is read again")
            except FileNotFoundError:
                self._taken.pop(lies, None)

    def _explain(self, lies: Path, refused: list[Published]) -> None:
        lines = [f"{printable(result.path.name)}: {result.reason}" for result in refused]
        beside = _reason_of(lies)
        beside.write_text("\n".join(lines) + "\n", "utf-8", errors="backslashreplace")

    def _clear_out(self) -> None:
        """Files that were dealt with are patients' data lying open: they go after a few days."""
        oldest = time.time() - self._house.settings.limits.keep_dropped * 86400
        for entry in (*(self._root / "done").iterdir(), *(self._root / "rejected").iterdir()):
            if entry.lstat().st_mtime < oldest:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _reason_of(lies: Path) -> Path:
    return lies.with_name(f"{lies.name[:LONGEST_STEM]}.reason.txt")


def put_back(lies: Path, drop: Path) -> None:
    """What was dealt with is looked at again; beside another of its name it gets one of its own."""
    for reason in (_reason_of(lies), lies.with_name(f"{lies.name}.reason.txt")):
        reason.unlink(missing_ok=True)
    target = drop / lies.name
    if os.path.lexists(target):
        target = target.with_name(f"{time.time_ns()}-{lies.name[:120]}")
    lies.rename(target)


def published(house: House, entry: Path) -> list[Published]:
    """What became of it. A fault of ours refuses this one, so that it does not stand in the way of the others."""
    try:
        return list(publish_paths(house, [entry], who="drop-folder"))
    except (StorageUnavailable, MemoryError):
        raise
    except Exception as error:
        return [fault_in(entry, error)]


def fault_in(entry: Path, error: Exception) -> Published:
    """A fault of ours while it was read; in the log only its place is written down."""
    reference = secrets.token_hex(6)
    log.fault("files", error, reference)
    reason = f"could not be published, through no fault of the file; reference {reference} of the node's log"
    return Published(entry, "unknown", "refused", reason=reason)


def _measure(entry: Path) -> tuple[int, int]:
    """Bytes and newest change of a file, or of all below a folder. Raises FileNotFoundError."""
    stats = [found for path in _below(entry) if (found := _looked_at(path)) is not None]
    return sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)


def _looked_at(path: Path) -> os.stat_result | None:
    """None where a path is longer than can be said, or nobody may look: that is told when it is opened."""
    try:
        return path.lstat()
    except FileNotFoundError:
        raise
    except OSError:
        return None


def _below(entry: Path) -> Iterator[Path]:
    """The entry and what lies in it, as deep as it is published; a folder that cannot be opened is told so there."""
    waiting = [(entry, 0)]
    while waiting:
        path, depth = waiting.pop()
        yield path
        if depth <= DEEPEST and is_folder(path):
            with contextlib.suppress(PermissionError, NotADirectoryError):
                waiting += [(child, depth + 1) for child in path.iterdir()]


def _is_still_written(entry: Path) -> bool:
    """Or changes under our eyes."""
    inside = (path for path in _below(entry) if path != entry and not is_litter(path) and is_unfinished(path))
    try:
        changed = max((found.st_mtime for path in inside if (found := _looked_at(path))), default=0.0)
    except FileNotFoundError:
        return True
    return time.time() - changed < WAIT_UNFINISHED


def _move(path: Path, folder: Path) -> Path:
    """Where it lies now, or would lie if its sender had not taken it away while it was read."""
    target = folder / path.name
    if os.path.lexists(target):
        target = folder / f"{path.stem[:LONGEST_STEM]}.{time.time_ns()}{path.suffix[:20]}"
    try:
        path.rename(target)
    except FileNotFoundError:
        log.warning("a file was taken out of the drop folder while it was read")
        return target
    os.utime(target, follow_symlinks=False)
    return target
