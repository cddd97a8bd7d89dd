"""What this machine allows at this moment."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

SECONDS = 1.0


def fdatasync(folder: Path) -> float:
    """4 KiB written and made durable, times a second."""
    at = os.open(folder / "sync", os.O_RDWR | os.O_CREAT)
    block, count, end = os.urandom(4096), 0, time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            os.pwrite(at, block, (count % 1000) * 4096)
            os.fdatasync(at)
            count += 1
    finally:
        os.close(at)
    return count / SECONDS


def sqlite_documents(folder: Path, *, a_commit: int) -> float:
    """Rows of 1.5 KB a second, so many in each durable commit (WAL, synchronous FULL)."""
    db = sqlite3.connect(folder / f"rows{a_commit}.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE document (id INTEGER PRIMARY KEY, patient TEXT, body TEXT)",
        "CREATE INDEX by_patient ON document (patient)",
    ):
        db.execute(statement)
    body, count, end = "x" * 1500, 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(a_commit):
            db.execute("INSERT INTO document (patient, body) VALUES (?, ?)", (f"p{count % 997}", body))
            count += 1
        db.execute("COMMIT")
    db.close()
    return count / SECONDS
