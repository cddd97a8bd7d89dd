"""The workers: threads behind a Unix socket, one for each connection that the edge keeps.

Why the node speaks to its edge by itself and not through a server made for the open network:
docs/decisions/0007-the-way-from-the-edge-to-a-worker.md.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hie_node.worker_http import Conversation, Wsgi

BACKLOG = 1024
SWITCH_SECONDS = 0.0005
"""How long a thread may compute while another waits to go on. A thread whose turn it is to write to the database
waits so long after each of its statements, and all other writers with it: at Python's 5 ms publishing halves."""
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How many requests run at once, and how long a worker is trusted.

    processes     -  each with an interpreter of its own; one is enough for a hospital
    threads       -  requests at once in each process, downloads included
    stuck_seconds s  without a sign of life from the process as a whole; a long stream is not one
    grace_seconds s  for running requests after SIGTERM
    """

    processes: int = 1
    threads: int = 32
    stuck_seconds: int = 60
    grace_seconds: int = 8

    @property
    def slots(self) -> int:
        return self.processes * self.threads


def listen(socket_file: Path) -> socket.socket:
    """The socket that all workers take connections from; made once, so that a new worker finds those that wait.

    Its folder lets nobody else in: whoever reaches a worker may say who it is.
    """
    folder = socket_file.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user; the workers were not started")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    socket_file.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(socket_file))
    socket_file.chmod(0o600)
    listening.listen(BACKLOG)
    return listening


def run_worker(
    app_factory: Callable[[], Wsgi],
    *,
    listening: socket.socket,
    limits: WorkerLimits,
    in_each: Callable[[], None] = lambda: None,
) -> None:
    """Serves the application to the edge until SIGTERM. Meant as the `run` of a supervised child.

    in_each  called once the application is there: threads have to be started here, since none survives a fork
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    worker = _Worker(app_factory(), listening, limits)
    signal.signal(signal.SIGTERM, worker.stop)
    in_each()
    worker.run()


class _Worker:
    """Takes as many connections as it has threads; with more, a request could wait unseen behind a download."""

    def __init__(self, application: Wsgi, listening: socket.socket, limits: WorkerLimits) -> None:
        self._application, self._listening, self._limits = application, listening, limits
        self._free = threading.Semaphore(limits.threads)
        self._conversations: dict[threading.Thread, Conversation] = {}
        self._stopping = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def run(self) -> None:
        self._listening.settimeout(LOOK_SECONDS)
        while not self._stopping:
            # a process in which no thread comes to its turn any more ends by itself, and is started again
            faulthandler.dump_traceback_later(self._limits.stuck_seconds, exit=True)
            if self._free.acquire(timeout=LOOK_SECONDS):
                self._take_one()
        self._end()
        faulthandler.cancel_dump_traceback_later()

    def _take_one(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except OSError:  # nobody came, or another worker was faster
            self._free.release()
            return
        sock.settimeout(None)
        conversation = Conversation(sock, self._application)
        thread = threading.Thread(target=self._converse, args=(conversation,), daemon=True)
        self._conversations[thread] = conversation
        thread.start()

    def _converse(self, conversation: Conversation) -> None:
        try:
            conversation.run()
        finally:
            self._conversations.pop(threading.current_thread(), None)
            self._free.release()

    def _end(self) -> None:
        """What runs may end within the grace; the process takes the rest with it."""
        deadline = time.monotonic() + self._limits.grace_seconds
        while self._conversations and time.monotonic() < deadline:
            for conversation in list(self._conversations.values()):
                conversation.end_when_idle()
            thread = next(iter(list(self._conversations)), None)
            if thread is not None:
                with contextlib.suppress(RuntimeError):
                    thread.join(0.05)
