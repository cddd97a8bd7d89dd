"""h: the page of a patient's newest twenty documents, as patient and hospital grow."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import loading, messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, run
from tests.bench.rows import Row

ROWS = "h1"
HEAVY = 900_000_000


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    small, large, heavy = (100, 1_000, 1_000) if quick else (1_000, 10_000, 10_000)
    seconds = 1.5 if quick else 3.0
    with hospitals("bac-ninh") as (hospital,):
        settings = hospital.settings
        loading.fill(settings, patients=small, documents_each=10)
        few = _page(hospital, (0, small - 1), seconds)
        loading.fill(settings, patients=large - small, documents_each=10, first=small)
        many = _page(hospital, (0, large - 1), seconds)
        loading.fill(settings, patients=1, documents_each=heavy, first=HEAVY)
        thick = _page(hospital, (HEAVY, HEAVY), seconds)
    what = f"newest 20 of a patient with 10, {small * 10:,} -> {large * 10:,} documents"
    yield Row("h1", what, many, "ms", "itself, a tenth of the documents", few, 2.0, 1.4, "less")
    what = f"newest 20 of a patient with 10 -> {heavy:,} documents"
    yield Row("h1", what, thick, "ms", "itself, a patient with 10", many, 2.0, 1.4, "less",
              facts={"note": "the larger page shows 20, the smaller 10"})  # fmt: skip


def _page(hospital: Hospital, patients: tuple[int, int], seconds: float) -> float:
    """Milliseconds, median, one client."""
    system = hospital.entry["patient_id_system"]
    path = f"/fhir/DocumentReference?patient.identifier={system}|BN{messages.PATIENT}&status=current&_count=20"
    numbers = {messages.PATIENT: (*patients, 9)}
    return run(Job(hospital.url, hospital.asking("GET", path), 1, seconds, 0.5, hospital.ca_file, (), numbers)).p50
