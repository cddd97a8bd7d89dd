"""A node that would endanger patients does not start, and a command that fails says in one line what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.trust.errors import KeyUnusable
from hie_node.bootstrap import build, check_tls
from hie_node.init import NewNode, create, derived_community
from hie_node.lab import nodes
from hie_node.serve import serve
from hie_node.setting_tables import UnsafeSettings
from hie_node.settings import Settings, load
from registry.identifiers import FacilityCode


@pytest.fixture
def node(tmp_path: Path) -> Settings:
    community = derived_community("01001")
    made = NewNode("Bệnh viện X", FacilityCode("01001"), community, f"{community}.1", lab=True)
    return create(tmp_path / "node", made)


def changed(node: Settings, old: str, new: str) -> Path:
    file = node.home / "node.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return node.home


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lab = true", 'lab = "false"', "lab: expected true or false"),
        ("workers = 1", "workers = 0", "out of range"),
        ("workers = 1", 'workers = "2"', "a whole number"),
        ("workers = 1", "workers = true", "a whole number"),
        ("port = 8443", "port = 70000", "out of range"),
        ("[ops]", "[ops]\nfoo = 1", "host, port, url"),
        ("[ops]", '[limits]\nanswer_budget = "2"\n[ops]', "answer_budget: expected a number"),
        ("[ops]", "[limits]\nanswer_budget = -2\n[ops]", "out of range"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused_and_named(node: Settings, old: str, new: str, said: str) -> None:
    """`lab = "false"` is a text, and texts count as yes."""
    with pytest.raises(UnsafeSettings, match=said):
        load(changed(node, old, new))


@pytest.mark.parametrize("name", ["node.crt", "house.crt", "federation-ca.crt", "node.key", "house.key"])
def test_a_missing_certificate_or_key_is_named(node: Settings, name: str) -> None:
    (node.tls / name).unlink()
    with pytest.raises((UnsafeSettings, KeyUnusable), match=name):
        build(node)


def test_a_certificates_key_that_others_can_read_is_refused(node: Settings) -> None:
    """Outside the lab."""
    (node.tls / "house.key").chmod(0o644)
    with pytest.raises(KeyUnusable, match="0600"):
        check_tls(replace(node, lab=False))


def test_a_taken_port_is_told_once_with_its_number(node: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        home = changed(node, "port = 8443", f"port = {port}")
        with pytest.raises(UnsafeSettings, match=rf"\[house\].*{port}"):
            serve(load(home))


@pytest.mark.parametrize("slugs", [["../evil"], ["a/b"], [""], []])
def test_a_lab_makes_nothing_outside_its_folder(tmp_path: Path, slugs: list[str]) -> None:
    with pytest.raises(nodes.LabFailed):
        nodes.up(tmp_path / "lab", slugs)
    assert not (tmp_path / "lab").exists()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command"),
        (["find"], "say who"),
        (["find", "--number", "1", "--purpose", "FOO"], "TREAT"),
        (["find", "--number", "1", "--limit", "0"], "--limit"),
        (["mpi", "merge", "a", "b"], "--as"),
        (["peers", "add", "node.toml"], "node.toml: not a JSON file"),
        (["peers", "suspend", "55555"], "55555"),
        (["lab", "down", "--home", "nowhere"], "hie lab up"),
        (["--home", "nowhere", "check"], "hie init"),
    ],
)
def test_a_command_that_fails_says_so_in_one_line(node: Settings, words: list[str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "hie_node", *words],
        cwd=node.home,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith("hie: ") and ended.stderr.count("\n") == 1
    assert said in ended.stderr
