"""Breaks the rules of `consent/`, one place at a time, and says which breakages no test notices.

    python -m tests.mutate [FILE ...] [--jobs N]

Not part of the tests: a run takes minutes. Each mutant is a copy of the four rooms and the tests with one operator,
constant or statement changed; a mutant that the tests of `tests/consent` let through is printed and makes the exit
code 1. Some of them change no answer, such as a bound that is met twice: a person judges what is printed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = (
    "decide",
    "consents",
    "receipts",
    "emergency",
    "policy",
    "merkle",
    "working_days",
    "requesters",
    "closed_lists",
    "residuals",
    "representation",
)
ROOMS = ("consent", "registry", "tests/consent")
PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage: where, what stands there now, and the whole file with it."""

    file: str
    line: int
    what: str
    source: str


def mutants(file: Path) -> Iterator[Mutant]:
    """Every breakage of one file, one at a time."""
    tree = ast.parse(file.read_text("utf-8"))
    for place, node in enumerate(_places(tree)):
        for number in range(8):
            broken = copy.deepcopy(tree)
            found = _places(broken)[place]
            what = _break(found, number)
            if what is None:
                break
            yield Mutant(file.stem, getattr(node, "lineno", 0), what, ast.unparse(ast.fix_missing_locations(broken)))


def _places(tree: ast.AST) -> list[ast.AST]:
    """What rules: annotations are never evaluated, and how a value keeps its fields is no rule."""
    told = [getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")]
    told += [one for node in ast.walk(tree) for one in getattr(node, "decorator_list", ())]
    silent = {id(part) for node in told if isinstance(node, ast.AST) for part in ast.walk(node)}
    return [node for node in ast.walk(tree) if id(node) not in silent]


_COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_COUNTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Mult: ast.Add,
}  # fmt: skip


def _break(node: ast.AST, number: int) -> str | None:
    """Change the node in place, in the `number`-th way there is; None when there is none."""
    ways = list(_ways(node))
    if number >= len(ways):
        return None
    what, change = ways[number]
    change()
    return what


def _ways(node: ast.AST) -> Iterator[tuple[str, object]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            new = _COMPARED[type(operator)]
            yield f"{type(operator).__name__} -> {new.__name__}", lambda p=place, n=new: node.ops.__setitem__(p, n())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{type(node.op).__name__} -> {other.__name__}", lambda: setattr(node, "op", other())
        for place in range(len(node.values)):
            if len(node.values) > 1:
                yield f"operand {place + 1} left out", lambda p=place: node.values.pop(p)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", lambda: setattr(node, "op", ast.UAdd()) or setattr(node, "operand", _truth(node.operand))
    elif isinstance(node, ast.BinOp) and type(node.op) in _COUNTED:
        new_op = _COUNTED[type(node.op)]
        yield f"{type(node.op).__name__} -> {new_op.__name__}", lambda: setattr(node, "op", new_op())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", lambda: setattr(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield f"{node.value} -> {node.value + 1}", lambda: setattr(node, "value", node.value + 1)
    elif isinstance(node, ast.If | ast.IfExp):
        yield "if always", lambda: setattr(node, "test", ast.Constant(True))
        yield "if never", lambda: setattr(node, "test", ast.Constant(False))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("any", "all"):
        other_name = "all" if node.func.id == "any" else "any"
        yield f"{node.func.id} -> {other_name}", lambda: setattr(node.func, "id", other_name)


def _truth(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("bool", ast.Load()), [node], [])


def survives(mutant: Mutant) -> bool:
    """Whether every test still passes."""
    with tempfile.TemporaryDirectory() as folder:
        for room in ROOMS:
            shutil.copytree(ROOT / room, Path(folder) / room, ignore=shutil.ignore_patterns("__pycache__"))
        (Path(folder) / "tests" / "__init__.py").touch()
        (Path(folder) / "consent" / f"{mutant.file}.py").write_text(mutant.source, "utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "tests/consent",
        ]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            run = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return run.returncode == 0


def main() -> int:
    """Break everything, one thing at a time."""
    parser = argparse.ArgumentParser(description="Which breakages of the rules does no test notice?")
    parser.add_argument("files", nargs="*", default=list(RULES), help="modules of consent/; absent: those with rules")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    whole = Mutant(RULES[0], 0, "nothing", (ROOT / "consent" / f"{RULES[0]}.py").read_text("utf-8"))
    if not survives(whole):
        print("the tests fail before anything is broken: mend that first")
        return 2
    found = [m for name in chosen.files for m in mutants(ROOT / "consent" / f"{name}.py")]
    survivors = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for mutant, lives in zip(found, pool.map(survives, found), strict=True):
            if lives:
                survivors.append(mutant)
                print(f"SURVIVES  consent/{mutant.file}.py:{mutant.line}  {mutant.what}", flush=True)
    print(f"{len(found)} breakages, {len(survivors)} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
