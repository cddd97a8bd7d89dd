"""What lies in the drop folder: what waits there, what was refused and why, and the way back for a refused file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hie_node.drop_folder import LONGEST_STEM, OWN, put_back
from hie_node.house import House
from registry.errors import NotFound

MOST_FILES = 200
_NAMED = re.compile(r"^[^:]{1,255}\.\w{1,8}: ")


@dataclass(frozen=True, slots=True)
class Dropped:
    """One file or folder in the drop folder, and why it was refused."""

    name: str
    changed: datetime
    size: int
    reason: str = ""


def waiting_files(house: House) -> tuple[Dropped, ...]:
    """What lies in the drop folder and was not taken yet."""
    return tuple(_listed(entry for entry in _entries(house.settings.drop) if entry.name not in OWN))


def refused_files(house: House) -> tuple[Dropped, ...]:
    """What was refused, with its reason, the newest first."""
    folder = house.settings.drop / "refused"
    entries = [entry for entry in _entries(folder) if not entry.name.endswith(".reason.txt")]
    return tuple(sorted(_listed(entries), key=lambda one: one.changed, reverse=True))[:MOST_FILES]


def replay(house: House, name: str) -> None:
    """Put a refused file back, so that it is looked at again. Raises NotFound for one that is not there."""
    folder = house.settings.drop / "refused"
    known = {entry.name for entry in _entries(folder)}
    if name not in known:
        raise NotFound("file")
    back = folder / name
    sidecar = back.with_suffix(".json")
    if sidecar.name in known and sidecar != back:
        sidecar.rename(house.settings.drop / sidecar.name)
    put_back(back, house.settings.drop)


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return []


def _listed(entries: Iterable[Path]) -> Iterator[Dropped]:
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            seen = entry.lstat()
            changed = datetime.fromtimestamp(seen.st_mtime, UTC)
            yield Dropped(entry.name, changed, seen.st_size, _reason(entry))


def _reason(entry: Path) -> str:
    """What lies beside it; the drop folder shortens long names. One line alone needs no name of a file before it."""
    for stem in (entry.name[:LONGEST_STEM], entry.name):
        with contextlib.suppress(OSError):
            lines = entry.with_name(f"{stem}.reason.txt").read_text("utf-8", errors="replace")[:2000].splitlines()
            return _NAMED.sub("", lines[0]) if len(lines) == 1 else "\n".join(lines)
    return ""
