"""Work on what strangers sent, in processes that can be killed: it ends there, and whoever waits is told that it did.

A nursery is forked before its process has threads, and forks workers when asked. A worker has one line for each thing
that it may work on at once, and a bound of memory that the kernel keeps; whoever waits at a line watches the time.
What a worker did not commit before it was killed has not happened.

Every line answers a task (a JSON head and content) with a head and content (`hie_node/picture_child.py`).
"""

from __future__ import annotations

import gc
import mmap
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from hie_node import log
from hie_node.picture_child import bound_memory, receive, send
from hie_node.supervisor import die_with

STARTING_SECONDS = 60.0
ENDING_SECONDS = 5.0
LARGEST = 4 << 30
MOST_LINES = 63
"""Of one worker; their other ends go to it in one message."""
_MARK = struct.Struct("<QQ")
_TICKS = os.sysconf("SC_CLK_TCK")

Answer = tuple[dict[str, Any], bytes]
Work = Callable[[dict[str, Any], bytes], Answer]
_THREAD = threading.local()


def pulse() -> None:
    """Called by work that begins something which may have the whole time for itself; elsewhere it does nothing."""
    felt = getattr(_THREAD, "pulse", None)
    if felt is not None:
        felt()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one piece of work may take.

    cpu_seconds  of the processor, from one pulse to the next
    seconds      of the clock: beyond every wait of the work itself (a database that is busy, a slow disk)
    memory       bytes of address space beyond what the worker has when it is ready
    look         seconds between two looks whether the work goes on
    """

    cpu_seconds: float = 10.0
    seconds: float = 120.0
    memory: int = 2 << 30
    look: float = 0.5


USUAL = Bounds()


class WorkerEnded(Exception):
    """The worker was killed or died; what it had not committed has not happened."""


class Line:
    """One of the lines to a worker, for one caller at a time."""

    def __init__(self, worker: Worker, number: int, connection: socket.socket) -> None:
        self._worker, self._number, self._connection = worker, number, connection

    def ask(self, task: dict[str, Any], content: bytes = b"") -> Answer:
        """Raises WorkerEnded, after the worker was killed where this work went beyond its bounds."""
        try:
            self._connection.settimeout(None)
            send(self._connection, task, content)
            self._connection.settimeout(self._worker.bounds.look)
            self._wait()
            self._connection.settimeout(None)
            answer = receive(self._connection, LARGEST)
        except (OSError, EOFError) as error:
            raise WorkerEnded from error
        if answer is None:
            raise WorkerEnded
        return answer

    def _wait(self) -> None:
        """Until the answer begins; kills the worker where no pulse was felt for too long."""
        felt, since = -1, time.monotonic()
        spent = self._spent()
        while True:
            with suppress(TimeoutError):
                self._connection.recv(1, socket.MSG_PEEK)
                return
            pulse = self._worker.mark(self._number)[0]
            if pulse != felt:
                felt, since, spent = pulse, time.monotonic(), self._spent()
                continue
            bounds = self._worker.bounds
            if self._spent() - spent > bounds.cpu_seconds or time.monotonic() - since > bounds.seconds:
                log.warning("work that went beyond its bounds was ended")
                self._worker.kill()
                raise WorkerEnded

    def _spent(self) -> float:
        """Seconds of the processor that the thread at the other end has used."""
        try:
            stat = Path(f"/proc/{self._worker.pid}/task/{self._worker.mark(self._number)[1]}/stat").read_text("ascii")
        except OSError:
            return 0.0
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def close(self) -> None:
        self._connection.close()


class Worker:
    """A process at work. Close it when it is of no more use; then it ends in order, or is killed."""

    def __init__(self, control: socket.socket, lines: int, bounds: Bounds) -> None:
        """Raises WorkerEnded where it does not become ready."""
        self.bounds = bounds
        self._ours, theirs = zip(*(socket.socketpair() for _ in range(lines)), strict=True)
        shared = os.memfd_create("marks", os.MFD_CLOEXEC)
        try:
            os.ftruncate(shared, lines * _MARK.size)
            self._marks = mmap.mmap(shared, lines * _MARK.size)
            socket.send_fds(control, [struct.pack("<Q", bounds.memory)], [shared, *(each.fileno() for each in theirs)])
            self.pid = self._ready(theirs)
            self._process = os.pidfd_open(self.pid)
        except (OSError, EOFError) as error:
            for each in (*self._ours, *theirs):
                each.close()
            raise WorkerEnded from error
        finally:
            os.close(shared)
        self._is_open = True
        self._lock = threading.Lock()
        self._free: SimpleQueue[Line] = SimpleQueue()
        for number, each in enumerate(self._ours):
            self._free.put(Line(self, number, each))

    def _ready(self, theirs: Sequence[socket.socket]) -> int:
        """Its process id. The other ends are its own from here on: when it dies, that is the end of them."""
        for each in theirs:
            each.close()
        first = self._ours[0]
        first.settimeout(STARTING_SECONDS)
        told = receive(first, 0)
        if told is None:
            raise EOFError("it ended before it was ready")
        return int(told[0]["pid"])

    @contextmanager
    def line(self) -> Iterator[Line]:
        one = self._free.get()
        try:
            yield one
        finally:
            with self._lock:
                if self._is_open:
                    self._free.put(one)
                else:
                    one.close()

    def mark(self, number: int) -> tuple[int, int]:
        """The pulse of the work at this line, and the thread that does it."""
        pulse, thread = _MARK.unpack_from(self._marks, number * _MARK.size)
        return pulse, thread

    def kill(self) -> None:
        with self._lock:
            if self._is_open:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def close(self) -> None:
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            os.close(self._process)
            for each in self._ours:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # whoever waits at it is told
            while not self._free.empty():
                self._free.get().close()


class Nursery:
    """Forks workers. Make it before the process has threads, and close it at its end."""

    def __init__(self, work: Work) -> None:
        """`work` is done in each worker; of what it needs nothing is open yet."""
        self._control, theirs = socket.socketpair()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                die_with(parent)
                self._control.close()
                rear(theirs, work)
                _see_off()
            finally:
                os._exit(0)
        theirs.close()
        self._lock, self._ended = threading.Lock(), False

    def worker(self, lines: int, bounds: Bounds) -> Worker:
        """Raises WorkerEnded where none can be had; for good, where the nursery itself has ended: then this process
        ends as well, in order, and its supervisor starts both again."""
        with self._lock:
            try:
                return Worker(self._control, lines, bounds)
            except WorkerEnded:
                if self._has_ended():
                    log.warning("the nursery of workers ended; this process ends and is started again")
                    os.kill(os.getpid(), signal.SIGTERM)
                raise

    def _has_ended(self) -> bool:
        if not self._ended:
            self._ended = os.waitpid(self._pid, os.WNOHANG) != (0, 0)
        return self._ended

    def close(self) -> None:
        """Workers whose lines are closed have ended by themselves; the others end now."""
        self._control.close()
        until = time.monotonic() + ENDING_SECONDS
        while not self._has_ended():
            if time.monotonic() > until:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.01)


class NurseryBeside:
    """A nursery that the supervisor keeps (`rear_for_caller`), called when the first worker is wanted.

    It costs nothing until then, and it may be called from a process that has threads.
    """

    def __init__(self, at: Path) -> None:
        self._at = at
        self._control: socket.socket | None = None

    def worker(self, lines: int, bounds: Bounds) -> Worker:
        """Raises WorkerEnded where none can be had now."""
        if self._control is not None:
            with suppress(WorkerEnded):
                return Worker(self._control, lines, bounds)
            self.close()  # the nursery ended; another is there for the next call
        self._control = socket.socket(socket.AF_UNIX)
        try:
            self._control.connect(str(self._at))
        except OSError as error:
            self.close()
            raise WorkerEnded from error
        return Worker(self._control, lines, bounds)

    def close(self) -> None:
        """The nursery ends, and all of its workers with it."""
        if self._control is not None:
            self._control.close()
        self._control = None


class Apart:
    """A nursery with one worker at a time, for work that comes now and then; the worker is there from the first on."""

    def __init__(self) -> None:
        self._nursery: Nursery | NurseryBeside | None = None
        self._worker: Worker | None = None
        self._bounds, self._lock = USUAL, threading.Lock()

    def open(self, work: Work, bounds: Bounds) -> None:
        """Before the process has threads, and with nothing open of what the work needs."""
        self._nursery, self._bounds = Nursery(work), bounds

    def call(self, at: Path, bounds: Bounds) -> None:
        """Of the nursery that the supervisor keeps there; it is called when there is work."""
        self._nursery, self._bounds = NurseryBeside(at), bounds

    def ask(self, task: dict[str, Any], content: bytes = b"") -> Answer:
        """Once more where its worker ended, since that can come through no fault of the task. Raises WorkerEnded."""
        try:
            return self.ask_once(task, content)
        except WorkerEnded:
            return self.ask_once(task, content)

    def ask_once(self, task: dict[str, Any], content: bytes = b"") -> Answer:
        """Raises WorkerEnded."""
        worker = self._usual()
        try:
            with worker.line() as line:
                return line.ask(task, content)
        except WorkerEnded:
            self._let_go(worker)
            raise

    def _usual(self) -> Worker:
        with self._lock:
            if self._nursery is None:
                raise RuntimeError("not opened before the process had threads")
            if self._worker is None:
                self._worker = self._nursery.worker(1, self._bounds)
            return self._worker

    def _let_go(self, worker: Worker) -> None:
        with self._lock:
            if self._worker is worker:
                self._worker = None
        worker.close()

    def close(self) -> None:
        if self._worker is not None:
            self._let_go(self._worker)
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None


def rear(control: socket.socket, work: Work) -> None:
    """The nursery itself, until the other end is closed. Its workers end with their lines or are killed.

    A signal to the whole group is not theirs.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    me = os.getpid()
    gc.freeze()
    while True:
        told, descriptors, _, _ = socket.recv_fds(control, 8, 1 + MOST_LINES)
        if not told:
            break
        if os.fork() == 0:
            try:
                die_with(me)
                control.close()
                _work(struct.unpack("<Q", told)[0], descriptors, work)
            except Exception as error:
                log.fault("worker", error, "")
            finally:
                os._exit(1)
        for each in descriptors:
            os.close(each)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def rear_for_caller(listening: socket.socket, work: Work) -> None:
    """The nursery for whoever calls there first, as long as that lives. Meant as the `run` of a supervised child."""
    listening.setblocking(True)
    with listening.accept()[0] as control:
        rear(control, work)


