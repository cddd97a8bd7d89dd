"""Key and list files on this node's disk: written whole or not at all, private, and noticed when they change."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from adapters.trust.errors import KeyUnusable

Stamp = tuple[tuple[int, int, int] | None, ...]


def stamp(paths: Iterable[Path]) -> Stamp:
    """What changes when one of these files is replaced or written; None stands for a file that is not there."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked for at each request, and `Path.stat` costs twice as much
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace the file so that a reader, or a crash, meets the old content or the new one and never a part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A renamed file is durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path, *, lab: bool = False) -> bytes:
    """The content of a key file; raises KeyUnusable when others of this machine can read it (not in the lab)."""
    try:
        with path.open("rb") as file:
            open_to_others = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            if open_to_others and not lab:
                raise KeyUnusable(path, "readable by others; expected mode 0600")
            return file.read()
    except FileNotFoundError as error:
        raise KeyUnusable(path, "is missing; `hie init` makes it") from error
