"""A peer that keeps failing is left alone for a while, so that nobody waits for it again and again."""

from __future__ import annotations

from threading import Lock


class CircuitBreaker:
    """Opens after so many failures in a row; after so many seconds one question is let through to try.

    Moments are `time.monotonic()` of the caller.
    """

    def __init__(self, *, failures: int, seconds: float) -> None:
        self._limit, self._seconds, self._lock = failures, seconds, Lock()
        self._failures = 0
        self._closed_until = 0.0

    def admits(self, now: float) -> bool:
        """Whether to try now. While half open only the first caller may; it has to report what became of it."""
        with self._lock:
            if self._failures < self._limit:
                return True
            if now < self._closed_until:
                return False
            # should the one that tries never report, another may after the same time
            self._closed_until = now + self._seconds
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0

    def failed(self, now: float) -> None:
        with self._lock:
            self._failures += 1
            self._closed_until = now + self._seconds

    def abandoned(self, now: float) -> None:
        """The caller gave up for reasons of its own: the next one may try."""
        with self._lock:
            self._closed_until = min(self._closed_until, now)
