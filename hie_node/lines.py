"""The lines to other hospitals: what somebody waits for has them, transfers ahead take what is left within a budget.

Who uses a line holds a shared lock on a file of this node, so all of its processes see it, and the kernel lets go of
it when a process ends in whatever way.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock

from hie_node.ahead_tables import TransfersAhead
from registry.directory import Peer
from registry.identifiers import HomeCommunityId

LOOK = 0.05
"""Seconds between two looks at a line that is taken."""
PATIENCE = 15.0
"""Seconds after which a stream gives way instead of waiting: its holder gives up a reader that rests for 30."""
BURST = 0.25
"""Seconds of the budget that may have been saved up."""


class LineTaken(Exception):
    """Somebody waits for something over this line, or it is the hour when nothing is brought ahead."""


@dataclass(slots=True)
class Lines:
    """All lines of this node. Times are those of `clock`, in seconds."""

    table: TransfersAhead
    folder: Path
    clock: Callable[[], float] = time.monotonic
    rest: Callable[[float], None] = time.sleep
    _free_from: dict[HomeCommunityId, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def waited_for(self, home: HomeCommunityId) -> Iterator[None]:
        """Inside, somebody waits for what comes over the line to this hospital."""
        with self._opened(home) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def is_taken(self, home: HomeCommunityId) -> bool:
        with self._opened(home) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def is_open(self, peer: Peer, now: datetime) -> bool:
        """Whether a transfer ahead may begin."""
        return self._rate(peer, now) > 0 and not self.is_taken(peer.home)

    def within_budget(self, peer: Peer, content: Iterator[bytes], now: Callable[[], datetime]) -> Iterator[bytes]:
        """The content at the pace of the budget; it rests while somebody waits for the line, and the rest presses back
        to the holder. Raises LineTaken where that takes too long, and in hours that have no budget."""
        for piece in content:
            self._wait(peer, len(piece), now())
            yield piece

    def _wait(self, peer: Peer, size: int, now: datetime) -> None:
        until = self.clock() + PATIENCE
        while self.is_taken(peer.home):
            if self.clock() >= until:
                raise LineTaken
            self.rest(LOOK)
        rate = self._rate(peer, now)
        if rate <= 0:
            raise LineTaken
        self.rest(max(0.0, self._turn(peer.home, size / rate) - self.clock()))

    def _turn(self, home: HomeCommunityId, seconds: float) -> float:
        """When this piece has been paid for."""
        with self._lock:
            start = max(self._free_from.get(home, 0.0), self.clock() - BURST)
            self._free_from[home] = start + seconds
            return start + seconds

    def _rate(self, peer: Peer, now: datetime) -> float:
        return self.table.bytes_per_second(str(peer.community.facility), now)

    @contextmanager
    def _opened(self, home: HomeCommunityId) -> Iterator[int]:
        """The file of this line; it has no content."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
        file = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield file
        finally:
            os.close(file)
