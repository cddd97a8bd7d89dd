"""Structured logs: one JSON object a line on standard error, without anything personal.

Never logged: names, identifiers, query strings, bodies, file names of patients, the text of an unexpected exception
(it may quote a value). A fault is written with its place in the code and a random reference that its answer carries.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

from consent.requesters import Requester
from registry.errors import StorageUnavailable

_LOG = logging.getLogger("hie")
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)


class _Line(logging.Formatter):
    """A record as one JSON object; facts stand beside the event, absent ones are left out."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage()}
        facts: dict[str, object] = getattr(record, "facts", {})
        line |= {name: value for name, value in facts.items() if value is not None}
        return _JSON.encode(line)


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Set up once per process. Libraries are heard from warnings on, and only by their own fixed texts."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Line())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOG.setLevel(level)


def event(name: str, **facts: object) -> None:
    """Something an operator may want to know. Facts are counts, codes and names of parts, never of people."""
    _LOG.info(name, extra={"facts": facts})


def warning(name: str, **facts: object) -> None:
    """Something an operator should look at."""
    _LOG.warning(name, extra={"facts": facts})


def request(
    transaction: str, door: str, status: int, seconds: float, requester: Requester | None, refused: str = ""
) -> None:
    """One answered request; `refused` is the code of why a caller was not let in, which the answer does not tell."""
    event(
        "request",
        transaction=transaction,
        door=door,
        status=status,
        ms=round(seconds * 1000, 1),
        asker=str(requester.home) if requester and door == "peer" else None,
        purpose=requester.purpose.value if requester else None,
        refused=refused or None,
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
    facts = {"where": where, "kind": type(error).__name__, "reference": reference or None, "frames": frames}
    _LOG.error("fault", extra={"facts": facts})
