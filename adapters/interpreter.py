"""Who computes: one thread of a process at a time, the others wait for the disk, the network or their turn.

Python runs one thread at once in any case. But a thread gives the interpreter away at each statement to the database,
and where sixteen compute it gets it back last: the one that has the database's turn then waits at each of its
statements, and all that write wait with it. So a thread that computes says so, and lets go where it waits.

It is an aid and no lock that anything relies on: who does not get it soon goes on without it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.02
"""Longer than any request computes between two waits; a long one must not stop the others."""

_ONE = threading.Lock()
_mine = threading.local()


@contextmanager
def computing() -> Iterator[None]:
    """Around what this thread computes, from outside any other such block."""
    _mine.has_it = _ONE.acquire(timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        _let_go()


@contextmanager
def waiting() -> Iterator[None]:
    """Around a wait for the disk, the network or another thread."""
    computes = _let_go()
    try:
        yield
    finally:
        if computes:
            _mine.has_it = _ONE.acquire(timeout=PATIENCE_SECONDS)


def _let_go() -> bool:
    if not getattr(_mine, "has_it", False):
        return False
    _mine.has_it = False
    _ONE.release()
    return True
