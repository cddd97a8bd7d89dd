"""What lies in the drop folder is read in a process that can be killed: a file that takes too much ends there.

The first time that happens it is read once more, since a worker can end through no fault of its file; then it is
refused, and lies in `drop/refused`. What of it was published before stays, as of every file that breaks off.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from hie_node import log
from hie_node.apart import Answer, Apart, Bounds, WorkerEnded, rear_for_caller
from hie_node.drop_folder import published
from hie_node.house import House
from hie_node.publishing import Published, note_unread
from registry.errors import StorageUnavailable

FILES = Bounds(cpu_seconds=120.0, seconds=3600.0, memory=4 << 30)
"""From one dossier, message or image to the next. A dossier may have 64 MB, a file of messages is read as a whole."""

TOO_MUCH = "took more time or memory than a file may have; what came before that place was read, nothing after it"


class FileWorker:
    """One worker, from the first file on."""

    def __init__(self, at: Path, bounds: Bounds = FILES) -> None:
        """`at` is the door of `rear_readers`."""
        self._apart = Apart()
        self._apart.call(at, bounds)

    def publish(self, house: House, entry: Path) -> list[Published]:
        """What became of the entry. Raises StorageUnavailable where it has to be tried again later."""
        try:
            told, content = self._apart.ask({"entry": str(entry)})
        except WorkerEnded:
            log.warning("a file beyond its bounds; refused")
            return [note_unread(house, entry, TOO_MUCH)]
        if told["away"]:
            raise StorageUnavailable(told["away"], told["why"])
        return [Published(**{**one, "path": Path(one["path"])}) for one in json.loads(content)]

    def close(self) -> None:
        self._apart.close()


def rear_readers(house: House, listening: socket.socket) -> None:
    """Meant as the `run` of a supervised child."""
    rear_for_caller(listening, partial(_read, house))


def _read(house: House, task: dict[str, Any], _content: bytes) -> Answer:
    try:
        found = published(house, Path(task["entry"]))
    except StorageUnavailable as away:
        return {"away": away.what, "why": away.reason}, b""
    return {"away": ""}, json.dumps([{**asdict(one), "path": str(one.path)} for one in found]).encode()
