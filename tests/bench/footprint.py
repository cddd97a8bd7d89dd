"""g: what a node costs while nobody asks it anything, and how long it takes to be there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from hie_node.lab import nodes
from tests.bench.hospital import hospitals
from tests.bench.rows import Row
from tests.bench.thin_peer import running

ROWS = "g1 g2 g3"


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    if wanted & {"g1", "g2"}:
        with tempfile.TemporaryDirectory() as folder, hospitals("bac-ninh") as (hospital,):
            thin, worker = _thin(Path(folder), rounds=2 if quick else 5)
            idle = hospital.memory() / 1e6
            times = []
            for _ in range(2 if quick else 5):
                nodes.stop(hospital.settings)
                started = time.monotonic()
                nodes.start(hospital.settings)
                times.append(time.monotonic() - started)
        if "g1" in wanted:
            what = "from the command until it is ready"
            yield Row("g1", what, median(times), "s", "gunicorn and a bare Flask", thin, 4.0, 2.0, "less")
        if "g2" in wanted:
            what = "idle memory of the whole node (PSS)"
            yield Row("g2", what, idle, "MB", "one worker of a bare Flask", worker, 2.5, 1.3, "less")
    if "g3" in wanted:
        yield _story(slices=20, people=60) if quick else _story(slices=300, people=300)


def _thin(folder: Path, *, rounds: int) -> tuple[float, float]:
    """Seconds until the peer answers, and megabytes of one of its workers."""
    times, memory = [], 0.0
    for _ in range(rounds):
        started = time.monotonic()
        with running("create", folder) as _:
            times.append(time.monotonic() - started)
            memory = max(memory, _largest_child())
    return median(times), memory


def _largest_child() -> float:
    """Resident megabytes of the largest process below the peer that was started last."""
    time.sleep(1.0)
    text = subprocess.run(["ps", "-eo", "rss=,args="], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\s*(\d+) .*tests\.bench\.thin_peer create", text, re.MULTILINE)
    return max(map(int, found)) / 1e3


def _story(*, slices: int, people: int) -> Row:
    """The demonstration, from empty folders to a CT that was seen elsewhere; its steps are its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hie_node", "demo", "--home", folder, "--once", "--json",
                   "--slices", str(slices), "--people", str(people)]  # fmt: skip
        started = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        seconds = time.monotonic() - started
    if run.returncode:
        raise RuntimeError(f"the demonstration failed: {run.stdout[-300:]}{run.stderr[-300:]}")
    steps = {step["name"]: round(step["seconds"], 1) for step in _steps(run.stdout)}
    what = "three nodes made, filled, and a CT seen elsewhere (set-up of the environment not included)"
    return Row("g3", what, seconds, "s", "nothing", 0, 120, 40, "less", ratio=seconds, facts={"steps": steps})


def _steps(text: str) -> list[dict[str, float]]:
    document = json.loads(text[text.index("{") if text.lstrip().startswith("{") else text.index("[") :])
    return list(document["steps"] if isinstance(document, dict) else document)
