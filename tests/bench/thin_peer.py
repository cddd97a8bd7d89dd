"""What the node is held against, both behind the same load generator.

create    the least that could be called a repository: Flask and SQLite (FULL), one row and one audit row a document;
          no tokens, no consent, no content files, plain HTTP; gunicorn with two processes of eight threads
nothing   the node's own edge and workers, TLS included, in front of an application that answers with fixed bytes
"""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from hie_node.edge import Listener, ServerTls, run_edge
from hie_node.supervisor import Child, Supervisor
from hie_node.workers import WorkerLimits, listen, run_worker

SEARCHSET = 5 * 1024


@contextmanager
def running(kind: str, folder: Path, *more: str) -> Iterator[str]:
    """One of the two, on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.thin_peer", kind, str(folder), str(port), *more])
    try:
        _wait_for(port)
        yield f"{'https' if kind == 'nothing' else 'http'}://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the peer did not start")


# ---- the thin repository ----


def thin(folder: Path) -> Flask:
    """Create and search of DocumentReferences, as thin as it gets."""
    app, mine = Flask("thin"), threading.local()

    def database() -> sqlite3.Connection:
        if not hasattr(mine, "db"):
            mine.db = _open(folder / "thin.db")
        return mine.db  # type: ignore[no-any-return]

    @app.post("/fhir/DocumentReference")
    def create() -> tuple[Response, int]:
        resource = json.loads(request.get_data())
        body, db = json.dumps(resource), database()
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        digest = hashlib.sha256((row[0] if row else "").encode() + body.encode()).hexdigest()
        patient = resource["subject"]["identifier"]["value"]
        made = db.execute("INSERT INTO document (patient, body) VALUES (?, ?)", (patient, body)).lastrowid
        db.execute("INSERT INTO audit (hash, what) VALUES (?, ?)", (digest, f"created {made}"))
        db.execute("COMMIT")
        return Response(body, content_type="application/fhir+json"), 201

    return app


def _open(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, timeout=15)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE IF NOT EXISTS document (id INTEGER PRIMARY KEY, patient TEXT, body TEXT)",
        "CREATE INDEX IF NOT EXISTS by_patient ON document (patient, id)",
        "CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY, hash TEXT, what TEXT)",
    ):
        db.execute(statement)
    return db


def _serve_thin(folder: Path, port: int) -> None:
    from gunicorn.app.base import BaseApplication

    class Peer(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in {
                "bind": f"127.0.0.1:{port}",
                "workers": 2,
                "threads": 8,
                "worker_class": "gthread",
                "keepalive": 60,
                "loglevel": "error",
                "control_socket_disable": True,
            }.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return thin(folder)

    _open(folder / "thin.db").close()
    Peer().run()


# ---- nothing ----


def nothing() -> Callable[..., Any]:
    """A Flask application whose only view answers with a searchset of 5 KB that was made before."""
    app, body = Flask("nothing"), b"x" * SEARCHSET

    @app.route("/<path:any>", methods=["GET", "POST"])
    def view(any: str) -> Response:
        request.get_data()
        return Response(body, content_type="application/fhir+json")

    return app


def _serve_nothing(folder: Path, port: int, tls: Path) -> None:
    limits = WorkerLimits(processes=1, threads=32)
    at = folder / "workers" / "sock"
    edge = partial(
        run_edge,
        [Listener("house", "127.0.0.1", port, ServerTls(tls / "house.crt", tls / "house.key", None))],
        worker_socket=at,
        worker_slots=limits.slots,
        spool_folder=folder / "spool",
    )
    workers = partial(run_worker, nothing, listening=listen(at), limits=limits)
    sys.exit(Supervisor([Child("workers", workers), Child("edge", edge, front=True)]).run())


if __name__ == "__main__":
    kind, folder, port, *more = sys.argv[1:]
    if kind == "create":
        _serve_thin(Path(folder), int(port))
    else:
        _serve_nothing(Path(folder), int(port), Path(more[0]))
