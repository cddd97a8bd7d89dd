"""o: the card at the moment of ordering, among 100,000 patients, from what the node knows."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.bench import loading, messages
from tests.bench.hospital import Hospital, hospitals
from tests.bench.load import Job, Load, run
from tests.bench.rows import Row

ROWS = "o1"
PATIENTS, QUICK = 100_000, 1_000
GLANCE = 1000.0
"""Milliseconds that a doctor who is writing an order waits without noticing much."""


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    seconds, patients = (2.0, QUICK) if quick else (5.0, PATIENTS)
    with hospitals("bac-ninh") as (hospital,):
        loading.fill(hospital.settings, patients=patients, documents_each=1)
        before = hospital.cpu()
        cards = _cards(hospital, patients, seconds=seconds)
        cpu = (hospital.cpu() - before) / max(cards.answers, 1) * seconds / (seconds + 0.5)
    facts = {"patients": patients, "p99_ms": round(cards.p99), "cpu_ms": round(cpu * 1e3, 1),
             "failures": cards.failures, "value": "ms / 1 s"}  # fmt: skip
    yield Row("o1", "order-sign with one CT, one client, p50", cards.p50, "ms", "one second", GLANCE, 0.8, 0.1,
              "less", facts=facts)  # fmt: skip


def _cards(hospital: Hospital, patients: int, *, seconds: float) -> Load:
    order = {"resourceType": "ServiceRequest", "id": "o1", "code": {"text": "CT sọ não"}}
    context = {
        "userId": "Practitioner/bs.minh",
        "patientId": f"BN{messages.PATIENT}",
        "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]},
    }
    call = {"hook": "order-sign", "hookInstance": "0b5d1d2a-4f0e-4a36-9b1c-2f6a5f8f7c11", "context": context}
    body = json.dumps(call, ensure_ascii=False).encode()
    asking = hospital.asking("POST", "/cds-services/order-sign", body, "application/json")
    numbers = {messages.PATIENT: (0, patients - 1, 9)}
    return run(Job(hospital.url, asking, 1, seconds, 0.5, hospital.ca_file, (), numbers))
