"""Processes that tests start beside themselves, ports for them, and waiting for what comes true."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hie_node.line_door import waiting_at

PATIENCE = 20.0
"""Seconds, only so that what is broken ends a test; no test asserts a time."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def forked(runs: Callable[[], Any]) -> int:
    """It runs in a process of its own: the id of that."""
    pid = os.fork()
    if pid == 0:
        try:
            runs()
        finally:
            os._exit(0)
    return pid


def exit_code(pid: int) -> int:
    """Waits for the end; negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def ended(pid: int, number: int = signal.SIGTERM) -> int:
    """Its exit code."""
    os.kill(pid, number)
    return exit_code(pid)


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except FileNotFoundError:
        return []


def descendants(pid: int) -> list[int]:
    direct = children(pid)
    return direct + [below for one in direct for below in descendants(one)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true: {what}")
        time.sleep(0.02)


def is_answered(listening: socket.socket) -> None:
    """Waits until another process takes connections there; the door is its own from then on."""
    with listening, socket.create_connection(listening.getsockname(), PATIENCE):
        eventually(lambda: not waiting_at(listening), "somebody answers")
