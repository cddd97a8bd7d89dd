"""The limit of a question to many: urllib3 over mutual TLS, a thread and a warm connection for each, and nothing else.

No tokens, nothing read of the answers, nothing recorded. A process of its own; prints times in milliseconds.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import urllib3

ROUNDS = 25


@dataclass(frozen=True, slots=True)
class Limit:
    """Milliseconds of the first round, with all handshakes, and of a later one."""

    first: float
    warm: float


def limit(tls: Path, ports: Sequence[int], body: bytes) -> Limit:
    """Measured with the certificate of the node in `tls`."""
    asked = json.dumps({"tls": str(tls), "ports": list(ports), "body": body.decode()})
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.fan_out"], input=asked, capture_output=True, text=True, check=True
    )
    return Limit(**json.loads(run.stdout))


def _main() -> None:
    asked = json.loads(sys.stdin.read())
    tls = Path(asked["tls"])
    context = ssl.create_default_context(cafile=str(tls / "federation-ca.crt"))
    context.load_cert_chain(tls / "node.crt", tls / "node.key")
    pools = [urllib3.HTTPSConnectionPool("127.0.0.1", port, ssl_context=context) for port in asked["ports"]]
    headers = {"content-type": "application/x-www-form-urlencoded"}

    def ask(pool: urllib3.HTTPSConnectionPool) -> int:
        answer = pool.request("POST", "/fhir/DocumentReference/_search", body=asked["body"], headers=headers)
        return len(answer.data)

    times = []
    with ThreadPoolExecutor(len(pools)) as executor:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            list(executor.map(ask, pools))
            times.append((time.perf_counter() - started) * 1e3)
    print(json.dumps({"first": times[0], "warm": median(times[5:])}))


if __name__ == "__main__":
    _main()
