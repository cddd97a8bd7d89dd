"""Structured logs: one JSON object a line, without anything personal.

Never logged: names, identifiers, query strings, bodies, file names of patients, the text of an unexpected exception
(it may quote a value). A fault is written with its place in the code and a random reference that its answer carries.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, TextIO

import structlog

from consent.requesters import Requester
from registry.errors import StorageUnavailable


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Set up once per process; everything goes to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


_log: Any = structlog.get_logger()


def event(name: str, **facts: object) -> None:
    """Something an operator may want to know. Facts are counts, codes and names of parts, never of people."""
    _log.info(name, **facts)


def warning(name: str, **facts: object) -> None:
    """Something an operator should look at."""
    _log.warning(name, **facts)


def request(
    transaction: str, door: str, status: int, seconds: float, requester: Requester | None, refused: str = ""
) -> None:
    """One answered request; `refused` is the code of why a caller was not let in, which the answer does not tell."""
    _log.info(
        "request",
        transaction=transaction,
        door=door,
        status=status,
        ms=round(seconds * 1000, 1),
        asker=str(requester.home) if requester and door == "peer" else None,
        purpose=requester.purpose.value if requester else None,
        **({"refused": refused} if refused else {}),
    )


def storage_unavailable(where: str, failure: StorageUnavailable) -> None:
    """The database or the content store could not take it; the reason is a code, and callers are not told it."""
    warning("storage unavailable", where=where, what=failure.what, reason=failure.reason)


def fault(where: str, error: BaseException, reference: str) -> None:
    """A fault of ours: its kind and its place in the code, not its text."""
    frames = [
        f"{frame.filename.rsplit('/', 2)[-2]}/{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)[-8:]
    ]
    _log.error("fault", where=where, kind=type(error).__name__, reference=reference, frames=frames)
