"""A file that takes too much ends with the process that reads it; the next one is published."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, BinaryIO

import pytest
from typer.testing import CliRunner

from hie_node import file_worker, jobs, publishing
from hie_node.apart import Bounds
from hie_node.cli import app
from hie_node.drop_folder import DropFolder
from hie_node.file_worker import FILES, TOO_MUCH, FileWorker, file_worker_of, rear_readers
from hie_node.house import House
from hie_node.publishing import Published
from hie_node.supervisor import Child, Supervisor
from hie_node.workers import listen
from registry.errors import StorageUnavailable
from registry.feeds import FeedItem, FeedSearch
from tests.adapters.dicom.files import ct_slice
from tests.house.hospital import Hospital, make_house
from tests.house.test_hl7_workers import LONG, SLOW
from tests.house.test_hl7v2 import sample
from tests.processes import PATIENCE, children, ended, eventually, forked


class Drop:
    """The drop folder as the jobs look at it."""

    def __init__(self, house: House, bounds: Bounds) -> None:
        self.house, self.root = house, house.settings.drop
        self.listening = listen(house.settings.run / "files.sock")
        # nothing of the house is open
        child = Child("files", partial(rear_readers, house, self.listening), door=self.listening)
        self.pid = forked(lambda: Supervisor([child]).run())
        self.worker = FileWorker(house.settings.run / "files.sock", bounds)
        self._folder = DropFolder(house, partial(self.worker.publish, house))

    def takes(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)
        self.looks()

    def looks(self) -> None:
        self._folder.look()
        self._folder.look()

    def items(self) -> list[FeedItem]:
        with self.house.storage.read() as unit:
            return list(unit.feeds.find(FeedSearch()))


OpenDrop = Callable[..., Drop]


@pytest.fixture
def drop_of(tmp_path: Path) -> Iterator[OpenDrop]:
    made: list[Drop] = []

    def open_(bounds: Bounds = FILES) -> Drop:
        house = make_house(tmp_path)
        house.storage.close()
        house.settings.drop.mkdir(exist_ok=True)
        made.append(Drop(house, bounds))
        return made[-1]

    yield open_
    for drop in made:
        drop.worker.close()
        eventually(lambda drop=drop: children(drop.pid) == [], "nobody is left to read")  # type: ignore[misc]
        assert ended(drop.pid) == 0
        drop.listening.close()
        drop.house.storage.close()


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_published(drop_of: OpenDrop) -> None:
    drop = drop_of(SLOW)
    drop.takes("long.hl7", LONG)
    assert TOO_MUCH in (drop.root / "refused" / "long.hl7.reason.txt").read_text("utf-8")
    assert [(one.name, one.outcome, one.reasons) for one in drop.items()] == [("long.hl7", "refused", (TOO_MUCH,))]
    drop.takes("short.hl7", sample("oru_ct"))
    assert (drop.root / "done" / "short.hl7").exists() and len(Hospital(drop.house).documents("A1")) == 2


def test_in_a_dropped_folder_too_the_other_files_are_published(drop_of: OpenDrop) -> None:
    drop = drop_of(SLOW)
    folder = drop.root / "thang11"
    folder.mkdir()
    for name, content in (("1.hl7", sample("adt_a04")), ("2.hl7", LONG), ("3.hl7", sample("oru_ct"))):
        (folder / name).write_bytes(content)
    drop.looks()
    said = (drop.root / "refused" / "thang11.reason.txt").read_text("utf-8")
    assert said == f"2.hl7: {TOO_MUCH}\n"
    assert len(Hospital(drop.house).documents("A1")) == 2


def test_what_a_command_publishes_is_read_where_it_can_be_killed(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house(tmp_path, database_url="" if database_url.startswith("sqlite") else database_url)
    house.storage.close()
    files = tmp_path / "files"
    files.mkdir()
    for name, content in (("1.hl7", sample("adt_a04")), ("2.hl7", LONG), ("3.hl7", sample("oru_ct"))):
        (files / name).write_bytes(content)
    monkeypatch.setattr(file_worker, "file_worker_of", partial(file_worker_of, bounds=SLOW))
    found = CliRunner().invoke(app, ["--home", str(house.settings.home), "publish", str(files), "--json"])
    told = json.loads(found.stdout)
    assert found.exit_code == 1
    assert [(Path(one["path"]).name, one["outcome"], one["reason"]) for one in told["results"]] == [
        ("1.hl7", "stored", ""),
        ("2.hl7", "refused", TOO_MUCH),
        ("3.hl7", "stored", ""),
    ]
    with house.storage.read() as unit:
        refused = list(unit.feeds.find(FeedSearch(outcome="refused")))
    assert [(one.name, one.reasons) for one in refused] == [("2.hl7", (TOO_MUCH,))]
    house.storage.close()


def test_of_images_that_lie_together_only_the_one_that_ends_its_reader_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house(tmp_path)
    house.storage.close()
    files = tmp_path / "files"
    files.mkdir()
    for number in range(1, 4):
        (files / f"{number}.dcm").write_bytes(ct_slice(number))
    read = publishing.read_instance

    def ends(opened: BinaryIO, **how: Any) -> Any:
        if "2.dcm" in opened.name:
            os._exit(9)  # as the kernel ends what takes too much
        return read(opened, **how)

    monkeypatch.setattr(publishing, "read_instance", ends)
    with file_worker_of(house) as worker:
        done = list(worker.publish_paths(house, [files], who="cli:x"))
    assert [(one.path.name, one.outcome, one.instances) for one in done] == [
        ("1.dcm", "stored", 1),
        ("2.dcm", "refused", 0),
        ("3.dcm", "stored", 1),
    ]
    assert done[1].reason == TOO_MUCH
    house.storage.close()


def test_a_worker_that_is_killed_costs_no_file(drop_of: OpenDrop) -> None:
    drop = drop_of()
    drop.takes("one.hl7", sample("adt_a04"))
    (nursery,) = children(drop.pid)
    (worker,) = children(nursery)
    os.kill(worker, signal.SIGKILL)
    drop.takes("two.hl7", sample("oru_ct"))
    assert sorted(one.name for one in (drop.root / "done").iterdir()) == ["one.hl7", "two.hl7"]


def test_nobody_waits_for_files_until_one_has_come_and_a_nursery_that_is_killed_costs_none(drop_of: OpenDrop) -> None:
    drop = drop_of()
    assert children(drop.pid) == []
    drop.takes("one.hl7", sample("adt_a04"))
    (nursery,) = children(drop.pid)
    os.kill(nursery, signal.SIGKILL)
    drop.takes("two.hl7", sample("oru_ct"))
    assert sorted(one.name for one in (drop.root / "done").iterdir()) == ["one.hl7", "two.hl7"]


def test_what_cannot_be_stored_now_stays_where_it_lies(drop_of: OpenDrop) -> None:
    drop = drop_of()
    drop.takes("one.hl7", sample("adt_a04"))
    contents = drop.house.settings.contents
    contents.rename(contents.with_name("away"))
    contents.write_text("not a folder", "utf-8")
    large = sample("oru_ct").replace(b"Kh", b"x" * 200_000 + b"Kh", 1)
    with pytest.raises(StorageUnavailable):
        drop.takes("two.hl7", large)
    assert (drop.root / "two.hl7").exists()


def test_what_else_a_node_does_does_not_wait_for_a_long_file(tmp_path: Path) -> None:
    house = make_house(tmp_path)
    house.settings.drop.mkdir(exist_ok=True)
    (house.settings.drop / "thang11.xml").write_text("<x/>", "utf-8")
    reading, read = Event(), Event()

    def takes_long(entry: Path) -> list[Published]:
        reading.set()
        read.wait(PATIENCE)
        return [Published(entry, "insurance", "stored")]

    node = Thread(target=jobs.run, args=(house, read.is_set), kwargs={"publish": takes_long})
    node.start()
    try:
        assert reading.wait(PATIENCE)
        Hospital(house).handled(sample("adt_a04"))
        eventually(lambda: Hospital(house).rows() == 0, "the record is sealed while the file is read")
    finally:
        read.set()
        node.join()
    eventually((house.settings.drop / "done" / "thang11.xml").exists, "the file is done")
    house.storage.close()
