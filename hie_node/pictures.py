"""Pixels are decoded and drawn in processes that are locked away and can be ended; here is the way to them.

The first picture of this process starts the program that holds the decoders (`picture_child.py`); each piece of work
then gets a fork of it. Without a picture to draw nothing runs.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hie_node.picture_child import SECONDS, receive, send, wish_as_json
from registry.errors import NotDrawable, NotFound, StorageUnavailable
from registry.studies import PictureWish

AT_ONCE = 8
"""Forks that may be at work for one worker process; further ones wait, and"""
WAIT = 20.0
"""seconds that they wait before the answer is that too much is going on."""
LARGEST = 256 << 20
"""Bytes of an object that is decoded here; a larger one can be had as it is stored."""
_STARTING = 60.0


class Pencil:
    """One fork at work: pictures of one request, one after the other. After an error it is of no more use."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.settimeout(_STARTING)
        told = receive(connection, 0)
        if told is None:
            raise StorageUnavailable("pictures", "the decoders did not start")
        self._process = os.pidfd_open(told[0]["pid"])
        connection.settimeout(2 * SECONDS + 5)

    def plain(self, content: bytes) -> bytes:
        """The object with its pixels unpacked; raises NotDrawable."""
        return self._asked({"do": "plain"}, content)

    def drawn(self, content: bytes, wish: PictureWish) -> bytes:
        """One frame as a picture; raises NotDrawable, and NotFound where the object has fewer."""
        return self._asked({"do": "drawn", "wish": wish_as_json(wish)}, content)

    def _asked(self, task: dict[str, Any], content: bytes) -> bytes:
        try:
            send(self._connection, task, content)
            answer = receive(self._connection, 4 << 30)
        except (OSError, EOFError, ValueError) as error:
            raise NotDrawable("its decoding was ended: too much time or memory") from error
        if answer is None:
            raise NotDrawable("its decoding was ended: too much time or memory")
        if answer[0].get("absent"):
            raise NotFound("frame")
        if not answer[0]["ok"]:
            raise NotDrawable(str(answer[0]["why"]), is_empty=bool(answer[0].get("empty")))
        return answer[1]

    def close(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        os.close(self._process)
        self._connection.close()


class _Program:
    """The running program of this process, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._places = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def pencil(self) -> Iterator[Pencil]:
        """Raises StorageUnavailable where too many are at work."""
        if not self._places.acquire(timeout=WAIT):
            raise StorageUnavailable("pictures", "too many at once")
        try:
            one = Pencil(self._connected())
            try:
                yield one
            finally:
                one.close()
        finally:
            self._places.release()

    def _connected(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            for again in (True, False):
                if self._control is None:
                    self._control, self._process = _started()
                try:
                    socket.send_fds(self._control, [b"1"], [theirs.fileno()])
                    return ours
                except OSError:
                    self.let_go()
                    if not again:
                        ours.close()
                        raise
        raise AssertionError("unreachable")

    def let_go(self) -> None:
        """It ends with its socket, and is waited for, so that nothing of it stays."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.kill()
            self._process.wait()
        self._control = self._process = None


def _started() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Its environment says where this code is and nothing else; it ends when its socket is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 (our own program, nothing of a request)
            [sys.executable, "-m", "hie_node.picture_child", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
    return ours, process


_PROGRAM = _Program()
atexit.register(_PROGRAM.let_go)
pencil = _PROGRAM.pencil
