"""What is done at the command line of a node that stands still does not wait unsealed until it runs again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hie_node import running as watched
from hie_node.flows.audit import verify
from tests.house.test_mpi_commands import LAN, NUMBER, Node


def unsealed(node: Node) -> int:
    return verify(node.house).unsealed


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path / "node")
    made.registers("1", LAN, NUMBER)
    return made


def test_a_command_seals_what_it_recorded(node: Node) -> None:
    assert unsealed(node) == 1
    node.says("patients", "show", "--number", "1")
    found = verify(node.house)
    assert found.unsealed == 0 and found.rows == 2 and found.seals >= 1 and not found.findings


def test_so_does_a_command_that_ends_with_an_error(node: Node) -> None:
    with pytest.raises(Exception, match="not known"):
        node.says("patients", "show", "--number", "nobody")
    assert unsealed(node) == 0


def test_beside_a_serving_node_that_is_left_to_it(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    (node.house.settings.run).mkdir(parents=True, exist_ok=True)
    (node.house.settings.run / "pid").write_text(str(os.getpid()), "ascii")
    assert watched.running(node.house.settings) is None, "this is no node"
    monkeypatch.setattr(watched, "running", lambda settings: os.getpid())
    node.says("patients", "show", "--number", "1")
    assert unsealed(node) == 2
