"""o: the card at the moment of ordering, among 100,000 patients, from what the node knows."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.bench import loading, messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, Load, run
from tests.bench.rows import Row

ROWS = "o1 o2"
PATIENTS, QUICK = 100_000, 1_000
HOOKS = {"o1": "order-sign", "o2": "order-select"}


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    seconds, patients = (2.0, QUICK) if quick else (5.0, PATIENTS)
    with hospitals("bac-ninh") as (hospital,):
        loading.fill(hospital.settings, patients=patients, documents_each=1)
        search = _search(hospital, patients, seconds=seconds)
        for key in sorted(wanted):
            yield _row(hospital, key, search, patients, seconds)


def _row(hospital: Hospital, key: str, search: Load, patients: int, seconds: float) -> Row:
    """A doctor who writes an order waits a second without noticing much; the card also looks for two kinds of record
    and writes down what was told."""
    before = hospital.cpu()
    cards = _cards(hospital, HOOKS[key], patients, seconds=seconds)
    cpu = (hospital.cpu() - before) / max(cards.answers, 1) * seconds / (seconds + 0.5)
    facts = {"patients": patients, "p99_ms": round(cards.p99), "cpu_ms": round(cpu * 1e3, 1),
             "failures": cards.failures, "of_a_second": round(cards.p50 / 1e3, 3)}  # fmt: skip
    what = f"{HOOKS[key]} with one CT, one client, p50"
    return Row(key, what, cards.p50, "ms", "the same patient's documents over FHIR", search.p50, 6.0, 2.5, "less",
               facts=facts)  # fmt: skip


def body(hook: str, patient: str) -> bytes:
    """A call about a CT of the head for a patient of this number."""
    order = {"resourceType": "ServiceRequest", "id": "o1", "code": {"text": "CT sọ não"}}
    context = {
        "userId": "Practitioner/bs.minh",
        "patientId": patient,
        "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]},
    }
    if hook == "order-select":
        context["selections"] = ["ServiceRequest/o1"]
    call = {"hook": hook, "hookInstance": "0b5d1d2a-4f0e-4a36-9b1c-2f6a5f8f7c11", "context": context}
    return json.dumps(call, ensure_ascii=False).encode()


def _cards(hospital: Hospital, hook: str, patients: int, *, seconds: float) -> Load:
    call = body(hook, messages.number(0))
    given = hospital.system().post_bytes(f"/cds-services/{hook}", call, "application/json").json()
    if not given.get("cards"):
        raise RuntimeError("a patient with a CT of the head gets no card")
    call = body(hook, f"BN{messages.PATIENT}")
    asking = hospital.asking("POST", f"/cds-services/{hook}", call, "application/json")
    return _run(hospital, asking, patients, seconds)


def _search(hospital: Hospital, patients: int, *, seconds: float) -> Load:
    system = hospital.entry["patient_id_system"]
    path = f"/fhir/DocumentReference?patient.identifier={system}|BN{messages.PATIENT}&status=current"
    return _run(hospital, hospital.asking("GET", path), patients, seconds)


def _run(hospital: Hospital, asking: str, patients: int, seconds: float) -> Load:
    numbers = {messages.PATIENT: (0, patients - 1, 9)}
    return run(Job(hospital.url, asking, 1, seconds, 0.5, hospital.ca_file, (), numbers))
