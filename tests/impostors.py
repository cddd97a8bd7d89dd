"""Nodes that behave badly at the other end of a real TLS connection, listed in the directory like any hospital."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from adapters.trust import certificates
from adapters.trust.certificates import Credential
from adapters.trust.files import write_whole
from adapters.trust.keys import make_signing_key
from hie_node.init import derived_community
from registry.answers import Community
from registry.directory import Peer
from registry.identifiers import FacilityCode, HomeCommunityId
from tests.adapters.peers.peer_nodes import Behaviour, Node, answer
from tests.lab import Lab


class Impostors:
    """Makes them, and ends them with the test."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab, self.folder = lab, folder
        self.ca = folder / "authority.crt"
        write_whole(self.ca, lab.authority.certificate)
        self._nodes: list[Node] = []
        self._over = Event()

    def write(self, name: str, credential: Credential) -> tuple[Path, Path]:
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        for path, content in zip(files, (credential.certificate, credential.key), strict=True):
            write_whole(path, content)
        return files

    def answers(self, facility: str, body: Callable[[], bytes]) -> Peer:
        """A hospital that answers every question with these bytes."""
        return self.behaves(facility, lambda tls, _: tls.sendall(answer(body(), extra=_FHIR)))

    def behaves(self, facility: str, behaviour: Behaviour, *, as_home: HomeCommunityId | None = None) -> Peer:
        """`as_home` is whom its certificate names, where that is not itself."""
        home = derived_community(facility)
        node = Node(self, behaviour, self._credential(as_home or home))  # type: ignore[arg-type]
        self._nodes.append(node)
        return self.listed(facility, node.port)

    def holds_still(self, seconds: float) -> bool:
        """For a behaviour that is slow: true when the test is over."""
        return self._over.wait(seconds)

    def listed(self, facility: str, port: int) -> Peer:
        community = Community(derived_community(facility), FacilityCode(facility), f"Bệnh viện {facility}")
        peer = Peer(community, f"https://127.0.0.1:{port}", (make_signing_key().public,))
        self._lab.lists(peer)
        return peer

    def _credential(self, home: HomeCommunityId) -> Credential:
        hosts = ["127.0.0.1"]
        return certificates.issue(self._lab.authority, home, organization="x", hosts=hosts, now=datetime.now(UTC))

    def end(self) -> None:
        self._over.set()
        for node in self._nodes:
            node.end()


_FHIR = "Content-Type: application/fhir+json\r\n"


def searchset(*resources: Any, **more: Any) -> dict[str, Any]:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries} | more


@pytest.fixture
def impostors(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Impostors]:
    made = Impostors(lab, tmp_path_factory.mktemp("impostors"))
    yield made
    made.end()
