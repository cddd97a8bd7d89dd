"""Files are read in a process that can be killed, whether dropped or named: a file that takes too much ends there.

The first time that happens it is read once more, since a worker can end through no fault of its file; then it is
refused. What of it was published before stays, as of every file that breaks off, and the next ones are read.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from hie_node import log
from hie_node.apart import Answer, Apart, Bounds, WorkerEnded, rear_for_caller
from hie_node.drop_folder import fault_in
from hie_node.house import House
from hie_node.publishing import Portion, Published, note_unread, portions, publish_portion
from registry.errors import StorageUnavailable

FILES = Bounds(cpu_seconds=120.0, seconds=3600.0, memory=4 << 30)
"""From one dossier, message or image to the next. A dossier may have 64 MB, a file of messages is read as a whole."""

TOO_MUCH = "took more time or memory than a file may have; what came before that place was read, nothing after it"


class FileWorker:
    """One worker, from the first file on."""

    def __init__(self, at: Path | None = None, bounds: Bounds = FILES) -> None:
        """`at` is the door of `rear_readers`; without one it is to be opened."""
        self._apart = Apart()
        if at is not None:
            self._apart.call(at, bounds)

    def open(self, house: House, bounds: Bounds = FILES) -> None:
        """A nursery of its own: before this process has threads, and with nothing open of the house."""
        self._apart.open(partial(_read, house), bounds)

    def publish(self, house: House, entry: Path) -> list[Published]:
        """What became of an entry of the drop folder. Raises StorageUnavailable where it is to be tried again."""
        return list(self.publish_paths(house, [entry], who="drop-folder"))

    def publish_paths(
        self, house: House, paths: Iterable[Path], *, who: str, on_file: Callable[[Path], None] | None = None
    ) -> Iterator[Published]:
        """As `publishing.publish_paths`."""
        for portion in portions(paths):
            yield from self._published(house, portion, who)
            if on_file is not None:
                for file in portion.files:
                    on_file(file)

    def _published(self, house: House, portion: Portion, who: str) -> Iterator[Published]:
        """Of images that lie together, what takes too much is found by reading each alone."""
        try:
            yield self._asked(portion, who)
        except WorkerEnded:
            if len(portion.files) > 1:
                for file in portion.files:
                    yield from self._published(house, replace(portion, files=(file,)), who)
                return
            log.warning("a file beyond its bounds; refused")
            yield note_unread(house, portion.files[0], TOO_MUCH)

    def _asked(self, portion: Portion, who: str) -> Published:
        ask = self._apart.ask_once if len(portion.files) > 1 else self._apart.ask
        files = [str(file) for file in portion.files]
        told, content = ask({"kind": portion.kind, "files": files, "unread": portion.unread, "who": who})
        if told["away"]:
            raise StorageUnavailable(told["away"], told["why"])
        found = json.loads(content)
        return Published(**{**found, "path": Path(found["path"])})

    def close(self) -> None:
        self._apart.close()


@contextmanager
def file_worker_of(house: House, bounds: Bounds = FILES) -> Iterator[FileWorker]:
    """For as long as a command needs it."""
    worker = FileWorker()
    worker.open(house, bounds)
    try:
        yield worker
    finally:
        worker.close()


def rear_readers(house: House, listening: socket.socket) -> None:
    """Meant as the `run` of a supervised child."""
    rear_for_caller(listening, partial(_read, house))


def _read(house: House, task: dict[str, Any], _content: bytes) -> Answer:
    portion = Portion(task["kind"], tuple(map(Path, task["files"])), task["unread"])
    try:
        found = publish_portion(house, portion, task["who"])
    except StorageUnavailable as away:
        return {"away": away.what, "why": away.reason}, b""
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - it refuses this file, so that it stands in no other's way
        found = fault_in(portion.files[0], error)
    return {"away": ""}, json.dumps({**asdict(found), "path": str(found.path)}).encode()
