"""A node as the processes that a hospital runs, and what its own systems show at its door."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from adapters.trust import certificates
from adapters.trust.scopes import granted
from adapters.trust.smart import issue_access_token
from consent.requesters import Requester, Role
from hie_node.bootstrap import build
from hie_node.house import House
from hie_node.init import NewNode, create, derived_community
from hie_node.lab.nodes import is_ready
from hie_node.settings import Settings
from registry.identifiers import FacilityCode
from tests.house.front import free_ports
from tests.lab import ALL, FACILITIES, until


@dataclass
class Node:
    """A node as real processes: edge, workers and jobs."""

    settings: Settings
    log: Path
    process: subprocess.Popen[bytes] | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    def starts(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hie_node", "--home", str(self.settings.home), "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        assert until(lambda: is_ready(self.settings), seconds=60), self.log.read_text()[-2000:]

    def is_killed(self) -> None:
        """All of its processes at once, without a last word."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def house(self) -> House:
        return build(self.settings)


@contextmanager
def made_node(folder: Path, database_url: str, authority: certificates.Credential) -> Iterator[Node]:
    """A node of Bắc Ninh that is not started yet; it is ended with the context."""
    community = derived_community(FACILITIES["bac-ninh"])
    house, peer, ops, mllp, dicom = free_ports(5)
    new = NewNode(
        name="Bệnh viện Bắc Ninh",
        facility_code=FacilityCode(FACILITIES["bac-ninh"]),
        home_community_id=community,
        patient_id_system=f"{community}.1",
        public_host="127.0.0.1",
        house_port=house,
        peer_port=peer,
        ops_port=ops,
        mllp_port=mllp,
        dicom_port=dicom,
        database_url=database_url,
        lab=True,
    )
    node = Node(create(folder / "bac-ninh", new, authority=authority), folder / "node.log")
    try:
        yield node
    finally:
        if node.process is not None and node.process.poll() is None:
            node.is_killed()


def bearer_of_a_system(house: House) -> str:
    """The value of Authorization that the hospital's own information system carries."""
    who = Requester("his", Role.SYSTEM, house.home, client_id="his")
    base, now = house.settings.house.url, datetime.now(UTC)
    return f"Bearer {issue_access_token(house.keys, who, scope=ALL, allowed=granted(ALL), base=base, now=now).token}"
