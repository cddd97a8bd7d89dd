"""Counts and durations for the operations listener; labels name parts of the node, never people."""

from __future__ import annotations

import os
import struct
import time
from contextlib import suppress

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
HL7 = Counter("hie_hl7_messages_total", "Answered HL7 v2 messages", ["event", "code"])
MLLP_CLOSED = Counter("hie_mllp_closed_total", "HL7 connections that this node ended", ["reason"])
MLLP_OPEN = Gauge("hie_mllp_connections", "HL7 connections that are open", multiprocess_mode="livesum")
ALARMS = Counter("hie_alarms_total", "What somebody has to look at", ["kind"])
DICOM_ENDED = Counter("hie_dicom_ended_total", "DICOM associations that did not end in order", ["reason"])
DICOM_OPEN = Gauge("hie_dicom_associations", "DICOM associations that are open", multiprocess_mode="livesum")
ARCHIVED = Counter("hie_archived_studies_total", "Studies seen in the hospital's own PACS", ["outcome"])
AHEAD = Counter("hie_ahead_bytes_total", "Bytes fetched ahead of referred patients, and shown from there", ["way"])
SEALED = Counter("hie_sealed_rows_total", "Rows of the record of disclosures brought under a seal")
LOOKS = 100
"""How often the counts are looked at, a hundredth of a second apart, until every process has made its file."""


def observe(transaction: str, door: str, status: int, seconds: float) -> None:
    """One answered request."""
    REQUESTS.labels(transaction, door, str(status)).inc()
    SECONDS.labels(transaction, door).observe(seconds)


def exposition() -> bytes:
    """All processes of this node together, in the text form of Prometheus."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    for _ in range(LOOKS):
        with suppress(struct.error):  # a process that has just started makes its file at this moment
            return _together()
        time.sleep(0.01)
    return _together()


def _together() -> bytes:
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
