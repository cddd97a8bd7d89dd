"""The parent of all processes of a node: starts them, starts them again, and ends them in order.

Children are forked from a parent that has imported everything, so that they share its memory. Nothing
outlives the parent: the kernel ends each child with it, so that ports and files are free at once.

A child behind a door is started when somebody first knocks there: until then the parent holds the door, and nobody is
refused. Why: docs/decisions/0029-doors-that-wait.md
"""

import ctypes
import fcntl
import gc
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hie_node.giving_back import give_back

LOG = logging.getLogger("hie.supervisor")

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0  # for what runs; then SIGKILL
FRONT_SECONDS = 9.0  # of these for the front, because it needs the others until it is done
FIRST_PAUSE_SECONDS = 0.1  # before a dead child is started again; doubled while it dies young
LONGEST_PAUSE_SECONDS = 5.0
GROWN_UP_SECONDS = 10.0
WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGIO}


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the node. It ends on SIGTERM; SIGHUP is ignored unless `run` handles it.

    front  stopped before the others, because its running requests need them
    door   listens already; `run` takes its connections from the first one on. One that ends well is waited for again
    """

    name: str
    run: Callable[[], None]
    front: bool = False
    door: socket.socket | None = None


class ThreadsBeforeFork(RuntimeError):
    """A lock held by a thread of the parent would stay locked in a child for ever."""


def die_with(parent: int) -> None:
    """The kernel kills this process in the moment its parent ends, however it ends."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _tell(door: socket.socket, on: bool) -> None:
    """Whether the kernel sends SIGIO to the owner when somebody comes; for all processes that hold the door."""
    flags = fcntl.fcntl(door, fcntl.F_GETFL)
    fcntl.fcntl(door, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)


class Supervisor:
    """Runs children until SIGTERM or SIGINT."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = list(children)
        self._running: dict[int, Child] = {}
        self._started: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._doors: dict[socket.socket, Child] = {}

    def run(self) -> int:
        """0 when all ended in time, 1 when some had to be killed."""
        if threading.active_count() > 1:
            raise ThreadsBeforeFork("start the supervisor before any thread")
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        give_back()
        gc.freeze()  # the collector would touch, and so copy, every page that the children share
        for child in self._children:
            self._await(child)
        while True:
            self._open_doors()
            number = self._wait(min(self._due.values(), default=None))
            if number in (signal.SIGTERM, signal.SIGINT):
                return self._stop()
            if number == signal.SIGHUP:
                self._signal(signal.SIGHUP, list(self._running))
            self._reap()
            for child in self._children:
                if self._due.get(child.name, float("inf")) <= time.monotonic():
                    self._start(child)

    def _wait(self, until: float | None) -> int:
        if until is None:
            return signal.sigwaitinfo(WATCHED).si_signo
        found = signal.sigtimedwait(WATCHED, max(until - time.monotonic(), 0))
        return found.si_signo if found else 0

    def _await(self, child: Child) -> None:
        """Start it, now or when somebody knocks: the kernel tells by SIGIO."""
        if child.door is None:
            self._start(child)
            return
        self._doors[child.door] = child
        fcntl.fcntl(child.door, fcntl.F_SETOWN, os.getpid())
        _tell(child.door, True)

    def _open_doors(self) -> None:
        """A door that nobody answers yet, and where somebody stands: whoever came before it was watched as well."""
        if not self._doors:
            return
        for door in select.select(list(self._doors), [], [], 0)[0]:
            _tell(door, False)
            self._start(self._doors.pop(door))

    def _start(self, child: Child) -> None:
        parent = os.getpid()
        self._due.pop(child.name, None)
        self._started[child.name] = time.monotonic()
        pid = os.fork()
        if pid:
            self._running[pid] = child
            return
        status = 1
        try:
            die_with(parent)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            gc.enable()
            child.run()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # noqa: BLE001 - it ends here: nothing of the parent may run in a child
            LOG.error("%s ended: %s", child.name, error if isinstance(error, OSError) else type(error).__name__)
        finally:
            logging.shutdown()
            os._exit(status)

    def _reap(self) -> list[str]:
        """Notes which children have died, and when each is to be started again."""
        died = []
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if child := self._running.pop(pid, None):
                died.append(child.name)
                code = os.waitstatus_to_exitcode(status)
                if child.door is not None and code == 0:
                    self._await(child)
                else:
                    self._plan(child, code)
        return died

    def _plan(self, child: Child, code: int) -> None:
        now = time.monotonic()
        grown_up = now - self._started[child.name] > GROWN_UP_SECONDS
        pause = FIRST_PAUSE_SECONDS if grown_up else self._pauses.get(child.name, FIRST_PAUSE_SECONDS)
        self._pauses[child.name] = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self._due[child.name] = now + pause
        LOG.warning("%s ended with %d and is started again in %.1f s", child.name, code, pause)

    def _stop(self) -> int:
        self._doors.clear()
        deadline = time.monotonic() + STOP_SECONDS
        front = [pid for pid, child in self._running.items() if child.front]
        self._signal(signal.SIGTERM, front)
        self._wait_for(front, deadline - (STOP_SECONDS - FRONT_SECONDS))
        self._signal(signal.SIGTERM, [pid for pid in self._running if pid not in front])
        self._wait_for(list(self._running), deadline)
        late = list(self._running)
        for pid in late:
            LOG.warning("%s did not end in time and was killed", self._running[pid].name)
        self._signal(signal.SIGKILL, late)
        self._wait_for(late, float("inf"))
        return 1 if late else 0

    def _wait_for(self, pids: Sequence[int], deadline: float) -> None:
        while any(pid in self._running for pid in pids) and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, min(max(deadline - time.monotonic(), 0), 1))
            self._collect()

    def _collect(self) -> None:
        while self._running:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._running.pop(pid, None)

    def _signal(self, number: signal.Signals, pids: Sequence[int]) -> None:
        """A child that is not reaped yet still has its number, so the signal never meets a stranger."""
        for pid in pids:
            if pid in self._running:
                os.kill(pid, number)
