"""HL7 v2 messages in a process that can be killed: one that takes too much ends there and hurts nobody else's.

Whatever was in flight when the worker ended is done again, message by message, each sender's in a worker of its own:
what had its effect before is only acknowledged again, and the message at which that worker ends as well is the one.
It is refused (AE), kept in the log of feeds, and for a while refused at once when it comes again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import Any

from adapters.hl7v2.framing import Oversized
from adapters.hl7v2.message import MAX_MESSAGE
from hie_node import hl7v2, log
from hie_node.apart import Answer, Bounds, Line, Nursery, Worker, WorkerEnded
from hie_node.house import House
from registry.errors import TooLarge

REMEMBERED_SECONDS = 3600.0
MOST_REMEMBERED = 1_000

Frame = bytes | Oversized


class Hl7Workers:
    """One worker with a line for each thread of the door, and others beside it while something went wrong."""

    def __init__(self, house: House, bounds: Bounds) -> None:
        """Make it before the process has threads, of a house of which nothing is open. Raises WorkerEnded."""
        self._lines, self._bounds, self._lock = house.settings.mllp.threads, bounds, Lock()
        self._nursery = Nursery(partial(_work, house))
        self._worker: Worker | None = None
        self._beyond: dict[bytes, float] = {}
        self._usual()

    def answer(self, group: Sequence[Frame], address: str) -> list[bytes]:
        """What is answered to messages of one connection, in their order. Raises WorkerEnded where nobody can work."""
        if self._beyond and any(self._is_known(frame) for frame in group):
            return self._one_by_one(group, address)
        worker = self._usual()
        try:
            with worker.line() as line:
                return _asked(line, "answer", group, address)
        except WorkerEnded:
            log.warning("hl7 worker ended; its messages are read again one by one", messages=len(group))
            self._retire(worker)
            return self._one_by_one(group, address)

    def _usual(self) -> Worker:
        with self._lock:
            if self._worker is None:
                self._worker = self._nursery.worker(self._lines, self._bounds)
            return self._worker

    def _retire(self, worker: Worker) -> None:
        with self._lock:
            if self._worker is worker:
                self._worker = None
        worker.close()

    def _one_by_one(self, group: Sequence[Frame], address: str) -> list[bytes]:
        answers: list[bytes] = []
        left = list(group)
        while left:
            with closing(self._nursery.worker(1, self._bounds)) as worker, worker.line() as line:
                answers += self._until_it_ends(line, left, address)
        return answers

    def _until_it_ends(self, line: Line, left: list[Frame], address: str) -> Iterator[bytes]:
        """Takes from `left` what was answered. The first is given up where this worker ends at it."""
        while left:
            frame = left[0]
            if self._is_known(frame):
                yield from _asked(line, "give up", [frame], address)
            else:
                try:
                    yield from _asked(line, "answer", [frame], address)
                except WorkerEnded:
                    self._remember(frame)
                    return
            del left[0]

    def _is_known(self, frame: Frame) -> bool:
        if not self._beyond or isinstance(frame, Oversized):
            return False
        return self._beyond.get(sha256(frame).digest(), 0.0) > time.monotonic()

    def _remember(self, frame: Frame) -> None:
        log.warning("hl7 message beyond its bounds; refused and kept")
        while len(self._beyond) >= MOST_REMEMBERED:
            with suppress(KeyError):
                del self._beyond[next(iter(self._beyond))]
        if isinstance(frame, bytes):
            self._beyond[sha256(frame).digest()] = time.monotonic() + REMEMBERED_SECONDS

    def close(self) -> None:
        """Nobody asks any more."""
        if self._worker is not None:
            self._worker.close()
        self._nursery.close()


def _asked(line: Line, what: str, group: Sequence[Frame], address: str) -> list[bytes]:
    pieces = [frame if isinstance(frame, bytes) else frame.head for frame in group]
    task = {
        "do": what,
        "address": address,
        "sizes": [len(each) for each in pieces],
        "whole": [isinstance(frame, bytes) for frame in group],
    }
    told, content = line.ask(task, b"".join(pieces))
    return list(_cut(content, told["sizes"]))


def _cut(content: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield content[start : start + size]
        start += size


def _work(house: House, task: dict[str, Any], content: bytes) -> Answer:
    pieces, address = list(_cut(content, task["sizes"])), task["address"]
    if task["do"] == "give up":
        handled = [hl7v2.give_up(house, each, address=address) for each in pieces]
    else:
        whole = [piece for piece, is_whole in zip(pieces, task["whole"], strict=True) if is_whole]
        read = iter(hl7v2.handle_together(house, whole, address=address))
        too_large = TooLarge("message", limit=MAX_MESSAGE)
        handled = [
            next(read) if is_whole else hl7v2.refuse(house, piece, too_large, address=address)
            for piece, is_whole in zip(pieces, task["whole"], strict=True)
        ]
    told = [each for one in handled for each in one.answers]
    return {"sizes": [len(each) for each in told]}, b"".join(told)
