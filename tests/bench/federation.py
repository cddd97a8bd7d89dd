"""c: one question to many hospitals, each with a signed token of its own, answered in one page."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

from adapters.trust.directory import write_by_hand
from hie_node.lab import nodes
from registry.directory import Peer
from registry.identifiers import NATIONAL_ID
from tests.bench.fan_out import limit
from tests.bench.hospital import Hospital, System, hospitals
from tests.bench.load import Job, run
from tests.bench.rows import Row
from tests.bench.stub_peers import DELAY, Stubs, ports_of, stub_peers

ROWS = "c1 c2 c3"
PATH = "/network/fhir/DocumentReference/_search"
QUESTION = {
    "patient.identifier": f"{NATIONAL_ID}|001161000123",
    "patient.name": "Trần Thị Thử Nghiệm",
    "patient.birthdate": "1961-04-05",
    "patient.gender": "female",
    "status": "current",
}
FORM = urlencode(QUESTION).encode()


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    sizes = (3, 34) if quick else (2, 3, 10, 20, 34, 100)
    seconds = 2.0 if quick else 4.0
    with tempfile.TemporaryDirectory() as folder, hospitals("bach-mai") as (hospital,):
        federation = Path(hospital.ca_file).parent
        _ask_up_to(hospital, max(sizes))
        with stub_peers(Path(folder), federation, max(sizes)) as stubs:
            if "c1" in wanted:
                for size in sizes:
                    yield _warm(hospital, stubs.peers[:size], seconds)
            if "c2" in wanted:
                yield _first(hospital, stubs.peers)
            if "c3" in wanted:
                yield _troubled(hospital, stubs)


def _ask_up_to(hospital: Hospital, peers: int) -> None:
    """Everybody is asked, however many: the choice of whom to ask is not what is measured."""
    nodes.stop(hospital.settings)
    file = Path(hospital.entry["home"]) / "node.toml"
    file.write_text(f"{file.read_text()}\n[limits]\nask_everyone_up_to = {peers}\n")
    nodes.start(hospital.settings)


def _know(hospital: Hospital, peers: Sequence[Peer]) -> None:
    write_by_hand(hospital.settings.network, peers)
    time.sleep(0.2)


def _warm(hospital: Hospital, peers: Sequence[Peer], seconds: float) -> Row:
    _know(hospital, peers)
    least = limit(hospital.settings.tls, ports_of(peers), FORM).warm
    asking = hospital.asking("POST", PATH, FORM, "application/x-www-form-urlencoded")
    mine = run(Job(hospital.url, asking, 1, seconds, 1.0, hospital.ca_file))
    delay = DELAY * 1e3
    figure, floor = mine.p50 - delay, max(least - delay, 0.5)
    facts = {"p50_ms": round(mine.p50, 1), "p99_ms": round(mine.p99, 1), "failures": mine.failures}
    what = f"a question to {len(peers)} hospitals, beyond the slowest of them"
    return Row("c1", what, figure, "ms", "warm urllib3 pools", floor, 3.0, 1.3, "less", facts=facts)


def _first(hospital: Hospital, peers: Sequence[Peer]) -> Row:
    """After a start; the token is there already, since every system has one before it asks."""
    _know(hospital, peers)
    system = hospital.system()
    system.headers()
    nodes.stop(hospital.settings)
    nodes.start(hospital.settings)
    time.sleep(1.0)
    took, answered = _ask(system)
    floor = limit(hospital.settings.tls, ports_of(peers), FORM).first
    facts = {"answered": answered, "peers": len(peers)}
    delay = DELAY * 1e3
    what = f"the first question after a start, {len(peers)} hospitals, beyond the slowest"
    return Row("c2", what, took - delay, "ms", "urllib3 with all handshakes", floor - delay, 1.5, 0.1, "less",
               facts=facts)  # fmt: skip


def _troubled(hospital: Hospital, stubs: Stubs) -> Row:
    """One hospital is dead, one takes ten seconds: the others' answer leaves at the deadline, both are named."""
    _know(hospital, (*stubs.peers[:3], stubs.slow, stubs.dead))
    took, answered = _ask(hospital.system())
    budget = hospital.settings.limits.answer_budget
    facts = {"answered": answered, "of": 6, "value": "s"}
    what = "one hospital dead, one slow, deadline 2 s"
    return Row("c3", what, took / 1e3, "s", "the deadline", budget, 2.05, 2.05, "less", ratio=took / 1e3, facts=facts)


def _ask(system: System) -> tuple[float, int]:
    """Milliseconds, and how many communities answered."""

    started = time.perf_counter()
    bundle = system.search("/network/fhir/DocumentReference", QUESTION)
    took = (time.perf_counter() - started) * 1e3
    outcomes = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "OperationOutcome"]
    codes = [coding["code"] for o in outcomes for issue in o["issue"] for coding in issue["details"].get("coding", [])]
    return took, sum(code == "answered" for code in codes)
