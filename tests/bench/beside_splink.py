"""f4: our matcher and Splink on the same list, each in a process of its own: work, look-up, memory and quality."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from hie_node.lab.evaluation import Evaluation, Known, evaluate
from hie_node.lab.exports import REALISTIC, exported
from hie_node.patient_lists import listed
from registry.linking import Linker
from registry.quality import Quality, quality
from registry.traits import Traits
from registry.weighing import Weighing
from registry.weights import shipped
from tests.bench.rows import Row

PEER = Path(__file__).with_name("splink_peer.py")
_SEED, _ALONE, _SAFE = 8, 20, 10.0
_COLUMNS = ("record_id", "given", "given_bare", "family", "middle", "letters", "born", "year", "sex", "personal",
            "insurance", "phone", "commune", "line")  # fmt: skip


def beside_splink(size: int) -> Row:
    """Seconds are those of processors. Splink's threshold is the one that suits it best, by the truth; `safe_recall` is
    at its best threshold of at most ten false merges in 100,000."""
    known = [Known(line.traits, line.person) for line in map(listed, exported(size + _ALONE, _SEED, REALISTIC))]
    ours = json.loads(_output([sys.executable, "-m", "tests.bench.beside_splink", str(size)]))
    with tempfile.TemporaryDirectory() as folder:
        source, found = Path(folder) / "list.csv", Path(folder) / "found.json"
        _write(source, [one.traits for one in known])
        _output([os.environ.get("HIE_SPLINK_PYTHON", "python3"), str(PEER), str(source), str(found), str(_ALONE)])
        theirs = json.loads(found.read_text("utf-8"))
    truth = [one.person or f"nobody {place}" for place, one in enumerate(known[:size])]
    splink, safe = _best(truth, list(theirs["clusters"].values()))
    cost = theirs["facts"]
    facts = {
        **ours["quality"],
        "splink_precision": round(splink.precision, 5), "splink_recall": round(splink.recall, 4),
        "splink_false_merges_per_100k": round(splink.false_merges_per_100k, 1), "splink_safe_recall": round(safe, 4),
        "look_up_ms": round(ours["look_up_ms"], 2), "splink_look_up_ms": round(cost["p50_ms"], 1),
        "memory_mb": ours["memory"] >> 20, "splink_memory_mb": cost["memory"] >> 20,
    }  # fmt: skip
    what = f"a list of {size:,}, compared and grouped, a second of one processor"
    return Row("f4", what, size / ours["cpu"], "registrations", "Splink", size / cost["cpu"], 1, 4, "more", facts=facts)


def _best(truth: Sequence[str], groupings: Sequence[Sequence[str]]) -> tuple[Quality, float]:
    """The grouping of the best F1, and the best recall that is safe."""
    numbers = {person: number for number, person in enumerate(dict.fromkeys(truth))}
    all_of_them = []
    for clusters in groupings:
        names = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
        all_of_them.append(quality([numbers[one] for one in truth], [names[one] for one in clusters]))
    safe = [one.recall for one in all_of_them if one.false_merges_per_100k <= _SAFE]
    return max(all_of_them, key=lambda one: one.f1), max(safe, default=0.0)


def _write(path: Path, everybody: Sequence[Traits]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(_canonical(place, traits) for place, traits in enumerate(everybody))


def _canonical(place: int, one: Traits) -> tuple[object, ...]:
    """What our matcher read out of the line, so that nobody wins by a better reader."""
    name = one.name
    names = (name.given_toned, name.given, name.family, name.middle_toned, name.letters) if name else ("",) * 5
    born = f"{one.year:04}-{one.month:02}-{one.day:02}" if one.day else ""
    own = one.personal - one.foreign
    numbers = (min(numbers, default="") for numbers in (own, one.insurance, one.phones))
    return (f"r{place}", *names, born, one.year or "", one.sex or "", *numbers, one.place.commune, one.place.line)


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ours(size: int) -> dict[str, Any]:
    """The work of `beside_splink` for our side."""
    known = [Known(line.traits, line.person) for line in map(listed, exported(size + _ALONE, _SEED, REALISTIC))]
    began = time.process_time()
    found = evaluate(known[:size], shipped())
    cpu = time.process_time() - began
    linker = Linker(Weighing(shipped()))
    linker.add_all(one.traits for one in known[:size])
    took = []
    for one in known[size:]:
        start = time.process_time()
        linker.judge(one.traits)
        took.append(1000 * (time.process_time() - start))
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"cpu": cpu, "look_up_ms": median(took), "memory": memory, "quality": _figures(found)}


def _figures(found: Evaluation) -> dict[str, float]:
    one = found.unaided
    return {
        "precision": round(one.precision, 5),
        "recall": round(one.recall, 4),
        "false_merges_per_100k": round(one.false_merges_per_100k, 1),
        "reviews_per_1000": round(found.reviews_per_1000, 1),
        "recall_after_review": round(found.after.recall, 4),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ours(int(sys.argv[1]))))
