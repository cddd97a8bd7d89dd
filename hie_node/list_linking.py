"""The matcher over a file: read once, decided line by line, written out when all is decided.

Ids and decisions are kept in flat arrays, so that a million registrations fit into less than a gigabyte. Results appear
under their names when they are complete; a run that was broken off leaves none.
"""

from __future__ import annotations

import csv
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hie_node.patient_lists import count_lines, read_list
from registry.linking import Linker, Placed
from registry.matching import Zone
from registry.weighing import Weighing
from registry.weights import Model

_ZONES = tuple(Zone)
_NO_SCORE = -(1 << 15)
_TELL_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class LinkedList:
    """What a file became."""

    records: int
    clusters: int
    linked: int
    reviews: int
    seconds: float


class _Writer(Protocol):
    def writerow(self, row: tuple[object, ...], /) -> object: ...


class _Ids:
    """The ids of all lines, one after the other in one block of bytes."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("q", (0,))

    def append(self, record_id: str) -> None:
        self._text += record_id.encode()
        self._ends.append(len(self._text))

    def __getitem__(self, record: int) -> str:
        return self._text[self._ends[record] : self._ends[record + 1]].decode()


class _Run:
    """One file on its way."""

    def __init__(self, model: Model, pairs: _Writer | None) -> None:
        self.linker, self.ids, self.reviews = Linker(Weighing(model)), _Ids(), 0
        self._zones, self._scores, self._pairs = bytearray(), array("h"), pairs

    def take(self, record_id: str, placed: Placed) -> None:
        score = placed.verdict.score
        self.ids.append(record_id)
        self._zones.append(_ZONES.index(placed.zone))
        self._scores.append(_NO_SCORE if score is None else max(-32_000, min(32_000, score)))
        if placed.asked is not None:
            self.reviews += 1
            if self._pairs is not None:
                reasons = "; ".join(placed.verdict.evidence)
                self._pairs.writerow((record_id, self.ids[placed.asked], _bits(score), reasons))

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        for record, (zone, score) in enumerate(zip(self._zones, self._scores, strict=True)):
            cluster = self.ids[self.linker.person(record)]
            yield self.ids[record], cluster, str(_ZONES[zone]), _bits(None if score == _NO_SCORE else score)

    @property
    def linked(self) -> int:
        return self._zones.count(_ZONES.index(Zone.LINK))


def link_list(
    source: Path, out: Path, review: Path | None, model: Model, *, tell: Callable[[str], None] = lambda _: None
) -> LinkedList:
    """Every line of `source`, as if the registrations arrived in its order.

    Raises InvalidValue where the file is no list, before anything is written.
    """
    total, started = count_lines(source), time.monotonic()
    with _written(review, ("record_a", "record_b", "score", "reasons")) as pairs:
        run, told = _Run(model, pairs), started
        for done, line in enumerate(read_list(source), start=1):
            run.take(line.record_id, run.linker.add(line.traits))
            if done % 1000 == 0 and time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                tell(_progress(done, total, told - started))
        with _written(out, ("record_id", "cluster_id", "zone", "score")) as clusters:
            if clusters is not None:
                for row in run.lines():
                    clusters.writerow(row)
    return LinkedList(total, len(set(run.linker.persons)), run.linked, run.reviews, time.monotonic() - started)


def _progress(done: int, total: int, seconds: float) -> str:
    left = round((total - done) * seconds / done)
    return f"{done} of {total} registrations, {done / seconds:.0f} a second, {left // 60}:{left % 60:02d} left"


def _bits(tenths: int | None) -> str:
    return "" if tenths is None else f"{tenths / 10:.1f}"


@contextmanager
def _written(path: Path | None, head: tuple[str, ...]) -> Iterator[_Writer | None]:
    """A file that is there when it is complete, or not at all."""
    if path is None:
        yield None
        return
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(head)
            yield writer
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
