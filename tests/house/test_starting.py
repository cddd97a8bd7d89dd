"""How a node starts: what it carries for as long as it runs, what its processes share, and what is seen of it."""

from __future__ import annotations

import dataclasses
import inspect
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from sqlalchemy import Connection

from adapters.hl7v2.framing import framed
from adapters.store.journal import Entry
from adapters.store.session import Statements
from adapters.trust import certificates
from hie_node import jobs, metrics, telling
from hie_node.__main__ import served
from hie_node.doors import application
from hie_node.due import claimed
from hie_node.flows.audit import seal
from hie_node.lab.nodes import is_ready
from hie_node.late_methods import make_methods_late
from hie_node.line_door import listen
from hie_node.serve import _line_doors, warm_up
from tests.house.hospital import Hospital, make_house
from tests.house.node import made_node
from tests.house.test_hl7v2 import sample
from tests.processes import PATIENCE, alive, children, descendants, eventually, free_port

NOT_CARRIED = (
    ("typer", "rich"),
    ("psycopg", "sqlalchemy.dialects.postgresql", "alembic"),
    ("requests", "webauthn", "pydicom", "PIL", "fpdf", "tarfile"),
    ("hie_node.mllp", "hie_node.hl7_workers", "hie_node.dimse.door", "hie_node.dimse.services"),
)
"""Of the command line, of another database and its changes, of work that is seldom done, of doors at which nobody has
knocked yet."""


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


def test_a_node_at_rest_is_four_processes_and_grows_with_its_senders(
    tmp_path: Path, database: Callable[[Path], str], lab_authority: certificates.Credential
) -> None:
    """To ask whether it is ready wakes nobody."""
    (home := tmp_path / "bac-ninh").mkdir()
    with made_node(tmp_path, database(home), lab_authority) as node:
        node.starts()
        assert node.process is not None
        pid = node.process.pid
        assert is_ready(node.settings) and is_ready(node.settings)
        assert len(children(pid)) == 3  # a worker, the edge, the jobs
        with socket.create_connection(("127.0.0.1", node.settings.mllp_port), PATIENCE) as sender:
            sender.sendall(framed(sample("adt_a04")))
            assert b"MSA|A" in sender.recv(4096)
        assert len(children(pid)) == 4
        (node.settings.drop / "one.hl7").write_bytes(sample("oru_ct"))
        eventually(lambda: any(node.settings.drop.glob("*/one.hl7")), "the file was read")
        assert len(children(pid)) == 5
        with socket.create_connection(("127.0.0.1", node.settings.dicom_port), PATIENCE):
            eventually(lambda: len(children(pid)) == 6, "somebody answers at the DICOM port")
        assert is_ready(node.settings)
        below = descendants(pid)
        node.process.terminate()
        assert node.process.wait(PATIENCE) == 0
        assert not any(map(alive, below))


def test_the_dicom_port_waits_for_nobody_where_something_acknowledged_is_to_be_indexed(tmp_path: Path) -> None:
    house = make_house(tmp_path, dicom_port=free_port())
    with listen("127.0.0.1", 0) as door:

        def waits() -> bool:
            (child,) = _line_doors(house, {house.settings.dicom_port: door})
            return child.door is door

        assert waits()
        journal = house.contents.journal()
        journal.add(Entry("somebody", "CT1", b"an object"))
        journal.close()
        assert not waits()
    house.storage.close()


def test_a_node_without_anything_to_do_writes_nothing(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hospital.house.storage, "begin", lambda: pytest.fail("it began to write"))
    assert not claimed(hospital.house, "notify", lease=60, limit=9)
    jobs.carry_withdrawals(hospital.house)
    jobs.announce_referrals(hospital.house)
    jobs.look_after_copies(hospital.house)
    assert seal(hospital.house) == 0
    assert not telling.number_what_happened(hospital.house)


def test_what_was_looked_at_before_the_fork_is_not_prepared_again(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process would do it for itself, and carry it in memory of its own."""
    warm_up(hospital.house, application(hospital.house))
    monkeypatch.setattr(Statements, "_prepare", lambda *_: pytest.fail("a statement was prepared"))
    monkeypatch.setattr(Connection, "execute", lambda *_: pytest.fail("a statement went through SQLAlchemy"))
    warm_up(hospital.house, application(hospital.house))


@dataclass(frozen=True, slots=True)
class _AtOnce:
    name: str
    count: int = 1


def test_a_class_whose_methods_are_made_late_is_the_same_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataclasses, "_create_fn", dataclasses._create_fn, raising=False)
    make_methods_late()

    @dataclass(frozen=True, slots=True)
    class Late:
        """Said, or Python would look at the signature for want of it."""

        name: str
        count: int = 1

    @dataclass(frozen=True, slots=True)
    class Below(Late):
        """With something of its own."""

        more: tuple[int, ...] = ()

        def __post_init__(self) -> None:
            object.__setattr__(self, "count", self.count + 1)

    if sys.version_info < (3, 13):
        assert type(Late.__dict__["__init__"]).__name__ == "_Late"
    one, other = Late("a"), _AtOnce("a")
    assert repr(one).partition("(")[2] == repr(other).partition("(")[2] and hash(one) == hash(other)
    assert one == Late("a", 1) != Late("a", 2) and one != other
    assert inspect.signature(Late) == inspect.signature(_AtOnce)
    assert dataclasses.asdict(Below("b", more=(1,))) == {"name": "b", "count": 2, "more": (1,)}
    assert dataclasses.replace(one, count=5).count == 5
    for change in (lambda: setattr(one, "name", "b"), lambda: delattr(one, "name")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        Below()  # type: ignore[call-arg]
    assert type(Late.__dict__["__init__"]) is type(_AtOnce.__init__)


def test_a_port_that_a_killed_node_still_holds_is_waited_for() -> None:
    held = socket.create_server(("127.0.0.1", 0))
    port = held.getsockname()[1]
    let_go = threading.Timer(0.3, held.close)
    let_go.start()
    listen("127.0.0.1", port).close()
    let_go.join()


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
