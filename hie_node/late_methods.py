"""Methods of dataclasses are made when they are first used, not when the class is.

The program has more than 500 of these classes. Python compiles six methods for each while it is imported: a quarter of
the processor's time until a node is ready, for methods most of which no process ever calls.

Python 3.11 and 3.12 make each of them by `dataclasses._create_fn`. Where that is missing nothing is changed: 3.13
makes all methods of a class at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

Make = Callable[..., FunctionType]


def make_methods_late() -> None:
    """For classes that are made from now on. Twice is as good as once."""
    make = getattr(dataclasses, "_create_fn", None)
    if isinstance(make, FunctionType):
        dataclasses._create_fn = partial(_Late, make)  # type: ignore[attr-defined]


class _Late:
    """Stands in the class for the method, and is replaced by it when somebody asks for it."""

    __slots__ = ("__name__", "_make")

    def __init__(self, make: Make, name: str, *how: Any, **more: Any) -> None:
        self.__name__ = name
        self._make: Callable[[], FunctionType] = partial(make, name, *how, **more)

    def __get__(self, it: object | None, kind: type) -> Any:
        made = self._make()
        owner = next((each for each in kind.__mro__ if each.__dict__.get(self.__name__) is self), None)
        if owner is not None:
            made.__qualname__ = f"{owner.__qualname__}.{self.__name__}"
            setattr(owner, self.__name__, made)
        return made if it is None else made.__get__(it, kind)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """`dataclasses` calls what it wraps."""
        made = self._make()
        self._make = lambda: made
        return made(*given, **named)
