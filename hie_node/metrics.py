"""Counts and durations for the operations listener; labels name parts of the node, never people."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

REQUESTS = Counter("hie_requests_total", "Answered requests", ["transaction", "door", "status"])
SECONDS = Histogram(
    "hie_request_seconds",
    "Time until an answer began",
    ["transaction", "door"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
OUTCOMES = Counter("hie_community_outcomes_total", "What became of each community in a question", ["facility", "kind"])
DROPPED = Counter("hie_dropped_files_total", "Files of the drop folder", ["outcome"])
SEALED = Gauge("hie_sealed_rows", "Rows of the record of disclosures under a seal", multiprocess_mode="mostrecent")


def observe(transaction: str, door: str, status: int, seconds: float) -> None:
    """One answered request."""
    REQUESTS.labels(transaction, door, str(status)).inc()
    SECONDS.labels(transaction, door).observe(seconds)


def exposition() -> bytes:
    """All processes of this node together, in the text form of Prometheus."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
