"""h: the page of a patient's newest twenty documents, as patient and hospital grow; h2 up to a million of documents."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import loading, messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, run
from tests.bench.rows import Row

ROWS = "h1 h2"
HEAVY = 900_000_000
EACH = 50
"""Documents of each patient in h2."""


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    if "h1" in wanted:
        yield from _usual(quick=quick)
    if "h2" in wanted:
        yield from _large(*((200, 2_000) if quick else (2_000, 20_000)), seconds=1.5 if quick else 4.0)


def _usual(*, quick: bool) -> Iterator[Row]:
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


def _large(small: int, large: int, *, seconds: float) -> Iterator[Row]:
    """One patient among a million documents: filling takes minutes, so nothing else is measured with it."""
    with hospitals("bac-ninh") as (hospital,):
        loading.fill(hospital.settings, patients=small, documents_each=EACH)
        before = (_page(hospital, (0, small - 1), seconds), _many(hospital, small, seconds))
        loading.fill(hospital.settings, patients=large - small, documents_each=EACH, first=small)
        after = (_page(hospital, (0, large - 1), seconds), _many(hospital, large, seconds))
    grown = f"{small * EACH:,} -> {large * EACH:,} documents"
    what = f"newest 20 of a patient with {EACH}, {grown}, one client, p50"
    yield Row("h2", what, after[0], "ms", "itself, a tenth of the documents", before[0], 2.0, 1.4, "less")
    what = f"search by patient, {grown}, 16 clients"
    yield Row("h2", what, after[1], "/s", "itself, a tenth of the documents", before[1], 0.5, 0.7)


def _many(hospital: Hospital, patients: int, seconds: float) -> float:
    """Answers a second to sixteen clients, each time another patient."""
    return run(_job(hospital, (0, patients - 1), seconds, clients=16)).per_second


def _page(hospital: Hospital, patients: tuple[int, int], seconds: float) -> float:
    """Milliseconds, median, one client."""
    return run(_job(hospital, patients, seconds, clients=1)).p50


def _job(hospital: Hospital, patients: tuple[int, int], seconds: float, *, clients: int) -> Job:
    system = hospital.entry["patient_id_system"]
    path = f"/fhir/DocumentReference?patient.identifier={system}|BN{messages.PATIENT}&status=current&_count=20"
    numbers = {messages.PATIENT: (*patients, 9)}
    return Job(hospital.url, hospital.asking("GET", path), clients, seconds, 0.5, hospital.ca_file, (), numbers)
