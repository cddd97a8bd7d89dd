"""How a node starts: what it carries for as long as it runs, what its processes share, and what is seen of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from adapters.trust import certificates
from hie_node import metrics
from hie_node.__main__ import served
from tests.house.node import made_node

NOT_CARRIED = (
    ("typer", "rich"),
    ("psycopg", "sqlalchemy.dialects.postgresql", "alembic"),
    ("requests", "webauthn", "pydicom", "PIL", "fpdf"),
)
"""Of the command line, of another database and its changes, of work that is seldom done."""


@pytest.mark.parametrize("libraries", NOT_CARRIED)
def test_a_node_does_not_carry_what_it_may_never_need(libraries: tuple[str, ...], loaded: frozenset[str]) -> None:
    assert not loaded & set(libraries)


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    """What is imported when a node has been built up to its forks."""
    code = "import sys, hie_node.__main__, hie_node.serve; print(*sys.modules)"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    return frozenset(run.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "home"),
    [
        (["--home", "/srv/a", "serve"], Path("/srv/a")),
        (["--home=/srv/a", "serve"], Path("/srv/a")),
        (["--home", "/srv/a", "serve", "--help"], None),
        (["--home", "/srv/a", "check"], None),
        (["--home", "serve"], None),
        ([], None),
    ],
)
def test_only_serve_goes_past_the_command_line(arguments: list[str], home: Path | None) -> None:
    assert served(arguments) == home


def test_serve_finds_its_home_as_every_command_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HIE_HOME", raising=False)
    assert served(["serve"]) == tmp_path
    monkeypatch.setenv("HIE_HOME", "/srv/b")
    assert served(["serve"]) == Path("/srv/b")


def test_a_node_that_has_just_started_counts_what_it_is_asked_and_nothing_else(
    tmp_path: Path, database: Callable[[Path], str], lab_authority: certificates.Credential
) -> None:
    """Whatever it did to be warm is no request; and each process counts into what the operations listener shows."""
    (home := tmp_path / "bac-ninh").mkdir()
    with made_node(tmp_path, database(home), lab_authority) as node:
        node.starts()
        ops, house, ca = node.settings.ops.url, node.settings.house.url, node.settings.tls / "federation-ca.crt"
        assert not requests_of(ops)
        assert '"event": "request"' not in node.log.read_text()
        assert requests.get(house + "/", verify=str(ca), timeout=10).status_code == 200
        (counted,) = requests_of(ops)
        assert counted.startswith('hie_requests_total{door="house",status="200"')
        assert counted.endswith(" 1.0")


def test_a_process_that_is_just_making_its_counts_spoils_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (made := tmp_path / "counter_1.db").touch()
    filled = threading.Timer(0.05, made.write_bytes, [bytes(1 << 12)])
    filled.start()
    assert metrics.exposition() == b""
    filled.join()


def requests_of(ops_url: str) -> list[str]:
    with urllib.request.urlopen(ops_url + "/metrics", timeout=10) as answer:
        return [line for line in answer.read().decode().splitlines() if line.startswith("hie_requests_total{")]
