"""An act that somebody else overtook is judged anew, on what stands by then: nobody is refused for being second.

Two systems of a hospital tell of the same new patient in the same moment. On PostgreSQL their units run side by side;
on SQLite content that is written before its unit begins can still be overtaken.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from hie_node.acts import Act
from registry.errors import DuplicateUniqueId, VersionConflict

One = TypeVar("One")
ATTEMPTS = 4
"""What is a conflict every time is one: somebody means an earlier version, or brings other bytes under the same id."""


class OwnerChanged(Exception):
    """Somebody registered this patient, or removed these bytes, a moment ago: undo, and put the content anew."""


OVERTAKEN = (OwnerChanged, VersionConflict, DuplicateUniqueId)


def judged_anew(act: Act, once: Callable[[], One]) -> One:
    """What `once` returns; where others come first every time, the last attempt's error is raised."""
    for _ in range(ATTEMPTS - 1):
        with suppress(*OVERTAKEN):
            return once()
        act.begin_anew()
    return once()
