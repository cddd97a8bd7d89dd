"""An act that somebody else overtook is judged anew, on what stands by then: nobody is refused for being second.

Two systems of a hospital tell of the same new patient in the same moment. On PostgreSQL their units run side by side;
on SQLite content that is written before its unit begins can still be overtaken. Two units that wait for each other are
told apart by PostgreSQL, which ends one of them: that one as well is only late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hie_node.acts import Act
from hie_node.house import House
from registry.errors import DuplicateUniqueId, StorageUnavailable, VersionConflict

One = TypeVar("One")
ATTEMPTS = 4
"""What is a conflict every time is one: somebody means an earlier version, or brings other bytes under the same id."""


class OwnerChanged(Exception):
    """Somebody registered this patient, or removed these bytes, a moment ago: undo, and put the content anew."""


OVERTAKEN = (OwnerChanged, VersionConflict, DuplicateUniqueId)


def judged_anew(act: Act, once: Callable[[], One]) -> One:
    """What `once` returns; where others come first every time, the last attempt's error is raised.

    In a group of units what holds others up may be the group itself, so that whoever began the group begins it anew.
    """
    together = act.house.storage.is_together

    def is_overtaken(error: Exception) -> bool:
        return isinstance(error, OVERTAKEN) or (was_in_the_way(error) and not together)

    return _anew(once, is_overtaken, act.begin_anew)


def out_of_the_way(act: Act, once: Callable[[], One]) -> One:
    """What `once` returns; from the beginning where the database has ended a unit for another's sake.

    What is on record already is not done again.
    """
    return _anew(once, lambda error: was_in_the_way(error) and not act.recorded, act.begin_anew)


def grouped_anew(house: House, once: Callable[[], One]) -> One:
    """What `once` returns, which begins a group of units, or is a part of one that somebody else begins anew."""
    together = house.storage.is_together
    return _anew(once, lambda error: was_in_the_way(error) and not together)


@contextmanager
def one_group(house: House) -> Iterator[None]:
    """Units of many patients, durable together. Groups take turns: each holds all its patients until it ends, in the
    order of its messages, so that two of them would wait for each other in a circle."""
    with house.storage.together(), house.contents.batch():
        with house.storage.begin() as unit:
            unit.takes_turns("groups")
        yield


def was_in_the_way(error: Exception) -> bool:
    """Whether the database has ended a unit only because another stood in its way."""
    return isinstance(error, StorageUnavailable) and error.overtaken


def _anew(
    once: Callable[[], One], is_overtaken: Callable[[Exception], bool], begin: Callable[[], None] | None = None
) -> One:
    for _ in range(ATTEMPTS - 1):
        try:
            return once()
        except (*OVERTAKEN, StorageUnavailable) as error:
            if not is_overtaken(error):
                raise
        if begin is not None:
            begin()
    return once()
