"""What an operator sees of a node's processes: they come back, they leave in order, nothing is left."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.front import PATIENCE_SECONDS, Front, read_answer, start_front
from tests.house.hospital import make_house
from tests.processes import alive, eventually

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
