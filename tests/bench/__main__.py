"""`./run bench [ROWS] [--quick] [--json FILE]`: prints ratios, never judges by exit code."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.bench import (
    ahead,
    federation,
    feeds,
    footprint,
    growth,
    identity,
    imaging,
    ordering,
    pages,
    permission,
    publish,
    search,
    soap,
    transfer,
    viewer,
)
from tests.bench.rows import Row

LETTERS = {
    "a": publish,
    "b": search,
    "c": federation,
    "d": transfer,
    "e": feeds,
    "f": identity,
    "g": footprint,
    "h": growth,
    "i": imaging,
    "j": ahead,
    "k": permission,
    "o": ordering,
    "p": pages,
    "s": soap,
    "v": viewer,
}


def main() -> int:
    """0 unless something broke; a row below its base is marked, since a shared machine proves nothing by itself."""
    known = " ".join(f"{letter}: {module.ROWS}" for letter, module in LETTERS.items())
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"letters or rows, all by default ({known})")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the nodes end with it
    started, found, broken = time.monotonic(), [], 0
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; Python {sys.version.split()[0]}\n")
    for letter, module in LETTERS.items():
        wanted = frozenset(row for row in module.ROWS.split() if not asked.rows or {letter, row} & set(asked.rows))
        if not wanted:
            continue
        try:
            for row in module.measure(wanted, quick=asked.quick):
                found.append(row)
                print(row.line(), flush=True)
        except Exception as error:
            broken += 1
            print(f"{letter}    BROKEN: {type(error).__name__}: {error}", flush=True)
    print(_closing(found, time.monotonic() - started, broken))
    if asked.json:
        asked.json.write_text(json.dumps([row.document() for row in found], ensure_ascii=False, indent=1) + "\n")
    return 1 if broken else 0


def _closing(found: list[Row], seconds: float, broken: int) -> str:
    below = [row.key for row in found if row.verdict == "BELOW BASE"]
    text = f"\n{len(found)} rows in {seconds:.0f} s; {sum(row.verdict == 'aim' for row in found)} meet the aim"
    text += f"; below base: {', '.join(below)}" if below else "; none below base"
    return text + (f"; {broken} broke" if broken else "")


if __name__ == "__main__":
    sys.exit(main())
