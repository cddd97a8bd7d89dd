"""Changes of the network at the command line: each is a row of the sealed record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.store.unit import UnitOfWork
from adapters.trust.directory import entry_of
from hie_node import peer_list
from hie_node.commands.output import home_option
from hie_node.init import own_entry
from registry.directory import PeerState
from registry.errors import StorageUnavailable
from tests.house.test_mpi_commands import Node as CommandLine
from tests.lab import Lab


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    before = home_option.set(None)
    made = CommandLine(tmp_path / "node")
    yield made
    made.house.storage.close()
    home_option.reset(before)


def test_who_changed_the_network_is_on_record(line: CommandLine, lab: Lab, tmp_path: Path) -> None:
    other = lab.hospital("bach-mai").house
    entry = tmp_path / "entry.json"
    entry.write_text(json.dumps(entry_of(own_entry(other.settings, other.keys))), "utf-8")
    facility = str(other.settings.facility_code)
    before = line.house.keys.kid
    line.says("peers", "export")
    line.says("peers", "add", str(entry))
    for change in ("suspend", "resume", "expel"):
        line.says("peers", change, facility)
    with pytest.raises(ValueError, match="hie peers add"):
        line.says("peers", "resume", facility)
    assert line.says("peers", "rotate-key")["kid"] != before
    with line.house.storage.read() as unit:
        rows = unit.disclosures.search(limit=20)[::-1]
    assert [(next(iter(row.reasons)), row.items[0]) for row in rows if row.direction == "changed"] == [
        ("entry-given", "27001"),
        ("peer-admitted", facility),
        ("peer-suspended", facility),
        ("peer-active", facility),
        ("peer-expelled", facility),
        ("key-rotated", line.house.keys.kid),
    ]
    assert {row.transaction for row in rows} == {"hie peers"}
    peer = line.house.directory.current().peer(other.home)
    assert peer is not None and peer.state is PeerState.EXPELLED


def test_who_got_no_turn_takes_back_nobody_elses_change(
    line: CommandLine, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lab.hospital("bach-mai").house
    entry = tmp_path / "entry.json"
    entry.write_text(json.dumps(entry_of(own_entry(other.settings, other.keys))), "utf-8")
    facility = str(other.settings.facility_code)
    line.says("peers", "add", str(entry))

    def somebody_else_is_quicker(_unit: UnitOfWork, _about: str) -> None:
        peer_list.change(line.house.settings, facility, lambda one: replace(one, state=PeerState.EXPELLED))
        raise StorageUnavailable("database", "another had the turn for too long")

    monkeypatch.setattr(UnitOfWork, "takes_turns", somebody_else_is_quicker)
    with pytest.raises(StorageUnavailable):
        line.says("peers", "suspend", facility)
    peer = line.house.directory.current().peer(other.home)
    assert peer is not None and peer.state is PeerState.EXPELLED
