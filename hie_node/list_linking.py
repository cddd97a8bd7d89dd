"""The matcher over a file: decided line by line, looked at once more when all is in, then written.

Ids and decisions are kept in flat arrays, so that a million registrations fit into less than a gigabyte. Results appear
under their names when they are complete; a run that was broken off leaves none.
"""

from __future__ import annotations

import csv
import gc
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hie_node.patient_lists import count_lines, read_list
from registry.linking import Linker, Placed
from registry.matching import Zone
from registry.settling import Doubt, settle
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

    def __init__(self, model: Model, total: int) -> None:
        # who is still to come is a stranger already
        self.linker, self.ids = Linker(Weighing(model), least=total), _Ids()
        self._zones, self._scores = bytearray(), array("h")
        self.doubts: tuple[Doubt, ...] = ()

    def take(self, record_id: str, placed: Placed) -> None:
        score = placed.verdict.score
        self.ids.append(record_id)
        self._zones.append(_ZONES.index(placed.zone))
        self._scores.append(_NO_SCORE if score is None else _bounded(score))

    def settle(self) -> None:
        """Look at all once more; zones say how it ended."""
        settled = settle(self.linker)
        for record in range(len(self._zones)):
            first = self.linker.person(record) == record
            self._zones[record] = _ZONES.index(Zone.NEW if first else Zone.LINK)
        for record, score in settled.joined:
            self._scores[record] = _bounded(score)
        for doubt in settled.doubts:
            self._zones[doubt.record] = _ZONES.index(Zone.REVIEW)
            if doubt.score is not None:
                self._scores[doubt.record] = _bounded(doubt.score)
        self.doubts = settled.doubts

    def pairs(self) -> Iterator[tuple[str, str, str, str]]:
        for doubt in self.doubts:
            yield self.ids[doubt.record], self.ids[doubt.other], _bits(doubt.score), "; ".join(doubt.evidence)

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        for record, (zone, score) in enumerate(zip(self._zones, self._scores, strict=True)):
            cluster = self.ids[self.linker.person(record)]
            yield self.ids[record], cluster, str(_ZONES[zone]), _bits(None if score == _NO_SCORE else score)

    @property
    def linked(self) -> int:
        return self._zones.count(_ZONES.index(Zone.LINK))


def _bounded(score: int) -> int:
    return max(-32_000, min(32_000, score))


def link_list(
    source: Path, out: Path, review: Path | None, model: Model, *, tell: Callable[[str], None] = lambda _: None
) -> LinkedList:
    """Every line of `source`, as if the registrations arrived in its order.

    Raises InvalidValue where the file is no list, before anything is written.
    """
    total, started = count_lines(source), time.monotonic()
    run, told = _Run(model, total), started
    with without_collector():
        for done, line in enumerate(read_list(source), start=1):
            run.take(line.record_id, run.linker.add(line.read_for(abroad=model.strangers)))
            if done % 1000 == 0 and time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                tell(_progress(done, total, told - started))
        run.settle()
    _write(review, ("record_a", "record_b", "score", "reasons"), run.pairs())
    _write(out, ("record_id", "cluster_id", "zone", "score"), run.lines())
    return LinkedList(total, len(set(run.linker.persons)), run.linked, len(run.doubts), time.monotonic() - started)


@contextmanager
def without_collector() -> Iterator[None]:
    """Deciding leaves no circles behind; looking for some among millions of small things would stop it for seconds."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _progress(done: int, total: int, seconds: float) -> str:
    left = round((total - done) * seconds / done)
    return f"{done} of {total} registrations, {done / seconds:.0f} a second, {left // 60}:{left % 60:02d} left"


def _bits(tenths: int | None) -> str:
    return "" if tenths is None else f"{tenths / 10:.1f}"


def _write(path: Path | None, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A file that is there when it is complete, or not at all."""
    if path is None:
        return
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(head)
            writer.writerows(rows)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
