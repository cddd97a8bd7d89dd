"""f: the right person: one decision in a node's index, and a list of registrations, each against its goal."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

from adapters.store.engine import make_engine
from adapters.store.migrations import migrate
from adapters.store.unit import Storage
from hie_node.flows.identify import CANDIDATES
from hie_node.lab.exports import REALISTIC, exported
from hie_node.patient_lists import ListedPatient, listed
from registry.identifiers import PatientIdentifier
from registry.linking import Linker
from registry.people import PatientInQuestion, SourceRecord
from registry.weighing import Weighing
from registry.weights import shipped
from tests.bench.beside_splink import beside_splink
from tests.bench.rows import Row

ROWS = "f1 f2 f3 f4"
GOAL_MS, GOAL_A_SECOND = 0.5, 5_000
_ASKED = 1_000


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    if "f1" in wanted:
        yield _decisions(2_000 if quick else 100_000)
    if "f2" in wanted:
        yield _stream(10_000 if quick else 1_000_000)
    if "f3" in wanted:
        yield _growth(2_000 if quick else 100_000)
    if "f4" in wanted:
        yield beside_splink(5_000 if quick else 100_000)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Milliseconds of each decision by any key, of each by a known number, and the bytes of one registration."""

    any_key: list[float]
    by_number: list[float]
    disk: int


def _decisions(size: int) -> Row:
    """Look-up, reading, comparing, deciding; no commit."""
    found = _asked(size)
    cut, exact = quantiles(found.any_key, n=100), quantiles(found.by_number, n=100)
    facts = {"p99_ms": round(cut[98], 2), "number_p50_ms": round(exact[49], 3), "number_p99_ms": round(exact[98], 2),
             "disk_bytes_each": found.disk}  # fmt: skip
    what = f"one decision in an index of {size:,} registrations, median"
    return Row("f1", what, cut[49], "ms", "goal", GOAL_MS, 4.0, 1.0, "less", facts=facts)


def _growth(size: int) -> Row:
    """The same with ten times as many: a key that leads to more people the more there are shows here."""
    small, large = (quantiles(_asked(many).any_key, n=100) for many in (size, 10 * size))
    facts = {"p99_ms": round(large[98], 2), "p99_before_ms": round(small[98], 2)}
    what = f"one decision among {10 * size:,}, against one among {size:,}"
    return Row("f3", what, large[49], "ms", "the smaller index", small[49], 4.0, 1.5, "less", facts=facts)


def _asked(size: int) -> _Asked:
    """An index of so many, and a thousand more registrations that are looked up in it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "node.db"
        engine = make_engine(f"sqlite:///{file}")
        migrate(engine)
        storage, matcher = Storage(engine), Weighing(shipped())
        lines = exported(size + _ASKED, 7, REALISTIC)
        with storage.begin() as unit:
            for row in islice(lines, size):
                unit.patients.save(_record(listed(row)))
        any_key: list[float] = []
        by_number: list[float] = []
        with storage.read() as unit:
            known = unit.patients.size()
            for line in map(listed, lines):
                question = PatientInQuestion(line.identifiers, line.demographics)
                start = time.perf_counter()
                matcher.judge(question, unit.patients.candidates(question, limit=CANDIDATES), size=known)
                middle = time.perf_counter()
                unit.patients.candidates(PatientInQuestion(line.identifiers), limit=CANDIDATES)
                any_key.append(1000 * (middle - start))
                by_number.append(1000 * (time.perf_counter() - middle))
        storage.close()
        return _Asked(any_key, by_number, file.stat().st_size // size)


def _record(line: ListedPatient) -> SourceRecord:
    local = PatientIdentifier("urn:bench", line.record_id)
    return SourceRecord(str(uuid4()), local, line.demographics, line.identifiers)


def _stream(size: int) -> Row:
    """In a process of its own, so that its memory is that of the list and nothing else; seconds of one processor."""
    command = [sys.executable, "-m", "tests.bench.identity", str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, grown, p50, p99 = map(float, done.stdout.split())
    facts = {"memory_bytes_each": round(grown / size), "p50_us": round(p50), "p99_us": round(p99)}
    what = f"a list of {size:,} registrations, read, decided and kept by one processor"
    return Row("f2", what, size / seconds, "a second", "goal", GOAL_A_SECOND, 0.5, 1.0, facts=facts)


def stream(size: int) -> None:
    """The work of `_stream`: prints seconds of reading and deciding, bytes of growth, p50 and p99 of a decision."""
    linker, seconds, took = Linker(Weighing(shipped()), least=size), 0.0, []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for row in exported(size, 7, REALISTIC):
        start = time.process_time()
        traits = listed(row).traits
        middle = time.process_time()
        linker.add(traits)
        end = time.process_time()
        seconds += end - start
        took.append(1e6 * (end - middle))
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    cut = quantiles(took, n=100)
    sys.stdout.write(f"{seconds} {grown} {cut[49]} {cut[98]}\n")


if __name__ == "__main__":
    stream(int(sys.argv[1]))
