"""What an operator sees of a node's processes: they come back, they leave in order, nothing is left."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hie_node import supervisor
from hie_node.line_door import listen
from tests.house.front import PATIENCE_SECONDS, Front, read_answer, start_front
from tests.house.hospital import make_house
from tests.processes import alive, children, ended, eventually, forked

ASK = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    running = start_front(tmp_path)
    yield running
    running.close()


def test_killing_the_supervisor_leaves_nothing_behind(front: Front) -> None:
    assert front.get("house", "/").status == 200
    processes = front.children()
    assert len(processes) == 2  # the edge, one worker
    front.process.kill()
    front.process.wait(PATIENCE_SECONDS)
    eventually(lambda: not any(alive(pid) for pid in processes), "all processes have ended")
    for port in front.ports.values():
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))


@pytest.mark.parametrize("name", ["edge", "workers"])
def test_a_dead_child_returns(front: Front, name: str) -> None:
    for _ in range(2):
        dead = front.child(name)
        os.kill(dead, signal.SIGKILL)
        eventually(lambda dead=dead: front.child(name) != dead, "another process has taken its place")  # type: ignore[misc]
        eventually(lambda: answers(front), "the node answers again")


def answers(front: Front) -> bool:
    try:
        return front.get("house", "/").status == 200
    except OSError:
        return False


def test_a_stop_lets_running_requests_end(front: Front) -> None:
    running, idle = front.connect("house"), front.connect("house")
    running.sendall(b"GET /sleeps?1" + ASK)
    eventually(lambda: front.get("house", "/").status == 200, "the request before is running")
    front.process.terminate()
    assert read_answer(running).status == 200
    assert idle.recv(1) == b""
    assert front.process.wait(PATIENCE_SECONDS) == 0


def test_a_reload_ends_no_connection(front: Front) -> None:
    kept = front.connect("house")
    kept.sendall(b"GET /" + ASK)
    assert read_answer(kept).status == 200
    edge = front.child("edge")
    front.process.send_signal(signal.SIGHUP)
    kept.sendall(b"GET /" + ASK)
    assert read_answer(kept).status == 200
    assert front.child("edge") == edge
    assert front.process.poll() is None


def test_the_way_to_the_workers_is_private(front: Front) -> None:
    folder = front.folder / "workers"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "http.sock").stat().st_mode & 0o077 == 0


@pytest.fixture
def door() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as listening:
        yield listening


Behind = Callable[[Callable[[], None]], int]


@pytest.fixture
def behind(door: socket.socket) -> Iterator[Behind]:
    """A supervisor of one child behind this door: its process id."""
    started: list[int] = []

    def start(run: Callable[[], None]) -> int:
        child = supervisor.Child("door", run, door=door)
        started.append(forked(lambda: supervisor.Supervisor([child]).run()))
        return started[-1]

    yield start
    for pid in started:
        assert ended(pid) == 0


def says_its_pid(door: socket.socket, times: int) -> None:
    """To so many that call."""
    door.setblocking(True)
    for _ in range(times):
        with door.accept()[0] as caller:
            caller.sendall(str(os.getpid()).encode())


def is_watched(door: socket.socket) -> bool:
    return bool(fcntl.fcntl(door, fcntl.F_GETFL) & os.O_ASYNC)


def called(door: socket.socket) -> int:
    with socket.create_connection(door.getsockname(), PATIENCE_SECONDS) as caller:
        return int(caller.recv(16))


def test_nobody_stands_behind_a_door_until_somebody_knocks(door: socket.socket, behind: Behind) -> None:
    parent = behind(lambda: says_its_pid(door, 9))
    eventually(lambda: is_watched(door), "the supervisor runs")
    assert children(parent) == []
    first = called(door)
    assert children(parent) == [first]
    assert called(door) == first


def test_whoever_came_before_the_door_was_watched_is_answered(door: socket.socket, behind: Behind) -> None:
    with socket.create_connection(door.getsockname(), PATIENCE_SECONDS) as early:
        parent = behind(lambda: says_its_pid(door, 9))
        assert [int(early.recv(16))] == children(parent)


def test_who_ended_well_is_started_again_by_the_next_knock(door: socket.socket, behind: Behind) -> None:
    parent = behind(lambda: says_its_pid(door, 1))
    first = called(door)
    eventually(lambda: children(parent) == [], "it has ended")
    assert called(door) != first


def test_who_died_is_started_again_at_once_and_refuses_nobody(door: socket.socket, behind: Behind) -> None:
    parent = behind(lambda: says_its_pid(door, 9))
    first = called(door)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not alive(first), "it is dead")
    assert called(door) != first
    (second,) = children(parent)
    os.kill(second, signal.SIGKILL)
    eventually(lambda: children(parent) not in ([], [second]), "it is there again without a call")


USED = """
import ssl
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

def use():
    assert orjson.loads(orjson.dumps({"a": [1, None]})) == {"a": [1, None]}
    assert etree.fromstring(b"<a><b/></a>")[0].tag == "b"
    assert ec.generate_private_key(ec.SECP256R1()).key_size == 256
    ssl.create_default_context()

def of_files():
    return int(open("/proc/self/statm").read().split()[2])

use()
held = of_files()
from hie_node.giving_back import give_back
give_back()
assert of_files() < held / 2
use()
"""


def test_a_parent_that_gave_back_what_the_start_used_works_as_before() -> None:
    """With a page too many, what the linker has changed in a library would be lost and the process die."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    subprocess.run([sys.executable, "-c", USED], check=True, env={**os.environ, "PYTHONPATH": path})


def test_a_node_that_is_about_to_fork_holds_its_database_open_nowhere(tmp_path: Path) -> None:
    """A connection to SQLite that is carried over a fork makes the child believe in locks that it does not have."""
    house = make_house(tmp_path)
    assert _open_files(house.settings.home / "node.db") == []
    with house.storage.read() as unit:
        assert unit.documents.entry("none") is None
    with house.storage.begin() as unit:
        assert unit.jobs.waiting() == 0
    house.storage.close()
    assert _open_files(house.settings.home / "node.db") == []


def _open_files(file: Path) -> list[str]:
    own = Path("/proc/self/fd")
    opened = [str(one.readlink()) for one in own.iterdir() if one.is_symlink() and one.exists()]
    return [name for name in opened if name.startswith(str(file))]
