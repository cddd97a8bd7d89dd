"""Objects that follow each other: each durable when it is acknowledged, indexed together, whatever happens between."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import text

from adapters.dicom.file_head import data_set_of
from adapters.dicom.network.commands import Status
from adapters.dicom.network.pdu import Context
from adapters.dicom.part10 import read_instance
from adapters.store.engine import make_engine
from hie_node.acts import Act
from hie_node.dimse.landing import Landing, system_caller
from hie_node.flows.alarms import open_alarms
from hie_node.flows.store_instances import ATTEMPTS, store_instances
from hie_node.house import House
from registry.commands import StoreInstances
from registry.errors import StorageUnavailable
from registry.studies import ReadInstance
from registry.submissions import Bytes, StudySubmission
from tests.adapters.dicom.files import CT_IMAGE, EXPLICIT, STUDY, ct_slice, element, slice_body
from tests.house.dimse.port import Line, Port
from tests.house.dimse.test_hostile_callers import store
from tests.house.hospital import make_house

MakePort = Callable[..., Port]
Database = Callable[[Path], str]
SERIES = f"{STUDY}.1"
BORN_1990 = (0x00100030, element(0x00100030, "DA", b"19900102"))
FEMALE = (0x00100040, element(0x00100040, "CS", b"F"))


@pytest.fixture
def port(make_port: MakePort, database: Database, tmp_path: Path) -> Port:
    """One that each test has for itself, on each kind of database."""
    return make_port(database_url=database(tmp_path))


def begins(port: Port) -> Line:
    line = port.associates(Context(3, CT_IMAGE, (EXPLICIT,)))
    line.accepted()
    return line


def sends(line: Line, number: int, **how: object) -> int | None:
    """The status of one object; None where the line ended first."""
    body = slice_body(number, **how)  # type: ignore[arg-type]
    series = str(how.get("series", SERIES))
    try:
        for piece in store(body, uid=f"{series}.{number}"):
            line.send(piece)
        return line.answer().number("Status")
    except (AssertionError, OSError):
        return None


def sent(number: int) -> bytes:
    return slice_body(number)


def kept(port: Port) -> dict[str, bytes]:
    return {uid: b"".join(data_set_of([content])) for uid, content in port.contents(STUDY).items()}


@contextmanager
def index_held(port: Port) -> Iterator[None]:
    """Somebody else has the turn to write: of the whole database, or with PostgreSQL of the studies."""
    engine = make_engine(port.settings.database_url)
    with engine.connect() as other, other.begin() as turn:
        if engine.dialect.name == "postgresql":
            other.execute(text("LOCK TABLE study IN EXCLUSIVE MODE"))
        yield
        turn.rollback()
    engine.dispose()


def count_in(port: Port) -> int:
    study = port.study(STUDY)
    return study.instance_count if study else 0


def test_what_was_acknowledged_before_it_was_indexed_survives_a_kill(port: Port) -> None:
    line = begins(port)
    assert sends(line, 1) == Status.SUCCESS
    with index_held(port):
        assert [sends(line, number) for number in range(2, 12)] == [Status.SUCCESS] * 10
        port.end(signal.SIGKILL)
    assert count_in(port) == 1, "the index had no chance to follow"
    port.open()
    assert kept(port) == {f"{SERIES}.{number}": sent(number) for number in range(1, 12)}
    assert list((port.settings.contents / "arrived").iterdir()) == []


@pytest.mark.parametrize("after", [0.05, 0.15, 0.3])
def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_is_there_by_half(
    port: Port, after: float
) -> None:
    acknowledged: set[int] = set()

    def keep_sending(first: int) -> None:
        line = begins(port)
        for number in range(first, first + 1000):
            if sends(line, number) != Status.SUCCESS:
                return
            acknowledged.add(number)

    senders = [threading.Thread(target=keep_sending, args=(1000 * n,)) for n in (1, 2, 3)]
    for sender in senders:
        sender.start()
    while len(acknowledged) < 20:
        time.sleep(0.005)
    time.sleep(after)
    port.end(signal.SIGKILL)
    for sender in senders:
        sender.join()
    for _ in range(2):
        found = kept(port)  # reads each indexed object, and fails where its bytes are missing
        assert all(content == sent(int(uid.rpartition(".")[2])) for uid, content in found.items())
        port.open()
        found = kept(port)
        assert acknowledged <= {int(uid.rpartition(".")[2]) for uid in found}
        port.end(signal.SIGKILL)
    port.open()


def test_all_of_an_association_shows_once_it_is_released(port: Port) -> None:
    study = f"{STUDY}.20"
    files = [ct_slice(number, study=study, series=f"{study}.1") for number in range(1, 40)]
    assert port.stores(*files).code == 0
    assert len(port.contents(study)) == 39


def test_the_index_that_is_away_for_long_is_no_reason_to_lie(port: Port) -> None:
    """More than may wait is taken only when the index has followed."""
    line = begins(port)
    assert sends(line, 1) == Status.SUCCESS
    statuses: list[int | None] = []
    with index_held(port):
        sender = threading.Thread(target=lambda: statuses.extend(sends(line, n) for n in range(2, 100)))
        sender.start()
        sender.join(2.0)
        assert sender.is_alive() and len(statuses) <= 64
    sender.join()
    assert statuses == [Status.SUCCESS] * 98
    assert sends(line, 99) == Status.SUCCESS, "the same again"
    assert len(kept(port)) == 99


def test_each_verdict_is_the_one_that_a_single_object_gets(port: Port) -> None:
    line = begins(port)
    assert [sends(line, number) for number in (1, 2, 3)] == [Status.SUCCESS] * 3
    assert sends(line, 2) == Status.SUCCESS, "the same again"
    assert sends(line, 3, pixels=b"\7\7" * 16) == 0x0111, "other bytes"
    assert sends(line, 4) == Status.SUCCESS
    assert sends(line, 5, patient=b"BN-0099") == 0xB000, "a study of another patient is kept aside"
    somebody = {"name": "Lê^Thị Bình".encode(), "extra": [BORN_1990, FEMALE]}
    assert sends(line, 6, **somebody) == 0xB000, "and so is one of somebody else"
    assert sends(line, 7, patient=b"") == Status.CANNOT_UNDERSTAND
    other = f"{STUDY}.9"
    assert sends(line, 4, study=other) == 0x0111, "an instance of one study is none of another"
    assert sends(line, 8) == Status.SUCCESS
    line.send(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    port.end()
    assert kept(port) == {f"{SERIES}.{number}": sent(number) for number in (1, 2, 3, 4, 8)}
    assert port.study(other) is None


# ---- beside each other door of the house


def instance(number: int, **how: object) -> tuple[ReadInstance, Bytes]:
    content = ct_slice(number, **how)
    return read_instance(BytesIO(content), size=len(content), own_issuer="urn:oid:2.25.4711.1"), Bytes(content)


@pytest.fixture
def landing(tmp_path: Path, database: Database) -> Iterator[Landing]:
    house = make_house(tmp_path, database_url=database(tmp_path))
    made = Landing(house)
    yield made
    made.close()
    house.storage.close()


def test_another_door_that_was_quicker_keeps_its_object_and_ours_waits_for_a_person(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = landing.house
    landing.store("CT1", *instance(1))
    indexing = landing._stored
    at_once = threading.Event()

    def late(*asked: object) -> object:
        at_once.wait(10)
        return indexing(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(landing, "_stored", late)
    assert landing.store("CT1", *instance(2)).stored
    theirs = instance(2, pixels=b"\7\7" * 16)
    act = Act(house, system_caller(house, "WEB"), "RAD-108", "C")
    assert store_instances(act, StoreInstances(StudySubmission((theirs,)))).stored
    at_once.set()
    landing.settle()
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
        (aside,) = unit.quarantine.waiting()
    assert study is not None
    shown = next(one for one in study.selected() if one.sop_instance_uid == f"{SERIES}.2")
    assert b"".join(house.contents.open(study.record_id, shown.content_hash)) == theirs[1].value
    (ours,) = aside.instances
    assert b"".join(house.contents.open(aside.id, ours.content_hash)) == instance(2)[1].value


def test_one_object_that_nobody_can_index_holds_up_no_other_and_stays_safe(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.store("CT1", *instance(1))
    indexing = landing._stored

    def trips(sender: str, parts: list[tuple[ReadInstance, Bytes]]) -> object:
        if any(read.instance.number == 3 for read, _ in parts):
            raise KeyError("a fault of ours")
        return indexing(sender, parts)

    with monkeypatch.context() as faulty:
        faulty.setattr(landing, "_stored", trips)
        for number in (2, 3, 4):
            assert landing.store("CT1", *instance(number)).stored
        landing.settle()
    house = landing.house
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and [one.number for one in study.selected()] == [1, 2, 4]
    assert alarms(house) == [("images-not-indexed", "1 acknowledged images are safe in the journal and not indexed")]
    landing.close()
    again = Landing(house)
    again.recover()
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and [one.number for one in study.selected()] == [1, 2, 3, 4]
    assert list((house.settings.contents / "arrived").iterdir()) == []


def alarms(house: House) -> list[tuple[str, str]]:
    return [(one.kind, one.found) for one in open_alarms(house)]


def test_an_index_that_takes_nothing_for_long_is_told_to_an_administrator(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.store("CT1", *instance(1))
    indexing, refused = landing._stored, threading.Event()

    def away(*asked: object) -> object:
        if not refused.is_set():
            raise StorageUnavailable("database", "SQLITE_FULL")
        return indexing(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(landing, "_stored", away)
    monkeypatch.setattr("hie_node.dimse.landing.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("hie_node.dimse.landing.TOLD_AFTER", 3)
    assert landing.store("CT1", *instance(2)).stored
    until = time.monotonic() + 10
    while not alarms(landing.house) and time.monotonic() < until:
        time.sleep(0.01)
    assert alarms(landing.house) == [
        ("images-not-indexed", "1 acknowledged images are safe in the journal and not indexed")
    ]
    refused.set()
    landing.settle()
    with landing.house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and study.instance_count == 2


def test_a_study_that_is_overtaken_every_time_ends_and_an_administrator_sees_it(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, tried = landing.house, 0

    def never_here(*_: object) -> bool:
        nonlocal tried
        tried += 1
        return False

    monkeypatch.setattr(house.contents, "holds", never_here)
    with pytest.raises(StorageUnavailable):
        landing.store("CT1", *instance(1))
    assert tried == ATTEMPTS
    told = f"1 images of a study were overtaken {ATTEMPTS} times and sent back"
    assert alarms(house) == [("images-not-indexed", told)]
    with house.storage.read() as unit:
        assert unit.studies.by_uid(STUDY) is None
    monkeypatch.undo()
    assert landing.store("CT1", *instance(1)).stored, "sent again, it is stored"


def test_a_journal_that_cannot_be_written_sends_each_object_the_whole_way(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.store("CT1", *instance(1))

    def full(*_: object) -> None:
        raise StorageUnavailable("journal of arrived objects", "No space left on device")

    monkeypatch.setattr(landing._journal, "add", full)
    with pytest.raises(StorageUnavailable):
        landing.store("CT1", *instance(2))
    assert landing.store("CT1", *instance(2)).stored, "sent again, it is stored with its row at once"
    with landing.house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and study.instance_count == 2
