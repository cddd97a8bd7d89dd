"""Nodes at the other end, and our transport to them, ended with each test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peer_nodes import OURS, THEIRS, Behaviour, Desk, Node

from adapters.peers.transport import PeerTransport, TransportLimits
from adapters.trust.certificates import Credential
from registry.directory import Peer


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("federation"))


@pytest.fixture
def node(desk: Desk) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def start(behaviour: Behaviour, credential: Credential | None = None) -> Node:
        nodes.append(Node(desk, behaviour, credential or desk.credential(THEIRS)))
        return nodes[-1]

    yield start
    for one in nodes:
        one.end()


@pytest.fixture
def transport(desk: Desk, tmp_path: Path) -> Iterator[PeerTransport]:
    certificate, key = desk.write("ours", desk.credential(OURS))
    made = PeerTransport(certificate, key, desk.ca, limits=TransportLimits(stall_seconds=0.4))
    yield made
    made.close()


@pytest.fixture
def ask(transport: PeerTransport) -> Callable[..., object]:
    def ask(peer: Peer, *, seconds: float = 5.0, max_bytes: int = 100_000, path: str = "/fhir/x"):
        deadline = time.monotonic() + seconds
        return transport.request(peer, "POST", path, {"x": "y"}, b"q", deadline=deadline, max_bytes=max_bytes)

    return ask
