"""The node under test: a real one, as the lab starts it, on loopback with real certificates."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from hie_node.lab import nodes
from hie_node.lab.his import HospitalSystem
from hie_node.settings import Settings, load
from tests.bench.load import request


class System(HospitalSystem):
    """The hospital's own system, with the few verbs more that a bench needs."""

    def put(self, path: str, resource: dict[str, Any]) -> requests.Response:
        headers = self._headers({"Content-Type": "application/fhir+json"})
        return self._session.put(self.url + path, data=json.dumps(resource), headers=headers, timeout=60)

    def post_bytes(self, path: str, body: Any, content_type: str = "application/fhir+json") -> requests.Response:
        headers = self._headers({"Content-Type": content_type})
        return self._session.post(self.url + path, data=body, headers=headers, timeout=300)

    def streams(self, path: str, body: bytes, content_type: str) -> requests.Response:
        """An answer that flows, to be used as a context manager."""
        headers = self._headers({"Content-Type": content_type})
        return self._session.post(self.url + path, data=body, headers=headers, stream=True, timeout=300)

    def headers(self) -> dict[str, str]:
        return self._headers()


@dataclass(frozen=True, slots=True)
class Hospital:
    """One node of the lab, and its own system."""

    entry: dict[str, Any]

    @property
    def settings(self) -> Settings:
        return load(Path(self.entry["home"]))

    @property
    def url(self) -> str:
        return str(self.entry["house_url"])

    @property
    def ca_file(self) -> str:
        return str(self.entry["ca_file"])

    def system(self) -> System:
        return System(self.entry)

    def asking(self, method: str, path: str, body: bytes = b"", content_type: str = "application/fhir+json") -> str:
        """A whole request with a token, as a template for the load generator."""
        headers = self.system().headers()
        return request(method, path, headers | ({"Content-Type": content_type} if body else {}), body)

    def memory(self) -> int:
        """Bytes of all processes of the node, what they share counted once (PSS)."""
        return sum(_pss(pid) for pid in _family(nodes._pid(self.settings) or 0))

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used."""
        ticks = sum(_ticks(pid) for pid in _family(nodes._pid(self.settings) or 0))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def hospitals(*slugs: str) -> Iterator[Sequence[Hospital]]:
    """These nodes, new and empty, until the block is left."""
    home = Path(tempfile.mkdtemp(prefix="hie-bench-"))
    try:
        lab = nodes.up(home, slugs)
        by_name = {entry["name"]: Hospital(entry) for entry in lab["hospitals"]}
        yield [by_name[slug] for slug in slugs]
    finally:
        nodes.down(home)
        shutil.rmtree(home, ignore_errors=True)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text("ascii").split():
            found += _family(int(child))
    return found


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text("ascii"), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
