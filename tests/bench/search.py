"""b: search by patient among 100,000 documents, with token, consent and a record of each answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import loading, messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, Load, run
from tests.bench.rows import Row
from tests.bench.thin_peer import running

ROWS = "b1 b2 b3"
FHIRSTARTER, MEDPLUM = 207.0, 3864.0
"""Published beside the goals, measured on a machine like this one; neither peer is installed by this bench."""


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    seconds, patients = (2.0, 1_000) if quick else (5.0, 10_000)
    with hospitals("bac-ninh") as (hospital,):
        loading.fill(hospital.settings, patients=patients, documents_each=10)
        ceiling = _nothing(hospital, clients=16, seconds=seconds)
        alone = _nothing(hospital, clients=1, seconds=seconds)
        before = hospital.cpu()
        mine = _search(hospital, patients, clients=16, seconds=seconds)
        cpu = (hospital.cpu() - before) / mine.answers * seconds / (seconds + 0.5)
        single = _search(hospital, patients, clients=1, seconds=seconds)
    facts = {"documents": patients * 10, "p99_ms": round(mine.p99), "cpu_ms": round(cpu * 1e3, 1),
             "failures": mine.failures}  # fmt: skip
    if "b1" in wanted:
        what, limit = "search by patient, 16 clients", ceiling.per_second
        yield Row("b1", what, mine.per_second, "/s", "the same server, an answer made before", limit, 0.2, 0.5,
                  facts=facts)  # fmt: skip
    if "b2" in wanted:
        yield Row("b2", "search by patient", mine.per_second, "/s", "fhirstarter (anchor, not of this run)",
                  FHIRSTARTER, 5.0, 20.0, facts={"medplum_ratio": round(mine.per_second / MEDPLUM, 2)})  # fmt: skip
    if "b3" in wanted:
        facts = {"p99_over_p50": round(single.p99 / single.p50, 1), "value": "ms"}
        yield Row("b3", "search by patient, one client, p50", single.p50, "ms", "the same server, nothing to do",
                  alone.p50, 2.5, 1.0, "less", ratio=single.p50, facts=facts)  # fmt: skip


def _search(hospital: Hospital, patients: int, *, clients: int, seconds: float) -> Load:
    system = hospital.entry["patient_id_system"]
    path = f"/fhir/DocumentReference?patient.identifier={system}|BN{messages.PATIENT}&status=current&_count=5"
    numbers = {messages.PATIENT: (0, patients - 1, 9)}
    return run(Job(hospital.url, hospital.asking("GET", path), clients, seconds, 0.5, hospital.ca_file, (), numbers))


def _nothing(hospital: Hospital, *, clients: int, seconds: float) -> Load:
    asking = hospital.asking("GET", "/fhir/bundle")
    with tempfile.TemporaryDirectory() as folder, running("nothing", Path(folder), str(hospital.settings.tls)) as url:
        return run(Job(url, asking, clients, seconds, 0.5, hospital.ca_file))