def _see_off() -> None:
    """Whoever still works may end what it does."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _work(memory: int, descriptors: Sequence[int], work: Work) -> None:
    """One worker, until its first line is closed."""
    marks = mmap.mmap(descriptors[0], 0)
    os.close(descriptors[0])
    lines = [socket.socket(fileno=each) for each in descriptors[1:]]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bound_memory(memory)
    send(lines[0], {"pid": os.getpid()})
    threads = [
        threading.Thread(target=_answer, args=(line, number, marks, work), daemon=True)
        for number, line in enumerate(lines)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    os._exit(0)


def _answer(line: socket.socket, number: int, marks: mmap.mmap, work: Work) -> None:
    """Task after task of one line. No memory is no answer: the worker ends, so that nobody else meets what is left."""
    place, beats = number * _MARK.size, 0
    thread = threading.get_native_id()

    def felt() -> None:
        nonlocal beats
        beats += 1
        _MARK.pack_into(marks, place, beats, thread)

    _THREAD.pulse = felt
    try:
        while (task := receive(line, LARGEST)) is not None:
            pulse()
            send(line, *work(*task))
    except (BrokenPipeError, ConnectionResetError, EOFError):
        return  # whoever asked has gone
    except MemoryError:
        os._exit(1)
    except Exception as error:
        log.fault("worker", error, "")
        os._exit(1)
